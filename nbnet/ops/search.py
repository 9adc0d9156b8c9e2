"""Where elements are: whole numbers, of tensors that have a value."""

from __future__ import annotations

from typing import Any

import numpy as np

from nbnet.core.graph import Tensor
from nbnet.core.op import INT
from nbnet.ops.convert import convert_to_tensor


def _numbers(values: Any) -> Tensor:
    return convert_to_tensor(np.asarray(values), INT)


def _found(find: Any, x: Any, axis: int | None, keepdims: bool) -> Tensor:
    """What one of NumPy's functions finds."""
    return _numbers(find(np.asarray(x), axis, keepdims=keepdims))


def argmax(x: Any, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """Where the largest elements along an axis are: int64, of a tensor that has a value.

    Parameters
    ----------
    x
        Tensor or array.
    axis
        None for the number in the flattened x.
    keepdims
        Whether the axis stays, with length 1.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.argmax([[1.0, 3.0, 2.0]], axis=-1).numpy()
    array([1])
    """
    return _found(np.argmax, x, axis, keepdims)


def argmin(x: Any, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """Where the smallest elements along an axis are: int64, of a tensor that has a value.

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
    return _found(np.argmin, x, axis, keepdims)


def argsort(x: Any, axis: int | None = -1) -> Tensor:
    """The numbers of the elements along an axis in ascending order: int64, of a tensor that has a value.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.argsort([3.0, 1.0, 2.0]).numpy()
    array([1, 2, 0])
    """
    return _numbers(np.argsort(np.asarray(x), axis, kind="stable"))
