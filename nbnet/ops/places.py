"""Elements at computed places: take_along_axis, scatter, slice and slice_update, sums and maxima of segments."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import inf, prod
from operator import index
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbnet.base.array_memory import plain_array
from nbnet.base.loading_budget import reserve
from nbnet.engine.graph.op import INT, Op, Spec, register
from nbnet.engine.graph.tensor import Tensor, apply, exact_tensor, tensor, tensors
from nbnet.engine.kernels.abi import Function, Kernel, accumulates, attribute, intvec, kernel, vec
from nbnet.ops.broadcast import add, maximum, minimum, multiply
from nbnet.ops.constants import arange
from nbnet.ops.elementwise import negative
from nbnet.ops.gather import take_rows
from nbnet.ops.reshape import broadcast_to, checked_axis, ravel, reshape
from nbnet.ops.slicing import concatenate, cut

Array = NDArray[Any]


def index_tensor(value: Any, name: str) -> Tensor:
    """Integers as an int64 tensor.

    Raises
    ------
    TypeError
        If they are no integers.
    ValueError
        If one has more than 63 bits.
    """
    if isinstance(value, Tensor):
        if value.dtype != INT:
            raise TypeError(f"{name}: expected integers, got a tensor of {value.dtype}")
        return value
    array = plain_array(value, name)
    if array.dtype.kind not in "iu" and not (array.size == 0 and not isinstance(value, np.ndarray)):
        raise TypeError(f"{name}: expected integers, got {array.dtype}")
    if array.dtype == np.uint64 and array.max(initial=0) >= 1 << 63:
        raise ValueError(f"{name}: expected integers of at most 63 bits, got {array.max()}")
    return Tensor(array.shape, INT, np.array(array, INT, order="C"))


def known_integers(value: Any, name: str) -> Array:
    """Integers that have a value, as an array.

    Raises
    ------
    TypeError
        If they are no integers, or computed in a model.
    """
    found = index_tensor(value, name)
    if found.data is None:
        raise TypeError(f"{name}: expected integers that are known when the model is built, got a computed tensor")
    return found.data


def check_range(values: Array | None, low: int, high: int, name: str) -> None:
    """Raise IndexError unless all integers that are known are from ``low`` to ``high - 1``."""
    if values is not None and values.size and not (low <= values.min() and values.max() < high):
        wrong = values[(values < low) | (values >= high)].reshape(-1)[0]
        raise IndexError(f"{name}: {wrong} is out of range for {high} elements")


# ---- take_along_axis -----------------------------------------------------------------------------------------


# x is seen as (outer, n, inner), indices and y as (outer, m, inner); the attributes are n, m and inner. Indices that
# have a value are checked before they get here; any other that is out of range reads as NaN and gets no gradient.
@kernel
def take_along_axis_forward(mem: Any, ins: Any, step: Any) -> None:
    x, indices, y = vec(mem, ins, 0), intvec(mem, ins, 1), vec(mem, ins, 2)
    n, m, inner = attribute(ins, 0), attribute(ins, 1), attribute(ins, 2)
    for i in range(y.size):
        k = indices[i]
        k = k + n if k < 0 else k
        base = i // (m * inner) * n * inner + i % inner
        if k >= 0 and k < n:
            y[i] = x[base + k * inner]
        else:
            y[i] = np.nan


@kernel
def take_along_axis_backward(mem: Any, ins: Any, step: Any) -> None:
    indices, dy, dx = intvec(mem, ins, 0), vec(mem, ins, 1), vec(mem, ins, 2)
    n, m, inner = attribute(ins, 0), attribute(ins, 1), attribute(ins, 2)
    if not accumulates(ins, 2):
        dx[:] = 0.0
    for i in range(dy.size):
        k = indices[i]
        k = k + n if k < 0 else k
        if k >= 0 and k < n:
            dx[i // (m * inner) * n * inner + i % inner + k * inner] += dy[i]


TAKE_ALONG_AXIS = register(
    Op("take_along_axis", take_along_axis_forward, ("x", "indices"), infer=lambda x, indices, axis: (
           Spec(indices.shape),),
       encode=lambda x, indices, axis: (x.shape[axis], indices.shape[axis], prod(x.shape[axis + 1 :])),
       backward=take_along_axis_backward, gradient=("indices", "dy", "dx"), integers=("indices",), role="move",
       linear=True, moves_values=True, extents="x[outer*n*inner] indices:i8[outer*m*inner] y[outer*m*inner]; n m inner")
)  # fmt: skip
#: The same along the first axis, which is the batch's.
TAKE_ALONG_AXIS_BATCH = register(replace(TAKE_ALONG_AXIS, name="take_along_axis_batch", whole_batch=True))


def take_along_axis(x: Any, indices: Any, axis: int | None = None) -> Tensor:
    """Elements of x along an axis, at one index for each of the results.

    Parameters
    ----------
    x
        Tensor or array.
    indices
        Integers with as many axes as x; other axes than ``axis`` broadcast. Negative ones count from the end. In a
        program, where numbers may not be known beforehand, one that is out of range gives NaN.
    axis
        The axis; None for the flattened x.

    Raises
    ------
    IndexError
        If an index is known and out of range.
    TypeError
        If indices are no integers.
    ValueError
        If shapes do not fit.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.take_along_axis([[1.0, 2.0], [3.0, 4.0]], [[1], [0]], axis=1).numpy()
    array([[2.],
           [3.]], dtype=float32)
    """
    made, places = tensor(x), index_tensor(indices, "indices")
    if axis is None:
        made, places, axis = ravel(made), reshaped_indices(places, (-1,)), 0
    axis = checked_axis(axis, made.ndim)
    if places.ndim != made.ndim:
        raise ValueError(f"indices: expected as many axes as x of shape {made.shape}, got shape {places.shape}")
    n, m = made.shape[axis], places.shape[axis]
    check_range(places.data, -n, n, "indices")
    try:
        shape = np.broadcast_shapes(*((*s[:axis], 1, *s[axis + 1 :]) for s in (made.shape, places.shape)))
    except ValueError:
        raise ValueError(f"indices: shape {places.shape} does not fit x of shape {made.shape}") from None
    made = broadcast_to(made, (*shape[:axis], n, *shape[axis + 1 :]))
    wanted = (*shape[:axis], m, *shape[axis + 1 :])
    if places.shape != wanted:
        if places.data is None:
            raise ValueError(f"indices: a computed tensor does not broadcast here, expected shape {wanted}")
        reserve(prod(wanted), "take_along_axis")
        places = exact_tensor(np.broadcast_to(places.data, wanted))
    return apply(TAKE_ALONG_AXIS if axis else TAKE_ALONG_AXIS_BATCH, made, places, axis=axis)


def reshaped_indices(places: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Integers in another shape, where one -1 stands for the remaining length."""
    if places.data is None:
        return reshape(places, shape)
    values = places.data.reshape(shape)
    return Tensor(values.shape, INT, values)


