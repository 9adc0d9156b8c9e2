"""No object that others could have written is loaded from the cache, and nothing in its folder makes a process wait."""

from __future__ import annotations

import os
import socket
import stat
import struct
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nbnet.engine.jit import disk_cache
from tests.engine.processes import python
from tests.engine.toys import compiled_only

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="owners and modes of POSIX")
KEY, OTHER = "a" * 64, "b" * 64
as_root = pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="only root gives files away")
SOMEBODY = 12345


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A cache folder of the test's own, with one object in it."""
    folder = tmp_path / "parent" / "cache"
    monkeypatch.setenv("NBNET_CACHE_DIR", str(folder))
    for name in ("_refused", "_not_kept"):
        monkeypatch.setattr(disk_cache, name, None)
    for name in ("_warned", "_tidied"):
        monkeypatch.setattr(disk_cache, name, False)
    disk_cache.folder.cache_clear()
    disk_cache.write("kernel", KEY, b"code")
    assert disk_cache.read("kernel", KEY) == b"code"
    yield folder
    disk_cache.folder.cache_clear()


def only(folder: Path) -> Path:
    (path,) = folder.iterdir()
    return path


# ---- objects -----------------------------------------------------------------------------------------------------


def fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path, 0o600)


def listening(path: Path) -> None:
    path.unlink()
    server, before = socket.socket(socket.AF_UNIX), Path.cwd()
    os.chdir(path.parent)  # names of sockets are short
    try:
        server.bind(path.name)
    finally:
        os.chdir(before)
        server.close()


def link_to_a_copy(path: Path) -> None:
    path.rename(path.parent.parent / "copy.o")
    path.symlink_to(path.parent.parent / "copy.o")


def link_to_nothing(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.parent / "nothing")


def link_to_itself(path: Path) -> None:
    path.unlink()
    path.symlink_to(path)


def link_to_an_endless_device(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


def writable_by_the_group(path: Path) -> None:
    path.chmod(0o620)


def writable_by_all(path: Path) -> None:
    path.chmod(0o602)


def hard_link_to_another_object(path: Path) -> None:
    disk_cache.write("kernel", OTHER, b"other code")
    (other,) = set(path.parent.iterdir()) - {path}
    path.unlink()
    path.hardlink_to(other)


def of_somebody_else(path: Path) -> None:
    os.chown(path, SOMEBODY, SOMEBODY)


def device(path: Path) -> None:
    path.unlink()
    try:
        os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 5))
    except PermissionError:
        pytest.skip("this container makes no devices")


def huge(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(1 << 40)


@pytest.mark.parametrize(
    "spoil",
    [
        fifo, listening, link_to_a_copy, link_to_nothing, link_to_itself, link_to_an_endless_device, huge,
        writable_by_the_group, writable_by_all, hard_link_to_another_object,
        pytest.param(of_somebody_else, marks=as_root), pytest.param(device, marks=as_root),
    ],
)  # fmt: skip
def test_what_is_no_file_of_ones_own_is_a_miss_and_replaced(spoil: Callable[[Path], None], place: Path) -> None:
    path = only(place)
    spoil(path)
    assert disk_cache.read("kernel", KEY) is None
    disk_cache.write("kernel", KEY, b"code")
    assert disk_cache.read("kernel", KEY) == b"code"
    status = path.lstat()
    assert stat.S_ISREG(status.st_mode)
    assert stat.S_IMODE(status.st_mode) == 0o600
    assert status.st_uid == os.getuid()


def test_what_a_link_points_to_is_not_written_to(place: Path, tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("the user's own")
    only(place).unlink()
    (place / "kernel-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.o").symlink_to(tmp_path / "precious")
    disk_cache.write("kernel", KEY, b"code")
    assert (tmp_path / "precious").read_text() == "the user's own"
    assert disk_cache.read("kernel", KEY) == b"code"


# ---- the folder and its parents ----------------------------------------------------------------------------------


def refused(place: Path, reason: str) -> None:
    """Nothing is read, nor written, and a warning says why."""
    before = set(place.iterdir())
    disk_cache.folder.cache_clear()
    assert disk_cache.folder() is None
    assert disk_cache.read("kernel", KEY) is None
    disk_cache.write("kernel", OTHER, b"code")
    assert set(place.iterdir()) == before
    with pytest.warns(RuntimeWarning, match=f"{reason}.*NBNET_CACHE_DIR"):
        disk_cache.warn_if_not_kept()


@pytest.mark.parametrize("mode", [0o777, 0o707, 0o702])
def test_a_parent_that_others_may_write_to(mode: int, place: Path) -> None:
    place.parent.chmod(mode)
    refused(place, f"others can write to {place.parent} ")
    place.parent.chmod(0o700)


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o703])
def test_a_folder_that_others_may_write_to(mode: int, place: Path) -> None:
    place.chmod(mode)
    refused(place, f"others can write to {place} ")


