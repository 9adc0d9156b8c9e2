"""Time programs on one thread and on several: ``python -m benchmarks.slices``.

Dense networks of many widths, a deep one of few units, and convolutions, in batches of many sizes, trained and
predicting: the time of a step in one slice and in two, and what :mod:`nbnet.train.step_builder` predicts. Where its
choice takes longer than the other by a tenth, the line is marked. ``--fit`` prints the constants that would fit best.
"""

from __future__ import annotations

import argparse
import gc
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

import nbnet as nb
from benchmarks.harness import machine
from benchmarks.harness.table import aligned
from nbnet.engine.gemm.blas import SingleThread
from nbnet.train import program_report
from nbnet.train.step_builder import CompiledStep, StepCost

#: Regret that is marked; seconds of a call; rows and bytes of the data that are gathered from.
REGRET, CALL, ROWS, BYTES = 1.1, 0.015, 1 << 16, 1 << 23
#: Multiply-adds of a step between which networks are timed.
LEAST, MOST = 30_000, 3_000_000_000
CLASSES = 10

NOTES = """\
µs a step: medians over the rounds, of calls of some 15 ms; to those of several slices is added a share of what it takes
to start threads, as much as the model reckons with. gain: one slice's time over that of several. model: what it says of
the same, and the number of slices that it chooses. * : that takes longer than the other by a tenth or more."""


@dataclass(eq=False)
class Case:
    """A program in one slice and in several, with data bound to it."""

    name: str
    kind: str
    rows: int
    slices: int
    work: StepCost
    runs: tuple[Callable[[int], float], Callable[[int], float]]
    steps: list[int] = field(default_factory=list)
    times: tuple[list[float], list[float]] = field(default_factory=lambda: ([], []))

    def medians(self) -> tuple[float, float]:
        """Nanoseconds a step in one slice, and in several, which have to be started."""
        one, several = (float(np.median(times)) * 1e9 for times in self.times)
        return one, several + self.work.starting(self.slices)


def dense(features: int, *units: int) -> Callable[[], nb.Sequential]:
    """Dense layers with dropout between them."""

    def make() -> nb.Sequential:
        layers: list[Any] = [nb.Input((features,))]
        for width in units:
            layers += [nb.layers.Dense(width, "relu"), nb.layers.Dropout(0.5)]
        return nb.Sequential([*layers, nb.layers.Dense(CLASSES, "softmax")])

    return make


def convolutional(size: int, channels: int, *filters: int) -> Callable[[], nb.Sequential]:
    """Convolutions of 3 x 3, each with pooling after it."""

    def make() -> nb.Sequential:
        layers: list[Any] = [nb.Input((size, size, channels))]
        for count in filters:
            layers += [nb.layers.Conv2D(count, 3, activation="relu"), nb.layers.MaxPooling2D()]
        return nb.Sequential([*layers, nb.layers.Flatten(), nb.layers.Dense(CLASSES, "softmax")])

    return make


def networks() -> Iterator[tuple[str, Callable[[], nb.Sequential], list[int]]]:
    """Name, network and batch sizes."""
    for width in (16, 32, 64, 128, 256, 512, 1024):
        yield f"{width}-{width}-{width}", dense(width, width, width), [8, 32, 128, 512, 2048, 4096]
    yield "16, 20 layers", dense(16, *[16] * 20), [32, 128, 512]
    yield "64, 10 layers", dense(64, *[64] * 10), [32, 128, 512]
    yield "digits", dense(64, 128, 64), [32]
    yield "tabular", dense(54, 256, 256), [128]
    yield "mnist", dense(784, 1024, 1024, 1024), [128]
    yield "12x12, 4 filters", convolutional(12, 1, 4), [2, 4, 8, 32]
    yield "28x28, 8-16 filters", convolutional(28, 1, 8, 16), [8, 32, 128]
    yield "32x32, 32-64 filters", convolutional(32, 3, 32, 64), [8, 32]


def cases(names: Sequence[str], slices: int) -> Iterator[Case]:
    """Yield the cases that are timed."""
    for name, make, sizes in networks():
        for rows in sizes:
            if names and not any(part in name for part in names):
                continue
            for kind in ("train", "predict"):
                made = _case(name, make, kind, rows, slices)
                if LEAST < made.work.multiply_adds < MOST:
                    yield made


def _case(name: str, make: Callable[[], nb.Sequential], kind: str, rows: int, slices: int) -> Case:
    runs, work = [], None
    for count in (1, slices):
        nb.set_random_seed(0)
        model = make()
        model.compile("adam", "sparse_categorical_crossentropy", slices=count)
        shape = model.input_shape[1:]
        draft = program_report.draft(model, kind, rows, (shape,))
        work = work or StepCost.of(draft)
        runs.append(_bound(draft.compile(), kind, shape))
    assert work is not None
    return Case(name, kind, rows, slices, work, (runs[0], runs[1]))


