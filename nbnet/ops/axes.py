"""Axes of a tensor: new ones, dropped ones, in another order, repeated."""

from __future__ import annotations

from collections.abc import Sequence
from operator import index as _index
from typing import Any

import numpy as np

from nbnet.core.graph import Tensor
from nbnet.core.tape import tensor
from nbnet.ops.add import add
from nbnet.ops.reshape import reshape
from nbnet.ops.transpose import transpose

Axis = int | Sequence[int] | None


def checked_axis(axis: int, ndim: int) -> int:
    """An axis as a number from 0."""
    if not -ndim <= _index(axis) < ndim:
        raise ValueError(f"axis: {axis} is out of range for {ndim} axes")
    return axis % ndim


def expand_dims(x: Any, axis: int | Sequence[int]) -> Tensor:
    """x with new axes of length 1.

    Parameters
    ----------
    x
        Tensor or array.
    axis
        Where the new axis, or each of several, is in the result.

    Raises
    ------
    ValueError
        If an axis is out of range.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.expand_dims([1.0, 2.0], -1).shape
    (2, 1)
    """
    x = tensor(x)
    wanted = list(axis) if isinstance(axis, Sequence) else [axis]
    ndim = x.ndim + len(wanted)
    new = {checked_axis(k, ndim) for k in wanted}
    lengths = iter(x.shape)
    return reshape(x, tuple(1 if k in new else next(lengths) for k in range(ndim)))


def squeeze(x: Any, axis: int | Sequence[int] | None = None) -> Tensor:
    """x without axes of length 1.

    Parameters
    ----------
    x
        Tensor or array.
    axis
        Which to drop; all by default.

    Raises
    ------
    ValueError
        If an axis is longer, or out of range.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.squeeze([[1.0], [2.0]]).shape
    (2,)
    """
    x = tensor(x)
    if axis is None:
        return reshape(x, tuple(n for n in x.shape if n != 1))
    dropped = {checked_axis(k, x.ndim) for k in (axis if isinstance(axis, Sequence) else (axis,))}
    if any(x.shape[k] != 1 for k in dropped):
        raise ValueError(f"axis: only axes of length 1 can be dropped, got {axis} for shape {x.shape}")
    return reshape(x, tuple(n for k, n in enumerate(x.shape) if k not in dropped))


def ravel(x: Any) -> Tensor:
    """All elements in one axis.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.ravel([[1.0, 2.0], [3.0, 4.0]]).numpy()
    array([1., 2., 3., 4.], dtype=float32)
    """
    return reshape(x, (-1,))


def swapaxes(x: Any, axis1: int, axis2: int) -> Tensor:
    """x with two axes exchanged.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.swapaxes([[1.0, 2.0]], 0, 1).shape
    (2, 1)
    """
    x = tensor(x)
    axes = list(range(x.ndim))
    one, other = checked_axis(axis1, x.ndim), checked_axis(axis2, x.ndim)
    axes[one], axes[other] = other, one
    return x if one == other else transpose(x, axes)


def moveaxis(x: Any, source: int, destination: int) -> Tensor:
    """x with one axis moved to another place; the others keep their order.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.moveaxis(nb.ops.zeros((2, 3, 4)), 0, -1).shape
    (3, 4, 2)
    """
    x = tensor(x)
    axes = list(range(x.ndim))
    axes.insert(checked_axis(destination, x.ndim), axes.pop(checked_axis(source, x.ndim)))
    return x if axes == sorted(axes) else transpose(x, axes)


def broadcast_to(x: Any, shape: Sequence[int]) -> Tensor:
    """x repeated along axes of length 1 and along new first axes.

    Raises
    ------
    ValueError
        If the shapes do not fit.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.broadcast_to([1.0, 2.0], (2, 2)).numpy()
    array([[1., 2.],
           [1., 2.]], dtype=float32)
    """
    made, wanted = tensor(x), tuple(shape)
    if made.shape != wanted:
        made = add(made, np.zeros(wanted, made.dtype))
    if made.shape != wanted:
        raise ValueError(f"shape: {np.shape(x)} does not broadcast to {wanted}")
    return made