def test_a_parent_is_checked_whenever_the_folder_is_opened(place: Path) -> None:
    place.parent.chmod(0o777)
    assert disk_cache.read("kernel", KEY) is None
    place.parent.chmod(0o1777)  # as that of temporary files: nobody renames what others own
    assert disk_cache.read("kernel", KEY) == b"code"
    place.parent.chmod(0o755)
    place.chmod(0o777)
    assert disk_cache.read("kernel", KEY) is None
    place.chmod(0o755)
    assert disk_cache.read("kernel", KEY) == b"code"


def test_a_distant_parent_that_others_may_write_to(tmp_path: Path, place: Path) -> None:
    tmp_path.chmod(0o777)
    refused(place, f"others can write to {tmp_path} ")
    tmp_path.chmod(0o700)


@as_root
@pytest.mark.parametrize("parent", [True, False])
def test_a_folder_of_somebody_else(parent: bool, place: Path) -> None:
    theirs = place.parent if parent else place
    os.chown(theirs, SOMEBODY, SOMEBODY)
    refused(place, f"{theirs} belongs to another user")


def test_a_folder_that_becomes_a_link(place: Path) -> None:
    elsewhere = place.parent.parent / "elsewhere"
    place.rename(elsewhere)
    place.symlink_to(elsewhere)
    assert disk_cache.read("kernel", KEY) is None
    disk_cache.write("kernel", OTHER, b"code")
    assert len(list(elsewhere.iterdir())) == 1


def test_a_link_that_was_there_before_is_followed(place: Path) -> None:
    elsewhere = place.parent.parent / "elsewhere"
    place.rename(elsewhere)
    place.symlink_to(elsewhere)
    disk_cache.folder.cache_clear()
    assert disk_cache.folder() == elsewhere
    assert disk_cache.read("kernel", KEY) == b"code"


@as_root
def test_a_link_to_a_link_of_somebody_else_is_not_followed(place: Path) -> None:
    elsewhere, theirs = place.parent.parent / "elsewhere", place.parent.parent / "theirs"
    place.rename(elsewhere)
    theirs.symlink_to(elsewhere)
    place.symlink_to("../theirs")
    disk_cache.folder.cache_clear()
    assert disk_cache.folder() == elsewhere
    os.lchown(theirs, SOMEBODY, SOMEBODY)
    disk_cache.folder.cache_clear()
    assert disk_cache.folder() is None


def test_links_in_a_circle(place: Path) -> None:
    place.rename(place.parent / "other")
    place.symlink_to(place)
    disk_cache.folder.cache_clear()
    assert disk_cache.folder() is None


