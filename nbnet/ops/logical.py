"""Logic of tensors: what is not zero is true; 1 and 0 come out, and no gradient flows."""

from __future__ import annotations

from typing import Any

import numpy as np

from nbnet.core.graph import Tensor
from nbnet.core.tape import tensor, tensors
from nbnet.ops.abs import abs
from nbnet.ops.add import add
from nbnet.ops.axes import Axis
from nbnet.ops.compare import equal, less_equal, not_equal
from nbnet.ops.max import max, min
from nbnet.ops.maximum import maximum
from nbnet.ops.minimum import minimum
from nbnet.ops.multiply import multiply
from nbnet.ops.subtract import subtract
from nbnet.ops.sum import sum
from nbnet.ops.where import where


def logical_not(x: Any) -> Tensor:
    """1.0 where x is zero, else 0.0.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.logical_not([0.0, 2.0]).numpy()
    array([1., 0.], dtype=float32)
    """
    return equal(x, 0.0)


def logical_and(x1: Any, x2: Any) -> Tensor:
    """1.0 where neither is zero, else 0.0.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.logical_and([0.0, 2.0], [1.0, 1.0]).numpy()
    array([0., 1.], dtype=float32)
    """
    return minimum(not_equal(x1, 0.0), not_equal(x2, 0.0))


def logical_or(x1: Any, x2: Any) -> Tensor:
    """1.0 where one is not zero, else 0.0.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.logical_or([0.0, 2.0], [0.0, 1.0]).numpy()
    array([0., 1.], dtype=float32)
    """
    return maximum(not_equal(x1, 0.0), not_equal(x2, 0.0))


def logical_xor(x1: Any, x2: Any) -> Tensor:
    """1.0 where exactly one is zero, else 0.0.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.logical_xor([0.0, 2.0], [1.0, 1.0]).numpy()
    array([1., 0.], dtype=float32)
    """
    return not_equal(not_equal(x1, 0.0), not_equal(x2, 0.0))


def isnan(x: Any) -> Tensor:
    """1.0 where x is NaN, else 0.0.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.isnan([0.0, float("nan")]).numpy()
    array([0., 1.], dtype=float32)
    """
    x = tensor(x)
    return not_equal(x, x)


def isinf(x: Any) -> Tensor:
    """1.0 where x is infinite, else 0.0.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.isinf([0.0, -float("inf")]).numpy()
    array([0., 1.], dtype=float32)
    """
    x = tensor(x)
    return maximum(equal(x, np.inf), equal(x, -np.inf))


def isfinite(x: Any) -> Tensor:
    """1.0 where x is neither NaN nor infinite, else 0.0.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.isfinite([0.0, float("inf")]).numpy()
    array([1., 0.], dtype=float32)
    """
    x = tensor(x)
    return logical_not(maximum(isnan(x), isinf(x)))


def any(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """1.0 where at least one element over axes is not zero, else 0.0.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.any([[0.0, 2.0], [0.0, 0.0]], axis=1).numpy()
    array([1., 0.], dtype=float32)
    """
    return max(not_equal(x, 0.0), axis, keepdims)


def all(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """1.0 where no element over axes is zero, else 0.0.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.all([[1.0, 2.0], [0.0, 1.0]], axis=1).numpy()
    array([1., 0.], dtype=float32)
    """
    return min(not_equal(x, 0.0), axis, keepdims)


def count_nonzero(x: Any, axis: Axis = None) -> Tensor:
    """The number of elements over axes that are not zero.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.count_nonzero([[1.0, 2.0], [0.0, 1.0]], axis=1).numpy()
    array([2., 1.], dtype=float32)
    """
    return sum(not_equal(x, 0.0), axis)


def nan_to_num(x: Any, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None) -> Tensor:
    """x with numbers in place of NaN and infinities; where they were, no gradient flows.

    Parameters
    ----------
    x
        Tensor or array.
    nan, posinf, neginf
        What takes the place of NaN and of the infinities; None for the largest and the smallest number of the dtype.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.nan_to_num([1.0, float("nan"), float("inf")], posinf=9.0).numpy()
    array([1., 0., 9.], dtype=float32)
    """
    y = tensor(x)
    limits = np.finfo(y.dtype)
    y = where(isnan(y), nan, y)
    y = where(equal(y, np.inf), limits.max if posinf is None else posinf, y)
    return where(equal(y, -np.inf), limits.min if neginf is None else neginf, y)


def isclose(x1: Any, x2: Any, rtol: float = 1e-5, atol: float = 1e-8) -> Tensor:
    """1.0 where two numbers differ by no more than ``atol + rtol * abs(x2)``, else 0.0.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.isclose([1.0, 2.0], [1.000001, 2.1]).numpy()
    array([1., 0.], dtype=float32)
    """
    x1, x2 = tensors(x1, x2)
    # Where x2 is infinite, so is the tolerance: their difference is NaN, and only what is equal is near.
    excess = subtract(abs(subtract(x1, x2)), add(atol, multiply(rtol, abs(x2))))
    return maximum(less_equal(excess, 0.0), equal(x1, x2))