# ---- sums, products and maxima of rows with equal numbers ----------------------------------------------------


# x is (rows, width) and y (n, width); the attributes are n and width. Row numbers out of range are left out.
def _segment_forward(name: str, empty: float, join: Function) -> Kernel:
    """The kernel that joins the rows of each segment; ``empty`` is the result of none."""

    def forward(mem: Any, ins: Any, step: Any) -> None:
        x, ids, y = vec(mem, ins, 0), intvec(mem, ins, 1), vec(mem, ins, 2)
        n, width = attribute(ins, 0), attribute(ins, 1)
        y[:] = empty
        for i in range(ids.size):
            k = ids[i]
            if k >= 0 and k < n:
                row, into = x[i * width : i * width + width], y[k * width : k * width + width]
                for j in range(width):
                    into[j] = join(into[j], row[j])

    return Kernel(forward, f"{name}_forward")


@kernel
def segment_sum_backward(mem: Any, ins: Any, step: Any) -> None:
    ids, dy, dx, add = intvec(mem, ins, 0), vec(mem, ins, 1), vec(mem, ins, 2), accumulates(ins, 2)
    n, width = attribute(ins, 0), attribute(ins, 1)
    for i in range(ids.size):
        k = ids[i]
        into = dx[i * width : i * width + width]
        if k >= 0 and k < n:
            row = dy[k * width : k * width + width]
            for j in range(width):
                into[j] = into[j] + row[j] if add else row[j]
        elif not add:
            for j in range(width):
                into[j] = 0.0


@kernel
def segment_max_backward(mem: Any, ins: Any, step: Any) -> None:
    # Equal elements share the gradient.
    x, ids, y, dy = vec(mem, ins, 0), intvec(mem, ins, 1), vec(mem, ins, 2), vec(mem, ins, 3)
    dx, count, add = vec(mem, ins, 4), vec(mem, ins, 5), accumulates(ins, 4)
    n, width = attribute(ins, 0), attribute(ins, 1)
    count[:] = 0.0
    for i in range(ids.size):
        k = ids[i]
        if k >= 0 and k < n:
            for j in range(width):
                count[k * width + j] += 1.0 if x[i * width + j] == y[k * width + j] else 0.0
    for i in range(ids.size):
        k = ids[i]
        for j in range(width):
            d, at = 0.0, i * width + j
            if k >= 0 and k < n and x[at] == y[k * width + j]:
                d = dy[k * width + j] / count[k * width + j]
            dx[at] = dx[at] + d if add else d


