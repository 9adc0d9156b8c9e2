"""Functions of Keras that are short formulas of other ops, element by element, and products."""

from __future__ import annotations

import math
from typing import Any

from nbnet.core.graph import Tensor
from nbnet.core.tape import tensors
from nbnet.ops.abs import abs
from nbnet.ops.add import add
from nbnet.ops.axes import expand_dims, ravel
from nbnet.ops.compare import greater_equal
from nbnet.ops.divide import divide
from nbnet.ops.exp import exp
from nbnet.ops.floor import floor
from nbnet.ops.log import log
from nbnet.ops.logical import isnan
from nbnet.ops.matmul import matmul
from nbnet.ops.maximum import maximum
from nbnet.ops.minimum import minimum
from nbnet.ops.multiply import multiply
from nbnet.ops.softplus import softplus
from nbnet.ops.sqrt import sqrt
from nbnet.ops.subtract import subtract
from nbnet.ops.sum import sum
from nbnet.ops.where import where


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
    apart = subtract(x1, x2)  # NaN where both are the same infinity, which is then the result
    return add(maximum(x1, x2), softplus(multiply(abs(where(isnan(apart), 0.0, apart)), -1.0)))


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
    return multiply(expand_dims(ravel(x1), 1), ravel(x2))


def heaviside(x1: Any, x2: Any) -> Tensor:
    """0 where x1 is negative, 1 where it is positive, x2 where it is 0, NaN where it is NaN.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.heaviside([-1.0, 0.0, 2.0], 0.5).numpy()
    array([0. , 0.5, 1. ], dtype=float32)
    """
    x1, x2 = tensors(x1, x2)
    return where(x1, where(isnan(x1), x1, greater_equal(x1, 0.0)), x2)


def divide_no_nan(x1: Any, x2: Any) -> Tensor:
    """``x1 / x2``, and 0 where x2 is 0; there no gradient flows.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.divide_no_nan([1.0, 1.0], [2.0, 0.0]).numpy()
    array([0.5, 0. ], dtype=float32)
    """
    x1, x2 = tensors(x1, x2)
    return where(x2, divide(x1, where(x2, x2, 1.0)), 0.0)
