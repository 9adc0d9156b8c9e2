"""Order of elements along an axis: sort, argsort, top_k, median, quantile, searchsorted and the like."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from math import prod
from operator import index
from typing import Any

from numpy.typing import NDArray

from nbnet.base.array_memory import plain_array
from nbnet.engine.graph.op import INT, Op, Spec, register
from nbnet.engine.graph.tensor import Tensor, apply, apply_many, tensor, tensors
from nbnet.engine.kernels.abi import accumulates, attribute, device, intvec, kernel, vec
from nbnet.ops.broadcast import add, multiply
from nbnet.ops.compare import greater, isnan, less, where
from nbnet.ops.places import index_tensor, reshaped_indices, take_along_axis
from nbnet.ops.reduction import checked_axes, reduced_shape, sum
from nbnet.ops.reshape import Axis, checked_axis, moveaxis, ravel, reshape
from nbnet.ops.slicing import cut, stack


@device
def _comes_before(a: Any, b: Any, descending: Any) -> Any:
    """True if a stands before b. NaN is the largest number."""
    if descending:
        return a > b or (a != a and b == b)
    return a < b or (b != b and a == a)


@device
def _merge(x: Any, source: Any, target: Any, base: Any, n: Any, stride: Any, width: Any, descending: Any) -> None:
    """Merge neighbouring runs of ``width`` sorted indices, equal elements in their order."""
    for low in range(0, n, 2 * width):
        middle, high = min(low + width, n), min(low + 2 * width, n)
        i, j = low, middle
        for k in range(low, high):
            right = i >= middle
            if i < middle and j < high:
                a, b = source[base + i * stride], source[base + j * stride]
                right = _comes_before(x[base + b * stride], x[base + a * stride], descending)
            if right:
                target[base + k * stride] = source[base + j * stride]
                j += 1
            else:
                target[base + k * stride] = source[base + i * stride]
                i += 1


# x is seen as (outer, n, inner) and y, the first elements in order, as (outer, count, inner); the attributes are n,
# inner, count, and 1 for descending order. Merge sort, from runs of one element up: passes go from one of two buffers
# of indices to the other.
@kernel
def sort_forward(mem: Any, ins: Any, step: Any) -> None:
    x, y, order = vec(mem, ins, 0), vec(mem, ins, 1), intvec(mem, ins, 2)
    places, spare, count = intvec(mem, ins, 3), intvec(mem, ins, 4), attribute(ins, 2)
    n, inner, descending, start_y = attribute(ins, 0), attribute(ins, 1), attribute(ins, 3) != 0, 0
    for start in range(0, x.size, max(n * inner, 1)):
        for j in range(inner):
            base = start + j
            for k in range(n):
                places[base + k * inner] = k
                spare[base + k * inner] = k  # One element needs no merging, which writes there.
            width, here = 1, True
            while width < n:
                if here:
                    _merge(x, places, spare, base, n, inner, width, descending)
                else:
                    _merge(x, spare, places, base, n, inner, width, descending)
                width, here = 2 * width, not here
            for k in range(count):
                at = start_y + j + k * inner
                order[at] = places[base + k * inner] if here else spare[base + k * inner]
                y[at] = x[base + order[at] * inner]
        start_y += count * inner


@kernel
def sort_backward(mem: Any, ins: Any, step: Any) -> None:
    order, dy, dx = intvec(mem, ins, 0), vec(mem, ins, 1), vec(mem, ins, 2)
    n, inner, count, start_y = attribute(ins, 0), attribute(ins, 1), attribute(ins, 2), 0
    if not accumulates(ins, 2):
        dx[:] = 0.0
    for start in range(0, dx.size, max(n * inner, 1)):
        for j in range(inner):
            for k in range(count):
                at = start_y + j + k * inner
                if order[at] >= 0 and order[at] < n:
                    dx[start + j + order[at] * inner] += dy[at]
        start_y += count * inner


def _sort_infer(x: Tensor, axis: int, count: int, descending: bool) -> tuple[Spec, ...]:
    shape = (*x.shape[:axis], count, *x.shape[axis + 1 :])
    return Spec(shape), Spec(shape, INT), Spec(x.shape, INT), Spec(x.shape, INT)


SORT = register(
    Op("sort", sort_forward, ("x",), infer=_sort_infer, outputs=("y", "order"), saves=("places", "spare"),
       backward=sort_backward, gradient=("order", "dy", "dx"),
       encode=lambda x, axis, count, descending: (
           x.shape[axis], prod(x.shape[axis + 1 :]), count, int(descending)),
       extents="x[outer*n*inner] y[outer*count*inner] order:i8[outer*count*inner] places:i8[outer*n*inner] "
               "spare:i8[outer*n*inner]; n inner count _",
       within=lambda sizes: sizes["count"] <= sizes["n"])
)  # fmt: skip
#: The same along the first axis, which is the batch's.
SORT_BATCH = register(replace(SORT, name="sort_batch", whole_batch=True))


def first_in_order(x: Tensor, axis: int, count: int, descending: bool = False) -> tuple[Tensor, Tensor]:
    """The first elements in order along an axis, a number from 0, and their indices, int64."""
    y, order = apply_many(SORT if axis else SORT_BATCH, x, axis=axis, count=count, descending=descending)
    return y, order


def _sorted(x: Any, axis: int | None) -> tuple[Tensor, Tensor]:
    x = tensor(x)
    if axis is None:
        x, axis = ravel(x), 0
    if not x.shape and axis in (0, -1):
        y, order = first_in_order(reshape(x, (1,)), 0, 1)
        return reshape(y, ()), reshaped_indices(order, ())
    axis = checked_axis(axis, x.ndim)
    return first_in_order(x, axis, x.shape[axis])


def sort(x: Any, axis: int | None = -1) -> Tensor:
    """Elements in ascending order along an axis; NaN comes last.

    Parameters
    ----------
    x
        Tensor or array.
    axis
        The axis; None for the flattened x.

    Raises
    ------
    ValueError
        If the axis is out of range.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.sort([3.0, 1.0, 2.0]).numpy()
    array([1., 2., 3.], dtype=float32)
    """
    return _sorted(x, axis)[0]


def argsort(x: Any, axis: int | None = -1) -> Tensor:
    """Indices that sort the elements along an axis, int64; equal ones keep their order. No gradient flows.

    Parameters
    ----------
    x
        Tensor or array.
    axis
        The axis; None for the flattened x.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.argsort([3.0, 1.0, 2.0]).numpy()
    array([1, 2, 0])
    """
    return _sorted(x, axis)[1]


def top_k(x: Any, k: int, sorted: bool = True, is_stable: bool = False) -> tuple[Tensor, Tensor]:
    """The k largest elements along the last axis, and their indices.

    Parameters
    ----------
    x
        (..., n): tensor or array.
    k
        Number of elements, up to n.
    sorted, is_stable
        No effect: the elements come in descending order, equal ones in that of their indices.

    Returns
    -------
    Values (..., k) and indices (..., k), int64.

    Raises
    ------
    ValueError
        If k is out of range.

    Examples
    --------
    >>> import nbnet as nb
    >>> values, indices = nb.ops.top_k([1.0, 4.0, 3.0], 2)
    >>> values.numpy(), indices.numpy()
    (array([4., 3.], dtype=float32), array([1, 2]))
    """
    made = tensor(x)
    n = made.shape[checked_axis(-1, made.ndim)]
    if not 0 <= index(k) <= n:
        raise ValueError(f"k: expected an integer from 0 to {n}, got {k}")
    return first_in_order(made, made.ndim - 1, k, descending=True)


def in_top_k(targets: Any, predictions: Any, k: int) -> Tensor:
    """True where fewer than k classes have a higher score than the target class.

    Parameters
    ----------
    targets
        (...): class numbers.
    predictions
        (..., classes): scores.
    k
        Number of highest scores.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.in_top_k([2, 0], [[0.1, 0.6, 0.3], [0.1, 0.6, 0.3]], k=2).numpy() > 0
    array([ True, False])
    """
    scores, classes = tensor(predictions), index_tensor(targets, "targets")
    mine = take_along_axis(scores, reshaped_indices(classes, (*classes.shape, 1)), -1)
    higher = greater(scores, where(isnan(mine), -math.inf, mine))
    return less(sum(higher, -1), index(k))


def argpartition(x: Any, kth: int, axis: int | None = -1) -> Tensor:
    """Indices that put the element at ``kth`` in its place in ascending order, int64: those before it are not larger.

    Parameters
    ----------
    x
        Tensor or array.
    kth
        The place; here, all others are in order, too.
    axis
        The axis; None for the flattened x.

    Raises
    ------
    ValueError
        If kth or the axis is out of range.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.argpartition([3.0, 1.0, 2.0], 1).numpy()
    array([1, 2, 0])
    """
    made = tensor(x)
    n = made.size if axis is None else made.shape[checked_axis(axis, made.ndim)]
    if not -n <= index(kth) < n:
        raise ValueError(f"kth: {kth} is out of range for {n} elements")
    return argsort(made, axis)


# ---- quantiles -----------------------------------------------------------------------------------------------

#: For a place between elements, and the functions that round it: the elements that count, and the share of the second;
#: None if the first one counts alone.
METHODS: dict[str, Callable[[Any, Any, Any, Any], tuple[Any, Any, Any]]] = {
    "linear": lambda place, floor, ceil, round: (low := floor(place), ceil(place), place - low),
    "lower": lambda place, floor, ceil, round: (floor(place), None, None),
    "higher": lambda place, floor, ceil, round: (ceil(place), None, None),
    "nearest": lambda place, floor, ceil, round: (round(place), None, None),
    "midpoint": lambda place, floor, ceil, round: (floor(place), ceil(place), 0.5),
}


def quantile(x: Any, q: Any, axis: Axis = None, method: str = "linear", keepdims: bool = False) -> Tensor:
    """Quantiles over axes. NaN wins.

    Parameters
    ----------
    x
        Tensor or array.
    q
        The part of the elements below: a number from 0 to 1, or several, which make the first axis of the result.
    axis
        An axis, several, or all by default; negative ones count from the last.
    method : {"linear", "lower", "higher", "nearest", "midpoint"}
        The value between two elements.
    keepdims
        If True, reduced axes stay, with length 1.

    Raises
    ------
    ValueError
        If q, method or an axis is out of range, or there are no elements.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.quantile([1.0, 2.0, 3.0, 4.0], [0.5, 1.0]).numpy()
    array([2.5, 4. ], dtype=float32)
    """
    parts, rows, axes = rows_of(x, q, axis, method)
    n, last_axis = rows.shape[-1], rows.ndim - 1
    ordered, _ = first_in_order(rows, last_axis, n)
    last = cut(ordered, last_axis, n - 1, 1)
    found = []
    for part in parts.reshape(-1).tolist():
        low, high, share = METHODS[method](part * (n - 1), math.floor, math.ceil, round)
        y = cut(ordered, last_axis, low, 1)
        if share:
            y = add(multiply(y, 1.0 - share), multiply(cut(ordered, last_axis, high, 1), share))
        found.append(where(isnan(last), last, y))
    return with_axes_back(found, parts, tensor(x), axes, keepdims)


def rows_of(x: Any, q: Any, axis: Axis, method: str) -> tuple[NDArray[Any], Tensor, tuple[int, ...]]:
    """Checked arguments of :func:`quantile`: the parts, x with the axes that are reduced joined to the last one, and
    these axes."""
    x, parts = tensor(x), plain_array(q, "q")
    if method not in METHODS:
        raise ValueError(f"method: expected one of {sorted(METHODS)}, got {method!r}")
    if not ((parts >= 0) & (parts <= 1)).all():
        raise ValueError(f"q: expected numbers from 0 to 1, got {q!r}")
    axes = checked_axes(axis, x.ndim)
    n = prod(x.shape[k] for k in axes)
    if not n:
        raise ValueError(f"x: expected at least one element, got shape {x.shape}")
    return parts, _axes_last(x, axes, n), axes


def with_axes_back(
    found: Sequence[Tensor], parts: NDArray[Any], x: Tensor, axes: Sequence[int], keepdims: bool
) -> Tensor:
    """Results for each part, one for each row, in the shape that :func:`quantile` returns."""
    y = stack(found, 0) if parts.ndim else found[0]
    return reshape(y, (*parts.shape, *reduced_shape(x.shape, axes, keepdims)))


def _axes_last(x: Tensor, axes: Sequence[int], n: int) -> Tensor:
    """``x`` with some axes joined to the last one."""
    if len(axes) == x.ndim:
        return reshape(x, (1, n))
    for moved, k in enumerate(axes):
        x = moveaxis(x, k - moved, -1)
    return reshape(x, (*x.shape[: x.ndim - len(axes)], n)) if len(axes) != 1 else x


def median(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The median over axes: the middle element, or the mean of the two in the middle. NaN wins.

    Parameters
    ----------
    x, axis, keepdims
        As for :func:`quantile`.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.median([[1.0, 5.0, 2.0], [4.0, 3.0, 9.0]], axis=1).numpy()
    array([2., 4.], dtype=float32)
    """
    return quantile(x, 0.5, axis, keepdims=keepdims)