@kernel
def segment_prod_backward(mem: Any, ins: Any, step: Any) -> None:
    # The product of the other elements: that of those before, times that of those behind. No division, so that zeros
    # are no exception. ``before`` has those before each element, ``rest`` those behind, in the order of the rows.
    x, ids, dy, dx = vec(mem, ins, 0), intvec(mem, ins, 1), vec(mem, ins, 2), vec(mem, ins, 3)
    before, rest, add = vec(mem, ins, 4), vec(mem, ins, 5), accumulates(ins, 3)
    n, width = attribute(ins, 0), attribute(ins, 1)
    rest[:] = 1.0
    for i in range(ids.size):
        k = ids[i]
        if k >= 0 and k < n:
            for j in range(width):
                before[i * width + j] = rest[k * width + j]
                rest[k * width + j] *= x[i * width + j]
    rest[:] = 1.0
    for i in range(ids.size - 1, -1, -1):
        k = ids[i]
        for j in range(width):
            d, at = 0.0, i * width + j
            if k >= 0 and k < n:
                d = dy[k * width + j] * before[at] * rest[k * width + j]
                rest[k * width + j] *= x[at]
            dx[at] = dx[at] + d if add else d


def _segment_op(
    name: str, empty: float, join: Callable[..., Any], backward: Any, gradient: tuple[str, ...], **fields: Any
) -> Op:
    work = fields.get("work", ())
    forward = _segment_forward(name, empty, Function(join, name))

    def infer(x: Tensor, ids: Tensor, n: int) -> tuple[Spec, ...]:
        shape = (n, *x.shape[1:])
        return Spec(shape), *(Spec(x.shape if part == "before" else shape) for part in work)

    sizes = "x[rows*width] ids:i8[rows] y[n*width]"
    buffers = " ".join(f"{part}[{'rows' if part == 'before' else 'n'}*width]" for part in work)
    return register(
        Op(name, forward, ("x", "ids"), infer=infer, backward=backward, gradient=gradient, integers=("ids",),
           encode=lambda x, ids, n: (n, prod(x.shape[1:])), whole_batch=True,
           extents=f"{sizes} {buffers}; n width", **fields)
    )  # fmt: skip


SEGMENT_SUM = _segment_op(
    "segment_sum", 0.0, lambda total, x: total + x, segment_sum_backward, ("ids", "dy", "dx"), linear=True,
    role="reduction",
)  # fmt: skip
# NaN wins.
SEGMENT_MAX = _segment_op(
    "segment_max", -inf, lambda most, x: x if x > most or x != x else most, segment_max_backward,
    ("x", "ids", "y", "dy", "dx", "count"), work=("count",), role="reduction",
)  # fmt: skip
SEGMENT_PROD = _segment_op(
    "segment_prod", 1.0, lambda total, x: total * x, segment_prod_backward,
    ("x", "ids", "dy", "dx", "before", "rest"), work=("before", "rest"), role="reduction",
)  # fmt: skip


def _segments(op: Op, data: Any, segment_ids: Any, num_segments: int | None) -> Tensor:
    x, ids = tensor(data), index_tensor(segment_ids, "segment_ids")
    if ids.ndim != 1 or x.shape[:1] != ids.shape:
        raise ValueError(f"segment_ids: expected one integer for each row of {x.shape}, got shape {ids.shape}")
    if num_segments is None:
        num_segments = int(known_integers(ids, "segment_ids").max(initial=-1)) + 1
    if index(num_segments) < 0:
        raise ValueError(f"num_segments: expected an integer from 0, got {num_segments}")
    reserve(num_segments * prod(x.shape[1:]), op.name)
    return apply(op, x, ids, n=index(num_segments))


def segment_sum(data: Any, segment_ids: Any, num_segments: int | None = None, sorted: bool = False) -> Tensor:
    """The sum of the rows of each segment; 0 for a segment without rows.

    Parameters
    ----------
    data
        (rows, ...): tensor or array.
    segment_ids
        (rows,): the number of the segment of each row. Rows with another number than that of a segment are left out.
    num_segments
        Number of segments; None for the largest number and one more.
    sorted
        True if the numbers are in ascending order, which makes no difference here.

    Raises
    ------
    TypeError
        If segment_ids are no integers, or num_segments is needed: the numbers are computed in a model.
    ValueError
        If shapes do not fit.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.segment_sum([1.0, 2.0, 4.0], [0, 2, 0]).numpy()
    array([5., 0., 2.], dtype=float32)
    """
    return _segments(SEGMENT_SUM, data, segment_ids, num_segments)


