"""Data intake: whatever the user hands over becomes an array that kernels can read, or an error that names it.

Kernels never check and never raise, so everything is checked here, once: dtype, shape, finite values, range of labels.
Arrays are read where they lie. A copy is made only of what a kernel cannot read: Fortran order, strides, float16.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence, Sized
from numbers import Real
from typing import Any, NoReturn

import numpy as np
from numpy.typing import DTypeLike, NDArray

from nbnet.config import FLOAT_DTYPES, standardize_dtype

Array = NDArray[Any]
Shape = tuple[int | None, ...]

#: What the gather kernels read directly.
READABLE = frozenset(
    np.dtype(name)
    for name in "bool uint8 uint16 uint32 uint64 int8 int16 int32 int64 float32 float64".split()  # noqa: SIM905
)
# Elements checked at a time: they stay in the cache, and a dot product this short is not spread over threads.
_CHUNK = 8192
# Sums of weights that should be 1 miss it by less.
_ROUNDING = 1e-5
_LARGEST = {dtype: float(np.finfo(dtype).max) for dtype in FLOAT_DTYPES}
_HINTS = {
    "O": "convert every column to numbers, and replace None",
    "U": "encode strings as numbers",
    "S": "encode strings as numbers",
    "c": "pass the real and the imaginary parts as columns",
    "M": "convert dates to numbers",
    "m": "convert durations to numbers",
}


def as_input(x: Any, name: str = "x", *, shape: Shape | None = None, dtype: DTypeLike | None = None) -> Array:
    """Features, one row a sample, as an array that kernels can read.

    Parameters
    ----------
    x : array_like, (n, ...)
        An array, memmap, data frame or (nested) list of booleans, integers or floats. 1-D stands for one column.
    name : str
        What messages call it.
    shape : tuple of int or None
        Shape of one row; a None inside it fits any size, None alone anything.
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
    array = _array(x, name)
    one_dimensional = array.ndim == 1
    if one_dimensional:
        array = array.reshape(-1, 1)
    if shape is not None and not _fits(array.shape[1:], shape):
        message = _mismatch(name, array.shape[1:], "the model wants", shape)
        if one_dimensional and len(shape) == 1:
            message += f"; a 1-D array is one column: for a single row pass {name}[None]"
        raise ValueError(message)
    model = standardize_dtype(dtype)
    array = _readable(array, model)
    _check_finite(array, name, model)
    return array


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
    array = _array(y, name)
    _check_rows(array, name, n)
    if array.ndim == 1:
        array = array.reshape(-1, 1)
    if array.shape[1:] != shape:
        message = _mismatch(name, array.shape[1:], "the model's output has", shape)
        if array.shape[1:] == (1,) and array.dtype.kind in "biu":
            message += "; for labels given as integers use the loss 'sparse_categorical_crossentropy'"
        raise ValueError(message)
    model = standardize_dtype(dtype)
    array = _readable(array, model)
    _check_finite(array, name, model)
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
    array = _array(y, name)
    _check_rows(array, name, n)
    flat = _column(array, name, "labels", "; for one-hot rows use the loss 'categorical_crossentropy'")
    if flat.dtype.kind == "f":
        flat = flat.astype(np.float64)
        _check_finite(flat, name, flat.dtype)
        _check_each(flat == np.floor(flat), flat, f"{name} must hold whole numbers, the labels of classes")
    _check_each((flat >= 0) & (flat < classes), flat, f"{name} must hold labels from 0 to {classes - 1}")
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
        where = _place(np.unravel_index(worst, array.shape))
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
    array = _array(w, name)
    _check_rows(array, name, n)
    model = standardize_dtype(dtype)
    array = _readable(_column(array, name, "weights"), model)
    _check_finite(array, name, model)
    _check_each(array >= 0, array, f"{name} must hold no negative weights")
    array = array.astype(model, copy=False)
    if not array.any():
        raise ValueError(f"{name} must hold a weight greater than 0, all {n} are 0")
    return array


