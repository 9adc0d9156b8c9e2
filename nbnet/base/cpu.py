"""The number of processors that a thread may use, and cancellation of its work."""

from __future__ import annotations

import functools
import math
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

#: Folder in which Linux lists the limits of a container.
CONTROL_GROUPS = Path("/sys/fs/cgroup")


class _Share(threading.local):
    """Limit of processors of the calling thread (None: no limit), and the event that stops it."""

    limit: int | None = None
    stop: threading.Event | None = None


class Cancelled(BaseException):
    """The thread that started this work has cancelled it. No ``Exception``, so that no handler swallows it."""


_share = _Share()


def processors() -> int:
    """Return the number of processors that the calling thread may use.

    At most those of the process (its affinity, and the quota of its container). :func:`limited` or
    ``NBNET_NUM_THREADS`` lower the number, else ``OMP_NUM_THREADS``, which joblib sets for its processes; in a worker
    thread of joblib it is 1.

    Examples
    --------
    >>> from nbnet.base.cpu import limited, processors
    >>> with limited(1):
    ...     processors()
    1
    """
    available = available_processors()
    if _share.limit is not None:
        return min(available, _share.limit)
    for name in ("NBNET_NUM_THREADS", "OMP_NUM_THREADS"):
        wanted = os.environ.get(name, "")
        if wanted.isdigit():
            return max(1, min(available, int(wanted)))
    return 1 if available > 1 and _in_worker() else available


def available_processors() -> int:
    """Return the number of processors that the process may use."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(count, _quota()))


@functools.cache
def _quota() -> int:
    """Return the CPU quota of the container in processors, rounded up."""
    try:
        try:
            quota, period = (CONTROL_GROUPS / "cpu.max").read_text().split()
        except OSError:
            folder = CONTROL_GROUPS / "cpu"
            quota, period = ((folder / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
        wanted = math.ceil(int(quota) / int(period))
    except (OSError, ValueError, ZeroDivisionError):  # no such thing, or no limit: "max"
        return sys.maxsize
    return wanted if wanted > 0 else sys.maxsize


def _in_worker() -> bool:
    """Return True in a task that joblib runs in parallel with others."""
    joblib = sys.modules.get("joblib.parallel")
    return joblib is not None and bool(joblib.get_active_backend()[0].nesting_level)


def limit() -> int | None:
    """Return the limit that :func:`limited` set in this thread."""
    return _share.limit


@contextmanager
def limited(count: int, stop: threading.Event | None = None) -> Iterator[None]:
    """Limit the processors of the calling thread to ``count``, from 1; of nested limits the lowest holds.

    When ``stop`` is set, the computation of the thread raises :class:`Cancelled` within a tenth of a second.
    """
    before = _share.limit, _share.stop
    _share.limit = count if before[0] is None else min(count, before[0])
    _share.stop = before[1] if stop is None else stop
    try:
        yield
    finally:
        _share.limit, _share.stop = before


def set_limit(count: int, stop: threading.Event) -> None:
    """Set the limit and the stop event of the calling thread for the rest of its life."""
    _share.limit, _share.stop = count, stop


def stop_event() -> threading.Event | None:
    """Return the event that cancels the work of the calling thread."""
    return _share.stop


def check_cancelled() -> None:
    """Raise :class:`Cancelled` if this thread must stop; called between compiled calls."""
    if _share.stop is not None and _share.stop.is_set():
        raise Cancelled
