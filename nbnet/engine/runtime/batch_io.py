"""Kernels and calls around a batch: gather rows of the user's arrays, store predictions, sum losses and metrics, log
the sums of an epoch, and shuffle the row order.

The cursor is one int64 cell: the number of the batch's first row. The last instruction of the program advances it.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbnet.engine.graph.op import INT
from nbnet.engine.graph.tensor import Call, Tensor, row_of
from nbnet.engine.jit.linker import Kernel
from nbnet.engine.kernels.abi import (
    WIDE,
    attribute,
    device,
    doublevec,
    first_row,
    intvec,
    kernel,
    mat,
    present,
    seed,
    specialize_width,
    typed_mat,
    vec,
)
from nbnet.engine.kernels.executor import aligned, run_row
from nbnet.engine.kernels.layout import SEED


@specialize_width
@device
def _gather_short(columns: Any, source: Any, order: Any, start: Any, x: Any) -> None:
    for i in range(x.shape[0]):
        row = order[start + i] if order.size else start + i
        for j in range(columns):
            x[i, j] = source[row, j]


def _within_rows(sizes: Mapping[str, int]) -> bool:
    """True if rows of the array, each cut into ``per`` rows, fill the batch."""
    per = sizes["per"]
    return per > 0 and sizes["c"] == per * sizes["w"] and sizes["r"] % per == 0


def _gather(name: str) -> Kernel:
    source_view = typed_mat[np.dtype(name)]

    def gather(mem: Any, ins: Any, step: Any) -> None:
        source, order, cursor, x = source_view(mem, ins, 0), intvec(mem, ins, 1), intvec(mem, ins, 2), mat(mem, ins, 3)
        start, real, columns = cursor[0] + first_row(ins), x.dtype.type, source.shape[1]
        shuffled, per = present(ins, 1), attribute(ins, 0)
        if per == 1 and columns < WIDE:
            _gather_short(columns, source, order, start, x)
            return
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

    extents = f"source:{name}[all,c] order?:i8[order] cursor:i8[1] x[r,w]; per"
    return Kernel(gather, f"gather_{name}", extents, _within_rows)


_gathers = {dtype: _gather(dtype.name) for dtype in typed_mat}


@functools.cache
def _gather_sparse(values: str, indices: str) -> Kernel:
    values_view, indices_view = typed_mat[np.dtype(values)], typed_mat[np.dtype(indices)]

    def gather_sparse(mem: Any, ins: Any, step: Any) -> None:
        source, column, bounds = values_view(mem, ins, 0), indices_view(mem, ins, 1), intvec(mem, ins, 2)
        order, cursor, x = intvec(mem, ins, 3), intvec(mem, ins, 4), mat(mem, ins, 5)
        start, real, shuffled, columns = cursor[0] + first_row(ins), x.dtype.type, present(ins, 3), x.shape[1]
        # Columns and bounds were checked. This is a second wall: a column out of range makes the row NaN.
        last = min(source.shape[0], column.shape[0])
        for i in range(x.shape[0]):
            row = start + i
            if shuffled:
                row = order[row]
            for j in range(columns):
                x[i, j] = real(0)
            for k in range(max(bounds[row], 0), min(bounds[row + 1], last)):
                j = column[k, 0]
                if j >= 0 and j < columns:
                    x[i, j] += real(source[k, 0])
                else:
                    x[i, 0] = real(np.nan)

    extents = f"source:{values}[k] column:{indices}[k] bounds:i8[b] order?:i8[order] cursor:i8[1] x[r,c]"
    return Kernel(gather_sparse, f"gather_sparse_{values}_{indices}", extents)


@kernel(extents="source:i8[all] order?:i8[order] cursor:i8[1] x:i8[n]")
def gather_labels(mem: Any, ins: Any, step: Any) -> None:
    source, order, cursor, x = intvec(mem, ins, 0), intvec(mem, ins, 1), intvec(mem, ins, 2), intvec(mem, ins, 3)
    start = cursor[0] + first_row(ins)
    for i in range(x.size):
        x[i] = source[order[start + i]] if present(ins, 1) else source[start + i]


@kernel(
    extents="source:i8[rows*width] order?:i8[order] cursor:i8[1] x:i8[n*width]; width",
    within=lambda sizes: sizes["width"] > 0,
)
def gather_ids(mem: Any, ins: Any, step: Any) -> None:
    source, order, cursor, x = intvec(mem, ins, 0), intvec(mem, ins, 1), intvec(mem, ins, 2), intvec(mem, ins, 3)
    start, width = cursor[0] + first_row(ins), attribute(ins, 0)
    for i in range(x.size // width):
        row = order[start + i] if present(ins, 1) else start + i
        for j in range(width):
            x[i * width + j] = source[row * width + j]


@kernel(extents="x[n] cell:i8[1]")
def count_bad(mem: Any, ins: Any, step: Any) -> None:
    """Count the values that are not finite."""
    x, cell = vec(mem, ins, 0), intvec(mem, ins, 1)
    bad = 0
    for i in range(x.size):
        bad += not np.isfinite(x[i])
    cell[0] = bad


@kernel(extents="y[n] cursor:i8[1] out[all]; per_row")
def store(mem: Any, ins: Any, step: Any) -> None:
    """Write the batch's predictions to their rows of the result."""
    y, cursor, out = vec(mem, ins, 0), intvec(mem, ins, 1), vec(mem, ins, 2)
    start = (cursor[0] + first_row(ins)) * attribute(ins, 0)
    rows = out[start : start + y.size]
    for i in range(y.size):
        rows[i] = y[i]


