"""Rows at the edges of a program: from the user's arrays into the batch, and from the batch out.

The cursor is one int64 cell: the number of the batch's first row, moved on by the last row of the program.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbnet.core.abi import attribute, doublevec, first_row, intvec, kernel, mat, present, seed, typed_mat, vec
from nbnet.core.arena import aligned
from nbnet.core.graph import Call, Tensor
from nbnet.core.jit import Kernel
from nbnet.core.op import INT
from nbnet.core.program import run_call


def _gather(name: str) -> Kernel:
    source_view = typed_mat[np.dtype(name)]

    def gather(mem: Any, ins: Any, step: Any) -> None:
        source, order, cursor, x = source_view(mem, ins, 0), intvec(mem, ins, 1), intvec(mem, ins, 2), mat(mem, ins, 3)
        start, real, columns = cursor[0] + first_row(ins), x.dtype.type, source.shape[1]
        shuffled, per = present(ins, 1), attribute(ins, 0)
        for i in range(x.shape[0] // per):
            row = start + i
            if shuffled:
                row = order[row]
            if per == 1:
                for j in range(columns):
                    x[i, j] = real(source[row, j])
            else:
                width = x.shape[1]
                for j in range(columns):
                    x[i * per + j // width, j % width] = real(source[row, j])

    return Kernel(gather, f"gather_{name}")


_gathers = {dtype: _gather(dtype.name) for dtype in typed_mat}


@kernel
def gather_labels(mem: Any, ins: Any, step: Any) -> None:
    source, order, cursor, x = intvec(mem, ins, 0), intvec(mem, ins, 1), intvec(mem, ins, 2), intvec(mem, ins, 3)
    start = cursor[0] + first_row(ins)
    for i in range(x.size):
        x[i] = source[order[start + i]] if present(ins, 1) else source[start + i]


@kernel
def store(mem: Any, ins: Any, step: Any) -> None:
    """Write the batch's predictions to their rows of the result."""
    y, cursor, out = vec(mem, ins, 0), intvec(mem, ins, 1), vec(mem, ins, 2)
    start = (cursor[0] + first_row(ins)) * attribute(ins, 0)
    for i in range(y.size):
        out[start + i] = y[i]


@kernel
def advance(mem: Any, ins: Any, step: Any) -> None:
    cursor = intvec(mem, ins, 0)
    cursor[0] += attribute(ins, 0)


@kernel
def add_mean(mem: Any, ins: Any, step: Any) -> None:
    """Add a batch's mean to (sum, count) over samples: the value counts ``attribute 0`` times, the count is
    ``attribute 1``."""
    value, sums = vec(mem, ins, 0), doublevec(mem, ins, 1)
    sums[0] += np.float64(value[0]) * np.float64(attribute(ins, 0))
    sums[1] += np.float64(attribute(ins, 1))


@kernel
def add_each(mem: Any, ins: Any, step: Any) -> None:
    """Add a value of each sample to (sum, count)."""
    values, sums = vec(mem, ins, 0), doublevec(mem, ins, 1)
    total = np.float64(0.0)
    for i in range(values.size):
        total += np.float64(values[i])
    sums[0] += total
    sums[1] += np.float64(values.size)


_GAMMA, _A, _B = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_LOW, _32 = np.uint64(0xFFFFFFFF), np.uint64(32)


@kernel
def shuffle(mem: Any, ins: Any, step: Any) -> None:
    """Fisher and Yates's shuffle of 0 ... n - 1, n below 2**32; numbers from SplitMix64, started at the row's key."""
    order, state = intvec(mem, ins, 0), seed(ins)
    for i in range(order.size):
        order[i] = i
    for i in range(order.size - 1, 0, -1):
        state = state + _GAMMA
        z = (state ^ (state >> np.uint64(30))) * _A
        z = (z ^ (z >> np.uint64(27))) * _B
        z = z ^ (z >> np.uint64(31))
        # The high half of z * n is even over 0 ... n - 1 to one part in 2**64 / n.
        n = np.uint64(i + 1)
        j = np.int64(((z >> _32) * n + (((z & _LOW) * n) >> _32)) >> _32)
        order[i], order[j] = order[j], order[i]


def shuffled(n: int, key: int) -> NDArray[np.int64]:
    """The numbers 0 ... n - 1 in an order that is a pure function of n and the key."""
    order = aligned(n, np.int64)
    call = Call(shuffle, (Tensor((n,), INT, order),), (0,), 0, key, (), "shuffle", np.dtype(np.float32))
    run_call(call, 0)
    return order


def gather_call(source: Tensor, order: Tensor | None, cursor: Tensor, x: Tensor, dtype: Any) -> Call:
    """Fill a batch tensor from the rows of an array: ``x[i] = source[order[cursor + i]]``; no order: as they come."""
    labels = x.dtype == INT
    gather = gather_labels if labels else _gathers[source.dtype]
    per_sample = () if labels else (x.matrix[0] // x.shape[0],)
    return Call(gather, (source, order, cursor, x), (3,), 0, 0, per_sample, "gather", np.dtype(dtype))


def store_call(y: Tensor, cursor: Tensor, out: Tensor) -> Call:
    """Copy a batch of predictions to rows ``cursor ...`` of ``out``."""
    return Call(store, (y, cursor, out), (2,), 1 << 2, 0, (y.size // y.shape[0],), "store", y.dtype)


def advance_call(cursor: Tensor, rows: int, dtype: Any) -> Call:
    return Call(advance, (cursor,), (0,), 1, 0, (rows,), "advance", np.dtype(dtype))


def add_mean_call(value: Tensor, sums: Tensor, weight: int, count: int) -> Call:
    return Call(add_mean, (value, sums), (1,), 2, 0, (weight, count), "sum", value.dtype)


def add_each_call(values: Tensor, sums: Tensor) -> Call:
    return Call(add_each, (values, sums), (1,), 2, 0, (), "sum", values.dtype)
