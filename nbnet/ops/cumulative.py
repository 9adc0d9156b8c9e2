"""Running sums and products along an axis, and what is made of them: cumsum, cumprod, prod, diff, trapezoid."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import prod as product
from operator import index
from typing import Any

from nbnet.engine.graph.op import Op, Spec, register
from nbnet.engine.graph.tensor import Tensor, apply, tensor, tensors
from nbnet.engine.kernels.abi import Function, Kernel, accumulates, attribute, kernel, vec
from nbnet.ops.broadcast import add, divide, multiply, subtract
from nbnet.ops.convert import cast
from nbnet.ops.create import ones
from nbnet.ops.reduction import checked_axes, reduced_shape, sum
from nbnet.ops.reshape import Axis, checked_axis, moveaxis, ravel, reshape
from nbnet.ops.slicing import cut

# x is seen as (outer, n, inner); the attributes are n and inner.


def _forward(name: str, join: Callable[..., Any]) -> Kernel:
    f = Function(join, name)

    def forward(mem: Any, ins: Any, step: Any) -> None:
        x, y, n, inner = vec(mem, ins, 0), vec(mem, ins, 1), attribute(ins, 0), attribute(ins, 1)
        for start in range(0, x.size, max(n * inner, 1)):
            for i in range(start, start + inner):
                y[i] = x[i]
            for i in range(start + inner, start + n * inner):
                y[i] = f(y[i - inner], x[i])

    return Kernel(forward, f"{name}_forward")


@kernel
def cumsum_backward(mem: Any, ins: Any, step: Any) -> None:
    dy, dx, n, inner = vec(mem, ins, 0), vec(mem, ins, 1), attribute(ins, 0), attribute(ins, 1)
    add = accumulates(ins, 1)
    for start in range(0, dx.size, max(n * inner, 1)):
        for j in range(start, start + inner):
            total = 0.0
            for k in range(n - 1, -1, -1):
                i = j + k * inner
                total += dy[i]
                dx[i] = dx[i] + total if add else total


@kernel
def cumprod_backward(mem: Any, ins: Any, step: Any) -> None:
    # dx_k = y_(k-1) r_k with r_k = dy_k + x_(k+1) r_(k+1): no division, so that zeros are no exception.
    x, y, dy, dx = vec(mem, ins, 0), vec(mem, ins, 1), vec(mem, ins, 2), vec(mem, ins, 3)
    n, inner, add = attribute(ins, 0), attribute(ins, 1), accumulates(ins, 3)
    for start in range(0, dx.size, max(n * inner, 1)):
        for j in range(start, start + inner):
            rest = 0.0
            for k in range(n - 1, -1, -1):
                i = j + k * inner
                rest = dy[i] + (x[i + inner] * rest if k < n - 1 else 0.0)
                d = y[i - inner] * rest if k > 0 else rest
                dx[i] = dx[i] + d if add else d


def _ops(name: str, join: Callable[..., Any], backward: Any, gradient: tuple[str, ...], linear: bool) -> tuple[Op, Op]:
    """The op of results up to each element along an axis, and the same along the first axis, which is the batch's."""
    op = Op(name, _forward(name, join), ("x",), infer=lambda x, axis: (Spec(x.shape),), backward=backward,
            gradient=gradient, encode=lambda x, axis: (x.shape[axis], product(x.shape[axis + 1 :])), linear=linear,
            extents="x[outer*n*inner] y[outer*n*inner]; n inner")  # fmt: skip
    return register(op), register(replace(op, name=f"{name}_batch", whole_batch=True))


CUMSUM = _ops("cumsum", lambda total, x: total + x, cumsum_backward, ("dy", "dx"), linear=True)
CUMPROD = _ops("cumprod", lambda total, x: total * x, cumprod_backward, ("x", "y", "dy", "dx"), linear=False)


def _cumulative(ops: tuple[Op, Op], x: Any, axis: int | None, dtype: Any) -> Tensor:
    made = tensor(x) if dtype is None else cast(x, dtype)
    if axis is None:
        made, axis = ravel(made), 0
    axis = checked_axis(axis, made.ndim)
    return apply(ops[axis == 0], made, axis=axis)