def segment_max(data: Any, segment_ids: Any, num_segments: int | None = None, sorted: bool = False) -> Tensor:
    """The largest elements of the rows of each segment; ``-inf`` for a segment without rows.

    Parameters
    ----------
    data, segment_ids, num_segments, sorted
        As for :func:`segment_sum`. Equal elements share the gradient.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.segment_max([1.0, 2.0, 4.0], [0, 1, 0]).numpy()
    array([4., 2.], dtype=float32)
    """
    return _segments(SEGMENT_MAX, data, segment_ids, num_segments)


def segment_min(data: Any, segment_ids: Any, num_segments: int | None = None, sorted: bool = False) -> Tensor:
    """The smallest elements of the rows of each segment; ``inf`` for a segment without rows.

    Parameters
    ----------
    data, segment_ids, num_segments, sorted
        As for :func:`segment_sum`. Equal elements share the gradient.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.segment_min([1.0, 2.0, 4.0], [0, 1, 0]).numpy()
    array([1., 2.], dtype=float32)
    """
    return negative(_segments(SEGMENT_MAX, negative(tensor(data)), segment_ids, num_segments))


def segment_prod(data: Any, segment_ids: Any, num_segments: int | None = None, sorted: bool = False) -> Tensor:
    """The product of the rows of each segment; 1 for a segment without rows.

    Parameters
    ----------
    data, segment_ids, num_segments, sorted
        As for :func:`segment_sum`.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.segment_prod([3.0, 2.0, 4.0], [0, 1, 0]).numpy()
    array([12.,  2.], dtype=float32)
    """
    return _segments(SEGMENT_PROD, data, segment_ids, num_segments)


# ---- scatter -------------------------------------------------------------------------------------------------


def _row_numbers(indices: Any, shape: Sequence[int]) -> tuple[Tensor, int]:
    """Places in the first axes of a shape as numbers of rows, flat, and the number of axes that they go over."""
    places = index_tensor(indices, "indices")
    depth = places.shape[-1] if places.shape else 0
    if not 1 <= depth <= len(shape):
        raise ValueError(f"indices: expected (..., k) with k from 1 to {len(shape)}, got shape {places.shape}")
    if depth == 1:
        check_range(places.data, 0, shape[0], "indices")
        return reshaped_indices(places, (-1,)), 1
    values = known_integers(places, "indices").reshape(-1, depth)
    for k in range(depth):
        check_range(values[:, k], 0, shape[k], "indices")
    return exact_tensor(np.ravel_multi_index(tuple(values.T), tuple(shape[:depth]))), depth


def scatter(indices: Any, values: Any, shape: Sequence[int]) -> Tensor:
    """Zeros, with values added at places; several values at one place are added up.

    Parameters
    ----------
    indices
        (..., k): integers, places in the first k axes of the result. In a program, where numbers may not be known
        beforehand, k is 1, and values at places out of range are left out.
    values
        (...), and the axes of the result from axis k on.
    shape
        Shape of the result.

    Raises
    ------
    IndexError
        If a place is known and out of range.
    TypeError
        If indices are no integers.
    ValueError
        If shapes do not fit.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.scatter([[0], [2], [0]], [1.0, 2.0, 4.0], (3,)).numpy()
    array([5., 0., 2.], dtype=float32)
    """
    wanted, made = tuple(index(n) for n in shape), tensor(values)
    rows, depth = _row_numbers(indices, wanted)
    parts = _parts(made, rows, wanted[depth:], "values")
    return reshape(_segments(SEGMENT_SUM, parts, rows, prod(wanted[:depth])), wanted)


def _parts(values: Tensor, rows: Tensor, tail: tuple[int, ...], name: str) -> Tensor:
    """Values with one axis for all places."""
    if values.size != rows.size * prod(tail) or values.shape[values.ndim - len(tail) :] != tail:
        raise ValueError(f"{name}: expected {rows.size} parts of shape {tail}, got shape {values.shape}")
    return reshape(values, (rows.size, *tail))


_REDUCTIONS = {"add": add, "max": maximum, "min": minimum, "mul": multiply}


