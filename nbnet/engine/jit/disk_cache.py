"""Machine code on disk: one file per kernel, named by a hash of what it was made from, checked whenever it is read.

A damaged, truncated or swapped file is a miss and is written anew. Whoever can change a file, or put another folder in
its place, decides what runs in this process. So the folder is opened from the root down, no link is followed, and
the owner and mode of each parent, of the folder and of each file are those of what was opened. A file or folder that
others could have written is not used. Where nothing can be kept everything still works, compiled once per process, and
one warning says why.

Windows has neither such modes nor descriptors of folders: there the cache lies in the user's profile, which Windows
protects, and is reached by path.
"""

from __future__ import annotations

import functools
import hashlib
import os
import re
import secrets
import stat
import sys
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

if sys.platform != "win32":
    import fcntl

_MAGIC = b"nbnet-object-1\n"
_HEAD = len(_MAGIC) + 32
#: No kernel is nearly as large.
_LARGEST = 1 << 26
#: Beginning of the names of files that are being written.
_ASIDE = ".new-"
#: As in Linux.
_MOST_LINKS = 40
#: Seconds after which such a file counts as left over where locks cannot tell.
_DAY = 86400.0

_POSIX = os.open in os.supports_dir_fd and hasattr(os, "getuid")


def _flags(*names: str) -> int:
    """Flags of :func:`os.open`, without those that a system lacks."""
    return sum(getattr(os, name, 0) for name in names)


# A parent needs to be searched only, not to be read.
_PARENT = _flags("O_DIRECTORY", "O_NOFOLLOW", "O_CLOEXEC", "O_PATH" if hasattr(os, "O_PATH") else "O_SEARCH")
_FOLDER = _flags("O_DIRECTORY", "O_NOFOLLOW", "O_CLOEXEC")
# Without O_NONBLOCK, opening a FIFO would wait for a writer.
_READ = _flags("O_NOFOLLOW", "O_NONBLOCK", "O_NOCTTY", "O_CLOEXEC", "O_BINARY")
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _flags("O_NOFOLLOW", "O_CLOEXEC", "O_BINARY")

#: Why there is no folder, why a kernel was not kept, and whether the user knows.
_refused: Exception | None = None
_not_kept: Exception | None = None
_warned = False
_tidied = False


# ---- the folder --------------------------------------------------------------------------------------------------


@functools.cache
def folder() -> Path | None:
    """The cache folder: ``NBNET_CACHE_DIR``, else the user's cache folder; None if there is no safe one.

    It is chosen once, and made if it is missing; whether it is safe is asked again whenever it is opened.
    """
    global _refused
    try:
        path = _resolved(Path(os.path.abspath(_place())))
        with _opened(path):
            return path
    except (OSError, RuntimeError) as error:
        _refused = error
        return None


def _place() -> Path:
    if named := os.environ.get("NBNET_CACHE_DIR"):
        return Path(named)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "nbnet" / "cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "nbnet"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nbnet"


def _resolved(path: Path) -> Path:
    """A path without links. Links of other users are refused, wherever they are on the way: they would choose where
    this user writes."""
    if not _POSIX:
        return Path(os.path.realpath(path))
    found, left, links = Path(path.anchor or os.getcwd()), [*path.relative_to(path.anchor).parts][::-1], 0
    while left:
        part = left.pop()
        if part == "..":
            found = found.parent
            continue
        here = found / part
        try:
            status = os.lstat(here)
        except (FileNotFoundError, NotADirectoryError):
            found = here
            continue
        if not stat.S_ISLNK(status.st_mode):
            found = here
            continue
        if status.st_uid not in (0, os.getuid()):
            raise PermissionError(f"the link {here} belongs to another user (number {status.st_uid})")
        links += 1
        if links > _MOST_LINKS:
            raise OSError(f"{path}: too many links")
        target = Path(os.readlink(here))
        if target.is_absolute():
            found, target = Path(target.anchor), target.relative_to(target.anchor)
        left += target.parts[::-1]
    return found


