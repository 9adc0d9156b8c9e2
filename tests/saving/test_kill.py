"""A process that dies while it saves leaves the last file that was finished, or the next, whole."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import nbnet as nb

ROOT = Path(__file__).parents[2]
PROGRAM = Path(__file__).with_name("kill.py")


def _killed_after(path: Path, first: int, wait: float) -> int:
    """Let a process save, kill it some time after it began, and return the number of the last file it finished."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, str(PROGRAM), str(path), str(first)], stdout=subprocess.PIPE, env=environment, text=True
    ) as process:
        assert process.stdout is not None
        said = process.stdout.readline()
        time.sleep(wait)
        process.send_signal(signal.SIGKILL)
        said = (said + process.stdout.read()).split("\n")
        return int(next(line for line in reversed(said[:-1]) if line))


def _check(path: Path, finished: int) -> int:
    """The number of the file that is there."""
    values = np.concatenate([weight.reshape(-1) for weight in nb.load_model(path).get_weights()])
    found = int(values[0])
    assert (values == found).all()
    assert found in (finished, finished + 1)
    return found


def _kill_often(tmp_path: Path, times: int) -> None:
    path, number, rng = tmp_path / "m.nbnet", 0, np.random.default_rng(0)
    for _ in range(times):
        number = _check(path, _killed_after(path, number, rng.uniform(0, 0.02)))
    assert path.exists()


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")
def test_a_killed_process_loses_no_file(tmp_path: Path) -> None:
    _kill_often(tmp_path, 3)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")
def test_a_hundred_killed_processes_lose_no_file(tmp_path: Path) -> None:
    _kill_often(tmp_path, 100)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")
def test_a_script_that_was_killed_is_run_again(tmp_path: Path) -> None:
    def script(folder: str, result: str, *die: str) -> int:
        arguments = [str(tmp_path / folder), str(tmp_path / result), *die]
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        command = [sys.executable, str(PROGRAM.with_name("train.py")), *arguments]
        return subprocess.run(command, env=environment, check=False).returncode

    assert script("a", "whole.nbnet") == 0
    assert script("b", "parts.nbnet", "2", "1") == -signal.SIGKILL
    assert not (tmp_path / "parts.nbnet").exists()
    assert script("b", "parts.nbnet") == 0
    assert (tmp_path / "parts.nbnet").read_bytes() == (tmp_path / "whole.nbnet").read_bytes()


def test_an_error_while_writing_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "m.nbnet"
    model = nb.Sequential([nb.Input((2,)), nb.layers.Dense(3)])
    model.save(path)
    before = path.read_bytes()
    model.set_weights([w + 1 for w in model.get_weights()])

    def fail(*args: object) -> None:
        raise OSError("no space left")

    for name in ("fsync", "replace"):
        with monkeypatch.context() as patch:
            patch.setattr(os, name, fail)
            with pytest.raises(OSError, match="no space left"):
                model.save(path)
        assert path.read_bytes() == before
        assert os.listdir(tmp_path) == ["m.nbnet"]


def test_what_is_written_is_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file before it gets its name, then the folder."""
    done: list[str] = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda fd: (done.append("fsync"), fsync(fd))[1])
    monkeypatch.setattr(os, "replace", lambda a, b: (done.append("rename"), replace(a, b))[1])
    nb.Sequential([nb.Input((2,)), nb.layers.Dense(3)]).save(tmp_path / "m.nbnet")
    assert done == ["fsync", "rename", "fsync"]
