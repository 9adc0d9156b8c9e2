"""Functions of Keras that are short formulas of other ops."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from nbnet.core.graph import Tensor
from nbnet.core.tape import tensor, tensors
from nbnet.ops.abs import abs
from nbnet.ops.add import add
from nbnet.ops.arrange import expand_dims
from nbnet.ops.compare import greater_equal
from nbnet.ops.divide import divide
from nbnet.ops.exp import exp
from nbnet.ops.floor import floor
from nbnet.ops.log import log
from nbnet.ops.matmul import matmul
from nbnet.ops.max import max
from nbnet.ops.maximum import maximum
from nbnet.ops.mean import mean
from nbnet.ops.minimum import minimum
from nbnet.ops.multiply import multiply
from nbnet.ops.reshape import reshape
from nbnet.ops.softplus import softplus
from nbnet.ops.sqrt import sqrt
from nbnet.ops.square import square
from nbnet.ops.stop_gradient import stop_gradient
from nbnet.ops.subtract import subtract
from nbnet.ops.sum import sum
from nbnet.ops.where import where

Axis = int | Sequence[int] | None


def clip(x: Any, x_min: Any, x_max: Any) -> Tensor:
    """x, not below one limit and not above the other.

    Parameters
    ----------
    x, x_min, x_max
        Tensors, arrays or numbers whose shapes broadcast.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.clip([-2.0, 0.5, 2.0], 0.0, 1.0).numpy()
    array([0. , 0.5, 1. ], dtype=float32)
    """
    return minimum(maximum(x, x_min), x_max)


def reciprocal(x: Any) -> Tensor:
    """``1 / x``, element by element.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.reciprocal([2.0, 4.0]).numpy()
    array([0.5 , 0.25], dtype=float32)
    """
    return divide(1.0, x)


def rsqrt(x: Any) -> Tensor:
    """``1 / sqrt(x)``, element by element.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.rsqrt([4.0, 16.0]).numpy()
    array([0.5 , 0.25], dtype=float32)
    """
    return divide(1.0, sqrt(x))


def log2(x: Any) -> Tensor:
    """The logarithm to base 2, element by element.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.log2([1.0, 8.0]).numpy().round(4)
    array([0., 3.], dtype=float32)
    """
    return multiply(log(x), 1 / math.log(2))


def log10(x: Any) -> Tensor:
    """The logarithm to base 10, element by element.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.log10([1.0, 100.0]).numpy().round(4)
    array([0., 2.], dtype=float32)
    """
    return multiply(log(x), 1 / math.log(10))


def exp2(x: Any) -> Tensor:
    """``2 ** x``, element by element.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.exp2([0.0, 3.0]).numpy().round(4)
    array([1., 8.], dtype=float32)
    """
    return exp(multiply(x, math.log(2)))


def mod(x1: Any, x2: Any) -> Tensor:
    """What is left of x1 after division by x2, with the sign of x2.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.mod([5.0, -1.0], 3.0).numpy()
    array([2., 2.], dtype=float32)
    """
    x1, x2 = tensors(x1, x2)
    return subtract(x1, multiply(x2, floor(divide(x1, x2))))


def floor_divide(x1: Any, x2: Any) -> Tensor:
    """``x1 / x2`` rounded down; no gradient flows.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.floor_divide([5.0, -1.0], 3.0).numpy()
    array([ 1., -1.], dtype=float32)
    """
    return floor(divide(x1, x2))


def logaddexp(x1: Any, x2: Any) -> Tensor:
    """``log(exp(x1) + exp(x2))``, which does not overflow.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.logaddexp([1e4], [1e4]).numpy().round(3)
    array([10000.693], dtype=float32)
    """
    x1, x2 = tensors(x1, x2)
    return add(maximum(x1, x2), softplus(multiply(abs(subtract(x1, x2)), -1.0)))


def logsumexp(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """``log(sum(exp(x)))`` over axes, which does not overflow.

    Parameters
    ----------
    x, axis, keepdims
        As for :func:`nbnet.ops.sum`.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.logsumexp([[1e4, 1e4]], axis=-1).numpy().round(3)
    array([10000.693], dtype=float32)
    """
    x = tensor(x)
    top = stop_gradient(max(x, axis, keepdims=True))
    total = log(sum(exp(subtract(x, top)), axis, keepdims))
    return add(total, reshape(top, total.shape))


def var(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The variance over axes: the mean of squared distances from the mean.

    Parameters
    ----------
    x, axis, keepdims
        As for :func:`nbnet.ops.mean`.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.var([[1.0, 3.0], [2.0, 2.0]], axis=1).numpy()
    array([1., 0.], dtype=float32)
    """
    x = tensor(x)
    return mean(square(subtract(x, mean(x, axis, keepdims=True))), axis, keepdims)


