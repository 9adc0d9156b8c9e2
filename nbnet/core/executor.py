"""Run rows. The only module that turns an address into a call."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbnet.core import jit
from nbnet.core.abi import Memory
from nbnet.core.arena import address, aligned
from nbnet.core.jit import Function, device, intrinsic, link
from nbnet.core.layout import EVERY, WIDTH
from nbnet.core.processors import go_on
from nbnet.core.servers import serve

Rows = NDArray[np.int64]


@intrinsic
def call_row(mem: Any, rows: Any, index: int, step: int) -> None:
    """Call the kernel whose address stands in row ``index``."""
    jit.python_kernel(int(rows[index, 0]))(mem, rows[index], step)


@intrinsic
def turns(rows: Any, index: int) -> int:
    """In how many steps row ``index`` has its turn once."""
    return int(rows[index, EVERY])


@intrinsic
def barrier(cell: Any, arrivals: int) -> None:
    """Wait for the other slices; Python runs them in turn, so nobody is late."""


@intrinsic
def flush_denormals() -> int:
    """Treat denormal numbers as zero from here on: the moments of weights at rest decay into them, and they are
    slow."""
    return 0


@intrinsic
def restore_denormals(before: int) -> None:
    """Treat denormal numbers as before."""


@device
def _take_steps(
    mem: Any,
    rows: Any,
    spans: Any,
    first: int,
    phases: int,
    slices: int,
    number: int,
    sync: Any,
    steps: int,
    step: int,
    arrivals: int,
) -> int:
    """Slice ``number``'s part of ``steps`` steps: in each, phase after phase, with all slices meeting between them.

    ``spans[first + (p * slices + number) * 2]`` and the cell after it bound the rows of phase p. Returns how often
    slices have arrived at meetings.
    """
    for _ in range(steps):
        for p in range(phases):
            at = first + (p * slices + number) * 2
            for i in range(spans[at], spans[at + 1]):
                every = turns(rows, i)
                if every == 1:
                    call_row(mem, rows, i, step)
                elif (step + 1) % every == 0:
                    call_row(mem, rows, i, step // every)
            if slices > 1:
                arrivals += slices
                barrier(sync, arrivals)
        step += 1
    return arrivals


def _run(
    mem: Any, rows: Any, spans: Any, phases: int, slices: int, number: int, sync: Any, steps: int, step: int
) -> None:
    """Steps of one program."""
    before = flush_denormals()
    _take_steps(mem, rows, spans, 0, phases, slices, number, sync, steps, step, 0)
    restore_denormals(before)


def _run_legs(
    mem: Any, rows: Any, plan: Any, count: int, slices: int, number: int, sync: Any, legs: int, unused: int
) -> None:
    """Steps of several programs, in turn.

    Each of ``count`` legs is four numbers from ``plan[legs]`` on: where in the plan its spans begin, phases, steps,
    number of the first step.
    """
    arrivals, before = 0, flush_denormals()
    for leg in range(count):
        k = legs + 4 * leg
        first, phases, steps, step = plan[k], plan[k + 1], plan[k + 2], plan[k + 3]
        arrivals = _take_steps(mem, rows, plan, first, phases, slices, number, sync, steps, step, arrivals)
    restore_denormals(before)


RUN, RUN_LEGS = Function(_run, "run"), Function(_run_legs, "run_legs")


@functools.cache
def _compiled(function: Function = RUN) -> Any:
    i64, pointer = ctypes.c_int64, ctypes.c_void_p
    prototype = ctypes.CFUNCTYPE(None, pointer, pointer, pointer, i64, i64, i64, pointer, i64, i64)
    return prototype(link([function], np.dtype(np.float64))[0])


class Runner:
    """Linked rows, ready to be run again and again.

    Parameters
    ----------
    mem
        Address of the arena.
    dtype
        Of the model.
    rows
        int64 (n, WIDTH), linked: column ``KERNEL`` holds addresses.
    spans
        int64 (phases, slices, 2): the rows of each slice in each phase.
    """

    def __init__(self, mem: int, dtype: np.dtype[Any], rows: Rows, spans: NDArray[np.int64]) -> None:
        self.mem, self.dtype, self.rows, self.spans = mem, dtype, rows, np.ascontiguousarray(spans)
        self.slices = spans.shape[1]
        # Arrivals at meetings are counted in a cache line of their own.
        self._sync = aligned(16, np.int64)
        self._args = (mem, address(rows), address(self.spans), len(spans), self.slices)
        self._meeting = address(self._sync)

    def __call__(self, steps: int, step: int) -> None:
        """Run ``steps`` steps, the first of which has number ``step``. The interpreter is free meanwhile; a thread
        serves each slice."""
        go_on()
        if jit.DISABLE_JIT:
            _run_in_python(Memory(self.mem, self.dtype), self.rows, self.spans, steps, step)
            return
        self._sync[0] = 0
        serve(_compiled(), self._args, self.slices, (self._meeting, steps, step))


class Legs:
    """Programs of one model whose steps are taken in one call, in legs of so many steps of one of them.

    Parameters
    ----------
    mem, dtype, rows
        As of a :class:`Runner`: the rows of all programs, which may lie anywhere seen from one address.
    spans
        Of each program, for as many slices.
    """

    def __init__(self, mem: int, dtype: np.dtype[Any], rows: Rows, spans: Sequence[NDArray[np.int64]]) -> None:
        self.mem, self.dtype, self.rows, self.spans = mem, dtype, rows, spans
        self._flat = np.concatenate([part.reshape(-1) for part in spans])
        sizes = np.array([part.size for part in spans], np.int64)
        self._begin, self._phases = sizes.cumsum() - sizes, np.array([len(part) for part in spans], np.int64)
        self._sync = aligned(16, np.int64)

    def __call__(self, legs: NDArray[np.int64]) -> None:
        """Take the steps of legs (n, 3): the program's index, the number of steps, that of the first."""
        go_on()
        if jit.DISABLE_JIT:
            for which, steps, step in legs.tolist():
                _run_in_python(Memory(self.mem, self.dtype), self.rows, self.spans[which], steps, step)
            return
        which, (start, slices) = legs[:, 0], (len(self._flat), self.spans[0].shape[1])
        made = np.column_stack([self._begin[which], self._phases[which], legs[:, 1:]])
        plan = np.concatenate([self._flat, made.reshape(-1)])
        self._sync[0] = 0
        args = self.mem, address(self.rows), address(plan), len(made), slices
        serve(_compiled(RUN_LEGS), args, slices, (address(self._sync), start, 0))


def _run_in_python(memory: Memory, rows: Rows, spans: NDArray[np.int64], steps: int, step: int) -> None:
    flat, slices = spans.reshape(-1), spans.shape[1]
    with np.errstate(all="ignore"):
        for s in range(steps):
            for p in range(len(spans)):
                for t in range(slices):
                    _run(memory, rows, flat[2 * p * slices :], 1, slices, t, None, 1, step + s)


_ONE, _UNUSED = np.array([[[0, 1]]], np.int64), np.zeros(16, np.int64)
_ONE_ADDRESS, _UNUSED_ADDRESS = address(_ONE), address(_UNUSED)


def run_row(dtype: np.dtype[Any], row: Rows, step: int) -> None:
    """Run one linked row whose operands are absolute addresses: what the eager tape does."""
    if jit.DISABLE_JIT:
        Runner(0, dtype, row.reshape(1, WIDTH), _ONE)(1, step)
    else:
        _compiled()(0, address(row), _ONE_ADDRESS, 1, 1, 0, _UNUSED_ADDRESS, 1, step)
