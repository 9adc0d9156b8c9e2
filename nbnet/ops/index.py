"""``x[...]`` and ``take``: elements of a tensor by their numbers along its axes."""

from __future__ import annotations

from typing import Any

import numpy as np

from nbnet.core.graph import Tensor
from nbnet.core.tape import tensor
from nbnet.ops.axes import checked_axis
from nbnet.ops.cut import cut
from nbnet.ops.reshape import reshape
from nbnet.ops.take import take_rows
from nbnet.ops.transpose import transpose


def take(x: Any, indices: Any, axis: int | None = None) -> Tensor:
    """Parts of a tensor along an axis, by their numbers.

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
        An integer, a slice, None for a new axis, an Ellipsis, integers or a mask for one axis; or a tuple of these
        with integers or a mask in one place at most.

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
        return take_rows(x, key)
    keys = _without_ellipsis(key if isinstance(key, tuple) else (key,), x.ndim)
    lists = [k for k in keys if not (k is None or isinstance(k, slice) or _is_integer(k))]
    if len(lists) > 1 or (lists and any(_is_integer(k) for k in keys)):
        raise TypeError(f"rows: integers or a mask go with slices, in one place of the key alone; got {key!r}")
    axis = 0
    for part in keys:
        before = x.ndim
        x = _pick(x, part, axis)
        axis += 1 + x.ndim - before if part is not None else 1
    return x


def _is_integer(key: Any) -> bool:
    return isinstance(key, (int, np.integer)) and not isinstance(key, bool)


def _without_ellipsis(keys: tuple[Any, ...], ndim: int) -> list[Any]:
    """A key for each axis up to the last that one was given for."""
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
        return take(x, np.arange(start, stop, step), axis)
    if _is_integer(key):
        if not -n <= key < n:
            raise IndexError(f"rows: {key} is out of range for {n} rows")
        part = cut(x, axis, key % n, 1)
        return reshape(part, (*x.shape[:axis], *x.shape[axis + 1 :]))
    return take(x, key, axis)
