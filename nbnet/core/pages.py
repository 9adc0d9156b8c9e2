"""Memory that libraries take only while they are loaded."""

from __future__ import annotations

import contextlib
import ctypes
import mmap
from pathlib import Path

#: Where Linux says what is mapped where.
MAPS = Path("/proc/self/maps")


def let_go(library: str) -> int:
    """Unmap the pages of a library's code; those that are needed again come back from its file by themselves.

    A large library runs through much of its code once, to set itself up: of LLVM that is some 20 MB, which would count
    as this process's memory as long as it lives. Where there is no such thing as ``/proc``, nothing is done.

    Parameters
    ----------
    library
        Part of the file's name.

    Returns
    -------
    Bytes of the mappings.

    Examples
    --------
    >>> from nbnet.core.pages import let_go
    >>> let_go("no such library")
    0
    """
    found = 0
    with contextlib.suppress(OSError, AttributeError, LookupError, ValueError):
        advise = ctypes.CDLL(None).madvise
        advise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
        for line in MAPS.read_text().splitlines():
            place, rights, *rest = line.split(maxsplit=5)
            # Code is not written to: what has been would be lost.
            if rights == "r-xp" and library in Path(rest[-1]).name:
                start, end = (int(address, 16) for address in place.split("-"))
                if advise(start, end - start, mmap.MADV_DONTNEED) == 0:
                    found += end - start
    return found
