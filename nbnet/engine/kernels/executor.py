"""Run instruction rows, on a thread for each slice: the only module that turns an address into a call.

Aligned memory, and the addresses that rows hold, are made here, too.
"""

from __future__ import annotations

import ctypes
import functools
import sys
from collections.abc import Sequence
from itertools import starmap
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbnet.base.cpu import check_cancelled
from nbnet.engine.jit import linker
from nbnet.engine.jit.compiler import register_symbols
from nbnet.engine.jit.function import CHECKED
from nbnet.engine.jit.linker import Function, device, intrinsic, link
from nbnet.engine.kernels.abi import Memory
from nbnet.engine.kernels.layout import EVERY, RED_ZONE, WIDTH
from nbnet.engine.kernels.thread_pool import run_parallel

if CHECKED:
    from nbnet.engine.kernels.checked import run_checked, symbols, watch

    register_symbols(symbols)

ALIGNMENT = 64
#: True if each row is a call of its own, from Python.
ROW_BY_ROW = linker.DISABLE_JIT or CHECKED


def aligned(count: int, dtype: Any) -> NDArray[Any]:
    """A zeroed vector whose address is a multiple of 64 bytes: a cache line, and the widest vector register."""
    dtype = np.dtype(dtype)
    raw = np.zeros(count * dtype.itemsize + ALIGNMENT + 2 * RED_ZONE, np.uint8)
    start = RED_ZONE + -raw.ctypes.data % ALIGNMENT
    if CHECKED:
        watch(raw, start, count * dtype.itemsize)
    return raw[start : start + count * dtype.itemsize].view(dtype)


