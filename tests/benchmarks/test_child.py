"""A measurement in a child process that crashes says so: signal, traceback, core file."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest

from benchmarks.harness import child


def module(folder: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> str:
    (folder / "measured.py").write_text(text)
    monkeypatch.setenv("PYTHONPATH", str(folder))
    return "measured"


def test_output_is_returned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = module(tmp_path, monkeypatch, "import sys\nprint(sys.argv[1:])\n")
    assert child.run_child(name, ["--rounds", "2"]) == "['--rounds', '2']\n"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signals that end a process")
@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT, signal.SIGKILL], ids=lambda s: s.name)
def test_a_signal_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals) -> None:
    monkeypatch.chdir(tmp_path)  # a core file, where the system writes one, belongs to the test
    body = f"import os\nprint('before', flush=True)\nos.kill(os.getpid(), {int(number)})\n"
    name = module(tmp_path, monkeypatch, body)
    with pytest.raises(RuntimeError, match=number.name) as caught:
        child.run_child(name, [])
    text = str(caught.value)
    assert "before" in text
    assert ("measured.py" in text) == (number is not signal.SIGKILL)  # the traceback of faulthandler


def test_a_status_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = module(tmp_path, monkeypatch, "raise SystemExit('out of order')\n")
    with pytest.raises(RuntimeError, match=r"status 1\nout of order"):
        child.run_child(name, [])


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limits of this kind")
def test_core_files_are_on_in_children(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    body = (
        "import resource\nfrom benchmarks.harness.child import record_crashes\nrecord_crashes()\n"
        "low, high = resource.getrlimit(resource.RLIMIT_CORE)\nprint(low == high)\n"
    )
    name = module(tmp_path, monkeypatch, body)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{Path(child.__file__).parents[2]}")
    assert child.run_child(name, []) == "True\n"


@pytest.mark.parametrize(
    ("pattern", "place"),
    [("core.%p", "core.%p"), ("|/usr/lib/handler %p", "the program /usr/lib/handler"), (None, "not say")],
)
def test_the_place_of_core_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pattern: str | None, place: str
) -> None:
    file = tmp_path / "core_pattern"
    if pattern is not None:
        file.write_text(pattern + "\n")
    monkeypatch.setattr(child, "_CORE_PATTERN", file)
    assert place in child.core_place(tmp_path)