@kernel(extents="cursor:i8[1]; rows")
def advance(mem: Any, ins: Any, step: Any) -> None:
    cursor = intvec(mem, ins, 0)
    cursor[0] += attribute(ins, 0)


@kernel(extents="value[1] sums:f8[2]; weight count")
def add_mean(mem: Any, ins: Any, step: Any) -> None:
    """Add a batch's mean to (sum, count) over samples: the value counts ``attribute 0`` times, the count is
    ``attribute 1``."""
    value, sums = vec(mem, ins, 0), doublevec(mem, ins, 1)
    sums[0] += np.float64(value[0]) * np.float64(attribute(ins, 0))
    sums[1] += np.float64(attribute(ins, 1))


@kernel(extents="values[n] sums:f8[2]")
def add_each(mem: Any, ins: Any, step: Any) -> None:
    """Add a value of each sample to (sum, count)."""
    values, sums = vec(mem, ins, 0), doublevec(mem, ins, 1)
    total = np.float64(0.0)
    for i in range(values.size):
        total += np.float64(values[i])
    sums[0] += total
    sums[1] += np.float64(values.size)


@kernel(extents="values[n] weights[n] sums:f8[2]")
def add_weighted(mem: Any, ins: Any, step: Any) -> None:
    """Add a weighted value of each sample to (sum, sum of weights)."""
    values, weights, sums = vec(mem, ins, 0), vec(mem, ins, 1), doublevec(mem, ins, 2)
    total, count = np.float64(0.0), np.float64(0.0)
    for i in range(values.size):
        total += np.float64(values[i]) * np.float64(weights[i])
        count += np.float64(weights[i])
    sums[0] += total
    sums[1] += count


_GAMMA, _A, _B = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_LOW, _32 = np.uint64(0xFFFFFFFF), np.uint64(32)


@device
def _shuffle(order: Any, state: Any) -> None:
    """Fisher and Yates's shuffle of 0 ... n - 1, n below 2**32; numbers from SplitMix64, started at a key."""
    for i in range(order.size):
        order[i] = i
    for i in range(order.size - 1, 0, -1):
        state = state + _GAMMA
        z = (state ^ (state >> np.uint64(30))) * _A
        z = (z ^ (z >> np.uint64(27))) * _B
        z = z ^ (z >> np.uint64(31))
        # The high half of z * n is even over 0 ... n - 1 to one part in 2**64 / n.
        n = np.uint64(i + 1)
        # Unsigned, so that no index is one from the end.
        j, last = ((z >> _32) * n + (((z & _LOW) * n) >> _32)) >> _32, np.uint64(i)
        order[last], order[j] = order[j], order[last]


@kernel(extents="order:i8[n]")
def shuffle(mem: Any, ins: Any, step: Any) -> None:
    _shuffle(intvec(mem, ins, 0), seed(ins))


@kernel(extents="order:i8[n] keys:i8[2*steps]")
def shuffle_each(mem: Any, ins: Any, step: Any) -> None:
    """The key of step k is in line k, in two halves."""
    order, keys = intvec(mem, ins, 0), intvec(mem, ins, 1)
    _shuffle(order, (np.uint64(keys[2 * step]) << _32) | np.uint64(keys[2 * step + 1]))


@kernel(extents="order:i8[n] lines:i8[steps*n]")
def take_line(mem: Any, ins: Any, step: Any) -> None:
    """Copy the order of step k from line k."""
    order, lines = intvec(mem, ins, 0), intvec(mem, ins, 1)
    for i in range(order.size):
        order[i] = lines[step * order.size + i]


@kernel(extents="sums:f8[n] log:f8[steps*n] cursor:i8[1]; start")
def close(mem: Any, ins: Any, step: Any) -> None:
    """Write sums to line ``step`` of a log, and begin anew at row ``attribute 0``."""
    sums, log, cursor = doublevec(mem, ins, 0), doublevec(mem, ins, 1), intvec(mem, ins, 2)
    for i in range(sums.size):
        log[step * sums.size + i] = sums[i]
        sums[i] = np.float64(0.0)
    cursor[0] = attribute(ins, 0)


