"""Logic of tensors: what is not zero is true; 1 and 0 come out, and no gradient flows."""

from __future__ import annotations

from typing import Any

import numpy as np

from nbnet.core.graph import Tensor
from nbnet.core.tape import tensor
from nbnet.ops.combine import Axis
from nbnet.ops.compare import equal, not_equal
from nbnet.ops.max import max, min
from nbnet.ops.maximum import maximum
from nbnet.ops.minimum import minimum
from nbnet.ops.sum import sum


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
