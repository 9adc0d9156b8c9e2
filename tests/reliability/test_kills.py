"""Saving that is interrupted: nothing is lost, and the next save of a path leaves no temporary file of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nbnet as nb
from nbnet.base import atomic_file
from tests.reliability import kills

forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
posix = pytest.mark.skipif(sys.platform == "win32", reason="file locks and links of POSIX")
ROOT = Path(__file__).parents[2]
#: A process that saves to the path given, and stops or dies where the file is complete, but has not its name yet.
SAVES = """
import os, signal, sys
import numpy as np
import nbnet as nb
def fsync(handle):
    os.fsync = lambda handle: None
    print("there", flush=True)
    os.kill(os.getpid(), getattr(signal, sys.argv[2]))
os.fsync = fsync
if sys.argv[1].endswith("masks"):
    nb.save_masks(sys.argv[1], {"a": np.ones(9, bool)})
else:
    model = nb.Sequential([nb.Input((2,)), nb.layers.Dense(3)])
    getattr(model, "save_weights" if "weights" in sys.argv[1] else "save")(sys.argv[1])
"""


def saving(path: Path, by: str) -> subprocess.Popen[str]:
    """Start a process that saves, and wait until it stops or dies by a signal."""
    command, environment = [sys.executable, "-c", SAVES, str(path), by], os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "there\n"
    if by == "SIGKILL":
        assert process.wait() == -signal.SIGKILL
    return process


def save(path: Path) -> None:
    if path.name == "masks":
        nb.save_masks(path, {"a": np.ones(9, bool)})
    else:
        model = nb.Sequential([nb.Input((2,)), nb.layers.Dense(3)])
        getattr(model, "save_weights" if "weights" in path.name else "save")(path)


# ---- many at random moments ----


@forks
@pytest.mark.parametrize(("count", "seed"), [(6, 0), pytest.param(60, 1, marks=pytest.mark.slow)])
def test_random_kills(count: int, seed: int, tmp_path: Path) -> None:
    counted = kills.run(count, seed, tmp_path)
    assert counted["kills"] >= count
    assert counted["trainings completed"] >= 1


# ---- temporary files ----


@posix
@pytest.mark.parametrize("name", ["m.nbnet", "w.weights.nbnet", "weights.safetensors", "masks"])
def test_the_next_save_removes_what_a_killed_one_left(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    save(path)
    before = path.read_bytes()
    for _ in range(2):
        saving(path, "SIGKILL").communicate()
    assert path.read_bytes() == before
    assert len(kills.left_over(tmp_path)) == 1, "the second save removed what the first left"
    save(path)
    assert os.listdir(tmp_path) == [name]


@posix
def test_a_process_that_still_writes_keeps_its_file(tmp_path: Path) -> None:
    path = tmp_path / "m.nbnet"
    process = saving(path, "SIGSTOP")
    try:
        (theirs,) = kills.left_over(tmp_path)
        save(path)
        assert kills.left_over(tmp_path) == [theirs]
        process.send_signal(signal.SIGCONT)
        process.communicate(timeout=kills.LIMIT)
        assert process.returncode == 0
    finally:
        process.kill()
        process.wait()
    assert os.listdir(tmp_path) == ["m.nbnet"]
    nb.load_model(path)


@posix
def test_a_backup_that_was_killed_leaves_nothing(tmp_path: Path) -> None:
    """Also if the training that finds the file has nothing to save."""
    (tmp_path / "latest.nbnet").touch()
    saving(tmp_path / "latest.nbnet", "SIGKILL").communicate()
    (tmp_path / "latest.nbnet").unlink()
    backup = nb.callbacks.BackupAndRestore(tmp_path)
    backup.on_train_begin()
    assert os.listdir(tmp_path) == []


def temporary(path: Path, owner: str, age: float = 0.0) -> Path:
    """A temporary file of a path, as a process of an owner names it."""
    made = path.with_name(f".{path.name}.{owner}.0123abcd.tmp")
    made.write_bytes(b"half a file")
    then = time.time() - age
    os.utime(made, (then, then))
    return made


@posix
def test_files_of_others_are_kept(tmp_path: Path) -> None:
    """Locks of other machines may not be seen here: their files go when they are old."""
    path = tmp_path / "m.nbnet"
    fresh, old = temporary(path, "0badbeef"), temporary(path, "feedbeef", 90_000.0)
    named = [tmp_path / ".m.nbnet.notes.tmp", tmp_path / "m.nbnet.tmp", tmp_path / ".other.nbnet.0badbeef.0123abcd.tmp"]
    for mine in named:
        mine.touch()
    folder = tmp_path / f".m.nbnet.{atomic_file._machine()}.11111111.tmp"
    folder.mkdir()
    save(path)
    assert not old.exists()
    assert all(mine.exists() for mine in (fresh, folder, *named))


@posix
@pytest.mark.parametrize("name", ["loss-0.3.nbnet", "w.safetensors", "m.onnx"])
def test_files_of_other_paths_in_the_folder_are_removed(name: str, tmp_path: Path) -> None:
    """A checkpoint with the loss in its name never has the same path again."""
    other = temporary(tmp_path / name, atomic_file._machine())
    save(tmp_path / "loss-0.2.nbnet")
    assert not other.exists()
    assert os.listdir(tmp_path) == ["loss-0.2.nbnet"]


@posix
def test_files_of_earlier_versions(tmp_path: Path) -> None:
    """Their names have the number of a process, which may have been given to another one since."""
    path = tmp_path / "m.nbnet"
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
        dead, living = temporary(path, str(process.pid)), temporary(path, str(os.getpid()))
        save(path)
        assert not dead.exists()
        assert living.exists()
    os.utime(living, (0, 0))
    save(path)
    assert os.listdir(tmp_path) == ["m.nbnet"]


@posix
def test_links_and_fifos_among_temporary_files(tmp_path: Path) -> None:
    path, victim = tmp_path / "m.nbnet", tmp_path / "precious"
    victim.write_text("precious")
    own = atomic_file._machine()
    (tmp_path / f".m.nbnet.{own}.00000001.tmp").symlink_to(victim)
    os.mkfifo(tmp_path / f".m.nbnet.{own}.00000002.tmp")
    save(path)
    assert victim.read_text() == "precious"
    nb.load_model(path)


@posix
def test_a_file_that_was_taken_for_abandoned_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between its creation and its lock."""
    import fcntl

    flock, removed = fcntl.flock, []

    def late(handle: Any, operation: int) -> None:
        if not removed:
            removed.extend(kills.left_over(tmp_path))
            (tmp_path / removed[0]).unlink()
        flock(handle, operation)

    monkeypatch.setattr(fcntl, "flock", late)
    save(tmp_path / "m.nbnet")
    assert len(removed) == 1
    assert os.listdir(tmp_path) == ["m.nbnet"]