def std(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The standard deviation over axes: the root of :func:`var`.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.std([1.0, 3.0]).item()
    1.0
    """
    return sqrt(var(x, axis, keepdims))


def moments(x: Any, axes: Axis, keepdims: bool = False) -> tuple[Tensor, Tensor]:
    """Mean and variance over axes.

    Examples
    --------
    >>> import nbnet as nb
    >>> [float(m) for m in nb.ops.moments([1.0, 3.0], axes=0)]
    [2.0, 1.0]
    """
    return mean(x, axes, keepdims), var(x, axes, keepdims)


def average(x: Any, axis: Axis = None, weights: Any = None) -> Tensor:
    """The mean over axes, of elements that count as much as their weights.

    Parameters
    ----------
    x
        Tensor or array.
    axis
        As for :func:`nbnet.ops.mean`.
    weights
        Of the shape of x, or of that axis; None for equal ones.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.average([1.0, 3.0], weights=[3.0, 1.0]).item()
    1.5
    """
    if weights is None:
        return mean(x, axis)
    x, weights = tensors(x, weights)
    if weights.ndim == 1 and x.ndim > 1 and isinstance(axis, int):
        weights = reshape(weights, (-1, *(1,) * (x.ndim - 1 - axis % x.ndim)))
    return divide(sum(multiply(x, weights), axis), sum(add(weights, multiply(x, 0.0)), axis))


def norm(x: Any, ord: int | float | str | None = None, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The norm of vectors along axes.

    Parameters
    ----------
    x
        Tensor or array.
    ord
        None or 2: Euclid's, that of all elements over several axes; 1: the sum of magnitudes; infinity: the largest.
    axis, keepdims
        As for :func:`nbnet.ops.sum`.

    Raises
    ------
    ValueError
        If ord is something else.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.norm([[3.0, 4.0]], axis=1).numpy()
    array([5.], dtype=float32)
    """
    x = tensor(x)
    vectors = isinstance(axis, int) or (axis is None and x.ndim == 1)
    if ord is None or ord == "fro" or (ord == 2 and vectors):
        return sqrt(sum(square(x), axis, keepdims))
    if ord == 1 and vectors:
        return sum(abs(x), axis, keepdims)
    if ord == math.inf and vectors:
        return max(abs(x), axis, keepdims)
    raise ValueError(f"ord: wants None, or for vectors 1, 2 or infinity; got {ord!r} for axis {axis!r}")


def normalize(x: Any, axis: int = -1, order: int = 2, epsilon: float = 1e-12) -> Tensor:
    """Vectors along an axis, each divided by its norm.

    Parameters
    ----------
    x
        Tensor or array.
    axis
        The axis along which the vectors lie.
    order
        1 or 2; see :func:`norm`.
    epsilon
        Norms below it count as it.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.normalize([[3.0, 4.0]]).numpy()
    array([[0.6, 0.8]], dtype=float32)
    """
    x = tensor(x)
    if order == 2:
        # Under the root, so that the gradient of a vector of zeros is no NaN.
        return divide(x, sqrt(maximum(sum(square(x), axis, keepdims=True), epsilon**2)))
    return divide(x, maximum(norm(x, order, axis, keepdims=True), epsilon))


def dot(x1: Any, x2: Any) -> Tensor:
    """The product of two vectors, of two matrices, or with a number.

    Raises
    ------
    ValueError
        If the shapes do not fit.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.dot([1.0, 2.0], [3.0, 4.0]).item()
    11.0
    """
    x1, x2 = tensors(x1, x2)
    if not x1.shape or not x2.shape:
        return multiply(x1, x2)
    if x2.ndim == 1:
        if x1.shape[-1] != x2.shape[0]:
            raise ValueError(f"dot: wants last axes of one length, got {x1.shape} and {x2.shape}")
        return sum(multiply(x1, x2), -1)
    return matmul(x1, x2)


def outer(x1: Any, x2: Any) -> Tensor:
    """Each element of one vector times each of the other; other shapes are flattened.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.outer([1.0, 2.0], [3.0, 4.0]).numpy()
    array([[3., 4.],
           [6., 8.]], dtype=float32)
    """
    x1, x2 = tensors(x1, x2)
    return multiply(expand_dims(reshape(x1, (-1,)), 1), reshape(x2, (-1,)))


def heaviside(x1: Any, x2: Any) -> Tensor:
    """0 where x1 is negative, 1 where it is positive, x2 where it is 0.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.heaviside([-1.0, 0.0, 2.0], 0.5).numpy()
    array([0. , 0.5, 1. ], dtype=float32)
    """
    x1, x2 = tensors(x1, x2)
    return where(x1, greater_equal(x1, 0.0), x2)
