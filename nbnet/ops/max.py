"""``y = max(x)`` over axes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from nbnet.core.abi import accumulates, attribute, device, kernel, scratch, vec
from nbnet.core.graph import Tensor
from nbnet.core.op import Op, Shape, Spec, register
from nbnet.core.tape import tensor
from nbnet.ops.negative import negative
from nbnet.ops.reduction import Reduction, reduce
from nbnet.ops.softmax import largest


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
    """Share a gradient out to the largest elements of a vector."""
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


def _infer(x: Tensor, shape: Shape, n: int, inner: int) -> tuple[Spec, ...]:
    if n == 0:
        raise ValueError(f"max: there is no largest of no elements; got shape {x.shape}")
    return (Spec(shape),)


_OP = Op(
    "max",
    max_forward,
    ("x",),
    infer=_infer,
    backward=max_backward,
    gradient=("x", "y", "dy", "dx"),
    encode=lambda x, shape, n, inner: (n, inner, prod(shape) // inner if inner else 0),
)
MAX = Reduction(register(_OP), register(replace(_OP, name="max_batch", whole_batch=True)))


def max(x: Any, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Tensor:
    """Largest elements over axes. NaN wins; equal ones share the gradient.

    Parameters
    ----------
    x
        Tensor or array.
    axis
        An axis, several, or all by default; negative ones count from the last.
    keepdims
        Whether reduced axes stay, with length 1.

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
    return reduce(MAX, tensor(x), axis, keepdims)


def min(x: Any, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Tensor:
    """Smallest elements over axes. NaN wins; equal ones share the gradient.

    Parameters
    ----------
    x, axis, keepdims
        As for :func:`max`.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.min([[1.0, 2.0], [4.0, 3.0]], axis=1).numpy()
    array([1., 3.], dtype=float32)
    """
    return negative(max(negative(x), axis, keepdims))
