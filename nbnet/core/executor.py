"""Run rows. The only module that turns an address into a call."""

from __future__ import annotations

import ctypes
import functools
import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbnet.core import jit
from nbnet.core.abi import Memory
from nbnet.core.arena import address, aligned
from nbnet.core.jit import Function, intrinsic, link
from nbnet.core.layout import EVERY, WIDTH

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


def _run(
    mem: Any, rows: Any, spans: Any, phases: int, slices: int, number: int, sync: Any, steps: int, step: int
) -> None:
    """Slice ``number``'s part of ``steps`` steps: in each, phase after phase, with all slices meeting between them.

    ``spans[(p * slices + number) * 2]`` and the cell after it bound the rows of phase p.
    """
    arrivals, before = 0, flush_denormals()
    for _ in range(steps):
        for p in range(phases):
            at = (p * slices + number) * 2
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
    restore_denormals(before)


RUN = Function(_run, "run")


@functools.cache
def _compiled() -> Any:
    i64, pointer = ctypes.c_int64, ctypes.c_void_p
    prototype = ctypes.CFUNCTYPE(None, pointer, pointer, pointer, i64, i64, i64, pointer, i64, i64)
    return prototype(link([RUN], np.dtype(np.float64))[0])


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
        if jit.DISABLE_JIT:
            self._run_in_python(steps, step)
            return
        call, rest = _compiled(), (self._meeting, steps, step)
        self._sync[0] = 0
        if self.slices == 1:
            call(*self._args, 0, *rest)
            return
        # Slices wait for each other, so none starts before all threads are there.
        gate = threading.Event()
        complete: list[bool] = []

        def serve(number: int) -> None:
            gate.wait()
            if complete:
                call(*self._args, number, *rest)

        others = [threading.Thread(target=serve, args=(t,), daemon=True) for t in range(1, self.slices)]
        try:
            for thread in others:
                thread.start()
            complete.append(True)
        finally:
            gate.set()
            if complete:
                call(*self._args, 0, *rest)
        for thread in others:
            thread.join()

    def _run_in_python(self, steps: int, step: int) -> None:
        memory, flat = Memory(self.mem, self.dtype), self.spans.reshape(-1)
        with np.errstate(all="ignore"):
            for s in range(steps):
                for p in range(len(self.spans)):
                    for t in range(self.slices):
                        _run(memory, self.rows, flat[2 * p * self.slices :], 1, self.slices, t, None, 1, step + s)


_ONE, _UNUSED = np.array([[[0, 1]]], np.int64), np.zeros(16, np.int64)
_ONE_ADDRESS, _UNUSED_ADDRESS = address(_ONE), address(_UNUSED)


def run_row(dtype: np.dtype[Any], row: Rows, step: int) -> None:
    """Run one linked row whose operands are absolute addresses: what the eager tape does."""
    if jit.DISABLE_JIT:
        Runner(0, dtype, row.reshape(1, WIDTH), _ONE)(1, step)
    else:
        _compiled()(0, address(row), _ONE_ADDRESS, 1, 1, 0, _UNUSED_ADDRESS, 1, step)
