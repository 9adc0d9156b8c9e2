"""Diagonals and triangles of matrices: diag, diagonal, trace, tri, tril, triu, identity, vander."""

from __future__ import annotations

from operator import index
from typing import Any

import numpy as np

from nbnet.base.loading_budget import reserve
from nbnet.config import standardize_dtype
from nbnet.engine.graph.op import INT
from nbnet.engine.graph.tensor import Tensor, exact_tensor, tensor
from nbnet.ops import constants
from nbnet.ops.broadcast import power
from nbnet.ops.compare import where
from nbnet.ops.convert import convert_to_tensor
from nbnet.ops.create import eye
from nbnet.ops.gather import take_columns, take_rows
from nbnet.ops.index import pad
from nbnet.ops.reduction import sum
from nbnet.ops.reshape import checked_axis, expand_dims, ravel, reshape, transpose


def diagonal(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
    """A diagonal of matrices, as the last axis of the result.

    Parameters
    ----------
    x
        Tensor or array with at least two axes.
    offset
        Number of the diagonal; positive ones are above the main diagonal.
    axis1, axis2
        Axes of the rows and columns.

    Raises
    ------
    ValueError
        If an axis is out of range, or both are the same.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.diagonal([[1.0, 2.0], [3.0, 4.0]]).numpy()
    array([1., 4.], dtype=float32)
    """
    made = tensor(x)
    rows, columns = checked_axis(axis1, made.ndim), checked_axis(axis2, made.ndim)
    if rows == columns:
        raise ValueError(f"axis1, axis2: expected two axes, got {axis1} and {axis2}")
    others = [k for k in range(made.ndim) if k not in (rows, columns)]
    n, m = made.shape[rows], made.shape[columns]
    order = [*others, rows, columns]
    flat = reshape(
        made if order == sorted(order) else transpose(made, order), (*(made.shape[k] for k in others), n * m)
    )
    return take_columns(flat, _diagonal_places(n, m, index(offset)))


def _diagonal_places(n: int, m: int, offset: int) -> Tensor:
    """Places of the elements of a diagonal in the flattened matrix."""
    first = offset if offset >= 0 else -offset * m
    count = max(min(n, m - offset) if offset >= 0 else min(n + offset, m), 0)
    return exact_tensor(first + constants.places(count, "diagonal") * (m + 1))


def trace(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
    """The sum of a diagonal of matrices.

    Parameters
    ----------
    x, offset, axis1, axis2
        As for :func:`diagonal`.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.trace([[1.0, 2.0], [3.0, 4.0]]).item()
    5.0
    """
    return sum(diagonal(x, offset, axis1, axis2), -1)


def diag(x: Any, k: int = 0) -> Tensor:
    """A matrix with a vector as its diagonal; or the diagonal of a matrix.

    Parameters
    ----------
    x
        A vector or a matrix.
    k
        Number of the diagonal; positive ones are above the main diagonal.

    Raises
    ------
    ValueError
        If x is neither.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.diag([1.0, 2.0]).numpy()
    array([[1., 0.],
           [0., 2.]], dtype=float32)
    """
    made = tensor(x)
    if made.ndim == 2:
        return diagonal(made, k)
    if made.ndim != 1:
        raise ValueError(f"x: expected a vector or a matrix, got shape {made.shape}")
    n = made.size + abs(index(k))
    # Elements beside the diagonal take the zero behind the vector.
    places = constants.full((n, n), made.size, INT, "diag")
    own = np.arange(made.size)
    places[own + max(-k, 0), own + max(k, 0)] = own
    return take_rows(pad(made, (0, 1)), places)


def diagflat(x: Any, k: int = 0) -> Tensor:
    """A matrix with the elements of x as its diagonal.

    Parameters
    ----------
    x
        Tensor or array of any shape.
    k
        Number of the diagonal; positive ones are above the main diagonal.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.diagflat([[1.0], [2.0]]).numpy()
    array([[1., 0.],
           [0., 2.]], dtype=float32)
    """
    return diag(ravel(x), k)


def tri(N: int, M: int | None = None, k: int = 0, dtype: Any = None) -> Tensor:
    """A matrix (N, M) with ones at and below a diagonal, and zeros above.

    Parameters
    ----------
    N, M
        Rows and columns; by default as many columns as rows.
    k
        Number of the diagonal; positive ones are above the main diagonal.
    dtype
        See :func:`nbnet.ops.convert_to_tensor`.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.tri(2).numpy()
    array([[1., 0.],
           [1., 1.]], dtype=float32)
    """
    wanted = standardize_dtype(None) if dtype is None else dtype
    return convert_to_tensor(_below(index(N), index(N if M is None else M), k), wanted)


def _below(n: int, m: int, k: int) -> Any:
    """True at and below a diagonal."""
    reserve(n * m, "tri")
    return np.tri(n, m, k, bool)


def tril(x: Any, k: int = 0) -> Tensor:
    """Matrices, with zeros above a diagonal.

    Parameters
    ----------
    x
        (..., n, m): tensor or array.
    k
        Number of the diagonal; positive ones are above the main diagonal.

    Raises
    ------
    ValueError
        If x has fewer than two axes.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.tril([[1.0, 2.0], [3.0, 4.0]]).numpy()
    array([[1., 0.],
           [3., 4.]], dtype=float32)
    """
    made = _matrices(x)
    return where(_below(made.shape[-2], made.shape[-1], k), made, 0.0)


def triu(x: Any, k: int = 0) -> Tensor:
    """Matrices, with zeros below a diagonal.

    Parameters
    ----------
    x, k
        As for :func:`tril`.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.triu([[1.0, 2.0], [3.0, 4.0]]).numpy()
    array([[1., 2.],
           [0., 4.]], dtype=float32)
    """
    made = _matrices(x)
    return where(_below(made.shape[-2], made.shape[-1], k - 1), 0.0, made)


def _matrices(x: Any) -> Tensor:
    made = tensor(x)
    if made.ndim < 2:
        raise ValueError(f"x: expected matrices (..., n, m), got shape {made.shape}")
    return made


def identity(n: int, dtype: Any = None) -> Tensor:
    """A square matrix with ones on the diagonal and zeros elsewhere.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.identity(2).numpy()
    array([[1., 0.],
           [0., 1.]], dtype=float32)
    """
    return eye(n, dtype=dtype)


def vander(x: Any, N: int | None = None, increasing: bool = False) -> Tensor:
    """A matrix whose columns are powers of a vector.

    Parameters
    ----------
    x
        A vector.
    N
        Number of columns; by default the length of x.
    increasing
        If True, the powers rise from 0; else they fall to it.

    Raises
    ------
    ValueError
        If x is no vector.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.vander([2.0, 3.0], 3).numpy()
    array([[4., 2., 1.],
           [9., 3., 1.]], dtype=float32)
    """
    made = tensor(x)
    if made.ndim != 1:
        raise ValueError(f"x: expected a vector, got shape {made.shape}")
    powers = constants.places(made.size if N is None else index(N), "vander")
    return power(expand_dims(made, 1), powers if increasing else powers[::-1].copy())
