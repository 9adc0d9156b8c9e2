"""Opening of files that a user names: regular files only, and without waiting."""

from __future__ import annotations

import io
import os
import stat
from io import BufferedReader
from typing import TextIO

#: Kinds of files that are no regular ones.
_KINDS = {
    stat.S_IFIFO: "a FIFO", stat.S_IFSOCK: "a socket", stat.S_IFCHR: "a character device",
    stat.S_IFBLK: "a block device",
}  # fmt: skip
#: Without O_NONBLOCK, opening a FIFO waits for a writer. Windows lacks some of these.
_FLAGS = sum(getattr(os, name, 0) for name in ("O_NONBLOCK", "O_NOCTTY", "O_CLOEXEC", "O_BINARY"))


def open_regular(path: str | os.PathLike[str]) -> BufferedReader:
    """Open a regular file, or a link to one, for reading.

    Parameters
    ----------
    path
        Path of the file.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    IsADirectoryError
        If it is a folder.
    io.UnsupportedOperation
        If it is a FIFO, a socket or a device; this is both an OSError and a ValueError.
    ValueError
        If no file can have that name.

    Examples
    --------
    >>> import tempfile
    >>> from nbnet.base.regular_file import open_regular
    >>> open_regular(tempfile.gettempdir())
    Traceback (most recent call last):
        ...
    IsADirectoryError: path: expected a file, ... is a folder
    """
    check_name(path)
    return os.fdopen(_open(path, os.O_RDONLY), "rb")


def open_text(path: str | os.PathLike[str], append: bool = False) -> TextIO:
    """Open a regular file, or a link to one, for text in UTF-8: a new one, or with ``append`` the end of an old one.

    Newlines are written as they are given. Errors are those of :func:`open_regular`; without ``append``, a file that is
    there is emptied only if it is a regular one.
    """
    check_name(path)
    handle = _open(path, os.O_WRONLY | os.O_CREAT | (os.O_APPEND if append else 0))
    try:
        if not append:
            os.ftruncate(handle, 0)
        return os.fdopen(handle, "a" if append else "w", newline="", encoding="utf-8")
    except BaseException:
        os.close(handle)
        raise


def _open(path: str | os.PathLike[str], flags: int) -> int:
    """Return a handle of a regular file."""
    # To open a device may have effects, so its kind is asked for first; the open file is checked again.
    try:
        check_regular(path, os.stat(path).st_mode)
    except FileNotFoundError:
        if not flags & os.O_CREAT:
            raise
    handle = os.open(path, flags | _FLAGS, 0o666)
    try:
        check_regular(path, os.fstat(handle).st_mode)
    except BaseException:
        os.close(handle)
        raise
    return handle


def check_name(path: str | os.PathLike[str], argument: str = "path") -> None:
    """Raise ValueError for a path that no file can have: one with NUL bytes, or with characters that the file system's
    encoding lacks.

    Examples
    --------
    >>> from nbnet.base.regular_file import check_name
    >>> check_name("a\\0b")
    Traceback (most recent call last):
        ...
    ValueError: path: expected a path without NUL bytes, got 'a\\x00b'
    """
    name = os.fspath(path)
    try:
        encoded = os.fsencode(name)
    except UnicodeEncodeError as error:
        raise ValueError(f"{argument}: expected a path in {error.encoding}, got {name!r}") from None
    if 0 in encoded:
        raise ValueError(f"{argument}: expected a path without NUL bytes, got {name!r}")


def check_regular(path: str | os.PathLike[str], mode: int) -> None:
    """Raise IsADirectoryError or io.UnsupportedOperation if a mode is not that of a regular file."""
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(f"path: expected a file, {os.fspath(path)} is a folder")
    if not stat.S_ISREG(mode):
        kind = _KINDS.get(stat.S_IFMT(mode), "a special file")
        raise io.UnsupportedOperation(f"path: expected a regular file, {os.fspath(path)} is {kind}")
