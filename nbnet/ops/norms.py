"""Norms of vectors and matrices, and vectors of length 1: norm, normalize."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from nbnet.config import epsilon as _epsilon
from nbnet.engine.graph.tensor import Tensor, tensor
from nbnet.ops.broadcast import divide, maximum, power
from nbnet.ops.compare import equal, where
from nbnet.ops.create import ones_like
from nbnet.ops.elementwise import abs, sqrt, square
from nbnet.ops.linear_algebra import known_matrices, tensor_of
from nbnet.ops.reduction import checked_axes, max, min, sum
from nbnet.ops.reshape import Axis, checked_axis, moveaxis, reshape, squeeze


def norm(x: Any, ord: int | float | str | None = None, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The norm of vectors along an axis, or of matrices along two.

    Parameters
    ----------
    x
        Tensor or array.
    ord
        None: the root of the sum of squares, over all axes if axis is None. Of vectors: a number p for the p-th root
        of the sum of p-th powers of magnitudes, 0 for the number of elements that are not 0, infinity and minus
        infinity for the largest and the smallest magnitude. Of matrices: ``"fro"`` as None; 1 and -1, infinity and
        minus infinity for the largest and the smallest sum of magnitudes of a column or of a row; 2, -2 and ``"nuc"``
        for the largest and the smallest singular value, and for their sum, through which no gradient flows.
    axis
        An axis of vectors, or two of matrices; None for a vector or a matrix x.
    keepdims
        If True, reduced axes stay, with length 1.

    Raises
    ------
    TypeError
        If a singular value is asked for of what a model computes.
    ValueError
        If ord or axis is anything else.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.norm([[3.0, 4.0]], axis=1).numpy()
    array([5.], dtype=float32)
    """
    made = tensor(x)
    if ord is None and (axis is None or not isinstance(axis, Sequence) or len(axis) == 2):
        return sqrt(sum(square(made), axis, keepdims))
    axes = checked_axes(axis, made.ndim)
    if len(axes) == 1:
        return _vector_norm(made, ord, axes[0], keepdims)
    if len(axes) != 2:
        raise ValueError(f"axis: expected an axis or two, got {axis!r} for shape {made.shape}")
    given = axis if isinstance(axis, Sequence) else axes
    rows, columns = (checked_axis(k, made.ndim) for k in given)
    return _matrix_norm(made, ord, rows, columns, keepdims)


def _vector_norm(x: Tensor, ord: Any, axis: int, keepdims: bool) -> Tensor:
    if isinstance(ord, str):
        raise ValueError(f"ord: expected a number for vectors, got {ord!r}")
    size = abs(x)
    if ord in (math.inf, -math.inf):
        return (max if ord > 0 else min)(size, axis, keepdims)
    if ord == 0:
        return sum(where(equal(x, 0.0), 0.0, ones_like(x)), axis, keepdims)
    if ord == 1:
        return sum(size, axis, keepdims)
    if ord == 2:
        return sqrt(sum(square(x), axis, keepdims))
    return power(sum(power(size, float(ord)), axis, keepdims), 1.0 / float(ord))


def _matrix_norm(x: Tensor, ord: Any, rows: int, columns: int, keepdims: bool) -> Tensor:
    if ord in ("fro", None):
        return sqrt(sum(square(x), (rows, columns), keepdims))
    if ord in (1, -1, math.inf, -math.inf):
        within, among = (rows, columns) if ord in (1, -1) else (columns, rows)
        y = (max if ord > 0 else min)(sum(abs(x), within, keepdims=True), among, keepdims=True)
    elif ord in (2, -2, "nuc"):
        ending = moveaxis(moveaxis(x, rows, -1), columns if columns < rows else columns - 1, -1)
        values = np.linalg.svd(known_matrices(ending, "norm"), compute_uv=False)
        found = values.sum(-1) if ord == "nuc" else values.max(-1) if ord == 2 else values.min(-1)
        y = reshape(tensor_of(found), tuple(1 if k in (rows, columns) else n for k, n in enumerate(x.shape)))
    else:
        raise ValueError(f"ord: expected 'fro', 'nuc', 1, -1, 2, -2 or an infinity for matrices, got {ord!r}")
    return y if keepdims else squeeze(y, (rows, columns))


def normalize(x: Any, axis: Axis = -1, order: int = 2, epsilon: float | None = None) -> Tensor:
    """Vectors along an axis, each divided by its norm.

    Parameters
    ----------
    x
        Tensor or array.
    axis
        The axis along which the vectors lie.
    order
        Order of the norm from 1; see :func:`norm`.
    epsilon
        Lower bound of the norms; None for :func:`nbnet.config.epsilon`.

    Raises
    ------
    ValueError
        If order is no positive integer.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.normalize([[3.0, 4.0]]).numpy()
    array([[0.6, 0.8]], dtype=float32)
    """
    if not isinstance(order, int) or order < 1:
        raise ValueError(f"order: expected a positive integer, got {order!r}")
    made, least = tensor(x), _epsilon() if epsilon is None else epsilon
    if not made.shape:
        made = reshape(made, (1,))
    if order == 2:
        # Under the root, so that the gradient of a vector of zeros is not NaN.
        return divide(made, sqrt(maximum(sum(square(made), axis, keepdims=True), least**2)))
    return divide(made, maximum(norm(made, order, axis, keepdims=True), least))