@as_root
def test_the_group_of_number_0_is_nobodys_own(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place.parent.chmod(0o770)
    assert place.parent.stat().st_gid == 0
    assert disk_cache.read("kernel", KEY) is None


@pytest.mark.skipif(not hasattr(os, "setxattr"), reason="no access control lists")
def test_a_parent_with_an_access_control_list(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The list gives another user the right to write; the mode shows it as one of the group."""
    entries = [(1, 7, 0xFFFFFFFF), (2, 7, SOMEBODY), (4, 5, 0xFFFFFFFF), (16, 7, 0xFFFFFFFF), (32, 5, 0xFFFFFFFF)]
    acl = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)
    try:
        os.setxattr(place.parent, "system.posix_acl_access", acl)
    except OSError:
        pytest.skip("this file system has no access control lists")
    monkeypatch.setattr(disk_cache, "_is_private_group", lambda number: True)
    assert disk_cache.read("kernel", KEY) is None


@as_root
def test_a_link_of_somebody_else_is_not_followed(place: Path) -> None:
    elsewhere = place.parent.parent / "elsewhere"
    place.rename(elsewhere)
    place.symlink_to(elsewhere)
    os.lchown(place, SOMEBODY, SOMEBODY)
    disk_cache.folder.cache_clear()
    assert disk_cache.folder() is None


def test_parents_that_are_made_are_private(tmp_path: Path, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NBNET_CACHE_DIR", str(tmp_path / "a" / "b" / "c"))
    disk_cache.folder.cache_clear()
    before = os.umask(0)
    try:
        disk_cache.write("kernel", KEY, b"code")
    finally:
        os.umask(before)
    for path in (tmp_path / "a", tmp_path / "a" / "b", tmp_path / "a" / "b" / "c"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700


def test_a_relative_folder_stays_where_it_was(tmp_path: Path, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NBNET_CACHE_DIR", "kernels")
    monkeypatch.chdir(tmp_path)
    disk_cache.folder.cache_clear()
    assert disk_cache.folder() == tmp_path.resolve() / "kernels"
    monkeypatch.chdir(place)
    disk_cache.write("kernel", OTHER, b"code")
    assert disk_cache.read("kernel", OTHER) == b"code"
    assert not (place / "kernels").exists()


@pytest.mark.parametrize(
    ("names", "members", "private"),
    [(("ann", "ann"), [], True), (("ann", "ann"), ["ann"], True), (("ann", "ann"), ["bob"], False),
     (("ann", "staff"), [], False)],
)  # fmt: skip
@pytest.mark.parametrize("others", [False, True], ids=["alone", "first group of another user"])
def test_a_parent_that_a_group_may_write_to(
    names: tuple[str, str],
    members: list[str],
    private: bool,
    others: bool,
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import grp
    import pwd
    from types import SimpleNamespace

    if os.getuid() == 0:
        os.chown(place.parent, -1, SOMEBODY)  # The group of number 0 is nobody's own.
    place.parent.chmod(0o770)
    group = place.parent.stat().st_gid
    own, other = SimpleNamespace(pw_uid=os.getuid(), pw_gid=group), SimpleNamespace(pw_uid=SOMEBODY, pw_gid=group)
    monkeypatch.setattr(pwd, "getpwall", lambda: [own, other] if others else [own])
    private = private and not others
    monkeypatch.setattr(
        pwd, "getpwuid", lambda user: SimpleNamespace(pw_name=names[0], pw_gid=group, pw_uid=os.getuid())
    )
    monkeypatch.setattr(grp, "getgrgid", lambda number: SimpleNamespace(gr_name=names[1], gr_mem=members))
    assert disk_cache.read("kernel", KEY) == (b"code" if private else None)
    monkeypatch.setattr(pwd, "getpwuid", lambda user: SimpleNamespace(pw_name=names[0], pw_gid=group + 1))
    assert disk_cache.read("kernel", KEY) is None


def test_a_user_without_a_name_has_no_private_group(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import pwd

    def nobody(number: int) -> None:
        raise KeyError(number)

    place.parent.chmod(0o770)
    monkeypatch.setattr(pwd, "getpwuid", nobody)
    assert disk_cache.read("kernel", KEY) is None


def test_descriptors_are_closed(place: Path) -> None:
    counted = Path("/proc/self/fd")
    if not counted.is_dir():
        pytest.skip("counts descriptors in /proc")
    fifo(only(place))
    (place / ".new-folder").mkdir()
    before = len(os.listdir(counted))
    for mode in (0o700, 0o777, 0o700):
        place.parent.chmod(mode)
        for _ in range(5):
            disk_cache.read("kernel", KEY)
            disk_cache.write("kernel", OTHER, b"code")
    place.parent.chmod(0o700)
    assert len(os.listdir(counted)) == before


# ---- whole processes ---------------------------------------------------------------------------------------------

LINK = """
    import numpy as np
    from nbnet.engine.jit import linker
    from nbnet.engine.jit.function import Function

    def add(a, b):
        b[0] = a[0] + 1.0

    made = Function(add, "add", parameters=("real*", "real*"))
    (address,) = linker.link([made], np.dtype("float32"))
    import ctypes
    a, b = np.array([41], "float32"), np.zeros(1, "float32")
    ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)(address)(a.ctypes.data, b.ctypes.data)
    print(b[0], linker.compiled_count)
"""


@compiled_only
@pytest.mark.parametrize("spoil", [fifo, link_to_a_copy, link_to_an_endless_device, writable_by_all])
def test_a_process_compiles_what_it_does_not_trust(spoil: Callable[[Path], None], tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    assert python(LINK, NBNET_CACHE_DIR=str(cache)) == "42.0 1"
    assert python(LINK, NBNET_CACHE_DIR=str(cache)) == "42.0 0"
    spoil(only(cache))
    assert python(LINK, NBNET_CACHE_DIR=str(cache)) == "42.0 1"
    assert python(LINK, NBNET_CACHE_DIR=str(cache)) == "42.0 0"