def cumsum(x: Any, axis: int | None = None, dtype: Any = None) -> Tensor:
    """Sums of the elements up to each one along an axis.

    Parameters
    ----------
    x
        Tensor or array.
    axis
        The axis; None for the flattened x.
    dtype
        See :func:`nbnet.ops.cast`; by default that of x.

    Raises
    ------
    ValueError
        If the axis is out of range.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.cumsum([[1.0, 2.0], [3.0, 4.0]], axis=1).numpy()
    array([[1., 3.],
           [3., 7.]], dtype=float32)
    """
    return _cumulative(CUMSUM, x, axis, dtype)


def cumprod(x: Any, axis: int | None = None, dtype: Any = None) -> Tensor:
    """Products of the elements up to each one along an axis.

    Parameters
    ----------
    x, axis, dtype
        As for :func:`cumsum`.

    Raises
    ------
    ValueError
        If the axis is out of range.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.cumprod([1.0, 2.0, 3.0]).numpy()
    array([1., 2., 6.], dtype=float32)
    """
    return _cumulative(CUMPROD, x, axis, dtype)


def prod(x: Any, axis: Axis = None, keepdims: bool = False, dtype: Any = None) -> Tensor:
    """The product over axes; an element that is 0 has a gradient, too.

    Parameters
    ----------
    x
        Tensor or array.
    axis
        An axis, several, or all by default; negative ones count from the last.
    keepdims
        If True, reduced axes stay, with length 1.
    dtype
        See :func:`nbnet.ops.cast`; by default that of x.

    Raises
    ------
    ValueError
        If an axis is out of range or named twice.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.prod([[1.0, 2.0], [3.0, 4.0]], axis=0).numpy()
    array([3., 8.], dtype=float32)
    """
    made = tensor(x) if dtype is None else cast(x, dtype)
    axes = checked_axes(axis, made.ndim)
    for k in axes:
        n = made.shape[k]
        made = cut(cumprod(made, k), k, n - 1, 1) if n else ones((*made.shape[:k], 1, *made.shape[k + 1 :]), made.dtype)
    shape = reduced_shape(made.shape, axes, keepdims)
    return made if shape == made.shape else reshape(made, shape)


def diff(a: Any, n: int = 1, axis: int = -1) -> Tensor:
    """Differences of neighbours along an axis.

    Parameters
    ----------
    a
        Tensor or array.
    n
        The number of times that differences are taken.
    axis
        The axis, which becomes n elements shorter.

    Raises
    ------
    ValueError
        If n is negative, or the axis is out of range.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.diff([1.0, 4.0, 9.0]).numpy()
    array([3., 5.], dtype=float32)
    """
    made = tensor(a)
    axis = checked_axis(axis, made.ndim)
    if index(n) < 0:
        raise ValueError(f"n: expected an integer from 0, got {n}")
    for _ in range(min(n, made.shape[axis])):
        left = made.shape[axis] - 1
        made = subtract(cut(made, axis, 1, left), cut(made, axis, 0, left))
    return made


def trapezoid(y: Any, x: Any = None, dx: float = 1.0, axis: int = -1) -> Tensor:
    """The integral along an axis, by the trapezoidal rule.

    Parameters
    ----------
    y
        Values of the function: tensor or array.
    x
        Where they are taken: of the shape of y, or a vector along the axis; None for points ``dx`` apart.
    dx
        Their distance.
    axis
        The axis.

    Raises
    ------
    ValueError
        If the axis is out of range, or shapes do not fit.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.trapezoid([1.0, 2.0, 3.0], dx=2.0).item()
    8.0
    """
    made, points = (tensor(y), None) if x is None else tensors(y, x)
    axis = checked_axis(axis, made.ndim)
    n = max(made.shape[axis] - 1, 0)
    if not n:
        return sum(multiply(made, 0.0), axis)
    pairs = divide(add(cut(made, axis, 1, n), cut(made, axis, 0, n)), 2.0)
    if points is None:
        return multiply(sum(pairs, axis), dx)
    if points.ndim == 1:
        return sum(multiply(moveaxis(pairs, axis, -1), diff(points)), -1)
    return sum(multiply(pairs, diff(points, axis=axis)), axis)
