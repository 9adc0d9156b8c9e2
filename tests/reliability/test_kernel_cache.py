"""Whatever happens to the cache folder or to a process that compiles, the numbers are right and nothing hangs."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nbnet.engine.jit import disk_cache
from tests.engine.processes import ROOT, finish, python, start
from tests.engine.toys import compiled_only

posix = pytest.mark.skipif(sys.platform == "win32", reason="modes, locks and signals of POSIX")
KEY, OTHER = "a" * 64, "b" * 64


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A cache folder of the test's own, in a process that has not used one yet."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("NBNET_CACHE_DIR", str(folder))
    for name in ("_refused", "_not_kept"):
        monkeypatch.setattr(disk_cache, name, None)
    for name in ("_warned", "_tidied"):
        monkeypatch.setattr(disk_cache, name, False)
    disk_cache.folder.cache_clear()
    yield folder
    disk_cache.folder.cache_clear()


# ---- where nothing can be kept -----------------------------------------------------------------------------------


def no_space(descriptor: int, *args: object, **kwargs: object) -> object:
    raise OSError(28, "No space left on device")


def read_only(self: object, name: str, flags: int) -> int:
    if flags & os.O_CREAT:
        raise PermissionError(13, "Permission denied", name)
    return os.open(name, flags, dir_fd=self.handle)  # type: ignore[attr-defined]


def test_a_warm_cache_that_is_read_only_is_used(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk_cache.write("kernel", KEY, b"code")
    place.chmod(0o500)
    monkeypatch.setattr(disk_cache._Folder, "open", read_only)  # root may write there
    disk_cache.folder.cache_clear()
    assert disk_cache.folder() == place.resolve()
    assert disk_cache.read("kernel", KEY) == b"code"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        disk_cache.warn_if_not_kept()  # nothing was missing
    disk_cache.write("kernel", OTHER, b"code")
    with pytest.warns(RuntimeWarning, match=r"Permission denied.*NBNET_CACHE_DIR"):
        disk_cache.warn_if_not_kept()
    assert disk_cache.read("kernel", KEY) == b"code"
    place.chmod(0o700)


def test_a_full_disk_leaves_no_file_and_gives_one_warning(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk_cache.write("kernel", KEY, b"code")
    with monkeypatch.context() as full:
        full.setattr(disk_cache.os, "fdopen", no_space)
        disk_cache.write("kernel", OTHER, b"code")
        disk_cache.write("kernel", OTHER, b"code")
    assert len(list(place.iterdir())) == 1
    with pytest.warns(RuntimeWarning, match="No space left"):
        disk_cache.warn_if_not_kept()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        disk_cache.warn_if_not_kept()
    disk_cache.write("kernel", OTHER, b"code")  # there is space again
    assert disk_cache.read("kernel", OTHER) == b"code"


def file_in_its_place(place: Path) -> str:
    place.write_bytes(b"")
    return "directory"  # "Not a directory", or however the system calls it


def folder_under_a_file(place: Path) -> str:
    place.write_bytes(b"")
    os.environ["NBNET_CACHE_DIR"] = str(place / "cache")
    return "directory"


def folder_in_place_of_the_object(place: Path) -> str:
    disk_cache.write("kernel", KEY, b"code")
    (path,) = place.iterdir()
    path.unlink()
    path.mkdir()
    return "directory"


@posix
@pytest.mark.parametrize("spoil", [file_in_its_place, folder_under_a_file, folder_in_place_of_the_object])
def test_the_warning_says_why(spoil: Callable[[Path], str], place: Path) -> None:
    reason = spoil(place)
    disk_cache.write("kernel", KEY, b"code")
    assert disk_cache.read("kernel", KEY) is None
    with pytest.warns(RuntimeWarning, match=f"{reason}.*NBNET_CACHE_DIR"):
        disk_cache.warn_if_not_kept()


# ---- files that killed processes leave ---------------------------------------------------------------------------


@posix
def test_what_a_killed_process_left_is_removed(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk_cache.write("kernel", KEY, b"code")
    for name in (".new-0123456789abcdef", ".new-abcdefgh"):
        (place / name).write_bytes(b"half")
    monkeypatch.setattr(disk_cache, "_tidied", False)
    disk_cache.write("kernel", OTHER, b"code")
    assert not list(place.glob(".new-*"))
    assert len(list(place.iterdir())) == 2


@posix
def test_what_a_living_process_writes_stays(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import fcntl

    disk_cache.write("kernel", KEY, b"code")
    with (place / ".new-0123456789abcdef").open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        monkeypatch.setattr(disk_cache, "_tidied", False)
        disk_cache.write("kernel", OTHER, b"code")
        assert (place / ".new-0123456789abcdef").exists()
    monkeypatch.setattr(disk_cache, "_tidied", False)
    disk_cache.write("kernel", OTHER, b"code")
    assert not list(place.glob(".new-*"))


@posix
def test_without_locks_only_old_files_are_removed(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk_cache.write("kernel", KEY, b"code")
    for name in (".new-young", ".new-old"):
        (place / name).write_bytes(b"half")
    os.utime(place / ".new-old", (1, 1))
    monkeypatch.setattr(disk_cache, "_is_locked_by_others", lambda handle: None)
    monkeypatch.setattr(disk_cache, "_tidied", False)
    disk_cache.write("kernel", OTHER, b"code")
    assert [path.name for path in place.glob(".new-*")] == [".new-young"]


def test_an_interruption_leaves_no_file(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*args: object, **kwargs: object) -> None:
        raise KeyboardInterrupt

    disk_cache.write("kernel", KEY, b"code")
    monkeypatch.setattr(disk_cache._Folder, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt):
        disk_cache.write("kernel", OTHER, b"code")
    assert len(list(place.iterdir())) == 1


# ---- whole processes ---------------------------------------------------------------------------------------------

# Links functions without kernels, which need no executor, and runs them.
LINK = """
    import ctypes, os, sys, warnings
    import numpy as np
    from nbnet.engine.jit import disk_cache, linker
    from nbnet.engine.jit.function import Function

    def make(k):
        def add(a, b):
            b[0] = a[0] + k
        return Function(add, f"add_{k}", parameters=("real*", "real*"))

    def call(address):
        a, b = np.array([40], "float32"), np.zeros(1, "float32")
        ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)(address)(a.ctypes.data, b.ctypes.data)
        return float(b[0])

    def results(numbers):
        return [call(address) for address in linker.link([make(float(k)) for k in numbers], np.dtype("float32"))]