def percentile(x: Any, q: Any, axis: Axis = None, method: str = "linear", keepdims: bool = False) -> Tensor:
    """Percentiles over axes: :func:`quantile` with q from 0 to 100.

    Parameters
    ----------
    x, axis, method, keepdims
        As for :func:`quantile`.
    q
        A number from 0 to 100, or several, which make the first axis of the result.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.percentile([1.0, 2.0, 3.0], 50).item()
    2.0
    """
    parts = plain_array(q, "q")
    if not ((parts >= 0) & (parts <= 100)).all():
        raise ValueError(f"q: expected numbers from 0 to 100, got {q!r}")
    return quantile(x, parts / 100, axis, method, keepdims)


# ---- places in a sorted sequence -----------------------------------------------------------------------------


@kernel
def searchsorted_forward(mem: Any, ins: Any, step: Any) -> None:
    sequence, x, y, right = vec(mem, ins, 0), vec(mem, ins, 1), intvec(mem, ins, 2), attribute(ins, 0) != 0
    for i in range(x.size):
        low, high = 0, sequence.size
        while low < high:
            middle = (low + high) // 2
            a, b = sequence[middle], x[i]
            if _comes_before(a, b, False) or (right and not _comes_before(b, a, False)):
                low = middle + 1
            else:
                high = middle
        y[i] = low


