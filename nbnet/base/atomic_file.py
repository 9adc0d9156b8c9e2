"""Atomic replacement of files.

A file is written beside the one that it replaces, under a temporary name, and is locked while its process writes. A
process that is killed leaves the temporary file, without the lock; the next replacement of any file in that folder
removes it. Temporary names are short, whatever the name of the file: file systems limit the bytes of a name.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import secrets
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from nbnet.base.regular_file import check_name, check_regular

if sys.platform != "win32":
    import fcntl

#: Seconds after which a temporary file counts as left over if locks cannot tell: it is of another machine, or on a file
#: system without locks.
_DAY = 86400.0
#: Names of temporary files: after a dot, ``nbnet``, and before in files of earlier versions the name of the file.
_TEMPORARY = re.compile(r"\.(?:.*\.)?(?:nbnet|safetensors|onnx)\.(\w+)\.[0-9a-f]{8}\.tmp", re.DOTALL)


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Replace a file, in an existing folder, atomically: at any time there is the old file or the complete new one.

    Yields an empty file to write. At the end of the context it replaces the other file, synced to the disk; after an
    error it is removed. Files that killed processes left in the folder are removed, too.

    Parameters
    ----------
    path
        Path of the file; of a link, the target is replaced.

    Raises
    ------
    OSError
        If the file cannot be written, or ``path`` is a folder, a FIFO, a socket or a device, or in no folder.
    ValueError
        If no file can have that name.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     place = Path(folder) / "greeting"
    ...     with replacing(place) as file:
    ...         size = file.write(b"hello")
    ...     place.read_bytes()
    b'hello'
    """
    path = target(path)
    remove_abandoned(path.parent)
    # Beside the other: a rename is atomic only within a file system.
    aside, file = _create(path)
    try:
        yield file
        file.flush()
        os.fsync(file.fileno())
        if sys.platform == "win32":  # which does not rename open files
            file.close()
        os.replace(aside, path)
    finally:
        with suppress(OSError):  # A full disk may fail once more; the error that counts is on its way.
            file.close()
        aside.unlink(missing_ok=True)
    _sync_folder(path.parent)


def target(path: str | os.PathLike[str]) -> Path:
    """Return the path of the file that is replaced, links followed.

    Raise OSError if it is no regular file, its name is too long, or its folder does not exist; ValueError if no file
    can have that name.
    """
    check_name(path)
    try:
        found = Path(os.fspath(path)).resolve()
    except RuntimeError as error:  # older Pythons, for links in a circle
        raise OSError(f"path: {os.fspath(path)}: {error}") from None
    try:
        check_regular(found, os.stat(found).st_mode)
    except FileNotFoundError:
        if not found.parent.is_dir():
            link = f"{os.fspath(path)} is a link to {found}" if os.path.islink(path) else f"got {os.fspath(path)}"
            raise FileNotFoundError(
                f"path: expected a file in a folder that exists, {link}: there is no folder {found.parent}"
            ) from None
    return found


def remove_abandoned(folder: Path) -> None:
    """Remove the temporary files in a folder whose processes no longer live."""
    with suppress(OSError):
        for name in os.listdir(folder):
            if name.endswith(".tmp") and (found := _TEMPORARY.fullmatch(name)):
                with suppress(OSError):
                    _remove_abandoned(folder / name, found[1])


def _remove_abandoned(aside: Path, owner: str) -> None:
    """Remove a temporary file if its process no longer lives. ``owner`` is its machine, or in files of earlier
    versions, which hold no lock, the number of the process."""
    if sys.platform == "win32":
        if time.time() - aside.stat().st_mtime > _DAY:
            aside.unlink()
        return
    handle = os.open(aside, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        known = os.fstat(handle)
        if not stat.S_ISREG(known.st_mode):
            return
        dead = owner == _machine() or (owner.isdecimal() and not _lives(int(owner)))
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        except OSError:
            dead = False
        if dead or time.time() - known.st_mtime > _DAY:
            aside.unlink()
    finally:
        os.close(handle)


def _create(path: Path) -> tuple[Path, BinaryIO]:
    """Return a temporary file for a path, locked as far as the file system has locks."""
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    while True:
        aside = path.with_name(f".nbnet.{_machine()}.{secrets.token_hex(4)}.tmp")
        file = os.fdopen(os.open(aside, flags, 0o666), "r+b")
        if _lock(file, aside):
            return aside, file
        file.close()
        aside.unlink(missing_ok=True)


def _lock(file: BinaryIO, aside: Path) -> bool:
    """Lock a new temporary file; False if another process took it for an abandoned one before it was locked."""
    if sys.platform == "win32":
        return True
    try:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True  # a file system without locks
    try:
        return os.path.samestat(os.stat(aside), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False


def _machine() -> str:
    """Return a short name of this machine: locks of another one may not be seen here."""
    return hashlib.sha256(platform.node().encode()).hexdigest()[:8]


def _lives(process: int) -> bool:
    """Return True if there is a process of a number; not for Windows, where this would end it."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


def _sync_folder(folder: Path) -> None:
    """Sync the rename to the disk; not every system can open folders."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