"""
FOUR = """
    print(results(range(4)), linker.compiled_count)
"""
RESULTS = "[40.0, 41.0, 42.0, 43.0]"


@compiled_only
@posix
def test_one_warning_a_process(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    code = """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        results(range(2))
        results(range(2, 4))
    print([str(one.message) for one in caught if "NBNET_CACHE_DIR" in str(one.message)])
    """
    said = python(LINK + code, NBNET_CACHE_DIR=str(tmp_path / "open"))
    assert said.count("others can write to") == 1
    assert f"{tmp_path}/open (mode 777; chmod go-w mends it)" in said


@compiled_only
@posix
def test_a_warning_that_is_an_error_loses_no_kernel(tmp_path: Path) -> None:
    code = """
    warnings.simplefilter("error", RuntimeWarning)
    try:
        results(range(4))
    except RuntimeWarning:
        print("warned")
    print(results(range(4)))
    """
    (tmp_path / "file").write_bytes(b"")
    said = python(LINK + code, NBNET_CACHE_DIR=str(tmp_path / "file"))
    assert said == f"warned\n{RESULTS}"


@compiled_only
@posix
def test_a_limit_on_the_size_of_files(tmp_path: Path) -> None:
    limit = """
    import resource
    resource.setrlimit(resource.RLIMIT_FSIZE, (300, 300))
    """
    cache = tmp_path / "cache"
    assert python(LINK + limit + FOUR, NBNET_CACHE_DIR=str(cache)) == f"{RESULTS} 4"
    assert not list(cache.iterdir())
    assert python(LINK + FOUR, NBNET_CACHE_DIR=str(cache)) == f"{RESULTS} 4"
    assert python(LINK + FOUR, NBNET_CACHE_DIR=str(cache)) == f"{RESULTS} 0"


@compiled_only
@posix
@pytest.mark.parametrize(
    "happens",
    [
        "shutil.rmtree(place)",
        "shutil.rmtree(place); place.write_bytes(b'')",
        "place.chmod(0)",
        *(
            pytest.param(event, marks=pytest.mark.slow)
            for event in (
                "place.rename(place.with_name('moved')); place.with_name('moved').chmod(0o500)",
                "shutil.rmtree(place); place.symlink_to('/')",
                "shutil.rmtree(place); os.mkfifo(place)",
            )
        ),
    ],
)
def test_the_folder_changes_while_a_process_runs(happens: str, tmp_path: Path) -> None:
    code = f"""
    import pathlib, shutil
    place = pathlib.Path(os.environ["NBNET_CACHE_DIR"])
    print(results(range(2)))
    {happens}
    print(results(range(2, 4)), linker.compiled_count)
    """
    said = python(LINK + code, NBNET_CACHE_DIR=str(tmp_path / "cache"))
    assert said == "[40.0, 41.0]\n[42.0, 43.0] 4"


def at_once(count: int, cache: Path) -> None:
    processes = [start(LINK + FOUR, NBNET_CACHE_DIR=str(cache)) for _ in range(count)]
    for process in processes:
        assert finish(process).startswith(RESULTS)
    assert len(list(cache.iterdir())) == 4
    assert python(LINK + FOUR, NBNET_CACHE_DIR=str(cache)) == f"{RESULTS} 0"


@compiled_only
@pytest.mark.parametrize("count", [3, pytest.param(16, marks=pytest.mark.slow)])
def test_many_processes_on_an_empty_cache(count: int, tmp_path: Path) -> None:
    at_once(count, tmp_path / "cache")


# Compiles in this process and a worker, whatever there is to do.
WORKER = """
    import threading, time, signal
    from nbnet.engine.jit import compile_pool
    compile_pool.ENOUGH = compile_pool.ENOUGH_WITH_NUMBA = 1
    compile_pool.processors = lambda: 2
