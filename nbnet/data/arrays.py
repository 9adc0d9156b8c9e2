"""Features, targets, labels and weights as arrays that kernels can read."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from nbnet.config import standardize_dtype
from nbnet.data.checks import check_each, check_finite, check_rows, column, fits, numbers, readable
from nbnet.data.sparse import SparseRows, as_sparse_rows, is_sparse
from nbnet.data.words import Shape, mismatch, place

Array = NDArray[Any]
# Sums of weights that should be 1 miss it by less.
_ROUNDING = 1e-5


def as_input(x: Any, name: str = "x", *, shape: Shape | None = None, dtype: DTypeLike | None = None) -> Array:
    """Features, one row a sample, as an array that kernels can read.

    Parameters
    ----------
    x : array_like, (n, ...)
        An array, memmap, data frame or (nested) list of booleans, integers or floats. 1-D stands for one column.
    name : str
        What messages call it.
    shape : tuple of int or None
        Shape of one row; a None inside it fits any size, None alone anything. As in Keras, a last axis of length 1
        may be there or not: images (n, 28, 28) fit (28, 28, 1).
    dtype : None, float32 or float64
        What the model computes in: values must fit it. Other floats (float16, long double) are converted to it.

    Returns
    -------
    ndarray, (n, ...)
        C-contiguous, aligned, of a dtype in ``READABLE``; shares memory with ``x`` if ``x`` was so already.

    Raises
    ------
    TypeError
        If ``x`` does not hold numbers.
    ValueError
        If it is ragged, empty, not finite, or of another shape than the model wants.

    Examples
    --------
    >>> import numpy as np
    >>> from nbnet.data import as_input
    >>> images = np.zeros((3, 4), np.uint8)
    >>> np.shares_memory(as_input(images), images)
    True
    >>> as_input([[1.0, 2.0], [3.0, float("nan")]])
    Traceback (most recent call last):
        ...
    ValueError: x must be finite; 1 of its 4 values is NaN or infinite, the first is nan at row 1, column 1
    """
    array = numbers(x, name)
    one_dimensional = array.ndim == 1
    if one_dimensional:
        array = array.reshape(-1, 1)
    if shape is not None:
        array = _with_last_axis(array, shape)
    if shape is not None and not fits(array.shape[1:], shape):
        message = mismatch(name, array.shape[1:], "the model wants", shape)
        if one_dimensional and len(shape) == 1:
            message += f"; a 1-D array is one column: for a single row pass {name}[None]"
        raise ValueError(message)
    model = standardize_dtype(dtype)
    array = readable(array, model)
    check_finite(array, name, model)
    return array


def _with_last_axis(array: Array, shape: Shape) -> Array:
    """The array with a last axis of length 1 more, or less, if so it fits."""
    sizes = array.shape[1:]
    if shape[-1:] == (1,) and fits(sizes, shape[:-1]):
        return array[..., None]
    return array[..., 0] if sizes[-1:] == (1,) and fits(sizes[:-1], shape) else array


def as_features(
    x: Any, name: str = "x", *, shape: Shape | None = None, dtype: DTypeLike | None = None
) -> Array | SparseRows:
    """What :func:`as_input` returns; of a sparse matrix its rows, in compressed form.

    Parameters, and errors raised, are those of :func:`as_input` and :func:`nbnet.data.sparse.as_sparse_rows`.

    Examples
    --------
    >>> from scipy.sparse import eye_array
    >>> from nbnet.data import as_features
    >>> as_features(eye_array(1000)).shape, as_features([1.0, 2.0]).shape
    ((1000, 1000), (2, 1))
    """
    return (as_sparse_rows if is_sparse(x) else as_input)(x, name, shape=shape, dtype=dtype)


def as_dense_targets(y: Any, name: str, n: int, shape: tuple[int, ...], dtype: DTypeLike | None = None) -> Array:
    """Targets of a loss that compares numbers with numbers: one row a sample, shaped as the model's output.

    Parameters
    ----------
    y : array_like, (n, *shape)
        1-D is accepted where the output is one column.
    name : str
        What messages call it.
    n : int
        Rows of x.
    shape : tuple of int
        Shape of one row of the output.
    dtype : None, float32 or float64

    Returns
    -------
    ndarray of ``dtype``, (n, *shape)
        C-contiguous; shares memory with ``y`` if it was so already.

    Raises
    ------
    TypeError
        If ``y`` does not hold numbers.
    ValueError
        If it is ragged, empty, not finite, or of another shape.

    Examples
    --------
    >>> from nbnet.data import as_dense_targets
    >>> as_dense_targets([1, 0, 1], "y", 3, (1,)).shape
    (3, 1)
    """
    array = numbers(y, name)
    check_rows(array, name, n)
    if array.ndim == 1:
        array = array.reshape(-1, 1)
    if array.shape[1:] != shape:
        message = mismatch(name, array.shape[1:], "the model's output has", shape)
        if array.shape[1:] == (1,) and array.dtype.kind in "biu":
            message += "; for labels given as integers use the loss 'sparse_categorical_crossentropy'"
        raise ValueError(message)
    model = standardize_dtype(dtype)
    array = readable(array, model)
    check_finite(array, name, model)
    return array.astype(model, copy=False)


def as_labels(y: Any, name: str, n: int, classes: int) -> NDArray[np.int64]:
    """Labels: the number of each row's class.

    Parameters
    ----------
    y : array_like, (n,) or (n, 1)
        Whole numbers from 0 to ``classes - 1``, of any dtype.
    name : str
        What messages call it.
    n : int
        Rows of x.
    classes : int

    Returns
    -------
    ndarray of int64, (n,)
        C-contiguous; shares memory with ``y`` if it was so already.

    Raises
    ------
    TypeError
        If ``y`` does not hold numbers.
    ValueError
        If it is of another shape, or a label is NaN, fractional or out of range.

    Examples
    --------
    >>> from nbnet.data import as_labels
    >>> as_labels([0.0, 2.0, 1.0], "y", 3, 3)
    array([0, 2, 1])
    >>> as_labels([0, 3, 1], "y", 3, 3)
    Traceback (most recent call last):
        ...
    ValueError: y must hold labels from 0 to 2, got 3 at row 1
    """
    array = numbers(y, name)
    check_rows(array, name, n)
    flat = column(array, name, "labels", "; for one-hot rows use the loss 'categorical_crossentropy'")
    if flat.dtype.kind == "f":
        flat = flat.astype(np.float64)
        check_finite(flat, name, flat.dtype)
        check_each(flat == np.floor(flat), flat, f"{name} must hold whole numbers, the labels of classes")
    check_each((flat >= 0) & (flat < classes), flat, f"{name} must hold labels from 0 to {classes - 1}")
    return np.ascontiguousarray(flat, np.int64)


def check_probabilities(array: Array, name: str) -> Array:
    """The array itself, if its values lie in [0, 1] (but for rounding).

    Parameters
    ----------
    array : ndarray
    name : str
        What messages call it.

    Raises
    ------
    ValueError
        If one does not.

    Examples
    --------
    >>> import numpy as np
    >>> from nbnet.data import check_probabilities
    >>> check_probabilities(np.array([[0.0], [-1.0]]), "y")
    Traceback (most recent call last):
        ...
    ValueError: y must lie in [0, 1], got -1.0 at row 1, column 0
    """
    low, high = array.min(), array.max()
    if low < -_ROUNDING or high > 1 + _ROUNDING:
        worst = array.argmin() if low < -_ROUNDING else array.argmax()
        where = place(np.unravel_index(worst, array.shape))
        raise ValueError(f"{name} must lie in [0, 1], got {array.flat[worst]} at {where}")
    return array


def as_weights(w: Any, name: str, n: int, dtype: DTypeLike | None = None) -> Array:
    """Weights of samples.

    Parameters
    ----------
    w : array_like, (n,) or (n, 1)
        0 or more, at least one of them more than 0.
    name : str
        What messages call it.
    n : int
        Rows of x.
    dtype : None, float32 or float64

    Returns
    -------
    ndarray of ``dtype``, (n,)
        C-contiguous; shares memory with ``w`` if it was so already.

    Raises
    ------
    TypeError
        If ``w`` does not hold numbers.
    ValueError
        If it is of another shape, or a weight is negative or not finite, or all are 0.

    Examples
    --------
    >>> from nbnet.data import as_weights
    >>> as_weights([1, 2], "sample_weight", 2)
    array([1., 2.], dtype=float32)
    """
    array = numbers(w, name)
    check_rows(array, name, n)
    model = standardize_dtype(dtype)
    array = readable(column(array, name, "weights"), model)
    check_finite(array, name, model)
    check_each(array >= 0, array, f"{name} must hold no negative weights")
    array = array.astype(model, copy=False)
    if not array.any():
        raise ValueError(f"{name} must hold a weight greater than 0, all {n} are 0")
    return array