SEARCHSORTED = register(
    Op("searchsorted", searchsorted_forward, ("sequence", "x"), infer=lambda sequence, x, right: (Spec(x.shape, INT),),
       encode=lambda sequence, x, right: (int(right),), stops_gradient=True,
       extents="sequence[s] x[n] y:i8[n]; _")
)  # fmt: skip


def searchsorted(sorted_sequence: Any, values: Any, side: str = "left") -> Tensor:
    """Places at which values would be inserted in a sorted sequence, int64. No gradient flows.

    Parameters
    ----------
    sorted_sequence
        A vector in ascending order.
    values
        Tensor or array of any shape.
    side : {"left", "right"}
        Before or behind equal elements.

    Raises
    ------
    ValueError
        If the sequence is no vector, or side is anything else.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.searchsorted([1.0, 2.0, 3.0], [2.0, 2.5]).numpy()
    array([1, 2])
    """
    sequence, x = tensors(sorted_sequence, values)
    if sequence.ndim != 1:
        raise ValueError(f"sorted_sequence: expected a vector, got shape {sequence.shape}")
    if side not in ("left", "right"):
        raise ValueError(f"side: expected 'left' or 'right', got {side!r}")
    return apply(SEARCHSORTED, sequence, x, right=side == "right")


def digitize(x: Any, bins: Any) -> Tensor:
    """The number of the bin that each element falls into, int64: 0 below the first limit. No gradient flows.

    Parameters
    ----------
    x
        Tensor or array of any shape.
    bins
        The lower limits of the bins in ascending order, a vector.

    Raises
    ------
    ValueError
        If bins are no vector, or known and not in order.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.digitize([0.5, 1.0, 7.0], [1.0, 2.0, 5.0]).numpy()
    array([0, 1, 3])
    """
    x, limits = tensors(x, bins)
    if limits.data is not None and not all(a <= b for a, b in itertools.pairwise(limits.numpy().reshape(-1).tolist())):
        raise ValueError("bins: expected limits in ascending order")
    return searchsorted(limits, x, "right")


