"""A check of large allocations: an error that says what asks for the memory, before the system ends the process."""

from __future__ import annotations

import os
from pathlib import Path

#: Allocations below this are not checked, which costs a system call.
LARGE = 1 << 30
#: Files with the limit and the use of the memory of a container, of both versions of control groups.
_GROUPS = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
)


def available_memory() -> int | None:
    """Return the number of bytes that the process can still allocate, as far as the system says; else None.

    Examples
    --------
    >>> from nbnet.base.memory import available_memory
    >>> (available_memory() or 1) > 0
    True
    """
    found = [int(limit) - int(used) for limit, used in map(_read, _GROUPS) if limit.isdigit() and used.isdigit()]
    lines = _text("/proc/meminfo").splitlines()
    found += [int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable:")]
    if not found and hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        found.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    return min(found, default=None)


def check_memory(nbytes: int, what: str) -> None:
    """Raise MemoryError if an allocation is larger than the memory that is left.

    Parameters
    ----------
    nbytes
        Its size.
    what
        What needs it, for the message.

    Examples
    --------
    >>> from nbnet.base.memory import check_memory
    >>> check_memory(1000, "a small array")
    >>> check_memory(1 << 80, "the output of 'dense'")
    Traceback (most recent call last):
    MemoryError: the output of 'dense' needs 1,125,899,906,842,624.0 GiB of memory...
    """
    if nbytes < LARGE:
        return
    left = available_memory()
    if nbytes > (1 << 62 if left is None else left):
        known = "" if left is None else f", {left / 2**30:,.1f} GiB are available"
        raise MemoryError(f"{what} needs {nbytes / 2**30:,.1f} GiB of memory{known}")


def _read(paths: tuple[str, str]) -> tuple[str, str]:
    limit, used = map(_text, paths)
    return limit.strip(), used.strip()


def _text(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""
