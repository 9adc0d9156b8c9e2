"""Timing calls in a library's process, and its memory."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np


def median_time(call: Callable[..., Any], seconds: float, arguments: Sequence[tuple[Any, ...]] = ((),)) -> float:
    """Return the median seconds of repeated calls; there is at least one.

    Parameters
    ----------
    call
        Function to call repeatedly until the time is over.
    seconds
        Time to spend.
    arguments
        Arguments of the calls, used in turn.

    Examples
    --------
    >>> median_time(sum, 0.0, [([1, 2],)]) < 1.0
    True
    """
    took: list[float] = []
    end = time.perf_counter() + seconds
    while not took or time.perf_counter() < end:
        now = arguments[len(took) % len(arguments)]
        began = time.perf_counter()
        call(*now)
        took.append(time.perf_counter() - began)
    return float(np.median(took))


def peak_memory() -> float | None:
    """Megabytes (2^20 bytes) of memory that this process has had at once; None where Linux does not say."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:")), None)
