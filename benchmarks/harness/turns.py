"""Rounds in which calls take turns."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any


def seconds(call: Callable[[], Any]) -> float:
    """Return the seconds that a call takes; garbage is collected before it."""
    gc.collect()
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def in_turn(calls: Mapping[str, Callable[[], Any]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each call, for each round."""
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            taken[name].append(seconds(call))
    return taken


def ratios(times: Sequence[float], base: Sequence[float]) -> list[float]:
    """Times over those of the same rounds.

    Examples
    --------
    >>> ratios([2.0, 6.0], [1.0, 2.0])
    [2.0, 3.0]
    """
    return [ours / theirs for ours, theirs in zip(times, base, strict=True)]
