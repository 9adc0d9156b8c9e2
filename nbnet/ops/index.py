"""Indexing: ``x[...]``, take, repeat, tile, flip, roll and pad, composed of rows, slices and reshapes."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from nbnet.base.array_memory import plain_array, plain_parts
from nbnet.base.loading_budget import reserve
from nbnet.engine.graph.arithmetic import operators
from nbnet.engine.graph.op import BOOL, INT
from nbnet.engine.graph.tensor import Tensor, tensor
from nbnet.ops.constants import arange, full, places, repeated_places, tiled_places
from nbnet.ops.gather import take_rows
from nbnet.ops.reshape import checked_axis, ravel, reshape, transpose
from nbnet.ops.slicing import concatenate, cut, widen


def take(x: Any, indices: Any, axis: int | None = None) -> Tensor:
    """Elements of a tensor along an axis, by index.

    Parameters
    ----------
    x
        Tensor or array.
    indices
        An integer, a list or array of integers of any shape, or an int64 tensor. Negative numbers count from the last
        part. A part may be taken several times: its gradient is the sum.
    axis
        None takes elements of the flattened x.

    Returns
    -------
    Tensor with the axes of indices in place of that axis.

    Raises
    ------
    IndexError
        If a number is out of range.
    TypeError
        If indices are no integers.
    ValueError
        If the axis is out of range.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.take([[1.0, 2.0], [3.0, 4.0]], [1, -1, 0], axis=0).numpy()
    array([[3., 4.],
           [3., 4.],
           [1., 2.]], dtype=float32)
    """
    x = tensor(x)
    if isinstance(indices, np.ndarray):
        indices = plain_array(indices, "indices")
    elif isinstance(indices, list):
        indices = plain_parts(indices, "indices")
    if axis is None:
        return take_rows(reshape(x, (-1,)), indices)
    axis = checked_axis(axis, x.ndim)
    if axis == 0:
        return take_rows(x, indices)
    others = [k for k in range(x.ndim) if k != axis]
    rows = take_rows(transpose(x, (axis, *others)), indices)
    new = rows.ndim - len(others)
    order = [*range(new, new + axis), *range(new), *range(new + axis, rows.ndim)]
    return rows if order == sorted(order) else transpose(rows, order)


def get_item(x: Tensor, key: Any) -> Tensor:
    """``x[key]``.

    Parameters
    ----------
    x
        The tensor.
    key
        An integer, a slice, None for a new axis, an Ellipsis, integers or a mask; or a tuple of these. Integers for
        several axes are read together, as in NumPy.

    Raises
    ------
    IndexError
        If there are more keys than axes, or a number is out of range.
    TypeError
        If a key is none of these.

    Examples
    --------
    >>> import nbnet as nb
    >>> x = nb.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    >>> x[1].numpy()
    array([4., 5., 6.], dtype=float32)
    >>> x[:, 1:].numpy()
    array([[2., 3.],
           [5., 6.]], dtype=float32)
    """
    if not isinstance(key, tuple) and key is not None and key is not Ellipsis:
        dtype, axes = getattr(key, "dtype", None), getattr(key, "shape", ())
        if dtype == BOOL and 1 < len(axes) <= x.ndim and axes == x.shape[: len(axes)]:
            x, key = reshape(x, (-1, *x.shape[len(axes) :])), key.reshape(-1)
        return take_rows(x, key)
    keys = [_number(k) for k in _without_ellipsis(key if isinstance(key, tuple) else (key,), x.ndim)]
    lists = [k for k in keys if not (k is None or isinstance(k, slice) or _is_integer(k))]
    if len(lists) > 1 or (lists and any(_is_integer(k) for k in keys)):
        return _paired(x, keys)
    axis = 0
    for part in keys:
        before = x.ndim
        x = _pick(x, part, axis)
        axis += 1 + x.ndim - before if part is not None else 1
    return x


def _number(key: Any) -> Any:
    """A key, as an integer if it is a known one without axes."""
    known = isinstance(key, Tensor) and key.data is not None and not key.shape and key.dtype == INT
    return int(key) if known else key


def _paired(x: Tensor, keys: Sequence[Any]) -> Tensor:
    """The elements at lists of places for several axes, which are broadcast and read together, as in NumPy."""
    found: list[tuple[int, int, Any]] = []  # Number of the key, axis, places.
    axis = 0
    for number, part in enumerate(keys):
        if part is None or isinstance(part, slice):
            x = _pick(x, part, axis)
            axis += 1
            continue
        if not isinstance(part, Tensor):
            part = plain_array(part, "rows")
        elif part.data is not None:
            part = part.numpy()
        listed = [part] if part.dtype != bool else list(part.nonzero()) if isinstance(part, np.ndarray) else []
        if not all(places.dtype.kind in "iu" for places in listed) or not listed:
            raise TypeError(f"rows: expected integers, known masks and slices in the key; got {keys!r}")
        for chosen in listed:
            found.append((number, axis, chosen))
            axis += 1
    axes = [k for _, k, _ in found]
    rest = [k for k in range(x.ndim) if k not in axes]
    lengths, total = [x.shape[k] for k in axes], prod(x.shape[k] for k in axes)
    flat: Any = 0
    outside: Any = False
    for n, (_, _, part) in zip(lengths, found, strict=True):
        wrong = (part < -n) | (part >= n)
        if isinstance(part, np.ndarray):
            if wrong.any():
                raise IndexError(f"rows: {part[wrong].flat[0]} is out of range for {n} rows")
            flat = flat * n + part % n
        else:
            flat, outside = flat * n + operators["where"](part < 0, part + n, part), outside | wrong
    if isinstance(flat, Tensor):  # Places that are computed are checked by the kernel: there is no row of this number.
        flat = operators["where"](outside, total, flat)
    y = take_rows(reshape(transpose(x, (*axes, *rest)), (total, *(x.shape[k] for k in rest))), flat)
    numbers = [number for number, _, _ in found]
    if numbers[-1] - numbers[0] < len(set(numbers)) and axes[0]:
        count = y.ndim - len(rest)
        moved = [*range(count, count + axes[0]), *range(count), *range(count + axes[0], y.ndim)]
        y = transpose(y, moved)
    return y


def _is_integer(key: Any) -> bool:
    return isinstance(key, (int, np.integer)) and not isinstance(key, bool)


def _without_ellipsis(keys: tuple[Any, ...], ndim: int) -> list[Any]:
    """The keys with an Ellipsis replaced by full slices."""
    used = sum(key is not None and key is not Ellipsis for key in keys)
    if used > ndim:
        raise IndexError(f"rows: {used} keys for a tensor with {ndim} axes")
    found: list[Any] = []
    for key in keys:
        found.extend([slice(None)] * (ndim - used) if key is Ellipsis else [key])
    return found


def _pick(x: Tensor, key: Any, axis: int) -> Tensor:
    """One key applied to one axis."""
    if key is None:
        return reshape(x, (*x.shape[:axis], 1, *x.shape[axis:]))
    n = x.shape[axis]
    if isinstance(key, slice):
        start, stop, step = key.indices(n)
        if step == 1:
            return cut(x, axis, start, max(stop - start, 0))
        return take(x, arange(start, stop, step, "get_item"), axis)
    if _is_integer(key):
        if not -n <= key < n:
            raise IndexError(f"rows: {key} is out of range for {n} rows")
        part = cut(x, axis, key % n, 1)
        return reshape(part, (*x.shape[:axis], *x.shape[axis + 1 :]))
    return take(x, key, axis)


def repeat(x: Any, repeats: int | Sequence[int], axis: int | None = None) -> Tensor:
    """Each element, or each part along an axis, several times.

    Parameters
    ----------
    x
        Tensor or array.
    repeats
        Number of repetitions; one for all, or one for each.
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
    return take(x, repeated_places(n, repeats, "repeat"), axis)


