"""How many threads work may take, and how others stop it."""

from __future__ import annotations

import functools
import math
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

#: Where Linux says what a container may take.
CONTROL_GROUPS = Path("/sys/fs/cgroup")


class _Share(threading.local):
    """What the calling thread may take: so many processors (None: all there are), until it is told to stop."""

    limit: int | None = None
    stop: threading.Event | None = None


class Stopped(BaseException):
    """The thread that started this work wants no more of it. No ``Exception``: nobody is to make up for it."""


_share = _Share()


def processors() -> int:
    """Processors that the calling thread may use.

    They are those of the process (its affinity, its share of a container's time), or fewer: as many as
    :func:`limited` or ``NBNET_NUM_THREADS`` say, else ``OMP_NUM_THREADS``, which joblib sets for the processes it
    starts, else one in a worker of joblib's.

    Examples
    --------
    >>> from nbnet.core.processors import limited, processors
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
    """Processors that the process may use."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(count, _quota()))


@functools.cache
def _quota() -> int:
    """Processors whose time a container may take, rounded up."""
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
    """Whether joblib runs several tasks of which this is one."""
    joblib = sys.modules.get("joblib.parallel")
    return joblib is not None and bool(joblib.get_active_backend()[0].nesting_level)


def limit() -> int | None:
    """What :func:`limited` says in this thread."""
    return _share.limit


@contextmanager
def limited(count: int, stop: threading.Event | None = None) -> Iterator[None]:
    """Let the calling thread use so many processors at most; inside another such limit the lower one holds.

    Parameters
    ----------
    count
        From 1.
    stop
        When it is set, what the thread computes ends within a tenth of a second by :class:`Stopped`.
    """
    before = _share.limit, _share.stop
    _share.limit = count if before[0] is None else min(count, before[0])
    _share.stop = before[1] if stop is None else stop
    try:
        yield
    finally:
        _share.limit, _share.stop = before


def restrict(count: int, stop: threading.Event) -> None:
    """Hold the calling thread to what :func:`limited` says for as long as it lives."""
    _share.limit, _share.stop = count, stop


def go_on() -> None:
    """Called between compiled calls: raises :class:`Stopped` if this thread is to stop."""
    if _share.stop is not None and _share.stop.is_set():
        raise Stopped
