"""Time the matrix products of a training step, nbnet's against each BLAS: ``python -m benchmarks.products``."""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm
import numpy as np
from numpy.typing import DTypeLike, NDArray

from benchmarks.harness import learners, machine
from benchmarks.harness.table import aligned, spread
from benchmarks.harness.turns import ratios
from benchmarks.harness.workloads import WORKLOADS
from nbnet.engine.gemm import blas
from nbnet.engine.gemm.dispatch import GEMM
from nbnet.engine.jit.linker import link

NOTES = """\
GFLOP/s on one thread: medians over rounds in which all take turns; own is nbnet's product, "auto" in NBNET_BLAS.
Products with zeros count as done, though nbnet leaves them out where they are many (--zeros .75: ReLU and dropout).
warm: the same operands each time. cold: operands take turns, so that each time they come from beyond the second cache,
as weights do in a step. own / best: against whichever library is faster in that line; for a workload, the time that the
best one needs for each product, all together, over nbnet's."""

#: Libraries that nbnet is compared with.
LIBRARIES = ("openblas", "mkl")
#: Letters, numbers and matrices of Fortran's gemm, all by reference.
WORDS = 13
#: Bytes of operands that take turns where they are to be cold.
COLD_BYTES = 24 << 20

_REPEAT = """
define void @repeat(ptr %gemm, ptr %calls, i64 %count, i64 %copies) {{
entry:
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %next, %loop ]
  %turn = urem i64 %i, %copies
  %first = mul i64 %turn, {words}
  %call = getelementptr i64, ptr %calls, i64 %first
{loads}
  call void %gemm({arguments})
  %next = add i64 %i, 1
  %more = icmp slt i64 %next, %count
  br i1 %more, label %loop, label %done
done:
  ret void
}}
"""


@dataclass(frozen=True)
class Product:
    """``op(a) @ op(b)``: (m, n), inner length k."""

    form: str
    m: int
    n: int
    k: int
    ta: bool = False
    tb: bool = False

    @property
    def flops(self) -> int:
        return 2 * self.m * self.n * self.k


def products_of(sizes: Sequence[int], rows: int) -> Iterator[Product]:
    """Those of a training step: three for each layer, but for the gradient of the input, which nobody needs."""
    for layer, (n, m) in enumerate(pairwise(sizes)):
        yield Product("x w", rows, m, n)
        yield Product("x' dy", n, m, rows, ta=True)
        if layer:
            yield Product("dy w'", rows, n, m, tb=True)


