"""Rounds in which every learner trains the same network from the same weights for the same number of epochs."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.harness import learners
from benchmarks.harness.turns import ratios
from benchmarks.harness.workloads import Workload
from benchmarks.numpy_mlp.blas_alone import products, step_flops
from nbnet.base.cpu import processors
from nbnet.engine.jit import disk_cache

#: How losses are compared, dropout off: dtype, epochs, full batches of an epoch, relative difference allowed.
#: Where a unit's input is within rounding of 0, one learner clips it and the other does not, and from there they part.
#: float64 has next to no such units; in float32 the large networks have some within a few steps.
COMPARED = (("float32", 1, 1, 1e-4), ("float64", 2, 10, 1e-9))


@dataclass(frozen=True)
class Result:
    """One workload, measured.

    Attributes
    ----------
    epochs, steps
        Epochs a round trains for, and steps of an epoch.
    slices
        Threads that nbnet trains on.
    first_epoch
        Seconds of nbnet's first epoch in this process: kernels and programs are made, or loaded.
    kernels_compiled
        Kernels compiled for it; the others came from memory or from the cache.
    difference
        Of each opponent's losses from nbnet's, dropout off, by dtype; relative.
    seconds, losses
        Of each learner: time of each round, and the loss it ended at.
    blas
        Seconds of a step's matrix products alone, by number of threads, in each round.
    """

    workload: str
    sizes: tuple[int, ...]
    batch_size: int
    rows: int
    epochs: int
    steps: int
    slices: int
    first_epoch: float
    kernels_compiled: int
    difference: dict[str, dict[str, float]]
    seconds: dict[str, list[float]]
    losses: dict[str, float]
    blas: dict[int, list[float]]

    def step_times(self, name: str) -> list[float]:
        """Microseconds a step took, for each round."""
        return [seconds / (self.epochs * self.steps) * 1e6 for seconds in self.seconds[name]]

    def ratios(self, name: str) -> list[float]:
        """An opponent's time over nbnet's, for each round."""
        return ratios(self.seconds[name], self.seconds["nbnet"])

    def gflops(self) -> list[float]:
        """nbnet's, for each round; short last batches count for what they hold."""
        return [step_flops(self.sizes, self.rows) * self.epochs / seconds / 1e9 for seconds in self.seconds["nbnet"]]

    def blas_gflops(self, threads: int) -> list[float]:
        """Those of the matrix products alone, for each round."""
        return [step_flops(self.sizes, self.batch_size) / seconds / 1e9 for seconds in self.blas[threads]]


def run(load: Workload, rounds: int, seconds: float, rows: int | None = None) -> Result:
    """Check that the learners learn the same, then time them in turn.

    Parameters
    ----------
    load
        The workload to train on.
    rounds
        Number of times that each learner is timed.
    seconds
        Time that a round of all learners should take; it has at least one epoch.
    rows
        Number of rows to train on, from the first; None for all.

    Raises
    ------
    RuntimeError
        If losses without dropout differ by more than ``COMPARED`` allows.
    """
    x, y = load.make()
    data = x, y = x[:rows], y[:rows]
    before = _cached()
    began = time.perf_counter()
    learners.build(load).fit(x, y, load.batch_size, verbose=0)
    first_epoch, compiled = time.perf_counter() - began, _cached() - before

    difference = {}
    for dtype, epochs, steps, allowed in COMPARED:
        found = difference[dtype] = learners.difference(load, data, dtype, epochs, steps)
        if not all(value <= allowed for value in found.values()):
            raise RuntimeError(f"{load.name}: losses in {dtype} without dropout differ from nbnet's: {found}")

    # A round that does not count says how many epochs the others have, and warms everything up.
    pilot = [_time(learners.start(name, load, data), 1)[0] for name in learners.NAMES]
    epochs = max(1, round(seconds / sum(pilot)))
    times: dict[str, list[float]] = {name: [] for name in learners.NAMES}
    losses = {}
    blas: dict[int, list[float]] = {threads: [] for threads in sorted({1, processors()})}
    for _ in range(rounds):
        for name in learners.NAMES:
            elapsed, losses[name] = _time(learners.start(name, load, data), epochs)
            times[name].append(elapsed)
        for threads in blas:
            blas[threads].append(_blas(load, threads, seconds / 10))
    return Result(
        workload=load.name,
        sizes=load.sizes,
        batch_size=load.batch_size,
        rows=len(x),
        epochs=epochs,
        steps=-(-len(x) // load.batch_size),
        slices=learners.slices(load, data),
        first_epoch=first_epoch,
        kernels_compiled=compiled,
        difference=difference,
        seconds=times,
        losses=losses,
        blas=blas,
    )


def _time(train: Callable[[int], float], epochs: int) -> tuple[float, float]:
    gc.collect()
    began = time.perf_counter()
    loss = train(epochs)
    return time.perf_counter() - began, loss


def _blas(load: Workload, threads: int, seconds: float) -> float:
    """Seconds a step's matrix products take: the median of five at least, and of as many as fit into the time given."""
    step = products(load.sizes, load.batch_size)
    samples: list[float] = []
    with threadpool_limits(threads, user_api="blas"):
        step()
        end = time.perf_counter() + seconds
        while len(samples) < 5 or time.perf_counter() < end:
            began = time.perf_counter()
            step()
            samples.append(time.perf_counter() - began)
    return float(np.median(samples))


def _cached() -> int:
    place = disk_cache.folder()
    return 0 if place is None else len(list(place.glob("*.o")))
