"""Scripts run in processes of their own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import nbnet as nb

ROOT = Path(nb.__file__).parents[1]


def start(script: str, **environment: str | None) -> subprocess.Popen[str]:
    """Start a script; None unsets a variable."""
    merged = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    cleaned = {name: value for name, value in merged.items() if value is not None}
    command = [sys.executable, "-c", textwrap.dedent(script)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, env=cleaned, text=True, start_new_session=True, **pipes)


def finish(process: subprocess.Popen[str]) -> str:
    """Wait for a script to end without an error; return its output."""
    try:
        out, err = process.communicate(timeout=120)
    except subprocess.TimeoutExpired:
        stop(process)
        out, err = process.communicate()
        raise AssertionError(f"the script hangs; it said: {out}{err}") from None
    assert process.returncode == 0, out + err
    return out.strip()


def stop(process: subprocess.Popen[str]) -> None:
    """End a script and the children it has."""
    if hasattr(os, "killpg"):
        os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()


def python(script: str, **environment: str | None) -> str:
    """Run a script and return its output."""
    return finish(start(script, **environment))
