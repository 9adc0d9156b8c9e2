"""The workloads of the benchmarks: four networks, their data and their initial weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits, make_moons

Data = tuple[NDArray[np.float32], NDArray[np.int64]]


def glorot_weights(sizes: Sequence[int], seed: int) -> tuple[list[NDArray[np.float32]], list[NDArray[np.float32]]]:
    """Return Glorot-uniform weights and zero biases in float32, one array of each per layer."""
    rng = np.random.default_rng(seed)
    weights = []
    for n, m in pairwise(sizes):
        limit = math.sqrt(6 / (n + m))
        weights.append(rng.uniform(-limit, limit, (n, m)).astype(np.float32))
    return weights, [np.zeros(m, np.float32) for m in sizes[1:]]


def layer_by_layer(weights: Sequence[NDArray[Any]], biases: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
    """[w0, b0, w1, b1, ...]."""
    return [array for pair in zip(weights, biases, strict=True) for array in pair]


@dataclass(frozen=True)
class Workload:
    """A data set of ``n`` rows, which ``make()`` returns the same each time, and the network that learns it."""

    name: str
    n: int
    sizes: tuple[int, ...]
    batch_size: int
    input_dropout: float
    hidden_dropout: float
    make: Callable[[], Data]


def _moons() -> Data:
    x, y = make_moons(4096, noise=0.2, random_state=0)
    return x.astype(np.float32), y.astype(np.int64)


def _digits() -> Data:
    x, y = load_digits(return_X_y=True)
    rows = np.random.default_rng(0).permutation(len(x))[: len(x) * 4 // 5]
    return (x[rows] / 16).astype(np.float32), y[rows].astype(np.int64)


def _clusters() -> Data:
    """Four Gaussian clusters to a class."""
    rng = np.random.default_rng(0)
    cluster = rng.integers(28, size=20_000)
    centres = 0.5 * rng.standard_normal((28, 54), dtype=np.float32)
    return centres[cluster] + rng.standard_normal((20_000, 54), dtype=np.float32), cluster % 7


def _images() -> Data:
    """One sparse pattern to a class, with a third of the pixels flipped and the lit ones of random brightness."""
    rng = np.random.default_rng(0)
    y = rng.integers(10, size=12_800)
    pattern = rng.random((10, 784)) < 0.2
    lit = pattern[y] ^ (rng.random((12_800, 784), dtype=np.float32) < 1 / 3)
    pixels = lit * rng.integers(1, 256, (12_800, 784), dtype=np.uint8)
    return np.divide(pixels, 255, dtype=np.float32), y


WORKLOADS = {
    workload.name: workload
    for workload in (
        Workload("tiny", 4096, (2, 16, 16, 2), 16, 0.0, 0.2, _moons),
        Workload("digits", 1437, (64, 128, 64, 10), 32, 0.0, 0.5, _digits),
        Workload("tabular", 20_000, (54, 256, 256, 7), 128, 0.0, 0.3, _clusters),
        Workload("mnist", 12_800, (784, 1024, 1024, 1024, 10), 128, 0.2, 0.5, _images),
    )
}
