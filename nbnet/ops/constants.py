"""Arrays of constants that ops need beside their operands, charged to the budget of a model that is being loaded.

Their sizes are arguments of a call, which a file may hold: every op makes its constants here.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, prod
from operator import index
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbnet.base.loading_budget import reserve

Array = NDArray[Any]


def full(shape: Sequence[int] | int, value: Any, dtype: Any, op: str) -> Array:
    """Return an array of one value."""
    sizes = tuple(index(n) for n in shape) if np.iterable(shape) else (index(shape),)
    reserve(prod(sizes), op)
    return np.full(sizes, value, dtype)


def zeros(shape: Sequence[int] | int, dtype: Any, op: str) -> Array:
    """Return an array of zeros."""
    return full(shape, 0, dtype, op)


def arange(start: float, stop: float, step: float, op: str) -> Array:
    """Return numbers from start up to, and without, stop."""
    if step:
        reserve(max(ceil((stop - start) / step), 0), op)
    return np.arange(start, stop, step)


def linspace(start: Any, stop: Any, num: int, endpoint: bool, axis: int, op: str) -> tuple[Array, Array]:
    """Return evenly spaced numbers, and their distance."""
    reserve(index(num) * max(np.size(start), np.size(stop)), op)
    values, step = np.linspace(start, stop, num, endpoint, retstep=True, axis=axis)
    return values, np.asarray(step)


def eye(rows: int, columns: int, k: int, dtype: Any, op: str) -> Array:
    """Return a matrix with ones on a diagonal."""
    reserve(index(rows) * index(columns), op)
    return np.eye(rows, columns, k, dtype)


def one_hot(labels: Array, classes: int, dtype: Any, op: str) -> Array:
    """Return labels as vectors with a 1 at the class."""
    reserve(labels.size * index(classes), op)
    hot: Array = (labels[..., None] == np.arange(classes)).astype(dtype)
    return hot


def places(n: int, op: str) -> Array:
    """Return the numbers of n parts, from 0."""
    return arange(0, n, 1, op)


def repeated_places(n: int, repeats: int | Sequence[int], op: str) -> Array:
    """Return the numbers of n parts, each as often as ``repeats`` says: one number for all, or one for each."""
    reserve(n * max(map(int, np.ravel(repeats)), default=0), op)
    return np.repeat(places(n, op), repeats)


def tiled_places(n: int, count: int, op: str) -> Array:
    """Return the numbers of n parts, all of them ``count`` times."""
    reserve(n * index(count), op)
    return np.tile(places(n, op), count)
