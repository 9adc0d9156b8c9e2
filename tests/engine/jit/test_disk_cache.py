"""The folder of machine code: what is read back, what is a miss, and what happens without one."""

from __future__ import annotations

import json
import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nbnet.engine.jit import disk_cache
from tests.engine.processes import finish, python, start
from tests.engine.toys import compiled_only

posix = pytest.mark.skipif(sys.platform == "win32", reason="permissions of POSIX")
KEY, OTHER = "a" * 64, "b" * 64


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A cache folder of the test's own."""
    folder = tmp_path / "deep" / "cache"
    monkeypatch.setenv("NBNET_CACHE_DIR", str(folder))
    for name, value in (("_refused", None), ("_not_kept", None), ("_warned", False)):
        monkeypatch.setattr(disk_cache, name, value)
    disk_cache.folder.cache_clear()
    yield folder
    disk_cache.folder.cache_clear()


def only(folder: Path) -> Path:
    (path,) = folder.iterdir()
    return path


# ---- files -------------------------------------------------------------------------------------------------------


def test_what_is_written_is_read(place: Path) -> None:
    assert disk_cache.read("kernel", KEY) is None
    disk_cache.write("kernel", KEY, b"machine code")
    assert disk_cache.read("kernel", KEY) == b"machine code"
    assert disk_cache.read("kernel", OTHER) is None
    disk_cache.write("kernel", KEY, b"")
    assert disk_cache.read("kernel", KEY) == b""


def test_names_of_files(place: Path) -> None:
    disk_cache.write("a.<b>/../c" + "d" * 200, KEY, b"code")
    path = only(place)
    assert path.parent == place
    assert path.name == "a_b_c" + "d" * 55 + "-" + "a" * 32 + ".o"
    assert disk_cache.read("a.<b>/../c" + "d" * 200, KEY) == b"code"


DAMAGE: dict[str, Any] = {
    "truncated": lambda content: content[:-1],
    "cut within its head": lambda content: content[:20],
    "empty": lambda content: b"",
    "longer": lambda content: content + b"\0",
    "one bit": lambda content: content[:-3] + bytes([content[-3] ^ 1]) + content[-2:],
    "head": lambda content: b"X" + content[1:],
    "seal": lambda content: content[:15] + bytes([content[15] ^ 1]) + content[16:],
    "other bytes": lambda content: os.urandom(len(content)),
}


@pytest.mark.parametrize("what", DAMAGE)
def test_damage_is_a_miss_and_mended(what: str, place: Path) -> None:
    disk_cache.write("kernel", KEY, b"machine code")
    path = only(place)
    path.write_bytes(DAMAGE[what](path.read_bytes()))
    assert disk_cache.read("kernel", KEY) is None
    disk_cache.write("kernel", KEY, b"machine code")
    assert disk_cache.read("kernel", KEY) == b"machine code"


def test_a_file_under_another_key_is_a_miss(place: Path) -> None:
    disk_cache.write("kernel", KEY, b"one")
    disk_cache.write("kernel", OTHER, b"other")
    a, b = sorted(place.iterdir())
    content = a.read_bytes()
    a.write_bytes(b.read_bytes())
    b.write_bytes(content)
    assert disk_cache.read("kernel", KEY) is None
    assert disk_cache.read("kernel", OTHER) is None


def test_a_folder_in_place_of_a_file_is_a_miss(place: Path) -> None:
    disk_cache.write("kernel", KEY, b"code")
    path = only(place)
    path.unlink()
    path.mkdir()
    assert disk_cache.read("kernel", KEY) is None
    disk_cache.write("kernel", KEY, b"code")  # cannot, and says nothing
    assert [p.name for p in place.iterdir()] == [path.name]


def test_a_folder_that_vanishes(place: Path) -> None:
    disk_cache.write("kernel", KEY, b"code")
    only(place).unlink()
    place.rmdir()
    assert disk_cache.read("kernel", KEY) is None
    place.rmdir()
    place.parent.rmdir()
    disk_cache.write("kernel", KEY, b"code")
    assert disk_cache.read("kernel", KEY) == b"code"
    assert stat.S_IMODE(place.parent.stat().st_mode) == 0o700 or sys.platform == "win32"


def test_clear(place: Path) -> None:
    assert disk_cache.clear() == 0
    for key in (KEY, OTHER):
        disk_cache.write("kernel", key, b"code")
    (place / ".new-left-behind").write_bytes(b"")
    (place / "notes.txt").write_text("the user's own")
    assert disk_cache.clear() == 3
    assert only(place).name == "notes.txt"
    assert disk_cache.read("kernel", KEY) is None


# ---- the folder --------------------------------------------------------------------------------------------------


@posix
def test_the_folder_is_private(place: Path) -> None:
    before = os.umask(0)
    try:
        disk_cache.write("kernel", KEY, b"code")
    finally:
        os.umask(before)
    assert stat.S_IMODE(place.stat().st_mode) == 0o700
    assert stat.S_IMODE(only(place).stat().st_mode) == 0o600