def same_length(**arrays: Sized | None) -> int:
    """The number of rows that all of them have; None is skipped.

    Raises
    ------
    ValueError
        If two differ.

    Examples
    --------
    >>> from nbnet.data import same_length
    >>> same_length(x=[1, 2], y=[3, 4], sample_weight=None)
    2
    >>> same_length(x=[1, 2], y=[3])
    Traceback (most recent call last):
        ...
    ValueError: x and y must have as many rows, got 2 and 1
    """
    lengths = {name: len(array) for name, array in arrays.items() if array is not None}
    first = next(iter(lengths))
    for name, length in lengths.items():
        if length != lengths[first]:
            raise ValueError(f"{first} and {name} must have as many rows, got {lengths[first]} and {length}")
    return lengths[first]


def train_validation_split(
    arrays: Sequence[Any], fraction: float, name: str = "validation_split"
) -> tuple[tuple[Any, ...], tuple[Any, ...] | None]:
    """Cut the last rows off for validation, as they come: shuffling is for later.

    Parameters
    ----------
    arrays : sequence of ndarray or None
        Of as many rows each.
    fraction : float
        Part of the rows to validate on, 0 included, 1 not.
    name : str
        What messages call it.

    Returns
    -------
    train, validation : tuple of ndarray or None
        Views. ``validation`` is None if ``fraction`` is 0.

    Raises
    ------
    TypeError
        If ``fraction`` is no number.
    ValueError
        If it is out of range, or so small or large that one side would be empty.

    Examples
    --------
    >>> import numpy as np
    >>> from nbnet.data import train_validation_split
    >>> train_validation_split([np.arange(5), None], 0.4)
    ((array([0, 1, 2]), None), (array([3, 4]), None))
    """
    if not isinstance(fraction, Real):
        raise TypeError(f"{name} must be a number, got {fraction!r}")
    if not 0 <= fraction < 1:
        raise ValueError(f"{name} must be at least 0 and less than 1, got {fraction!r}")
    if fraction == 0:
        return tuple(arrays), None
    n = next(len(array) for array in arrays if array is not None)
    # Keras's expression, rounding errors included: the same rows on either side.
    cut = int(n * (1.0 - fraction))
    if not 0 < cut < n:
        side = "train" if cut == 0 else "validate"
        raise ValueError(f"{name}={fraction!r} leaves none of the {_count(n, 'row')} to {side} on")
    train, validation = slice(None, cut), slice(cut, None)
    return tuple(a if a is None else a[train] for a in arrays), tuple(a if a is None else a[validation] for a in arrays)


def as_number(value: Any, name: str) -> float:
    """A float from a Python or NumPy number; strings and arrays are none.

    Raises
    ------
    TypeError
        If ``value`` is no real number; ``name`` is what the message calls it.

    Examples
    --------
    >>> from nbnet.data import as_number
    >>> as_number("0.1", "learning_rate")
    Traceback (most recent call last):
        ...
    TypeError: learning_rate: wants a number, got '0.1'
    """
    if not isinstance(value, Real):
        raise TypeError(f"{name}: wants a number, got {value!r}")
    return float(value)


# ---- the checks ----------------------------------------------------------------------------------------------


def _array(value: Any, name: str) -> Array:
    """An array of real numbers with at least one row."""
    if type(value) is not np.ndarray:
        _check_container(value, name)
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{name} must be a rectangular array of numbers, got a ragged one: {error}") from None
    if array.dtype.kind not in "fiub":
        hint = _HINTS.get(array.dtype.kind, "convert it to numbers")
        raise TypeError(f"{name} must hold booleans, integers or floats, got dtype {array.dtype}: {hint}")
    if array.ndim == 0:
        raise ValueError(f"{name} must have rows, got the single number {array}")
    if array.size == 0:
        raise ValueError(f"{name} must not be empty, got shape {array.shape}")
    return array