@posix
def test_a_file_system_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import fcntl

    def fail(*args: object) -> None:
        raise OSError("no locks available")

    monkeypatch.setattr(fcntl, "flock", fail)
    kept = temporary(tmp_path / "m.nbnet", atomic_file._machine())
    save(tmp_path / "m.nbnet")
    nb.load_model(tmp_path / "m.nbnet")
    assert kept.exists(), "nobody knows whether it is still written"


def test_saves_of_a_path_at_the_same_time(tmp_path: Path) -> None:
    path, errors = tmp_path / "m.nbnet", []

    def work() -> None:
        try:
            for _ in range(20):
                save(path)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    nb.load_model(path)
    assert os.listdir(tmp_path) == ["m.nbnet"]


# ---- errors while writing ----


def big() -> nb.Model:
    return nb.Sequential([nb.Input((300,)), nb.layers.Dense(300)])


@posix
@pytest.mark.parametrize("kind", ["save", "save_weights", "backup", "masks"])
def test_a_disk_that_is_full(kind: str, tmp_path: Path) -> None:
    """A limit on the size of files stands for a full disk or a quota: a write comes to an error half-way."""
    import resource

    model = big()
    path = tmp_path / "w.nbnet"
    save_it = {
        "save": lambda: model.save(path),
        "save_weights": lambda: model.save_weights(path),
        "backup": lambda: model._save_training_state(path, {}),
        "masks": lambda: nb.save_masks(path, {"a": np.ones((2000, 2000), bool)}),
    }[kind]
    save_it()
    before = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(OSError, match=r"too large|space|quota"):
            save_it()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["w.nbnet"]
    save_it()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_is_read_only(tmp_path: Path) -> None:
    path = tmp_path / "m.nbnet"
    save(path)
    before = path.read_bytes()
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(PermissionError):
            save(path)
        assert path.read_bytes() == before
        assert os.listdir(tmp_path) == ["m.nbnet"]
    finally:
        tmp_path.chmod(0o700)


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, MemoryError])
def test_an_interrupt_while_writing(
    error: type[BaseException], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "m.nbnet"
    save(path)
    before = path.read_bytes()

    def fail(handle: int) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(error):
            save(path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["m.nbnet"]


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        save(tmp_path / "none" / "m.nbnet")
