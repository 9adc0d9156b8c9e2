"""The progress bar that is drawn here."""

from __future__ import annotations

import functools
from typing import Any


@functools.cache
def bar_class() -> Any:
    """tqdm's, without its monitor: that is a thread, and a process with threads cannot fork safely."""
    from tqdm import tqdm

    return type("Bar", (tqdm,), {"monitor_interval": 0})
