"""Arithmetic composed of other ops, element by element: clip, mod, log2, logaddexp and the like."""

from __future__ import annotations

import builtins
import math
from typing import Any

from nbnet.engine.graph.tensor import Tensor, tensors
from nbnet.ops.activation import softplus
from nbnet.ops.broadcast import add, divide, maximum, minimum, multiply, subtract
from nbnet.ops.compare import greater_equal, isnan, where
from nbnet.ops.elementwise import abs, exp, log, sqrt
from nbnet.ops.elementwise import round as nearest


def clip(x: Any, x_min: Any, x_max: Any) -> Tensor:
    """``x``, limited to the range from ``x_min`` to ``x_max``.

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


def logaddexp(x1: Any, x2: Any) -> Tensor:
    """``log(exp(x1) + exp(x2))``, without overflow.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.logaddexp([1e4], [1e4]).numpy().round(3)
    array([10000.693], dtype=float32)
    """
    x1, x2 = tensors(x1, x2)
    apart = subtract(x1, x2)  # NaN where both are the same infinity, which is then the result
    return add(maximum(x1, x2), softplus(multiply(abs(where(isnan(apart), 0.0, apart)), -1.0)))


def round(x: Any, decimals: int = 0) -> Tensor:
    """The nearest number with so many decimals, the even one of two at the same distance; no gradient flows.

    Parameters
    ----------
    x
        Tensor or array of any shape.
    decimals
        Number of digits behind the point; negative ones are before it.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.round([-1.5, 0.5, 0.7]).numpy()
    array([-2.,  0.,  1.], dtype=float32)
    """
    if not decimals:
        return nearest(x)
    scale = 10.0 ** builtins.abs(decimals)
    if decimals < 0:
        return multiply(nearest(divide(x, scale)), scale)
    return divide(nearest(multiply(x, scale)), scale)


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