# ---- the largest element -------------------------------------------------------------------------------------


@kernel
def argmax_forward(mem: Any, ins: Any, step: Any) -> None:
    x, y, n = vec(mem, ins, 0), intvec(mem, ins, 1), attribute(ins, 0)
    inner, least, skip = attribute(ins, 1), attribute(ins, 2) & 1, attribute(ins, 2) & 2
    for i in range(y.size):
        base, found = i // inner * n * inner + i % inner, 0
        for k in range(1, n):
            a, b = x[base + k * inner], x[base + found * inner]
            better = a < b if least != 0 else a > b
            if skip != 0:
                found = k if better or (b != b and a == a) else found
            elif b == b and (a != a or better):
                found = k
        y[i] = found
        if skip != 0 and x[base + found * inner] != x[base + found * inner]:
            y[i] = -1


def _argmax_infer(x: Tensor, axis: int, least: bool, skip: bool, keepdims: bool) -> tuple[Spec, ...]:
    if not x.shape[axis]:
        raise ValueError(f"x: expected at least one element along axis {axis}, got shape {x.shape}")
    return (Spec(reduced_shape(x.shape, (axis,), keepdims), INT),)


ARGMAX = register(
    Op("argmax", argmax_forward, ("x",), infer=_argmax_infer, stops_gradient=True,
       encode=lambda x, axis, least, skip, keepdims: (
            x.shape[axis], prod(x.shape[axis + 1 :]), int(least) + 2 * int(skip)),
       extents="x[outer*n*inner] y:i8[outer*inner]; n inner _", within=lambda sizes: sizes["n"] > 0)
)  # fmt: skip
#: The same along the first axis, which is the batch's.
ARGMAX_BATCH = register(replace(ARGMAX, name="argmax_batch", whole_batch=True))


