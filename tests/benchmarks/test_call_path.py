"""Counting the files of a call."""

from __future__ import annotations

import pytest

import nbnet as nb
from benchmarks import call_path


def test_changes_of_file() -> None:
    path = call_path.CallPath([("a.py", "f"), ("b.py", "g"), ("b.py", "h"), ("a.py", "f")])
    assert path.files == ["a.py", "b.py"]
    assert path.changes == {("a.py", "b.py"): 1, ("b.py", "a.py"): 1}
    assert str(path) == "2 files, 3 functions, 4 calls, 2 changes of file"


def test_calls_of_the_package_are_recorded() -> None:
    path = call_path.record(lambda: nb.ops.exp([0.0]))
    assert "ops/elementwise.py" in path.files
    assert call_path.record(lambda: None).calls == []


def test_the_script(capsys: pytest.CaptureFixture[str]) -> None:
    call_path.main(["--verbose"])
    printed = capsys.readouterr().out
    assert printed.startswith("first fit: ")
    assert "second fit: " in printed
