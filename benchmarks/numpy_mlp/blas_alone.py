"""The speed of BLAS alone: the matrix products of a training step, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray


def step_flops(sizes: Sequence[int], rows: int) -> int:
    """``6 * inputs * outputs * rows``, summed over the layers.

    This is the usual count: it includes the product with the first layer's weights that would give the input's
    gradient, though no library computes it. All of them, BLAS alone included, are measured by the same count.
    """
    return 6 * rows * sum(n * m for n, m in pairwise(sizes))


def operands(sizes: Sequence[int], rows: int) -> list[tuple[NDArray[np.float32], ...]]:
    """Factors and result of each product of one step: x w and x' dy for each layer, dy w' for each but the first."""
    rng = np.random.default_rng(0)
    found: list[tuple[NDArray[np.float32], ...]] = []
    for k, (n, m) in enumerate(pairwise(sizes)):
        x, w, dy = (rng.standard_normal(shape, dtype=np.float32) for shape in ((rows, n), (n, m), (rows, m)))
        for a, b in [(x, w), (x.T, dy), *([(dy, w.T)] if k else [])]:
            found.append((a, b, np.empty((len(a), b.shape[1]), np.float32)))
    return found


def products(sizes: Sequence[int], rows: int) -> Callable[[], None]:
    """A function that computes the products of one step."""
    made = operands(sizes, rows)

    def step() -> None:
        for a, b, out in made:
            np.dot(a, b, out=out)

    return step
