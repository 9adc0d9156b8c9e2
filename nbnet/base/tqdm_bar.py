"""The progress bar of tqdm."""

from __future__ import annotations

import functools
from typing import Any


@functools.cache
def bar_class() -> Any:
    """The class of tqdm, without its monitor thread: a process with threads cannot fork safely."""
    from tqdm import tqdm

    return type("Bar", (tqdm,), {"monitor_interval": 0})