"""
LEFT = """
    def left():
        threads = [one.name for one in threading.enumerate()]
        return threads.count("nbnet-compile")
"""


def members(group: int) -> bool:
    """True if a process of a group lives."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


@compiled_only
@posix
def test_interruptions_while_functions_are_compiled(tmp_path: Path) -> None:
    code = """
    signal.signal(signal.SIGINT, signal.default_int_handler)  # Processes in the background begin by ignoring it.
    interrupted = 0
    for turn, delay in enumerate((0.0, 0.02, 0.1, 0.4)):
        numbers = range(10 * turn, 10 * turn + 4)
        timer = threading.Timer(delay, os.kill, (os.getpid(), signal.SIGINT))
        try:
            timer.start()
            results(numbers)
            time.sleep(60)
        except KeyboardInterrupt:
            interrupted += 1
        assert results(numbers) == [40.0 + k for k in numbers]
        assert left() == 0
    print(interrupted)
    """
    process = start(LINK + WORKER + LEFT + code, NBNET_CACHE_DIR=str(tmp_path / "cache"))
    assert finish(process) == "4"
    assert not members(process.pid)


@compiled_only
@posix
def test_a_worker_that_is_killed(tmp_path: Path) -> None:
    code = """
    started, start = [], compile_pool._start
    def recorded():
        started.append(start())
        return started[-1]
    compile_pool._start = recorded
    def kill(signal_number, frame):
        for worker in started:
            worker.kill()
    for turn, delay in enumerate((0.05, 0.5, 1.0)):
        numbers = range(10 * turn, 10 * turn + 6)
        timer = threading.Timer(delay, kill, (None, None))
        timer.start()
        assert results(numbers) == [40.0 + k for k in numbers]
        timer.join()
    print(len(started) > 0, left())
    """
    process = start(LINK + WORKER + LEFT + code, NBNET_CACHE_DIR=str(tmp_path / "cache"))
    assert finish(process) == "True 0"
    assert not members(process.pid)


@compiled_only
@posix
def test_a_process_that_is_killed_takes_its_workers_with_it(tmp_path: Path) -> None:
    code = """
    compile_pool.start_early()
    print("ready", flush=True)
    results(range(100))
    """
    process = start(LINK + WORKER + code, NBNET_CACHE_DIR=str(tmp_path / "cache"))
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.kill()
    process.communicate()
    for _ in range(600):
        if not members(process.pid):
            break
        time.sleep(0.1)
    assert not members(process.pid)


CHILDREN = {
    "fork": "multiprocessing.get_context('fork').Pool(2).map(results, [range(4)] * 4)",
    "spawn": "multiprocessing.get_context('spawn').Pool(2).map(results, [range(4)] * 4)",
    "forkserver": "multiprocessing.get_context('forkserver').Pool(2).map(results, [range(4)] * 4)",
    "loky": "joblib.Parallel(2, backend='loky')(joblib.delayed(results)(range(4)) for _ in range(4))",
}


@compiled_only
@posix
@pytest.mark.slow
@pytest.mark.parametrize("method", CHILDREN)
@pytest.mark.parametrize("before", [True, False])
def test_children_compile(method: str, before: bool, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    head = textwrap.dedent(LINK + WORKER)
    tail = f"""
        if __name__ == "__main__":
            import joblib, multiprocessing
            if {before}:
                results(range(5, 9))
            found = {CHILDREN[method]}
            assert results(range(4)) == found[0]
            assert all(one == found[0] for one in found)
            print(found[0])
    """
    script.write_text(head + textwrap.dedent(tail))
    environment = os.environ | {"NBNET_CACHE_DIR": str(tmp_path / "cache"), "PYTHONPATH": str(ROOT)}
    said = subprocess.run(
        [sys.executable, str(script)], env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert said.stdout.strip() == RESULTS, said.stderr
