"""Numbers from the records, for tables."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any

import numpy as np

Found = dict[str, Any]


def mean(values: Sequence[float], digits: int = 2) -> str:
    """Mean +- standard error; the mean alone of one value.

    Examples
    --------
    >>> mean([1.0, 2.0, 3.0])
    '2.00 ± 0.58'
    >>> mean([1.25])
    '1.25'
    """
    if len(values) < 2:
        return f"{np.mean(values):.{digits}f}" if values else "-"
    return f"{np.mean(values):.{digits}f} ± {np.std(values, ddof=1) / math.sqrt(len(values)):.{digits}f}"


def grouped(found: Iterable[Found], key: Callable[[Found], Hashable]) -> dict[Any, list[Found]]:
    """Findings by what they have in common, each group in the order of its seeds."""
    groups: dict[Any, list[Found]] = {}
    for one in sorted(found, key=lambda one: one["run"]["seed"]):
        groups.setdefault(key(one), []).append(one)
    return groups


def error(found: Found) -> float:
    """Per cent of the test that was wrong after the last epoch."""
    return 100.0 * int(found["wrong"][-1]) / int(found["tested"])


def errors(group: Iterable[Found]) -> str:
    """Mean test error in per cent."""
    return mean([error(one) for one in group])


def minutes(group: Sequence[Found]) -> str:
    """Of processor time that a training took."""
    return f"{np.mean([one['cpu'] for one in group]) / 60:.1f}"


def recipe(group: Sequence[Found]) -> str:
    """How it was trained."""
    made = group[0]["recipe"]
    return f"{made['epochs']} epochs, Adam, learning rate {made['learning_rate']:g}, batch {made['batch_size']}"