class _Folder:
    """An open folder; ``handle`` is its descriptor, or None where files are reached by path."""

    def __init__(self, path: Path, handle: int | None) -> None:
        self.path, self.handle = path, handle

    def open(self, name: str, flags: int) -> int:
        return os.open(self._at(name), flags, 0o600, dir_fd=self.handle)

    def rename(self, name: str, to: str) -> None:
        os.replace(self._at(name), self._at(to), src_dir_fd=self.handle, dst_dir_fd=self.handle)

    def remove(self, name: str) -> None:
        os.unlink(self._at(name), dir_fd=self.handle)

    def names(self) -> list[str]:
        return os.listdir(self.path if self.handle is None else self.handle)

    def _at(self, name: str) -> str:
        return name if self.handle is not None else os.path.join(self.path, name)


@contextmanager
def _opened(path: Path) -> Iterator[_Folder]:
    """Open the folder; raise OSError if it, or a parent, is not safe."""
    if not _POSIX:
        path.mkdir(parents=True, exist_ok=True)
        yield _Folder(path, None)
        return
    handle = _descend(path)
    try:
        yield _Folder(path, handle)
    finally:
        os.close(handle)


def _descend(path: Path) -> int:
    """A descriptor of a folder that only this user can write to, nor replace. What is missing on the way is made."""
    names = path.parts[1:]
    handle = os.open(path.anchor, _PARENT)
    try:
        for depth, name in enumerate(names, 1):
            _check(path, depth - 1, handle)
            flags = _FOLDER if depth == len(names) else _PARENT
            try:
                entered = os.open(name, flags, dir_fd=handle)
            except FileNotFoundError:
                with suppress(FileExistsError):
                    os.mkdir(name, 0o700, dir_fd=handle)
                entered = os.open(name, flags, dir_fd=handle)
            left, handle = handle, entered
            os.close(left)
        _check(path, len(names), handle)
    except BaseException:
        os.close(handle)
        raise
    return handle


def _check(path: Path, depth: int, handle: int) -> None:
    """Refuse the folder if others own it or can write to it, and a parent if they could put another folder there."""
    status, own = os.fstat(handle), depth == len(path.parts) - 1
    if status.st_uid != os.getuid() and (own or status.st_uid):
        raise PermissionError(f"the folder {_part(path, depth)} belongs to another user (number {status.st_uid})")
    if not own and status.st_mode & stat.S_ISVTX:  # Nobody renames or removes what belongs to others.
        return
    group = status.st_mode & stat.S_IWGRP and (own or _has_list(handle) or not _is_private_group(status.st_gid))
    if group or status.st_mode & stat.S_IWOTH:
        mode = stat.S_IMODE(status.st_mode)
        raise PermissionError(f"others can write to {_part(path, depth)} (mode {mode:o}; chmod go-w mends it)")


def _part(path: Path, depth: int) -> Path:
    return Path(*path.parts[: depth + 1])


def _has_list(handle: int) -> bool:
    """True if a folder has an access control list: the bits of the group then are those of all that it names."""
    try:
        # A descriptor that is for searching alone has no attributes; the file that it stands for has.
        return bool(os.getxattr(f"/proc/self/fd/{handle}", "system.posix_acl_access"))
    except (AttributeError, OSError):
        return False


def _is_private_group(number: int) -> bool:
    """True if a group has the name of this user and no other member, as on systems where the umask is 002.

    Not the group of number 0, which containers run processes of any user with.
    """
    import grp
    import pwd

    try:
        user, group = pwd.getpwuid(os.getuid()), grp.getgrgid(number)
    except KeyError:
        return False
    own = user.pw_gid == number != 0 and group.gr_name == user.pw_name and {*group.gr_mem} <= {user.pw_name}
    return own and all(other.pw_uid == user.pw_uid for other in pwd.getpwall() if other.pw_gid == number)


# ---- files -------------------------------------------------------------------------------------------------------


def _name(name: str, key: str) -> str:
    return f"{re.sub(r'[^a-zA-Z0-9_]+', '_', name)[:60]}-{key[:32]}.o"


def _seal(key: str, payload: bytes) -> bytes:
    return hashlib.sha256(key.encode() + payload).digest()


def read(name: str, key: str) -> bytes | None:
    """The machine code kept under a key, or None."""
    return read_all([(name, key)])[0]


