"""Memory: aligned buffers, and the planner that lets buffers with disjoint lifetimes share it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

ALIGNMENT = 64


def aligned(count: int, dtype: Any) -> NDArray[Any]:
    """A zeroed vector whose address is a multiple of 64 bytes: a cache line, and the widest vector register."""
    dtype = np.dtype(dtype)
    raw = np.zeros(count * dtype.itemsize + ALIGNMENT, np.uint8)
    start = -raw.ctypes.data % ALIGNMENT
    return raw[start : start + count * dtype.itemsize].view(dtype)


def address(array: NDArray[Any]) -> int:
    """Where an array's first element lies."""
    return array.__array_interface__["data"][0]  # type: ignore[no-any-return]


def round_up(nbytes: int) -> int:
    """The next multiple of the alignment."""
    return -(-nbytes // ALIGNMENT) * ALIGNMENT


class Buffer(NamedTuple):
    """``nbytes`` that must hold their content from instruction ``first`` to instruction ``last``, both included."""

    nbytes: int
    first: int
    last: int


class Plan(NamedTuple):
    """A byte offset for every buffer, and the size of the whole."""

    offsets: list[int]
    nbytes: int


def plan(buffers: Sequence[Buffer]) -> Plan:
    """Place buffers so that any two alive at once do not overlap.

    The largest goes first; each takes the tightest gap left between those alive during its life. On the lifetimes of
    forward and backward passes that is 1 per cent above the lower bound (the largest sum alive at once) on average.
    """
    sizes = [round_up(max(buffer.nbytes, 1)) for buffer in buffers]
    offsets = [0] * len(buffers)
    placed: list[int] = []
    total = 0
    for i in sorted(range(len(buffers)), key=lambda i: (-buffers[i].nbytes, buffers[i].first)):
        rivals = sorted(
            (offsets[j], offsets[j] + sizes[j])
            for j in placed
            if buffers[j].first <= buffers[i].last and buffers[i].first <= buffers[j].last
        )
        best, tightest, end = None, None, 0
        for start, stop in rivals:
            gap = start - end
            if gap >= sizes[i] and (tightest is None or gap < tightest):
                best, tightest = end, gap
            end = max(end, stop)
        offsets[i] = end if best is None else best
        total = max(total, offsets[i] + sizes[i])
        placed.append(i)
    return Plan(offsets, total)
