"""Reductions: sum, mean, max, min over axes, and the weighted sums that losses end with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod
from operator import index as _index
from typing import Any, NamedTuple

import numpy as np

from nbnet.base.validation import check_bool
from nbnet.engine.graph.op import BOOL, Op, Shape, Spec, register
from nbnet.engine.graph.tensor import Tensor, apply, tensor, tensors
from nbnet.engine.kernels.abi import Kernel, accumulates, attribute, device, kernel, scratch, vec
from nbnet.ops.broadcast import add, bitwise_not, maximum, multiply
from nbnet.ops.elementwise import documents, negative
from nbnet.ops.reshape import Axis
from nbnet.ops.softmax import largest

#: Numbers added in the tensor's own dtype before they join a float64 total: float32 sums stay accurate to the last
#: digits.
BLOCK = 1024


@device
def _total(x: Any) -> Any:
    """The sum of a vector."""
    total = np.float64(0)
    for start in range(0, x.size, BLOCK):
        part = 0.0
        block = x[start : start + BLOCK]
        for j in range(block.size):
            part += block[j]
        total += part
    return total


def _make_forward(mean: bool) -> Any:
    # x is seen as (outer, n, inner) and summed over n; the attributes are n, inner and outer.
    def forward(mem: Any, ins: Any, step: Any) -> None:
        x, y = vec(mem, ins, 0), vec(mem, ins, 1)
        n, inner = attribute(ins, 0), attribute(ins, 1)
        scale = 1.0
        if mean:
            scale = 1.0 / x.dtype.type(n)
        if inner == 1:
            for o in range(attribute(ins, 2)):
                y[o] = _total(x[o * n : o * n + n]) * scale
        else:
            for o in range(attribute(ins, 2)):
                row, block = y[o * inner : o * inner + inner], x[o * n * inner :]
                row[:] = 0.0
                for k in range(n):
                    part = block[k * inner : k * inner + inner]
                    for j in range(inner):
                        row[j] += part[j]
                for j in range(inner):
                    row[j] *= scale

    return forward


def _make_backward(mean: bool) -> Any:
    def backward(mem: Any, ins: Any, step: Any) -> None:
        dy, dx = vec(mem, ins, 0), vec(mem, ins, 1)
        n, inner, add = attribute(ins, 0), attribute(ins, 1), accumulates(ins, 1)
        scale = 1.0
        if mean:
            scale = 1.0 / dx.dtype.type(n)
        if inner == 1:
            for o in range(attribute(ins, 2)):
                d, into = dy[o] * scale, dx[o * n : o * n + n]
                for j in range(n):
                    into[j] = into[j] + d if add else d
        else:
            for o in range(attribute(ins, 2)):
                row, block = dy[o * inner : o * inner + inner], dx[o * n * inner :]
                for k in range(n):
                    into = block[k * inner : k * inner + inner]
                    for j in range(inner):
                        into[j] = into[j] + row[j] * scale if add else row[j] * scale

    return backward


class ReductionOps(NamedTuple):
    """Two ops with the same kernels: for axes within a row of the batch, and for axes that include the batch's."""

    within: Op
    batch: Op


_EXTENTS = "x[outer*n*inner] y[outer*inner]; n inner outer"


