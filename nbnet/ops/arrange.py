"""Other arrangements of the same elements, made of reshape, transpose, concatenate and take."""

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
from nbnet.ops.add import add
from nbnet.ops.concatenate import concatenate
from nbnet.ops.cut import cut
from nbnet.ops.index import take
from nbnet.ops.reshape import reshape
from nbnet.ops.transpose import transpose


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
    if builtins.any(x.shape[k] != 1 for k in dropped):
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