def scatter_update(inputs: Any, indices: Any, updates: Any, reduction: str | None = None) -> Tensor:
    """``inputs`` with other values at places.

    Parameters
    ----------
    inputs
        Tensor or array.
    indices
        (..., k): integers, places in the first k axes of inputs. Without a reduction, they have to be known; of several
        updates of one place, the last one holds.
    updates
        (...), and the axes of inputs from axis k on.
    reduction : {None, "add", "max", "min", "mul"}
        What to do with the value that is there; None replaces it.

    Raises
    ------
    IndexError
        If a place is known and out of range.
    TypeError
        If indices are no integers, or have to be known and are not.
    ValueError
        If shapes do not fit, or the reduction is anything else.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.scatter_update([1.0, 2.0, 3.0], [[0], [2]], [7.0, 9.0]).numpy()
    array([7., 2., 9.], dtype=float32)
    """
    made, new = tensors(inputs, updates)
    if reduction is not None and reduction not in _REDUCTIONS:
        raise ValueError(f"reduction: expected None or one of {sorted(_REDUCTIONS)}, got {reduction!r}")
    rows, depth = _row_numbers(indices, made.shape)
    tail, n = made.shape[depth:], prod(made.shape[:depth])
    new = _parts(new, rows, tail, "updates")
    if reduction is None:
        source = np.array(arange(0, n, 1, "scatter_update"), INT)
        source[known_integers(rows, "indices")] = n + np.arange(rows.size)
        return reshape(take_rows(concatenate([reshape(made, (n, *tail)), new], 0), source), made.shape)
    function = {"add": segment_sum, "max": segment_max, "min": segment_min, "mul": segment_prod}[reduction]
    return _REDUCTIONS[reduction](made, reshape(function(new, rows, n), made.shape))


# ---- slices --------------------------------------------------------------------------------------------------


def slice(inputs: Any, start_indices: Any, shape: Sequence[int]) -> Tensor:
    """A block of a tensor.

    Parameters
    ----------
    inputs
        Tensor or array.
    start_indices
        The first index along each axis: integers that are known.
    shape
        Shape of the block; -1 for all that is left along an axis.

    Raises
    ------
    TypeError
        If start_indices are no integers, or computed in a model.
    ValueError
        If the block is no part of the tensor.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.slice([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], [0, 1], (2, 2)).numpy()
    array([[2., 3.],
           [5., 6.]], dtype=float32)
    """
    made = tensor(inputs)
    starts, lengths = _block(made, start_indices, shape, "shape")
    for axis, (start, count) in enumerate(zip(starts, lengths, strict=True)):
        made = cut(made, axis, start, count)
    return made


def _block(x: Tensor, start_indices: Any, shape: Sequence[int], name: str) -> tuple[list[int], list[int]]:
    parts = start_indices if isinstance(start_indices, (list, tuple)) else [start_indices]
    starts = [int(n) for part in parts for n in known_integers(part, "start_indices").reshape(-1)]
    if len(starts) != x.ndim or len(shape) != x.ndim:
        raise ValueError(
            f"start_indices, {name}: expected one number for each axis of {x.shape}, got {starts} and {tuple(shape)}"
        )
    left = [n - start for n, start in zip(x.shape, starts, strict=True)]
    lengths = [n if index(count) == -1 else index(count) for n, count in zip(left, shape, strict=True)]
    if min(starts, default=0) < 0 or any(not 0 <= count <= n for n, count in zip(left, lengths, strict=True)):
        raise ValueError(f"start_indices: a block of shape {tuple(shape)} from {starts} is no part of shape {x.shape}")
    return starts, lengths


def slice_update(inputs: Any, start_indices: Any, updates: Any) -> Tensor:
    """``inputs`` with another block of values.

    Parameters
    ----------
    inputs
        Tensor or array.
    start_indices
        The first index of the block along each axis: integers that are known.
    updates
        The block.

    Raises
    ------
    TypeError
        If start_indices are no integers, or computed in a model.
    ValueError
        If the block does not fit in the tensor.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.slice_update([1.0, 2.0, 3.0], [1], [7.0, 9.0]).numpy()
    array([1., 7., 9.], dtype=float32)
    """
    made, new = tensors(inputs, updates)
    starts, lengths = _block(made, start_indices, new.shape, "updates")
    return _with_block(made, new, starts, lengths, 0)


def _with_block(x: Tensor, new: Tensor, starts: list[int], lengths: list[int], axis: int) -> Tensor:
    """``x`` with a block that fills all axes before ``axis``."""
    if axis == x.ndim:
        return new
    start, count, n = starts[axis], lengths[axis], x.shape[axis]
    inside = _with_block(cut(x, axis, start, count), new, starts, lengths, axis + 1)
    parts = [cut(x, axis, 0, start), inside, cut(x, axis, start + count, n - start - count)]
    parts = [part for part in parts if part.shape[axis]]
    return concatenate(parts, axis) if len(parts) > 1 else parts[0] if parts else x
