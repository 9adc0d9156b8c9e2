"""The example runs, and what it prints is worth printing."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_net_estimators() -> None:
    environment = {name: value for name, value in os.environ.items() if name != "NUMBA_DISABLE_JIT"}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    command = [sys.executable, str(ROOT / "examples" / "net_estimators.py"), "--epochs", "15"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=600)
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr
    least = {
        r"best of 6 settings: .* accuracy ([\d.]+)%": 93,
        r"test accuracy +([\d.]+)%": 93,
        r"built by a function +([\d.]+)%": 95,
        r"surest of +([\d.]+)%": 99,
        r"calibrated +([\d.]+)%": 95,
        r"by features +([\d.]+)%": 90,
        r"; (\d+)% of targets": 70,
    }
    found = {pattern: float(re.search(pattern, done.stdout)[1]) for pattern in least}  # type: ignore[index]
    assert all(found[pattern] >= least[pattern] for pattern in least), done.stdout