class Operands:
    """Operands of a product, in so many copies, and the words with which each library is called for them. A share of
    the first one's elements is zero."""

    def __init__(self, product: Product, dtype: DTypeLike, cold: bool, zeros: float = 0.0) -> None:
        p, self.dtype = product, np.dtype(dtype)
        size = (p.m * p.k + p.k * p.n + p.m * p.n) * self.dtype.itemsize
        self.copies = max(2, -(-COLD_BYTES // size)) if cold else 1
        rng = np.random.default_rng(0)
        self.a, self.b = (_copies(rng, s, self.copies, self.dtype) for s in (p.m * p.k, p.k * p.n))
        self.a[rng.random(self.a.shape) < zeros] = 0
        self.c = _copies(rng, p.m * p.n, self.copies, self.dtype)
        letters = [np.frombuffer(b"T" if t else b"N", np.uint8) for t in (p.tb, p.ta)]
        numbers = [np.array(v, np.int64) for v in (p.n, p.m, p.k, p.n if not p.tb else p.k, p.m if p.ta else p.k)]
        one, zero = np.ones(1, self.dtype), np.zeros(1, self.dtype)
        n, m, k, b_width, a_width = numbers
        self.held = [letters, numbers, one, zero]
        self.own = np.array([
            [a.ctypes.data, p.m if p.ta else p.k, p.ta, b.ctypes.data, p.tb, c.ctypes.data, p.m, p.n, p.k, 0, 0, 0, 0]
            for a, b, c in zip(self.a, self.b, self.c, strict=True)
        ], np.int64)  # fmt: skip
        # Fortran sees every matrix transposed: the factors change places.
        self.fortran = np.array([
            [v.ctypes.data for v in (*letters, n, m, k, one, b, b_width, a, a_width, zero, c, n)]
            for a, b, c in zip(self.a, self.b, self.c, strict=True)
        ], np.int64)  # fmt: skip


def _copies(rng: np.random.Generator, size: int, copies: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Each begins at a multiple of 64 bytes, as operands in the arena do."""
    pitch = -(-size * dtype.itemsize // 64) * 64 // dtype.itemsize
    block = np.empty(copies * pitch + 64 // dtype.itemsize, dtype)
    skip = -block.ctypes.data % 64 // dtype.itemsize
    block[:] = rng.uniform(-1, 1, block.size)
    return block[skip : skip + copies * pitch].reshape(copies, pitch)[:, :size]


class Repeat:
    """Calls a function many times without Python in between."""

    def __init__(self) -> None:
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        loads = "\n".join(
            f"  %p{i} = getelementptr i64, ptr %call, i64 {i}\n  %a{i} = load i64, ptr %p{i}" for i in range(WORDS)
        )
        text = _REPEAT.format(words=WORDS, loads=loads, arguments=", ".join(f"i64 %a{i}" for i in range(WORDS)))
        target = llvm.Target.from_default_triple().create_target_machine(jit=True)
        self._engine = llvm.create_mcjit_compiler(llvm.parse_assembly(text), target)
        self._engine.finalize_object()
        kind = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)
        self._function = kind(self._engine.get_function_address("repeat"))

    def __call__(self, address: int, words: NDArray[np.int64], count: int) -> float:
        """Seconds a call takes."""
        began = time.perf_counter()
        self._function(address, words.ctypes.data, count, len(words))
        return (time.perf_counter() - began) / count


@dataclass(frozen=True)
class Line:
    """A product, measured: seconds it took each library, in each round."""

    product: Product
    cold: bool
    seconds: dict[str, list[float]]

    def gflops(self, name: str) -> float:
        return self.product.flops / self.median(name) / 1e9

    def median(self, name: str) -> float:
        return float(np.median(self.seconds[name]))

    def best(self) -> float:
        """Seconds of the fastest library that is not nbnet."""
        return min(self.median(name) for name in self.seconds if name != "own")


def addresses(dtype: DTypeLike) -> dict[str, int]:
    """Where products begin: nbnet's own, and those of the libraries at hand, on one thread."""
    found = {"own": link([GEMM], np.dtype(dtype))[0]}
    for name in LIBRARIES:
        try:
            library = blas.library(name)
        except ValueError as error:
            print(f"left out: {name}; {error}")
            continue
        if library.threads is not None:
            library.threads[1](1)
        found[name] = library.sgemm if np.dtype(dtype) == np.float32 else library.dgemm
    return found


def measure(product: Product, dtype: DTypeLike, cold: bool, rounds: int, seconds: float, zeros: float = 0.0) -> Line:
    """Let all take turns, so many seconds each."""
    repeat, operands, found = Repeat(), Operands(product, dtype, cold, zeros), addresses(dtype)
    words = {name: operands.own if name == "own" else operands.fortran for name in found}
    once = {name: repeat(found[name], words[name], 2 * operands.copies) for name in found}
    times: dict[str, list[float]] = {name: [] for name in found}
    for _ in range(rounds):
        for name in found:
            times[name].append(repeat(found[name], words[name], max(1, round(seconds / once[name]))))
    return Line(product, cold, times)


def report(lines: Sequence[Line]) -> str:
    """A table of products."""
    names = list(lines[0].seconds)
    rows = [["product", "m x n x k", "operands", *(f"{name} GFLOP/s" for name in names), "own / best"]]
    for line in lines:
        p = line.product
        speeds = [f"{line.gflops(name):.1f}" for name in names]
        ratio = f"{line.best() / line.median('own'):.2f}" if len(names) > 1 else "-"
        rows.append([p.form, f"{p.m} x {p.n} x {p.k}", "cold" if line.cold else "warm", *speeds, ratio])
    return aligned(rows)


def share(sizes: Sequence[int], rows: int, lines: Sequence[Line]) -> float:
    """Of the best library's GFLOP/s that nbnet reaches, over all products of a step, cold."""
    found = {line.product: line for line in lines if line.cold}
    wanted = [found[product] for product in products_of(sizes, rows)]
    return sum(line.best() for line in wanted) / sum(line.median("own") for line in wanted)


def steps(names: Sequence[str], rounds: int, seconds: float) -> str:
    """Microseconds of a whole training step for each ``NBNET_BLAS``; each turn in a process of its own."""
    choices = [name for name in ("auto", *LIBRARIES) if name == "auto" or _there(name)]
    rows = [["us / training step", *choices, *(f"{name} / auto" for name in choices[1:])]]
    for name in names:
        times: dict[str, list[float]] = {choice: [] for choice in choices}
        for _ in range(rounds):
            for choice in choices:
                command = [sys.executable, "-m", "benchmarks.products", "--turn", name, "--seconds", str(seconds)]
                environment = {**os.environ, "NBNET_BLAS": choice}
                done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
                times[choice].append(float(done.stdout))
        over = [spread(ratios(times[choice], times["auto"])) for choice in choices[1:]]
        rows.append([name, *(spread(times[choice]) for choice in choices), *over])
    return aligned(rows)


def _there(choice: str) -> bool:
    try:
        return blas.library(choice).sgemm > 0
    except ValueError:
        return False


def turn(name: str, seconds: float) -> float:
    """Microseconds of a training step of a workload in this process."""
    load = WORKLOADS[name]
    x, y = load.make()
    train = learners.start("nbnet", load, (x, y))
    train(1)
    began, epochs = time.perf_counter(), 0
    while not epochs or time.perf_counter() - began < seconds:
        train(1)
        epochs += 1
    return (time.perf_counter() - began) / (epochs * -(-len(x) // load.batch_size)) * 1e6


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the tables; see ``--help``."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.products", description="Time matrix products.")
    parser.add_argument("--workloads", nargs="+", choices=WORKLOADS, default=list(WORKLOADS), metavar="NAME")
    parser.add_argument("--rounds", type=int, default=9, help="how often each takes its turn (9)")
    parser.add_argument("--seconds", type=float, default=0.004, help="length of a turn (0.004)")
    parser.add_argument("--dtype", choices=("float32", "float64"), default="float32")
    parser.add_argument("--zeros", type=float, default=0.0, help="share of the first factor that is zero (0)")
    parser.add_argument("--steps", action="store_true", help="time whole training steps for each BLAS instead")
    parser.add_argument("--turn", choices=WORKLOADS, help=argparse.SUPPRESS)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every number there, too")
    options = parser.parse_args(arguments)
    if options.rounds < 1 or not options.seconds > 0:
        parser.error("--rounds and --seconds: expected numbers above 0")
    if not 0 <= options.zeros <= 1:
        parser.error("--zeros: expected a number from 0 to 1")
    if options.turn:
        print(turn(options.turn, options.seconds))
        return
    described = machine.describe()
    print("\n".join(machine.lines(described)), end="\n\n", flush=True)
    if options.steps:
        print(steps(options.workloads, options.rounds, options.seconds))
        return
    results = {}
    for name in options.workloads:
        load = WORKLOADS[name]
        for rows in (load.batch_size, load.batch_size // 2):
            lines = [
                measure(product, options.dtype, cold, options.rounds, options.seconds, options.zeros)
                for product in dict.fromkeys(products_of(load.sizes, rows))
                for cold in (True, False)
            ]
            results[f"{name}, {rows} rows"] = [asdict(line) for line in lines]
            print(f"{name}, {rows} rows\n{report(lines)}")
            if len(lines[0].seconds) > 1:
                print(f"own / best of a step's products, cold: {share(load.sizes, rows, lines):.2f}")
            print(flush=True)
    print(NOTES)
    if options.json:
        options.json.write_text(json.dumps({"machine": described, "results": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
