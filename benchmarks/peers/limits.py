"""Times of parts of a training step on this machine: its matrix products, and moving the memory it touches."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.numpy_mlp.blas_alone import products
from benchmarks.peers.exercise import Network
from benchmarks.peers.threads import choices
from benchmarks.peers.timing import median_time

#: Times that a step reads or writes each parameter's four bytes: the weight in forward and backward, the gradient once
#: written and once read; weight, momentum and velocity read and written by Adam.
PASSES = 10


def blas_limit(network: Network, seconds: float) -> float:
    """Seconds of a step's matrix products, on as many threads as are best."""
    step = products(network.sizes, network.batch_size)

    def limited(threads: int) -> float:
        with threadpool_limits(threads, user_api="blas"):
            step()
            return median_time(step, seconds)

    return min(limited(threads) for threads in choices())


def memory_limit(network: Network, seconds: float) -> float:
    """Seconds to move the parameters as often as a step must, at the speed of a copy of the same size."""
    parameters = sum((n + 1) * m for n, m in pairwise(network.sizes))
    # A copy reads and writes: two arrays that together take what weights, gradients and moments take.
    copied = 2 * parameters
    return PASSES * parameters / (2 * copied) * min(_copy(copied, threads, seconds) for threads in choices())


def _copy(numbers: int, threads: int, seconds: float) -> float:
    """Seconds to copy so many float32 numbers, cut among threads."""
    source, target = np.ones(numbers, np.float32), np.zeros(numbers, np.float32)
    if threads == 1:
        return median_time(lambda: np.copyto(target, source), seconds)
    cuts = np.linspace(0, numbers, threads + 1).astype(int)
    parts: list[Callable[[], None]] = [
        lambda a=a, b=b: np.copyto(target[a:b], source[a:b])  # type: ignore[misc]
        for a, b in pairwise(cuts)
    ]
    with ThreadPoolExecutor(threads) as pool:
        return median_time(lambda: [one.result() for one in [pool.submit(part) for part in parts]], seconds)