def _check_container(value: Any, name: str) -> None:
    """Refuse what NumPy would accept and misread."""
    if hasattr(value, "toarray") and hasattr(value, "nnz"):
        raise TypeError(f"{name} must be a dense array, got a sparse matrix: pass {name}.toarray()")
    # numpy.ma takes a while to import; without it there is no masked array.
    masked = sys.modules.get("numpy.ma")
    if masked is not None and masked.is_masked(value):
        raise ValueError(f"{name} must have no missing values, got a masked array: pass {name}.filled(...)")


def _readable(array: Array, model: np.dtype[Any]) -> Array:
    """The array itself if kernels can read it, else a copy that they can."""
    flags = array.flags
    if array.dtype in READABLE and flags.c_contiguous and flags.aligned:
        return array
    native = array.dtype.newbyteorder("=")
    # A long double too large for the model's dtype becomes infinite, and is refused as such.
    with np.errstate(over="ignore"):
        return np.require(array, native if native in READABLE else model, ["C", "A"])


def _check_finite(array: Array, name: str, model: np.dtype[Any]) -> None:
    """Every value of a contiguous array is finite, also when rounded to the model's dtype."""
    if array.dtype.kind != "f":
        return
    flat = array.reshape(-1)
    largest, limit = _LARGEST[array.dtype], _LARGEST[model]
    # If the squares add up to something small enough, so is every value; if not, look again.
    bound = min(largest, limit * limit)
    with np.errstate(over="ignore", invalid="ignore"):
        for start in range(0, flat.size, _CHUNK):
            part = flat[start : start + _CHUNK]
            if not part.dot(part) <= bound and not (np.abs(part) <= min(largest, limit)).all():
                _refuse(array, name, model, start)


def _refuse(array: Array, name: str, model: np.dtype[Any], start: int) -> NoReturn:
    """Say how many values are bad, and where the first one is; those before ``start`` are good."""
    flat, first, count = array.reshape(-1), -1, 0
    limit = min(_LARGEST[array.dtype], _LARGEST[model])
    for begin in range(start, flat.size, _CHUNK):
        bad = np.flatnonzero(~(np.abs(flat[begin : begin + _CHUNK]) <= limit))
        if bad.size and first < 0:
            first = begin + int(bad[0])
        count += bad.size
    value, where = flat[first], _place(np.unravel_index(first, array.shape))
    wanted, trouble = "finite", "NaN or infinite"
    if np.isfinite(value):
        wanted, trouble = f"within the range of {model}", "too large"
    share = f"{count} of its {_count(flat.size, 'value')} {'is' if count == 1 else 'are'} {trouble}"
    raise ValueError(f"{name} must be {wanted}; {share}, the first is {value} at {where}")


def _check_each(good: Array, values: Array, message: str) -> None:
    if not good.all():
        row = int(np.argmin(good))
        raise ValueError(f"{message}, got {values[row]} at row {row}")


def _check_rows(array: Array, name: str, n: int) -> None:
    if len(array) != n:
        raise ValueError(f"{name} has {_count(len(array), 'row')}, x has {n}")


def _column(array: Array, name: str, what: str, hint: str = "") -> Array:
    """(n,) of (n,) or (n, 1)."""
    if array.size != len(array) or array.ndim > 2:
        raise ValueError(f"{name} must hold {what}, one a row, of shape (n,) or (n, 1), got shape {array.shape}{hint}")
    return array.reshape(-1)


def _fits(got: tuple[int, ...], wanted: Shape) -> bool:
    return got == wanted or (
        len(got) == len(wanted) and all(w is None or g == w for g, w in zip(got, wanted, strict=True))
    )


# ---- words ---------------------------------------------------------------------------------------------------


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def _mismatch(name: str, got: tuple[int, ...], verb: str, wanted: Shape) -> str:
    if len(got) == len(wanted) == 1:
        return f"{name} has {_count(got[0], 'column')}, {verb} {wanted[0]}"
    return f"{name} has rows of shape {got}, {verb} {wanted}"


def _place(index: Sequence[Any]) -> str:
    row, *rest = (int(i) for i in index)
    if len(rest) == 1:
        return f"row {row}, column {rest[0]}"
    return f"row {row}, position {tuple(rest)}" if rest else f"row {row}"