def tile(x: Any, repeats: int | Sequence[int]) -> Tensor:
    """The whole of x several times along each axis.

    Parameters
    ----------
    x
        Tensor or array.
    repeats
        Number of repetitions along each of the last axes; more numbers than axes make new first axes.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.tile([1.0, 2.0], (2, 1)).numpy()
    array([[1., 2.],
           [1., 2.]], dtype=float32)
    """
    made = tensor(x)
    counts = tuple(repeats) if isinstance(repeats, Sequence) else (repeats,)
    if any(not isinstance(count, (int, np.integer)) or count < 0 for count in counts):
        raise ValueError(f"repeats: expected integers from 0, got {repeats!r}")
    ndim = max(made.ndim, len(counts))
    counts = (1,) * (ndim - len(counts)) + counts
    made = reshape(made, (1,) * (ndim - made.ndim) + made.shape)
    for axis, count in enumerate(counts):
        if count != 1:
            made = take(made, tiled_places(made.shape[axis], count, "tile"), axis)
    return made


def flip(x: Any, axis: int | Sequence[int] | None = None) -> Tensor:
    """``x`` with the order of its elements reversed along axes, all by default.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.flip([1.0, 2.0, 3.0]).numpy()
    array([3., 2., 1.], dtype=float32)
    """
    made = tensor(x)
    axes = range(made.ndim) if axis is None else axis if isinstance(axis, Sequence) else (axis,)
    for k in axes:
        made = take(made, places(made.shape[checked_axis(k, made.ndim)], "flip")[::-1], k)
    return made