def extreme_at(x: Any, axis: int | None, keepdims: bool, least: bool, skip: bool = False) -> Tensor:
    """Indices of the largest elements, or of the least ones; with ``skip``, NaN is left out, and -1 stands for none."""
    x = tensor(x)
    if axis is None:
        kept = reduced_shape(x.shape, range(x.ndim), keepdims)
        rows = reshape(x, (-1, *kept[1:]))
        return apply(ARGMAX_BATCH, rows, axis=0, least=least, skip=skip, keepdims=bool(kept))
    axis = checked_axis(axis, x.ndim)
    return apply(ARGMAX if axis else ARGMAX_BATCH, x, axis=axis, least=least, skip=skip, keepdims=keepdims)


def argmax(x: Any, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """Indices of the largest elements along an axis, the first of equals, int64. No gradient flows.

    Parameters
    ----------
    x
        Tensor or array.
    axis
        The axis; None for the index in the flattened x.
    keepdims
        If True, the axis stays, with length 1.

    Raises
    ------
    ValueError
        If the axis is out of range or has no elements.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.argmax([[1.0, 3.0, 2.0]], axis=-1).numpy()
    array([1])
    """
    return extreme_at(x, axis, keepdims, least=False)


def argmin(x: Any, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """Indices of the smallest elements along an axis, the first of equals, int64. No gradient flows.

    Parameters
    ----------
    x, axis, keepdims
        As for :func:`argmax`.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.argmin([[1.0, 3.0, 0.0]], axis=-1).numpy()
    array([2])
    """
    return extreme_at(x, axis, keepdims, least=True)