class Shuffler:
    """Random orders of the numbers 0 ... n - 1, one after the other in the same memory; n is below 2**32."""

    def __init__(self, n: int) -> None:
        self.order: NDArray[np.int64] = aligned(n, np.int64)
        call = Call(shuffle, (Tensor((n,), INT, self.order),), (0,), 0, 0, (), "shuffle", np.dtype(np.float32))
        self._row, self._dtype = row_of(call), call.dtype

    def __call__(self, key: int) -> NDArray[np.int64]:
        """An order that is a pure function of n and the 64-bit key."""
        self._row[SEED] = key - (1 << 64) if key >= 1 << 63 else key
        run_row(self._dtype, self._row, 0)
        return self.order

    def calls(self, keys: Sequence[int]) -> list[Call]:
        """Calls that make the order of key k in step k."""
        halves = np.array([(key >> 32, key & 0xFFFFFFFF) for key in keys], np.int64)
        operands = Tensor(self.order.shape, INT, self.order), Tensor(halves.shape, INT, halves)
        return [Call(shuffle_each, operands, (0,), 0, 0, (), "shuffle", self._dtype)]


def shuffled(n: int, key: int) -> NDArray[np.int64]:
    """The numbers 0 ... n - 1 in an order that is a pure function of n and the key."""
    return Shuffler(n)(key)


def gather_call(source: Tensor, order: Tensor | None, cursor: Tensor, x: Tensor, dtype: Any) -> Call:
    """Fill a batch tensor from the rows of an array: ``x[i] = source[order[cursor + i]]``; no order: as they come.

    Integers are gathered from int64; one of them in a row is a label.
    """
    if x.dtype == INT:
        width = x.size // x.shape[0]
        gather, attributes = (gather_labels, ()) if len(x.shape) == 1 else (gather_ids, (width,))
    else:
        gather, attributes = _gathers[source.dtype], (x.matrix[0] // x.shape[0],)
    return Call(gather, (source, order, cursor, x), (3,), 0, 0, attributes, "gather", np.dtype(dtype))


def gather_sparse_call(
    values: Tensor, indices: Tensor, bounds: Tensor, order: Tensor | None, cursor: Tensor, x: Tensor, dtype: Any
) -> Call:
    """Fill a batch tensor from rows in compressed form (CSR): row r holds ``values[k]`` in column ``indices[k]`` for
    ``bounds[r] <= k < bounds[r + 1]``, added up where a column occurs again, and zeros elsewhere."""
    kernel = _gather_sparse(values.dtype.name, indices.dtype.name)
    return Call(kernel, (values, indices, bounds, order, cursor, x), (5,), 0, 0, (), "gather", np.dtype(dtype))


def count_bad_call(x: Tensor, cell: NDArray[np.int64]) -> Call:
    """Write how many values of x are not finite."""
    return Call(count_bad, (x, Tensor(cell.shape, INT, cell)), (1,), 0, 0, (), "count_bad", x.dtype)


def store_call(y: Tensor, cursor: Tensor, out: Tensor) -> Call:
    """Copy a batch of predictions to rows ``cursor ...`` of ``out``."""
    return Call(store, (y, cursor, out), (2,), 1 << 2, 0, (y.size // y.shape[0],), "store", y.dtype)


def line_call(order: NDArray[np.int64], lines: NDArray[np.int64]) -> Call:
    """Copy line k of ``lines`` to ``order`` in step k."""
    operands = Tensor(order.shape, INT, order), Tensor(lines.shape, INT, lines)
    return Call(take_line, operands, (0,), 0, 0, (), "order", np.dtype(np.float32))


def close_call(sums: Tensor, log: Tensor, cursor: Tensor, start: int, dtype: Any) -> Call:
    """Write sums to line k of a log in step k, set them to 0 and the cursor to ``start``."""
    return Call(close, (sums, log, cursor), (0, 1, 2), 3, 0, (start,), "sums", np.dtype(dtype))


def advance_call(cursor: Tensor, rows: int, dtype: Any) -> Call:
    return Call(advance, (cursor,), (0,), 1, 0, (rows,), "advance", np.dtype(dtype))


def add_mean_call(value: Tensor, sums: Tensor, weight: int, count: int) -> Call:
    return Call(add_mean, (value, sums), (1,), 2, 0, (weight, count), "sum", value.dtype)


def add_each_call(values: Tensor, sums: Tensor, weights: Tensor | None = None) -> Call:
    if weights is not None:
        return Call(add_weighted, (values, weights, sums), (2,), 4, 0, (), "sum", values.dtype)
    return Call(add_each, (values, sums), (1,), 2, 0, (), "sum", values.dtype)
