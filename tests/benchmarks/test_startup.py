"""The start-up benchmark runs what it says it runs."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from benchmarks import startup


def test_predictions_are_timed_one_by_one() -> None:
    times = startup.time_predictions(20)
    assert list(times) == ["nbnet", "NumPy"]
    assert all(len(t) == 20 and min(t) > 0 for t in times.values())
    assert "predict, one row" in startup.prediction_table(times)


def test_process_table() -> None:
    table = startup.process_table({"import numba": [1.0, 2.0], "import nbnet": [2.0, 5.0]})
    assert " ".join(table.splitlines()[-1].split()) == "import nbnet 3.50 [2.00 - 5.00] 2.25 [2.00 - 2.50]"


def test_failures_are_not_timed(tmp_path: Path) -> None:
    with pytest.raises(subprocess.CalledProcessError):
        startup.run("raise SystemExit(3)", str(tmp_path), tmp_path / "cache")


@pytest.mark.slow
def test_one_round(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    startup.main(["--rounds", "1", "--json", str(tmp_path / "report.json")])
    text, written = capsys.readouterr().out, json.loads((tmp_path / "report.json").read_text())
    assert set(written["processes"]) == set(startup.PROCESSES)
    assert all(name in text for name in startup.PROCESSES)
    assert written["processes"]["first epoch, empty cache"][0] > written["processes"]["first epoch, warm cache"][0]