def read_all(files: Sequence[tuple[str, str]]) -> list[bytes | None]:
    """The machine code kept under each name and key, or None; the folder is opened once for all."""
    path = folder()
    if path is not None:
        with suppress(OSError), _opened(path) as place:
            return [_payload(place, name, key) for name, key in files]
    return [None] * len(files)


def _payload(place: _Folder, name: str, key: str) -> bytes | None:
    try:
        content = _content(place, _name(name, key))
    except OSError:
        return None
    payload = content[_HEAD:]
    return payload if content[:_HEAD] == _MAGIC + _seal(key, payload) else None


def _content(place: _Folder, name: str) -> bytes:
    """The bytes of a file, or none if it is no regular file that only this user can have written."""
    handle = place.open(name, _READ)
    try:
        status = os.fstat(handle)
        own = not _POSIX or (status.st_uid == os.getuid() and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH))
        if not own or not stat.S_ISREG(status.st_mode) or not _HEAD <= status.st_size <= _LARGEST:
            return b""
        with os.fdopen(handle, "rb", closefd=False) as file:
            return file.read(status.st_size)
    finally:
        os.close(handle)


def write(name: str, key: str, payload: bytes) -> None:
    """Keep machine code under a key: written aside, then renamed, so that a reader sees all of it or nothing.

    If it cannot be kept, :func:`warn_if_not_kept` says so.
    """
    global _not_kept
    path = folder()
    if path is None:
        _not_kept = _refused
        return
    # Another process may remove the folder, or the file before it is locked, at the same time.
    for attempts_left in (2, 1, 0):
        try:
            with _opened(path) as place:
                _tidy(place)
                _replace(place, _name(name, key), _MAGIC + _seal(key, payload) + payload)
            return
        except FileNotFoundError as error:
            if not attempts_left:
                _not_kept = error
        except OSError as error:
            _not_kept = error
            return


def _replace(place: _Folder, name: str, content: bytes) -> None:
    aside = f"{_ASIDE}{secrets.token_hex(8)}"
    handle = place.open(aside, _CREATE)
    try:
        try:
            _is_locked_by_others(handle)
            with os.fdopen(handle, "wb", closefd=False) as file:
                file.write(content)
        finally:
            os.close(handle)
        place.rename(aside, name)
    except BaseException:
        with suppress(OSError):
            place.remove(aside)
        raise


def _is_locked_by_others(handle: int) -> bool | None:
    """Lock an open file; True if another process has locked it, None where locks cannot tell."""
    if sys.platform == "win32":
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return None
    return False


def _tidy(place: _Folder) -> None:
    """Remove, once, files that processes left behind when they were killed."""
    global _tidied
    if _tidied:
        return
    _tidied = True
    for name in place.names():
        if name.startswith(_ASIDE):
            with suppress(OSError):
                if _is_abandoned(place, name):
                    place.remove(name)


def _is_abandoned(place: _Folder, name: str) -> bool:
    """True if no process writes a file any more: it is not locked, or where locks cannot tell, old."""
    handle = place.open(name, _READ)
    try:
        locked = _is_locked_by_others(handle)
        return time.time() - os.fstat(handle).st_mtime > _DAY if locked is None else not locked
    finally:
        os.close(handle)


def warn_if_not_kept() -> None:
    """Warn, once in a process, if a kernel could not be kept."""
    global _warned
    if _not_kept is None or _warned:
        return
    _warned = True
    warnings.warn(
        f"compiled kernels cannot be kept on disk, so every process compiles them again: {_not_kept}. Make "
        f"{folder() or 'the folder'} writable for you alone, free space on its disk, or name another folder in the "
        "environment variable NBNET_CACHE_DIR",
        RuntimeWarning,
        stacklevel=2,
    )


def clear() -> int:
    """Delete every file of the cache; returns how many there were."""
    path, removed = folder(), 0
    if path is not None:
        with suppress(OSError), _opened(path) as place:
            for name in place.names():
                if name.startswith(_ASIDE) or re.fullmatch(r".*-.*\.o", name):
                    with suppress(OSError):
                        place.remove(name)
                        removed += 1
    return removed
