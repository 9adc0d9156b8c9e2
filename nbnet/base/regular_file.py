"""Opening of files that a user names: regular files only, and without waiting."""

from __future__ import annotations

import io
import os
import stat
from io import BufferedReader

#: Kinds of files that are no regular ones.
_KINDS = {
    stat.S_IFIFO: "a FIFO", stat.S_IFSOCK: "a socket", stat.S_IFCHR: "a character device",
    stat.S_IFBLK: "a block device",
}  # fmt: skip
#: Without O_NONBLOCK, opening a FIFO waits for a writer. Windows lacks some of these.
_FLAGS = os.O_RDONLY | sum(getattr(os, name, 0) for name in ("O_NONBLOCK", "O_NOCTTY", "O_CLOEXEC", "O_BINARY"))


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

    Examples
    --------
    >>> import tempfile
    >>> from nbnet.base.regular_file import open_regular
    >>> open_regular(tempfile.gettempdir())
    Traceback (most recent call last):
        ...
    IsADirectoryError: path: expected a file, ... is a folder
    """
    # To open a device may have effects, so its kind is asked for first; the open file is checked again.
    check_regular(path, os.stat(path).st_mode)
    handle = os.open(path, _FLAGS)
    try:
        check_regular(path, os.fstat(handle).st_mode)
        return os.fdopen(handle, "rb")
    except BaseException:
        os.close(handle)
        raise


def check_regular(path: str | os.PathLike[str], mode: int) -> None:
    """Raise IsADirectoryError or io.UnsupportedOperation if a mode is not that of a regular file."""
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(f"path: expected a file, {os.fspath(path)} is a folder")
    if not stat.S_ISREG(mode):
        kind = _KINDS.get(stat.S_IFMT(mode), "a special file")
        raise io.UnsupportedOperation(f"path: expected a regular file, {os.fspath(path)} is {kind}")