def _bound(batch: CompiledStep, kind: str, shape: tuple[int, ...]) -> Callable[[int], float]:
    """Seconds for so many steps."""
    rng, held = np.random.default_rng(0), 2 * batch.rows
    x = rng.random((held, *shape), dtype=np.float32)
    if kind == "train":
        n = max(ROWS, held)
        arrays: dict[str, NDArray[Any]] = {"x0": x, "y0": rng.integers(0, CLASSES, held)}
        arrays["order"] = np.resize(rng.permutation(held), n)
    else:
        n = max(BYTES // (4 * x[0].size) // batch.rows * batch.rows, held)
        arrays = {"x0": np.resize(x, (n, *shape)), "out0": np.empty((n, CLASSES), np.float32)}
    most = n // batch.rows

    def run(steps: int) -> float:
        batch.bind(**arrays)  # Their memory is held here.
        took = 0.0
        while steps:
            batch.cursor[0], now = 0, min(steps, most)
            began = time.perf_counter()
            batch.linked.run(now, 0)
            took += time.perf_counter() - began
            steps -= now
        return took

    return run


def measure(found: Sequence[Case], rounds: int) -> None:
    """Take turns."""
    with SingleThread():
        for case in found:
            for run in case.runs:
                run(2)
                case.steps.append(max(1, int(CALL / max(run(3), 1e-7))))
        for _ in range(rounds):
            for case in found:
                gc.collect(0)
                for run, steps, times in zip(case.runs, case.steps, case.times, strict=True):
                    times.append(run(steps) / steps)


def table(found: Sequence[Case], slices: int) -> str:
    """A line for each case, and how often the choice is wrong."""
    rows = [["", "", "batch", "µs: 1", str(slices), "gain", "model: 1", str(slices), "slices", ""]]
    wrong = 0
    for case in found:
        one, several = case.medians()
        chosen = case.work.best_slices(slices)
        taken = several if chosen > 1 else one
        mark = taken > REGRET * min(one, several)
        wrong += mark
        said = [f"{case.work.nanoseconds(n) / 1e3:.1f}" for n in (1, slices)]
        took = [f"{one / 1e3:.1f}", f"{several / 1e3:.1f}", f"{one / several:.2f}"]
        rows.append([case.name, case.kind, str(case.rows), *took, *said, str(chosen), "*" if mark else ""])
    return f"{aligned(rows)}\n\nchosen badly: {wrong} of {len(found)}"


def fitted(found: Sequence[Case], slices: int) -> str:
    """The constants that fit best, by relative errors."""
    times = np.array([case.medians() for case in found])
    works = np.array([case.work for case in found], np.float64)
    calls, products, elements, pooled, constant, updated, released = works.T
    training, added = updated > 0, updated - released
    single = np.column_stack([calls, products, elements, pooled, added, released])
    alone, _ = nnls(single / times[:, :1], np.ones(len(found)))
    shared = single[:, 1:4] @ alone[1:4] / slices
    starting = [case.work.starting(slices) for case in found]
    rest = times[:, 1] - starting - calls * alone[0] - added * alone[4] / slices - released * alone[5]
    several = np.column_stack([np.ones(len(found)), training, calls, constant, added, shared])
    more, _ = nnls(several / times[:, 1:], rest / times[:, 1])
    names = ["CALL", "MULTIPLY_ADD", "ELEMENT", "POOLED", "UPDATE", "RELEASED"]
    names += ["BARRIER", "TRAINING_BARRIER", "REPEATED_CALL", "REPEATED_ELEMENT", "ADD", "CONTENTION"]
    return ", ".join(f"{name} {value:.3g}" for name, value in zip(names, [*alone, *more], strict=True))


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table; see ``--help``."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.slices", description="Time batches cut into slices.")
    parser.add_argument("names", nargs="*", help="parts of the names of networks; all of them by default")
    parser.add_argument("--slices", type=int, default=2, help="how many instead of one (2)")
    parser.add_argument("--rounds", type=int, default=9, help="how often each program is timed (9)")
    parser.add_argument("--fit", action="store_true", help="print the constants that fit best, too")
    parser.add_argument("--quick", action="store_true", help="one round of the smallest: no measurement")
    options = parser.parse_args(arguments)
    if options.slices < 2 or options.rounds < 1:
        parser.error("--slices, --rounds: expected numbers from 2, and from 1")
    print("\n".join(machine.lines(machine.describe())), end="\n\n", flush=True)
    found = list(cases(["16-16-16"] if options.quick else options.names, options.slices))
    measure(found, 1 if options.quick else options.rounds)
    print(table(found, options.slices), NOTES, sep="\n\n")
    if options.fit:
        print(f"\n{fitted(found, options.slices)}")


if __name__ == "__main__":
    main()