def reduction(name: str, mean: bool) -> ReductionOps:
    """Make and register the ops of a sum (or a mean) over a run of neighbouring axes."""
    op = Op(
        name, Kernel(_make_forward(mean), f"{name}_forward"), ("x",), infer=lambda x, shape, n, inner: (Spec(shape),),
        backward=Kernel(_make_backward(mean), f"{name}_backward"), gradient=("dy", "dx"), role="reduction",
        encode=lambda x, shape, n, inner: (n, inner, prod(shape) // (inner or 1)), linear=True, extents=_EXTENTS,
        kinds="f" if mean else "fi",
    )  # fmt: skip
    return ReductionOps(register(op), register(replace(op, name=f"{name}_batch", whole_batch=True)))


def checked_axes(axis: Axis, ndim: int) -> tuple[int, ...]:
    """Return axes as sorted numbers from 0, all of them for None; raise ValueError if one is out of range or twice."""
    if axis is None:
        return tuple(range(ndim))
    given = [_index(k) for k in (axis if isinstance(axis, Sequence) else (axis,))]
    if any(not -ndim <= k < ndim for k in given):
        raise ValueError(f"axis: {axis} is out of range for {ndim} axes")
    axes = sorted(k % ndim for k in given)
    if len(set(axes)) != len(axes):
        raise ValueError(f"axis: {axis} names an axis twice")
    return tuple(axes)


def reduced_shape(shape: Shape, axes: Sequence[int], keepdims: bool) -> Shape:
    """Return a shape without some axes, which have length 1 in place of that if ``keepdims`` is True."""
    kept = check_bool(keepdims, "keepdims")
    return tuple(1 if k in axes else n for k, n in enumerate(shape) if kept or k not in axes)


def reduce(ops: ReductionOps, x: Tensor, axis: Axis, keepdims: bool) -> Tensor:
    """Apply a reduction; runs of neighbouring axes are reduced one after the other, from the last."""
    axes = checked_axes(axis, x.ndim)
    runs: list[list[int]] = []
    for k in axes:
        if runs and runs[-1][-1] == k - 1:
            runs[-1].append(k)
        else:
            runs.append([k])
    runs = runs or [[]]
    final = reduced_shape(x.shape, axes, keepdims)
    for run in reversed(runs):
        n, inner = prod(x.shape[k] for k in run), prod(x.shape[run[-1] + 1 :] if run else ())
        shape = final if run is runs[0] else tuple(1 if k in run else m for k, m in enumerate(x.shape))
        x = apply(ops.batch if 0 in run else ops.within, x, shape=shape, n=n, inner=inner)
    return x


documents_axes = documents(
    first="x\n    Tensor or array.\naxis\n    An axis, several, or all by default; negative ones count from the last.\n"
    "keepdims\n    If True, reduced axes stay, with length 1.",
    raises="ValueError\n    If an axis is out of range or named twice.",
)

SUM = reduction("sum", mean=False)


@documents_axes
def sum(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Sum over axes.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.sum([[1.0, 2.0], [3.0, 4.0]], axis=0).numpy()
    array([4., 6.], dtype=float32)
    """
    return reduce(SUM, tensor(x), axis, keepdims)


MEAN = reduction("mean", mean=True)


@documents_axes
def mean(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Mean over axes.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.mean([[1.0, 2.0], [3.0, 4.0]], axis=0).numpy()
    array([2., 3.], dtype=float32)
    """
    return reduce(MEAN, tensor(x), axis, keepdims)


# x is seen as (outer, n, inner); the attributes are n, inner and outer.
@device
def _largest_or_nan(x: Any) -> Any:
    """The largest element, NaN if there is one."""
    top, odd = largest(x), 0
    for j in range(x.size):
        odd += 1 if x[j] != x[j] else 0
    return top if odd == 0 else np.nan


@device
def _share_along(x: Any, top: Any, dy: Any, dx: Any, add: bool) -> None:
    """Share a gradient among the largest elements of a vector."""
    count = 0.0
    for k in range(x.size):
        count += 1.0 if x[k] == top else 0.0
    share = dy / (count if count > 0.0 else 1.0)
    for k in range(x.size):
        d = share if x[k] == top else 0.0
        dx[k] = dx[k] + d if add else d


@device
def _share_across(x: Any, y: Any, dy: Any, dx: Any, n: Any, stride: Any, shares: Any, add: bool) -> None:
    """The same for neighbouring columns of n rows."""
    width = y.size
    for j in range(width):
        shares[j] = 0.0
    for k in range(n):
        row = x[k * stride : k * stride + width]
        for j in range(width):
            shares[j] += 1.0 if row[j] == y[j] else 0.0
    for j in range(width):
        shares[j] = dy[j] / (shares[j] if shares[j] > 0.0 else 1.0)
    for k in range(n):
        row, into = x[k * stride : k * stride + width], dx[k * stride : k * stride + width]
        for j in range(width):
            d = shares[j] if row[j] == y[j] else 0.0
            into[j] = into[j] + d if add else d


@kernel
def max_forward(mem: Any, ins: Any, step: Any) -> None:
    x, y = vec(mem, ins, 0), vec(mem, ins, 1)
    n, inner = attribute(ins, 0), attribute(ins, 1)
    if inner == 1:
        for o in range(attribute(ins, 2)):
            y[o] = _largest_or_nan(x[o * n : o * n + n])
    else:
        for o in range(attribute(ins, 2)):
            block, top = x[o * n * inner :], y[o * inner : o * inner + inner]
            for j in range(inner):
                top[j] = block[j]
            for k in range(1, n):
                row = block[k * inner : k * inner + inner]
                for j in range(inner):
                    top[j] = row[j] if row[j] > top[j] or row[j] != row[j] else top[j]


@kernel
def max_backward(mem: Any, ins: Any, step: Any) -> None:
    x, y, dy, dx = vec(mem, ins, 0), vec(mem, ins, 1), vec(mem, ins, 2), vec(mem, ins, 3)
    n, inner, add = attribute(ins, 0), attribute(ins, 1), accumulates(ins, 3)
    if inner == 1:
        for o in range(attribute(ins, 2)):
            _share_along(x[o * n : o * n + n], y[o], dy[o], dx[o * n : o * n + n], add)
    else:
        shares = scratch(mem)
        for o in range(attribute(ins, 2)):
            for first in range(0, inner, shares.size):
                low, start = o * inner + first, o * n * inner + first
                high = low + (shares.size if inner - first > shares.size else inner - first)
                _share_across(x[start:], y[low:high], dy[low:high], dx[start:], n, inner, shares, add)


def _max_infer(x: Tensor, shape: Shape, n: int, inner: int) -> tuple[Spec, ...]:
    if n == 0:
        raise ValueError(f"max: expected at least one element, got shape {x.shape}")
    return (Spec(shape),)


_MAX = Op(
    "max", max_forward, ("x",), infer=_max_infer, backward=max_backward, gradient=("x", "y", "dy", "dx"),
    encode=lambda x, shape, n, inner: (n, inner, prod(shape) // inner if inner else 0), role="reduction",
    kinds="fib", extents=_EXTENTS, within=lambda sizes: sizes["n"] > 0,
)  # fmt: skip
MAX = ReductionOps(register(_MAX), register(replace(_MAX, name="max_batch", whole_batch=True)))


@documents_axes
def max(x: Any, axis: Axis = None, keepdims: bool = False, initial: float | None = None) -> Tensor:
    """Largest elements over axes. NaN wins; equal ones share the gradient.

    Parameters
    ----------
    initial
        The least value of the results; None for no bound.

    Raises
    ------
    ValueError
        If an axis is out of range or named twice, or there are no elements.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.max([[1.0, 2.0], [4.0, 3.0]], axis=1).numpy()
    array([2., 4.], dtype=float32)
    """
    made = tensor(x)
    if initial is None:
        return reduce(MAX, made, axis, keepdims)
    if not made.size:
        # The least numbers over nothing: sums are of the right shape, and 0.
        return add(multiply(reduce(SUM, made, axis, keepdims), 0.0), initial)
    return maximum(reduce(MAX, made, axis, keepdims), initial)


@documents_axes
def min(x: Any, axis: Axis = None, keepdims: bool = False, initial: float | None = None) -> Tensor:
    """Smallest elements over axes. NaN wins; equal ones share the gradient.

    Parameters
    ----------
    initial
        The greatest value of the results; None for no bound.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.min([[1.0, 2.0], [4.0, 3.0]], axis=1).numpy()
    array([1., 3.], dtype=float32)
    """
    x = tensor(x)
    if x.dtype == BOOL:
        return bitwise_not(max(bitwise_not(x), axis, keepdims))
    return negative(max(negative(x), axis, keepdims, None if initial is None else -initial))


@kernel
def weighted_sum_forward(mem: Any, ins: Any, step: Any) -> None:
    l, w, scale, y = vec(mem, ins, 0), vec(mem, ins, 1), vec(mem, ins, 2)[0], vec(mem, ins, 3)  # noqa: E741
    total = 0.0
    for i in range(l.size):
        total += l[i] * w[i]
    y[0] = total * scale


@kernel
def weighted_sum_backward(mem: Any, ins: Any, step: Any) -> None:
    w, scale, dy, dl = vec(mem, ins, 0), vec(mem, ins, 1)[0], vec(mem, ins, 2)[0], vec(mem, ins, 3)
    add = accumulates(ins, 3)
    for i in range(dl.size):
        d = w[i] * scale * dy
        dl[i] = dl[i] + d if add else d


def _weighted_sum_infer(l: Tensor, w: Tensor, scale: Tensor) -> tuple[Spec, ...]:  # noqa: E741
    if l.shape != w.shape:
        raise ValueError(f"sample_weight: expected one weight for each loss, shape {l.shape}, got {w.shape}")
    return (Spec(()),)


WEIGHTED_SUM = register(
    Op("weighted_sum", weighted_sum_forward, ("l", "w", "scale"), infer=_weighted_sum_infer,
       backward=weighted_sum_backward, gradient=("w", "scale", "dy", "dl"), role="reduction", linear=True,
       extents="l[n] w[n] scale[1] y[1]")
)  # fmt: skip


def weighted_sum(losses: Tensor, weights: Tensor, scale: Tensor) -> Tensor:
    """``scale * sum(losses * weights)``; weights and scale get no gradient.

    Examples
    --------
    >>> import nbnet as nb
    >>> losses, weights = nb.tensor([1.0, 5.0]), nb.tensor([3.0, 1.0])
    >>> nb.ops.weighted_sum(losses, weights, nb.tensor(0.5)).item()
    4.0
    """
    return apply(WEIGHTED_SUM, losses, weights, scale)


@kernel
def weighted_mean_forward(mem: Any, ins: Any, step: Any) -> None:
    l, w, d, y = vec(mem, ins, 0), vec(mem, ins, 1), vec(mem, ins, 2), vec(mem, ins, 3)  # noqa: E741
    total, whole = 0.0, 0.0
    for i in range(l.size):
        total += l[i] * w[i]
        whole += d[i]
    y[0] = total / whole if whole != 0.0 else 0.0


@kernel
def weighted_mean_backward(mem: Any, ins: Any, step: Any) -> None:
    w, d, dy, dl = vec(mem, ins, 0), vec(mem, ins, 1), vec(mem, ins, 2)[0], vec(mem, ins, 3)
    add, whole = accumulates(ins, 3), 0.0
    for i in range(d.size):
        whole += d[i]
    scale = dy / whole if whole != 0.0 else 0.0
    for i in range(dl.size):
        v = w[i] * scale
        dl[i] = dl[i] + v if add else v


def _weighted_mean_infer(l: Tensor, w: Tensor, d: Tensor) -> tuple[Spec, ...]:  # noqa: E741
    if not l.shape == w.shape == d.shape:
        raise ValueError(f"sample_weight: expected one weight for each loss, shape {l.shape}, got {w.shape}, {d.shape}")
    return (Spec(()),)


WEIGHTED_MEAN = register(
    Op("weighted_mean", weighted_mean_forward, ("l", "w", "d"), infer=_weighted_mean_infer,
       backward=weighted_mean_backward, gradient=("w", "d", "dy", "dl"), role="reduction", linear=True,
       whole_batch=True, extents="l[n] w[n] d[n] y[1]")
)  # fmt: skip


def weighted_mean(losses: Tensor, weights: Tensor, divisor: Tensor) -> Tensor:
    """``sum(losses * weights) / sum(divisor)``, 0 if the divisor is; weights and divisor get no gradient.

    Parameters
    ----------
    losses, weights, divisor
        Tensors of one shape.

    Examples
    --------
    >>> import nbnet as nb
    >>> losses, weights = nb.tensor([1.0, 5.0]), nb.tensor([3.0, 1.0])
    >>> nb.ops.weighted_mean(losses, weights, weights).item()
    2.0
    """
    return apply(WEIGHTED_MEAN, losses, weights, divisor)


@kernel
def l1_l2_forward(mem: Any, ins: Any, step: Any) -> None:
    x, l1, l2, y = vec(mem, ins, 0), vec(mem, ins, 1)[0], vec(mem, ins, 2)[0], vec(mem, ins, 3)
    total = np.float64(0)
    for start in range(0, x.size, BLOCK):
        part = 0.0
        block = x[start : start + BLOCK]
        for i in range(block.size):
            part += l1 * abs(block[i]) + l2 * block[i] * block[i]
        total += part
    y[0] = total


@kernel
def l1_l2_backward(mem: Any, ins: Any, step: Any) -> None:
    x, l1, l2 = vec(mem, ins, 0), vec(mem, ins, 1)[0], vec(mem, ins, 2)[0]
    dy, dx = vec(mem, ins, 3)[0], vec(mem, ins, 4)
    size, slope = l1 * dy, 2.0 * l2 * dy
    add = accumulates(ins, 4)
    for i in range(dx.size):
        sign = size if x[i] > 0.0 else 0.0
        sign = -size if x[i] < 0.0 else sign
        d = slope * x[i] + sign
        dx[i] = dx[i] + d if add else d


def _l1_l2_infer(x: Tensor, l1: Tensor, l2: Tensor) -> tuple[Spec, ...]:
    if l1.size != 1 or l2.size != 1:
        raise ValueError(f"l1, l2: expected numbers, or tensors of one element, got shapes {l1.shape} and {l2.shape}")
    return (Spec(()),)


L1_L2 = register(
    Op("l1_l2", l1_l2_forward, ("x", "l1", "l2"), infer=_l1_l2_infer, backward=l1_l2_backward,
       gradient=("x", "l1", "l2", "dy", "dx"), role="penalty", extents="x[n] l1[1] l2[1] y[1]")
)  # fmt: skip


def l1_l2(x: Any, l1: Any, l2: Any) -> Tensor:
    """``sum(l1 |x| + l2 x**2)``; the factors get no gradient.

    Parameters
    ----------
    x
        Tensor or array of any shape.
    l1, l2
        Numbers, or tensors that hold one.

    Examples
    --------
    >>> from nbnet.ops.reduction import l1_l2
    >>> l1_l2([-3.0, 2.0], 1.0, 0.5).item()
    11.5
    """
    return apply(L1_L2, *tensors(x, l1, l2))