def _empty(shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
    return aligned(prod(shape), dtype).reshape(shape)


#: ``empty(shape, dtype)``: an array for the result of a call.
empty = _empty if CHECKED else np.empty


def address(array: NDArray[Any]) -> int:
    """Address of an array's first element."""
    return int(array.__array_interface__["data"][0])


def round_up(nbytes: int) -> int:
    """The next multiple of the alignment."""
    return -(-nbytes // ALIGNMENT) * ALIGNMENT


Rows = NDArray[np.int64]

compiled = intrinsic("nbnet.engine.llvm.executor")


@register_symbols
def _symbols() -> dict[str, int]:
    """The system's function that yields the processor; a thread that waits for others calls it."""
    if sys.platform == "win32":
        function = ctypes.WinDLL("kernel32").SwitchToThread
    else:
        function = ctypes.CDLL(None).sched_yield
    return {"nbnet_yield": ctypes.cast(function, ctypes.c_void_p).value or 0}


@compiled
def call_row(mem: Any, rows: Any, index: int, step: int) -> None:
    """Call the kernel whose address stands in row ``index``."""
    kernel, dtype = linker.python_kernel(int(rows[index, 0]))
    kernel(mem._replace(dtype=dtype), rows[index], step)


@compiled
def turns(rows: Any, index: int) -> int:
    """Row ``index`` runs once in this many steps."""
    return int(rows[index, EVERY])


@compiled
def barrier(cell: Any, arrivals: int) -> None:
    """Wait for the other slices; Python runs them in turn, so there is nothing to wait for."""


@compiled
def flush_denormals() -> int:
    """Treat denormal numbers as zero: moments of weights at rest decay into them, and arithmetic on them is slow."""
    return 0


@compiled
def restore_denormals(before: int) -> None:
    """Treat denormal numbers as before."""


@device
def _take_steps(
    mem: Any, rows: Any, spans: Any, first: int, phases: int, slices: int, number: int, sync: Any, steps: int,
    step: int, arrivals: int
) -> int:  # fmt: skip
    """Run the part of slice ``number`` in ``steps`` steps: in each, phase after phase, with a barrier after each phase.

    ``spans[first + (p * slices + number) * 2]`` and the cell after it bound the rows of phase p. Returns the number of
    arrivals at barriers so far.
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
    """Run steps of one program."""
    before = flush_denormals()
    _take_steps(mem, rows, spans, 0, phases, slices, number, sync, steps, step, 0)
    restore_denormals(before)


def _run_segments(
    mem: Any, rows: Any, plan: Any, count: int, slices: int, number: int, sync: Any, start: int, unused: int
) -> None:
    """Run steps of several programs, in turn.

    Each of ``count`` segments is four numbers from ``plan[start]`` on: where in the plan its spans begin, the number of
    phases, the number of steps, and the number of the first step.
    """
    arrivals, before = 0, flush_denormals()
    for segment in range(count):
        k = start + 4 * segment
        first, phases, steps, step = plan[k], plan[k + 1], plan[k + 2], plan[k + 3]
        arrivals = _take_steps(mem, rows, plan, first, phases, slices, number, sync, steps, step, arrivals)
    restore_denormals(before)


_PARAMETERS = ("address", "int64*", "int64*", "int64", "int64", "int64", "int64*", "int64", "int64")
RUN = Function(_run, "run", parameters=_PARAMETERS)
RUN_SEGMENTS = Function(_run_segments, "run_segments", parameters=_PARAMETERS)


@functools.cache
def _entry(function: Function = RUN) -> Any:
    i64, pointer = ctypes.c_int64, ctypes.c_void_p
    prototype = ctypes.CFUNCTYPE(None, pointer, pointer, pointer, i64, i64, i64, pointer, i64, i64)
    return prototype(link([function], np.dtype(np.float64))[0])


class RowRunner:
    """Linked rows, ready to be run again and again: int64 (n, WIDTH), column ``KERNEL`` holds addresses.

    ``mem`` is the address of the arena. The rows of each slice in each phase are in ``spans``, int64 (phases, slices,
    2).
    """

    def __init__(self, mem: int, dtype: np.dtype[Any], rows: Rows, spans: NDArray[np.int64]) -> None:
        self.mem, self.dtype, self.rows, self.spans = mem, dtype, rows, np.ascontiguousarray(spans)
        self.slices = spans.shape[1]
        # Arrivals at barriers are counted in a cache line of their own.
        self._sync = aligned(16, np.int64)
        self._args = (mem, address(rows), address(self.spans), len(spans), self.slices)
        self._barrier = address(self._sync)

    def __call__(self, steps: int, step: int) -> None:
        """Run ``steps`` steps, the first of which has number ``step``, on a thread for each slice, with the interpreter
        lock released."""
        check_cancelled()
        if ROW_BY_ROW:
            _run_in_python(Memory(self.mem, self.dtype), self.rows, self.spans, steps, step)
            return
        if self.slices == 1:
            _entry()(*self._args, 0, self._barrier, steps, step)
            return
        self._sync[0] = 0
        run_parallel(_entry(), self._args, self.slices, (self._barrier, steps, step))


class SegmentRunner:
    """Programs of one model that one compiled call runs in turn, in segments: some steps of one program.

    The arguments are those of :class:`RowRunner`, with the rows of all programs, whose offsets count from ``mem``, and
    the spans of each, all with the same number of slices.
    """

    def __init__(self, mem: int, dtype: np.dtype[Any], rows: Rows, spans: Sequence[NDArray[np.int64]]) -> None:
        self.mem, self.dtype, self.rows, self.spans = mem, dtype, rows, spans
        self._flat = np.concatenate([part.reshape(-1) for part in spans])
        sizes = np.array([part.size for part in spans], np.int64)
        self._begin, self._phases = sizes.cumsum() - sizes, np.array([len(part) for part in spans], np.int64)
        self._sync = aligned(16, np.int64)

    def __call__(self, segments: NDArray[np.int64]) -> None:
        """Run segments, (n, 3): index of the program, number of steps, number of the first step."""
        check_cancelled()
        if ROW_BY_ROW:
            for which, steps, step in segments.tolist():
                _run_in_python(Memory(self.mem, self.dtype), self.rows, self.spans[which], steps, step)
            return
        which, (start, slices) = segments[:, 0], (len(self._flat), self.spans[0].shape[1])
        made = np.column_stack([self._begin[which], self._phases[which], segments[:, 1:]])
        plan = np.concatenate([self._flat, made.reshape(-1)])
        self._sync[0] = 0
        args = self.mem, address(self.rows), address(plan), len(made), slices
        run_parallel(_entry(RUN_SEGMENTS), args, slices, (address(self._sync), start, 0))


class PhaseRunner:
    """A program of one slice whose phases see numbers of steps of their own.

    The arguments are those of :class:`RowRunner`.
    """

    def __init__(self, mem: int, dtype: np.dtype[Any], rows: Rows, spans: NDArray[np.int64]) -> None:
        self.mem, self.dtype, self.rows, self.spans = mem, dtype, rows, spans
        count = len(spans)
        self._once = np.zeros((count, 4), np.int64)
        self._once[:, :3] = np.column_stack([2 * np.arange(count), np.ones((count, 2), np.int64)])
        self._sync = aligned(16, np.int64)
        self._kept = self._planned(self._once)

    def _planned(self, segments: NDArray[np.int64]) -> tuple[NDArray[np.int64], tuple[int, ...]]:
        """A plan, and the arguments of the call that runs it."""
        start, count = self.spans.size, len(segments)
        plan = np.concatenate([self.spans.reshape(-1), segments.reshape(-1)])
        return plan, (self.mem, address(self.rows), address(plan), count, 1, 0, address(self._sync), start, 0)

    def __call__(self, first: Sequence[int], ran: list[None]) -> None:
        """Run each phase once, with its number of the step; then ``ran`` has an element.

        It gets it in the same call into C, so that no signal handler comes in between.
        """
        check_cancelled()
        if ROW_BY_ROW:
            self.repeat(1, first, [0] * len(first), ran)
            return
        plan, arguments = self._kept
        plan[self.spans.size + 3 :: 4] = first
        ran.extend(starmap(_entry(RUN_SEGMENTS), [arguments]))

    def repeat(self, times: int, first: Sequence[int], stride: Sequence[int], ran: list[None]) -> None:
        """Run all phases several times; the numbers of a phase begin at ``first``, ``stride`` apart.

        Then ``ran`` has an element.
        """
        check_cancelled()
        numbers = np.add(first, np.multiply.outer(np.arange(times), stride))
        if ROW_BY_ROW:
            for steps in numbers.tolist():
                for p, step in enumerate(steps):
                    _run_in_python(Memory(self.mem, self.dtype), self.rows, self.spans[p : p + 1], 1, step)
            ran.append(None)
            return
        segments = np.tile(self._once, (times, 1))
        segments[:, 3] = numbers.reshape(-1)
        plan = self._planned(segments)
        ran.extend(starmap(_entry(RUN_SEGMENTS), [plan[1]]))


def _run_in_python(memory: Memory, rows: Rows, spans: NDArray[np.int64], steps: int, step: int) -> None:
    flat, slices = spans.reshape(-1), spans.shape[1]
    with np.errstate(all="ignore"):
        for s in range(steps):
            for p in range(len(spans)):
                for t in range(slices):
                    if CHECKED:
                        _run_checked(memory, rows, spans[p, t], step + s)
                    else:
                        _run(memory, rows, flat[2 * p * slices :], 1, slices, t, None, 1, step + s)


def _run_checked(memory: Memory, rows: Rows, span: NDArray[np.int64], step: int) -> None:
    for i in range(*span.tolist()):
        row = rows[i]
        if linker.DISABLE_JIT:
            run = functools.partial(_run, memory, row[None], _ONE.reshape(-1), 1, 1, 0, None, 1, step)
        else:
            args = memory.address, address(row), _ONE_ADDRESS, 1, 1, 0, _UNUSED_ADDRESS, 1, step
            run = functools.partial(_entry(), *args)
        run_checked(memory.address, row, step, run, f" in row {i}" if len(rows) > 1 else "")


_ONE, _UNUSED = np.array([[[0, 1]]], np.int64), np.zeros(16, np.int64)
_ONE_ADDRESS, _UNUSED_ADDRESS = address(_ONE), address(_UNUSED)


def run_row(dtype: np.dtype[Any], row: Rows, step: int) -> None:
    """Run one linked row whose operands are absolute addresses: eager execution."""
    if ROW_BY_ROW:
        RowRunner(0, dtype, row.reshape(1, WIDTH), _ONE)(1, step)
    else:
        _entry()(0, address(row), _ONE_ADDRESS, 1, 1, 0, _UNUSED_ADDRESS, 1, step)