@posix
@pytest.mark.parametrize("mode", [0o777, 0o770, 0o722, 0o1777])
def test_a_folder_others_may_write_to_is_not_used(mode: int, place: Path) -> None:
    place.mkdir(parents=True)
    place.chmod(mode)
    assert disk_cache.folder() is None
    disk_cache.write("kernel", KEY, b"code")
    assert disk_cache.read("kernel", KEY) is None
    assert list(place.iterdir()) == []
    assert disk_cache.clear() == 0


@posix
def test_a_folder_of_somebody_else_is_not_used(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place.mkdir(parents=True, mode=0o700)
    monkeypatch.setattr(os, "getuid", lambda: place.stat().st_uid + 1)
    assert disk_cache.folder() is None


def test_a_file_in_place_of_the_folder(place: Path) -> None:
    place.parent.mkdir()
    place.write_bytes(b"")
    assert disk_cache.folder() is None


def test_a_folder_under_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("NBNET_CACHE_DIR", str(tmp_path / "file" / "cache"))
    assert disk_cache.folder.__wrapped__() is None


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="folders of XDG")
def test_where_the_folder_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("NBNET_CACHE_DIR", str(tmp_path / "named"))
    assert disk_cache.folder.__wrapped__() == tmp_path / "named"
    monkeypatch.setenv("NBNET_CACHE_DIR", "")
    assert disk_cache.folder.__wrapped__() == tmp_path / "xdg" / "nbnet"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert disk_cache.folder.__wrapped__() == tmp_path / ".cache" / "nbnet"


def test_nobodys_home(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("NBNET_CACHE_DIR", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("LOCALAPPDATA", raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    assert disk_cache.folder.__wrapped__() is None


# ---- whole processes ---------------------------------------------------------------------------------------------

# Five kernels; prints what they compute, and how many functions were compiled for it.
SCRIPT = """
    import json
    import numpy as np
    from nbnet.engine.jit import disk_cache as cache, linker as jit
    from nbnet.engine.kernels.abi import vec
    from nbnet.engine.graph.tensor import Call, Tensor
    from nbnet.engine.graph.tensor import run_call

    def make(k):
        def add(mem, ins, step):
            vec(mem, ins, 0)[0] += k
        return jit.Kernel(add, f"add_{k}")

    cell = np.zeros(1, "float32")
    results = []
    for k in range(5):
        run_call(Call(make(10 ** k), (Tensor((1,), "float32", cell),), (0,), 1, 0, (), "add", cell.dtype), 0)
        results.append(float(cell[0]))
    place = cache.folder()
    print(json.dumps({"results": results, "compiled": jit.compiled_count, "folder": place and str(place)}))
"""
RESULTS = [1.0, 11.0, 111.0, 1111.0, 11111.0]
FUNCTIONS = 7  # and the executor, and the product of matrices


@compiled_only
def test_damaged_files_are_compiled_again(tmp_path: Path) -> None:
    folder = tmp_path / "cache"

    def run() -> int:
        said = json.loads(python(SCRIPT, NBNET_CACHE_DIR=str(folder)))
        assert said["results"] == RESULTS
        return int(said["compiled"])

    assert run() == FUNCTIONS
    assert run() == 0
    files = sorted(folder.iterdir())
    assert len(files) == FUNCTIONS
    sound = [path.read_bytes() for path in files]
    files[0].write_bytes(sound[0][: len(sound[0]) // 2])
    files[1].write_bytes(sound[2])
    files[2].write_bytes(sound[1])
    files[3].write_bytes(DAMAGE["one bit"](sound[3]))
    files[4].unlink()
    assert run() == 5
    assert sorted(folder.iterdir()) == files
    assert run() == 0


@compiled_only
def test_two_processes_at_once(tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    both = [start(SCRIPT, NBNET_CACHE_DIR=str(folder)) for _ in range(2)]
    for process in both:
        assert json.loads(finish(process))["results"] == RESULTS
    assert len(list(folder.iterdir())) == FUNCTIONS
    assert json.loads(python(SCRIPT, NBNET_CACHE_DIR=str(folder)))["compiled"] == 0


@compiled_only
@posix
def test_everything_works_without_a_cache(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    nowhere = {"NBNET_CACHE_DIR": None, "XDG_CACHE_HOME": None, "HOME": str(tmp_path / "file" / "home")}
    environments: list[dict[str, str | None]] = [
        {"NBNET_CACHE_DIR": str(tmp_path / "file")},
        {"NBNET_CACHE_DIR": str(tmp_path / "open")},
        nowhere,
    ]
    processes = [start(SCRIPT, **environment) for environment in environments]
    for process in processes:
        assert json.loads(finish(process)) == {"results": RESULTS, "compiled": FUNCTIONS, "folder": None}
    assert list((tmp_path / "open").iterdir()) == []
