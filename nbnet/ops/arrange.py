"""Elements repeated, moved along axes and given a margin."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nbnet.core.graph import Tensor
from nbnet.core.op import Shape
from nbnet.core.tape import tensor
from nbnet.ops.axes import checked_axis, ravel
from nbnet.ops.concatenate import concatenate
from nbnet.ops.index import take
from nbnet.ops.reshape import reshape


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
    ndim = max(made.ndim, len(counts))
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
    if (widths < 0).any():
        raise ValueError(f"pad_width: wants numbers from 0, got {pad_width!r}")
    for axis, (before, after) in enumerate(widths.tolist()):
        margins = [np.full(_resized(made.shape, axis, n), constant_values, made.dtype) for n in (before, after)]
        parts = [part for part in (margins[0], made, margins[1]) if part is made or part.size]
        made = concatenate(parts, axis) if len(parts) > 1 else made
    return made


def _resized(shape: Shape, axis: int, n: int) -> Shape:
    return (*shape[:axis], n, *shape[axis + 1 :])
