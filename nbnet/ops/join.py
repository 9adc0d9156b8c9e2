"""Tensors joined along an axis, and cut apart."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from operator import index as _index
from typing import Any

from nbnet.core.graph import Tensor
from nbnet.core.tape import tensor, tensors
from nbnet.ops.axes import checked_axis, expand_dims, squeeze
from nbnet.ops.concatenate import concatenate
from nbnet.ops.cut import cut


def stack(x: Sequence[Any], axis: int = 0) -> Tensor:
    """Tensors of one shape joined along a new axis.

    Raises
    ------
    ValueError
        If the shapes differ, or there is no tensor.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.stack([[1.0, 2.0], [3.0, 4.0]], axis=1).numpy()
    array([[1., 3.],
           [2., 4.]], dtype=float32)
    """
    return concatenate([expand_dims(part, axis) for part in tensors(*x)], axis)


def hstack(xs: Sequence[Any]) -> Tensor:
    """Tensors joined along the second axis, vectors along the first.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.hstack([[[1.0], [2.0]], [[3.0], [4.0]]]).numpy()
    array([[1., 3.],
           [2., 4.]], dtype=float32)
    """
    parts = tensors(*xs)
    return concatenate(parts, 0 if parts and parts[0].ndim == 1 else 1)


def vstack(xs: Sequence[Any]) -> Tensor:
    """Tensors joined along the first axis, vectors as rows.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.vstack([[1.0, 2.0], [3.0, 4.0]]).numpy()
    array([[1., 2.],
           [3., 4.]], dtype=float32)
    """
    return concatenate([expand_dims(part, 0) if part.ndim == 1 else part for part in tensors(*xs)], 0)


def split(x: Any, indices_or_sections: int | Sequence[int], axis: int = 0) -> list[Tensor]:
    """x cut in parts along an axis.

    Parameters
    ----------
    x
        Tensor or array.
    indices_or_sections
        Number of equal parts, or where parts after the first begin.
    axis
        The axis.

    Raises
    ------
    ValueError
        If the parts would not be equal, or the axis is out of range.

    Examples
    --------
    >>> import nbnet as nb
    >>> [part.numpy().tolist() for part in nb.ops.split([1.0, 2.0, 3.0], [1])]
    [[1.0], [2.0, 3.0]]
    """
    x = tensor(x)
    axis = checked_axis(axis, x.ndim)
    n = x.shape[axis]
    if isinstance(indices_or_sections, Sequence):
        bounds = [min(max(k + n if k < 0 else k, 0), n) for k in indices_or_sections]
    else:
        parts = _index(indices_or_sections)
        if parts < 1 or n % parts:
            raise ValueError(f"indices_or_sections: {n} elements cannot be cut in {parts} equal parts")
        bounds = list(range(n // parts, n, n // parts)) if n else []
    edges = [0, *bounds, n]
    return [cut(x, axis, a, max(b - a, 0)) for a, b in itertools.pairwise(edges)]


def unstack(x: Any, num: int | None = None, axis: int = 0) -> list[Tensor]:
    """The parts of x along an axis, without that axis.

    Parameters
    ----------
    x
        Tensor or array.
    num
        Their number, if it is to be checked.
    axis
        The axis.

    Examples
    --------
    >>> import nbnet as nb
    >>> [part.numpy().tolist() for part in nb.ops.unstack([[1.0, 2.0], [3.0, 4.0]], axis=1)]
    [[1.0, 3.0], [2.0, 4.0]]
    """
    x = tensor(x)
    axis = checked_axis(axis, x.ndim)
    if num is not None and num != x.shape[axis]:
        raise ValueError(f"num: axis {axis} has {x.shape[axis]} parts, got {num}")
    return [squeeze(part, axis) for part in split(x, x.shape[axis], axis)] if x.shape[axis] else []