def roll(x: Any, shift: int | Sequence[int], axis: int | Sequence[int] | None = None) -> Tensor:
    """``x`` with its elements moved along axes; those that leave at the end enter at the beginning.

    Parameters
    ----------
    x
        Tensor or array.
    shift
        Number of places; one for each of several axes, or the same for all.
    axis
        An axis or several; None rolls the flattened x.

    Raises
    ------
    ValueError
        If an axis is out of range, or the numbers of shifts and axes differ.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.roll([1.0, 2.0, 3.0], 1).numpy()
    array([3., 1., 2.], dtype=float32)
    """
    made = tensor(x)
    if axis is None:
        return reshape(roll(ravel(made), shift, 0), made.shape)
    shifts, axes = ([int(k) for k in np.asarray(given).reshape(-1)] for given in (shift, axis))
    if len(shifts) != len(axes) and 1 not in (len(shifts), len(axes)):
        raise ValueError(f"shift: expected one for each of {len(axes)} axes, got {len(shifts)}")
    for k in range(builtins.max(len(shifts), len(axes))):
        along = checked_axis(axes[k % len(axes)], made.ndim)
        made = take(made, np.roll(places(made.shape[along], "roll"), shifts[k % len(shifts)]), along)
    return made


_PAD_MODES = ("constant", "reflect", "symmetric", "edge", "wrap")


def pad(x: Any, pad_width: Any, mode: str = "constant", constant_values: float | None = None) -> Tensor:
    """``x`` with a margin.

    Parameters
    ----------
    x
        Tensor or array.
    pad_width
        Elements before and after: a number for all, a pair for all axes, or a pair for each axis.
    mode : {"constant", "reflect", "symmetric", "edge", "wrap"}
        What the margin holds: a constant; elements mirrored at the outermost ones, or behind them; the outermost ones;
        or those of the other end.
    constant_values
        The constant, by default 0.

    Raises
    ------
    ValueError
        If the widths do not fit, or mode is anything else.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.pad([1.0, 2.0], (1, 2)).numpy()
    array([0., 1., 2., 0., 0.], dtype=float32)
    """
    made = tensor(x)
    if mode not in _PAD_MODES:
        raise ValueError(f"mode: expected one of {_PAD_MODES}, got {mode!r}")
    if mode != "constant" and constant_values is not None:
        raise ValueError(f"constant_values: expected None with mode {mode!r}, got {constant_values!r}")
    try:
        widths = np.broadcast_to(np.asarray(pad_width, dtype=int), (made.ndim, 2))
    except (TypeError, ValueError):
        raise ValueError(f"pad_width: expected a number, a pair, or {made.ndim} pairs, got {pad_width!r}") from None
    if (widths < 0).any():
        raise ValueError(f"pad_width: expected numbers from 0, got {pad_width!r}")
    for axis, (before, after) in enumerate(widths.tolist()):
        if mode != "constant":
            made = _padded_by_own(made, axis, before, after, mode)
            continue
        if axis and not constant_values and made.dtype.kind == "f":
            made = widen(made, axis, before, after)
            continue
        margins = [_margin(made, axis, n, constant_values or 0.0) for n in (before, after)]
        parts = [part for part in (margins[0], made, margins[1]) if part is made or part.size]
        made = concatenate(parts, axis) if len(parts) > 1 else made
    return made


def _padded_by_own(x: Tensor, axis: int, before: int, after: int, mode: str) -> Tensor:
    """``x`` with a margin of its own elements along an axis."""
    n = x.shape[axis]
    if not (before or after):
        return x
    if not n:
        raise ValueError(f"mode: {mode!r} needs at least one element along axis {axis}, got shape {x.shape}")
    reserve(n + before + after, "pad")
    return take(x, np.pad(np.arange(n), (before, after), mode), axis)  # type: ignore[call-overload]


def _margin(x: Tensor, axis: int, n: int, value: float) -> Tensor:
    """A tensor of one value, of the shape of x but for the length n of an axis."""
    shape = (*x.shape[:axis], n, *x.shape[axis + 1 :])
    return Tensor(shape, x.dtype, full(shape, value, x.dtype, "pad"))
