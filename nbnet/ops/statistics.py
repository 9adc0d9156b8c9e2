"""Statistics over axes, composed of other ops: variance, weighted average, logsumexp and the like."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nbnet.engine.graph.tensor import Tensor, tensor, tensors
from nbnet.ops.broadcast import add, divide, multiply, subtract
from nbnet.ops.compare import greater, isfinite, where
from nbnet.ops.elementwise import exp, log, sqrt, square, stop_gradient
from nbnet.ops.reduction import documents_axes, max, mean, min, sum
from nbnet.ops.reshape import Axis, reshape


@documents_axes
def logsumexp(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """``log(sum(exp(x)))`` over axes, without overflow.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.logsumexp([[1e4, 1e4]], axis=-1).numpy().round(3)
    array([10000.693], dtype=float32)
    """
    x = tensor(x)
    top = stop_gradient(max(x, axis, keepdims=True))
    top = where(isfinite(top), top, 0.0)
    total = log(sum(exp(subtract(x, top)), axis, keepdims))
    return add(total, reshape(top, total.shape))


@documents_axes
def var(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The variance over axes: the mean of squared distances from the mean.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.var([[1.0, 3.0], [2.0, 2.0]], axis=1).numpy()
    array([1., 0.], dtype=float32)
    """
    x = tensor(x)
    return mean(square(subtract(x, mean(x, axis, keepdims=True))), axis, keepdims)


@documents_axes
def std(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The standard deviation over axes: the root of :func:`var`.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.std([1.0, 3.0]).item()
    1.0
    """
    return sqrt(var(x, axis, keepdims))


def moments(x: Any, axes: Axis, keepdims: bool = False, synchronized: bool = False) -> tuple[Tensor, Tensor]:
    """Mean and variance over axes.

    Parameters
    ----------
    x
        Tensor or array.
    axes, keepdims
        As ``axis`` and ``keepdims`` of :func:`nbnet.ops.sum`.
    synchronized
        False: there is one process.

    Raises
    ------
    ValueError
        If an axis is out of range or named twice, or synchronized is True.

    Examples
    --------
    >>> import nbnet as nb
    >>> [float(m) for m in nb.ops.moments([1.0, 3.0], axes=0)]
    [2.0, 1.0]
    """
    if synchronized:
        raise ValueError("synchronized: expected False, as there is one process")
    return mean(x, axes, keepdims), var(x, axes, keepdims)


def average(x: Any, axis: Axis = None, weights: Any = None) -> Tensor:
    """The weighted mean over axes.

    Parameters
    ----------
    x
        Tensor or array.
    axis
        As for :func:`nbnet.ops.sum`.
    weights
        Weights of the shape of x, or one for each element of the axis; None for equal ones.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.average([1.0, 3.0], weights=[3.0, 1.0]).item()
    1.5
    """
    if weights is None:
        return mean(x, axis)
    x, weights = tensors(x, weights)
    if isinstance(axis, Sequence) and len(axis) == 1:
        axis = axis[0]
    if weights.ndim == 1 and x.ndim > 1 and isinstance(axis, int):
        weights = reshape(weights, (-1, *(1,) * (x.ndim - 1 - axis % x.ndim)))
    # x > x is false everywhere, even for NaN: zeros for a batch of any size.
    return divide(sum(multiply(x, weights), axis), sum(add(weights, greater(x, x)), axis))


@documents_axes
def ptp(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The largest elements over axes less the smallest ones.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.ptp([[1.0, 4.0], [3.0, 3.0]], axis=1).numpy()
    array([3., 0.], dtype=float32)
    """
    x = tensor(x)
    return subtract(max(x, axis, keepdims), min(x, axis, keepdims))
