"""A budget for weights: a loaded model allocates no more than its file has values for.

While a model is built from the configuration of a file, :func:`weight_budget` bounds the allocations of its layers, so
that one number in a configuration cannot take all memory.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Number of values beyond the weights that layers may always allocate, for constants.
SPARE = 1 << 20


class WeightBudget:
    """The shapes of the tensors in a file that may be weights, each of which can be taken once."""

    def __init__(self, shapes: Iterable[Sequence[int]]) -> None:
        self.left = Counter(tuple(shape) for shape in shapes)
        self.spare = SPARE + sum(prod(shape) * n for shape, n in self.left.items())

    def take(self, shape: tuple[int, ...], name: str) -> None:
        """Take a weight of this shape; raises ValueError if there is none left."""
        if not self.left[shape]:
            raise ValueError(f"{name}: asks for a weight of shape {shape}, and the file has none of that shape left")
        self.left[shape] -= 1


_budget: ContextVar[WeightBudget | None] = ContextVar("budget", default=None)


@contextmanager
def weight_budget(budget: WeightBudget | None) -> Iterator[None]:
    """Inside, weights are taken from a budget and start as zeros."""
    before = _budget.set(budget)
    try:
        yield
    finally:
        _budget.reset(before)


def weight(shape: tuple[int, ...], dtype: Any, name: str) -> NDArray[Any] | None:
    """Return zeros for a weight inside :func:`weight_budget`, or raise ValueError if the budget has no such weight;
    otherwise None, and its initializer makes it."""
    budget = _budget.get()
    if budget is None:
        return None
    budget.take(shape, name)
    return np.zeros(shape, dtype)


def reserve(values: int, name: str) -> None:
    """Raise ValueError if a configuration asks for more constants than the budget has, before they are allocated."""
    budget = _budget.get()
    if budget is not None and values > budget.spare:
        raise ValueError(f"{name}: asks for {values} values, more than the file can need")
