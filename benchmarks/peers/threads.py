"""How many threads a library may be told to take."""

from __future__ import annotations

import os


def choices() -> list[int]:
    """One, and as many as there are processors."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return sorted({1, count})


def named(threads: int) -> str:
    """For a reader."""
    return f"{threads} thread{'s' * (threads > 1)}"
