"""Time every kernel beside what limits it: ``python -m benchmarks.kernels [names...]``."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.harness import machine
from benchmarks.harness.table import aligned
from benchmarks.kernel_cases.calls import Subject, subjects
from nbnet.engine.graph.tensor import Call, Tensor, row_of
from nbnet.engine.kernels.abi import kernel, vec
from nbnet.engine.kernels.executor import RowRunner
from nbnet.engine.kernels.executor import aligned as memory

NOTES = """\
One thread. ns: for an element of the largest operand; of products, for a multiply-add.
rate: GB/s of all that is read and written, each once; of products, GFLOP/s. limit: of copying as many bytes, with the
faster of NumPy and a kernel, or of changing them in place, where the kernel does; of the same products in NumPy's BLAS.
times: limit over rate.
Each the best of several rounds, in which kernel and limit take turns."""

#: Rows and columns that fit in the second-level cache, and such as do not, though perhaps in the third.
IN_CACHE, IN_MEMORY = (256, 64), (65536, 64)
#: Simple kernels take no longer for an element, in the cache.
SLOW = 1.0
#: Calls before those that are timed: the third-level cache keeps what has been read more than once.
WARM = 3
ONE_ROW = np.array([[[0, 1]]], np.int64)


@kernel
def copy(mem: Any, ins: Any, step: Any) -> None:
    x, y = vec(mem, ins, 0), vec(mem, ins, 1)
    for i in range(y.size):
        y[i] = x[i]


@kernel
def change(mem: Any, ins: Any, step: Any) -> None:
    y = vec(mem, ins, 0)
    for i in range(y.size):
        y[i] = -y[i]


@dataclass(frozen=True)
class Measured:
    """A kernel, the seconds a call took, and those its limit took."""

    subject: Subject
    seconds: float
    limit: float

    @property
    def per_element(self) -> float:
        """Nanoseconds."""
        return self.seconds / self.subject.elements * 1e9

    @property
    def work(self) -> float:
        """Gigabytes, or 1e9 operations."""
        return (2 * self.subject.elements if self.subject.products else self.subject.nbytes) / 1e9

    @property
    def times(self) -> float:
        """How much longer it took than the limit."""
        return self.seconds / self.limit


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table; see ``--help``."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.kernels", description="Time kernels and their limits.")
    parser.add_argument("names", nargs="*", help="of ops, optimizers and rows that feed; by default all")
    parser.add_argument("--dtype", choices=("float32", "float64"), default="float32")
    parser.add_argument("--rounds", type=int, default=15, help="how often each is timed (15)")
    parser.add_argument("--rows", type=int, help=f"instead of {IN_CACHE[0]} in the cache, {IN_MEMORY[0]} out of it")
    parser.add_argument("--columns", type=int, default=IN_CACHE[1], help=f"of the operands ({IN_CACHE[1]})")
    parser.add_argument("--size", choices=("cache", "memory", "both"), default="both")
    parser.add_argument("--slow", action="store_true", help=f"only what takes more than {SLOW:g} ns in the cache")
    parser.add_argument("--quick", action="store_true", help="two short rounds on a few rows: no measurement")
    options = parser.parse_args(arguments)
    if min(options.rounds, options.columns, options.rows or 1) < 1:
        parser.error("--rounds, --rows, --columns: expected numbers above 0")
    print("\n".join(machine.lines(machine.describe())), flush=True)
    rounds, seconds = (2, 1e-6) if options.quick else (options.rounds, 1e-4)
    sizes = ("cache", "memory") if options.size == "both" else (options.size,)
    for size in ("cache",) if options.quick or options.slow else sizes:
        n = options.rows or (16 if options.quick else (IN_CACHE if size == "cache" else IN_MEMORY)[0])
        found = run(options.names, options.dtype, n, options.columns, rounds, seconds, products=size == "cache")
        if options.slow:
            found = [one for one in found if one.per_element > SLOW]
        print(f"\n{n} rows of {options.columns} {options.dtype}\n\n{table(found)}", flush=True)
    print(f"\n{NOTES}")


def run(
    names: Sequence[str], dtype: str, n: int, m: int, rounds: int, seconds: float, products: bool = True
) -> list[Measured]:
    """Time kernels, the one farthest from its limit first.

    Parameters
    ----------
    names
        Parts of the names of ops, optimizers and rows whose kernels are timed; if empty, all kernels are timed.
    dtype
        float32 or float64.
    n, m
        Rows and columns of most operands.
    rounds, seconds
        Number of times that each kernel is timed, and the least time that each of them lasts.
    products
        True to time the kernels that multiply matrices, too.

    Raises
    ------
    ValueError
        If there are no kernels of these names.
    """
    found = []
    with threadpool_limits(1, user_api="blas"):
        for subject in subjects(dtype, n, m, lambda name: not names or any(part in name for part in names)):
            if products or not subject.products:
                found.append(measure(subject, rounds, seconds))
    if not found:
        raise ValueError(f"names: no kernel has a name with one of {list(names)} in it")
    return sorted(found, key=lambda one: -one.times)


def measure(subject: Subject, rounds: int, seconds: float) -> Measured:
    """Best times of a kernel and its limit, which take turns."""
    runs = [repeated(subject.call), *limits(subject)]
    counts = [_count(one, seconds) for one in runs]
    best = [np.inf] * len(runs)
    for _ in range(rounds):
        for k, (one, count) in enumerate(zip(runs, counts, strict=True)):
            one(WARM)
            best[k] = min(best[k], _time(one, count))
    return Measured(subject, best[0], min(best[1:]))


def repeated(call: Call) -> Callable[[int], None]:
    """Return a function that repeats a call a given number of times."""
    run = RowRunner(0, call.dtype, row_of(call).reshape(1, -1), ONE_ROW)
    return lambda count: run(count, 0)


def limits(subject: Subject) -> list[Callable[[int], None]]:
    """Return functions that repeat the least work that a call has to do a given number of times."""
    if subject.products:
        return [_blas(subject)]
    dtype = subject.call.dtype
    size = max(subject.nbytes // 2 // dtype.itemsize, 16)
    x, y = memory(size, dtype), memory(size + 80, dtype)[80:]
    x[:] = y[:] = 0
    operands = Tensor(x.shape, dtype, x), Tensor(y.shape, dtype, y)

    def copies(count: int) -> None:
        for _ in range(count):
            np.copyto(y, x)

    found = [copies, repeated(Call(copy, operands, (1,), 0, 0, (), "copy", dtype))]
    if subject.changed > subject.nbytes // 4:
        # The written memory has been read, so it need not be fetched, unlike the target of a copy.
        found.append(repeated(Call(change, operands[1:], (0,), 1, 0, (), "change", dtype)))
    return found


def _blas(subject: Subject) -> Callable[[int], None]:
    dtype = subject.call.dtype
    operands = [
        tuple(np.ones(shape, dtype) for shape in ((rows, inner), (inner, columns), (rows, columns)))
        for rows, inner, columns in subject.products
    ]

    def multiply(count: int) -> None:
        for _ in range(count):
            for a, b, out in operands:
                np.dot(a, b, out=out)

    return multiply


def _time(run: Callable[[int], None], count: int) -> float:
    began = time.perf_counter()
    run(count)
    return (time.perf_counter() - began) / count


def _count(run: Callable[[int], None], seconds: float) -> int:
    """How many calls last that long."""
    count = 1
    while (took := _time(run, count) * count) < seconds:
        count *= max(2, min(10, int(seconds / max(took, 1e-9))))
    return count


def table(found: Sequence[Measured]) -> str:
    """A line for each."""
    rows = [["kernel", "ns", "rate", "limit", "times"]]
    for one in found:
        rates = [f"{one.work / seconds:.1f}" for seconds in (one.seconds, one.limit)]
        unit = " *" if one.subject.products else ""
        rows.append([one.subject.name + unit, f"{one.per_element:.3f}", *rates, f"{one.times:.2f}"])
    return aligned(rows)


if __name__ == "__main__":
    main()
