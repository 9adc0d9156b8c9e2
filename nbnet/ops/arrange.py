"""Elements joined, cut apart, repeated and moved along axes."""

from __future__ import annotations

import builtins
import itertools
from collections.abc import Sequence
from operator import index as _index
from typing import Any

import numpy as np

from nbnet.core.graph import Tensor
from nbnet.core.op import Shape
from nbnet.core.tape import tensor, tensors
from nbnet.ops.axes import checked_axis, expand_dims, ravel, squeeze
from nbnet.ops.concatenate import concatenate
from nbnet.ops.cut import cut
from nbnet.ops.index import take
from nbnet.ops.reshape import reshape


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
        bounds = [builtins.min(builtins.max(k + n if k < 0 else k, 0), n) for k in indices_or_sections]
    else:
        parts = _index(indices_or_sections)
        if parts < 1 or n % parts:
            raise ValueError(f"indices_or_sections: {n} elements cannot be cut in {parts} equal parts")
        bounds = list(range(n // parts, n, n // parts)) if n else []
    edges = [0, *bounds, n]
    return [cut(x, axis, a, builtins.max(b - a, 0)) for a, b in itertools.pairwise(edges)]


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
    return [squeeze(part, axis) for part in split(x, x.shape[axis], axis)]


def repeat(x: Any, repeats: int | Sequence[int], axis: int | None = None) -> Tensor:
    """Each element, or each part along an axis, several times.

    Parameters
    ----------
    x
        Tensor or array.
    repeats
        How often; a number for all, or one for each.
    axis
        None repeats the elements of the flattened x.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.repeat([1.0, 2.0], 2).numpy()
    array([1., 1., 2., 2.], dtype=float32)
    """
    x = tensor(x)
    if axis is None:
        x, axis = ravel(x), 0
    n = x.shape[checked_axis(axis, x.ndim)]
    return take(x, np.repeat(np.arange(n), repeats), axis)


def tile(x: Any, repeats: int | Sequence[int]) -> Tensor:
    """The whole of x several times along each axis.

    Parameters
    ----------
    x
        Tensor or array.
    repeats
        How often along each of the last axes; more numbers than axes make new first axes.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.tile([1.0, 2.0], (2, 1)).numpy()
    array([[1., 2.],
           [1., 2.]], dtype=float32)
    """
    made = tensor(x)
    counts = tuple(repeats) if isinstance(repeats, Sequence) else (repeats,)
    ndim = builtins.max(made.ndim, len(counts))
    counts = (1,) * (ndim - len(counts)) + counts
    made = reshape(made, (1,) * (ndim - made.ndim) + made.shape)
    for axis, count in enumerate(counts):
        if count != 1:
            made = take(made, np.tile(np.arange(made.shape[axis]), count), axis)
    return made


def flip(x: Any, axis: int | Sequence[int] | None = None) -> Tensor:
    """x with the order of its elements reversed along axes, all by default.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.flip([1.0, 2.0, 3.0]).numpy()
    array([3., 2., 1.], dtype=float32)
    """
    made = tensor(x)
    axes = range(made.ndim) if axis is None else axis if isinstance(axis, Sequence) else (axis,)
    for k in axes:
        made = take(made, np.arange(made.shape[checked_axis(k, made.ndim)])[::-1], k)
    return made


def roll(x: Any, shift: int, axis: int | None = None) -> Tensor:
    """x with its elements moved along an axis; what leaves at the end enters at the beginning.

    Parameters
    ----------
    x
        Tensor or array.
    shift
        By how many places.
    axis
        None rolls the flattened x.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.roll([1.0, 2.0, 3.0], 1).numpy()
    array([3., 1., 2.], dtype=float32)
    """
    x = tensor(x)
    if axis is None:
        return reshape(roll(ravel(x), shift, 0), x.shape)
    n = x.shape[checked_axis(axis, x.ndim)]
    return take(x, np.roll(np.arange(n), shift), axis)


def pad(x: Any, pad_width: Any, mode: str = "constant", constant_values: float = 0.0) -> Tensor:
    """x with a margin of constants.

    Parameters
    ----------
    x
        Tensor or array.
    pad_width
        Elements before and after: a number for all, a pair for all axes, or a pair for each axis.
    mode
        ``"constant"`` is the only one.
    constant_values
        What the margin holds.

    Raises
    ------
    ValueError
        If the widths do not fit, or another mode is asked for.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.pad([1.0, 2.0], (1, 2)).numpy()
    array([0., 1., 2., 0., 0.], dtype=float32)
    """
    made = tensor(x)
    if mode != "constant":
        raise ValueError(f"mode: only 'constant' is offered, got {mode!r}")
    try:
        widths = np.broadcast_to(np.asarray(pad_width, dtype=int), (made.ndim, 2))
    except (TypeError, ValueError):
        raise ValueError(f"pad_width: wants a number, a pair, or {made.ndim} pairs, got {pad_width!r}") from None
    for axis, (before, after) in enumerate(widths.tolist()):
        margins = [np.full(_resized(made.shape, axis, n), constant_values, made.dtype) for n in (before, after)]
        parts = [part for part in (margins[0], made, margins[1]) if part is made or part.size]
        made = concatenate(parts, axis) if len(parts) > 1 else made
    return made


def _resized(shape: Shape, axis: int, n: int) -> Shape:
    return (*shape[:axis], n, *shape[axis + 1 :])
