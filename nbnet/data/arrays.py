"""Arrays that users pass, checked and converted, in memory or in memory-mapped files.

Labels, weights and narrow targets are copied, and the copies are checked. Wide arrays are read where they lie, if
kernels can read them there: :mod:`nbnet.base.array_memory` keeps their memory in place.
"""

from __future__ import annotations

import warnings
import weakref
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NoReturn

import numpy as np
from numpy.typing import DTypeLike, NDArray

from nbnet.base import array_memory
from nbnet.base.array_memory import Pinned, plain_parts, settled
from nbnet.base.validation import Interval
from nbnet.config import FLOAT_DTYPES, standardize_dtype
from nbnet.data import mapped

Array = NDArray[Any]

Shape = tuple[int | None, ...]

#: Dtypes that the gather kernels read directly.
READABLE = frozenset(
    np.dtype(name)
    for name in "bool uint8 uint16 uint32 uint64 int8 int16 int32 int64 float32 float64".split()  # noqa: SIM905
)
# Elements checked at a time: they stay in the cache, and a dot product this short is not spread over threads.
CHUNK = 8192
#: Targets of up to this many numbers a row are small beside x and copied; wider ones are read where they lie.
NARROW = 16
# Rounding errors of sums of weights that should be 1 are smaller.
_ROUNDING = 1e-5
_BELOW_ONE = Interval(0, 1, below=True)
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
    """Features (n, ...), one row per sample, as an array that kernels can read; errors name the argument ``name``.

    ``x`` is an array, memmap, data frame or (nested) list of booleans, integers or floats; 1-D stands for one column.
    ``shape`` is that of a row: a None inside it fits any size, None alone anything. As in Keras, a last axis of length
    1 is optional: images (n, 28, 28) fit (28, 28, 1). ``dtype`` is that of the model: values must fit it, and other
    floats (float16, long double) are converted to it.

    The result is C-contiguous, aligned, of a dtype in ``READABLE``; it shares memory with ``x`` if ``x`` was so
    already. Raise TypeError if ``x`` does not hold numbers, and ValueError if it is ragged, empty, not finite, or of
    another shape than the model expects.

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
    ValueError: x: expected finite values; 1 of its 4 values is NaN or infinite, the first is nan at row 1, column 1
    """
    array = _settled(numbers(x, name), name)
    one_dimensional = array.ndim == 1
    if one_dimensional:
        array = array.reshape(-1, 1)
    if shape is not None:
        array = _with_last_axis(array, shape)
        hint = f"; a 1-D array is one column: for a single row pass {name}[None]" if len(shape) == 1 else ""
        check_row_shape(array.shape[1:], name, shape, hint if one_dimensional else "")
    model = dtype if isinstance(dtype, np.dtype) else standardize_dtype(dtype)
    array = readable(array, name, model)
    check_finite(array, name, model)
    return array


def _with_last_axis(array: Array, shape: Shape) -> Array:
    """Return the array with a last axis of length 1 added or removed, if it fits the shape then."""
    sizes = array.shape[1:]
    if shape[-1:] == (1,) and _fits(sizes, shape[:-1]):
        return array[..., None]
    return array[..., 0] if sizes[-1:] == (1,) and _fits(sizes[:-1], shape) else array


def as_dense_targets(
    y: Any,
    name: str,
    n: int,
    shape: tuple[int, ...],
    dtype: DTypeLike | None = None,
    broadcast: bool = False,
    expand: bool = True,
) -> Array:
    """Targets of a loss that compares numbers, for n rows of x: one row per sample, in the shape of the model's output.

    The result (n, *shape) is a C-contiguous array of ``dtype``; it shares memory with ``y`` if that was so already. 1-D
    is accepted where the output is one column, and a last axis of length 1 may be there although the output has none,
    or with ``expand`` the other way round. With ``broadcast``, rows that broadcast with those of the output keep their
    shape, with a warning. Errors are those of :func:`as_input`.

    Examples
    --------
    >>> from nbnet.data import as_dense_targets
    >>> as_dense_targets([1, 0, 1], "y", 3, (1,)).shape
    (3, 1)
    """
    array = _numbers_of(y, name, n)
    if broadcast and shape[-1:] == (1,) and array.ndim == len(shape) > 1 and _broadcasts(array.shape[1:], shape[:-1]):
        array = array[..., None]
    if array.ndim == 1:
        array = array.reshape(-1, 1)
    if expand or array.ndim > len(shape):
        array = _with_last_axis(array, shape)
    rows = array.shape[1:]
    labels = rows == (1,) and array.dtype.kind in "biu"
    hint = "; for labels given as integers use the loss 'sparse_categorical_crossentropy'" if labels else ""
    if broadcast and rows != shape and _broadcasts(rows, shape):
        warnings.warn(
            f"{name}: rows of shape {rows} are broadcast against outputs of shape {shape}{hint}", stacklevel=2
        )
    else:
        check_row_shape(rows, name, shape, hint)
    model = standardize_dtype(dtype)
    array = copied(array, name) if array.size <= NARROW * n else _settled(array, name)
    array = readable(array, name, model)
    check_finite(array, name, model)
    return array.astype(model, copy=False)


def as_labels(y: Any, name: str, n: int, classes: int, positions: tuple[int, ...] = ()) -> NDArray[np.int64]:
    """Labels (n, *positions) or (n, *positions, 1), the number of the class of each row, or of each position in it, as
    a contiguous array of int64 (n, *positions).

    They are whole numbers from 0 to ``classes - 1``, of any dtype; the result is a copy, which is checked. Errors
    are those of :func:`as_input`, and a ValueError if a label is fractional or out of range.

    Examples
    --------
    >>> from nbnet.data import as_labels
    >>> as_labels([0.0, 2.0, 1.0], "y", 3, 3)
    array([0, 2, 1])
    >>> as_labels([0, 3, 1], "y", 3, 3)
    Traceback (most recent call last):
        ...
    ValueError: y: expected labels from 0 to 2, got 3 at row 1
    """
    array = _numbers_of(y, name, n)
    hint = "; for one-hot rows use the loss 'categorical_crossentropy'"
    if positions:
        array = _with_last_axis(array, positions)
        check_row_shape(array.shape[1:], name, positions, hint if array.ndim > len(positions) + 1 else "")
        flat = array.reshape(-1)
    else:
        flat = _column(array, name, "labels", hint)
    flat = copied(flat, name, np.float64 if flat.dtype.kind == "f" else None)
    if flat.dtype.kind == "f":
        check_finite(flat, name, flat.dtype)
        whole = f"{name}: expected whole numbers, the labels of classes"
        _check_each(flat == np.floor(flat), flat, whole, (n, *positions))
    valid = f"{name}: expected labels from 0 to {classes - 1}"
    _check_each((flat >= 0) & (flat < classes), flat, valid, (n, *positions))
    return np.ascontiguousarray(flat, np.int64).reshape(n, *positions)


def check_probabilities(array: Array, name: str) -> Array:
    """Return the array; warn if a value does not lie in [0, 1], but for rounding.

    Examples
    --------
    >>> import numpy as np
    >>> from nbnet.data import check_probabilities
    >>> check_probabilities(np.array([[0.0], [1.0]]), "y").shape
    (2, 1)
    """
    low, high = array.min(), array.max()
    if low < -_ROUNDING or high > 1 + _ROUNDING:
        worst = array.argmin() if low < -_ROUNDING else array.argmax()
        where = place(np.unravel_index(worst, array.shape))
        warnings.warn(
            f"{name}: expected values in [0, 1], got {array.flat[worst]} at {where}: cross-entropy is computed, but is "
            "not least where predictions equal such targets",
            stacklevel=2,
        )
    return array


def as_weights(
    w: Any, name: str, n: int, dtype: DTypeLike | None = None, positions: tuple[int, ...] | None = ()
) -> Array:
    """Weights of samples, (n,) or (n, 1), or of positions in samples, as a contiguous array (n, ...) of ``dtype``.

    The axes of a row are those of ``positions``, from the first on; each may have length 1 instead, for one weight
    along it, and last axes of length 1 are dropped. None allows any. Weights are 0 or more; the result is a copy, which
    is checked. Errors are those of :func:`as_input`, and a ValueError if a weight is negative.

    Examples
    --------
    >>> from nbnet.data import as_weights
    >>> as_weights([1, 2], "sample_weight", 2)
    array([1., 2.], dtype=float32)
    >>> as_weights([[1, 0, 1], [1, 1, 0]], "sample_weight", 2, positions=(3,)).shape
    (2, 3)
    """
    array = _numbers_of(w, name, n)
    while array.ndim > 1 and array.shape[-1] == 1:
        array = array[..., 0]
    sizes = array.shape[1:]
    if positions is not None and not (
        len(sizes) <= len(positions) and all(m in (1, p) for m, p in zip(sizes, positions, strict=False))
    ):
        allowed = " or ".join(str(("n", *positions[:k])).replace("'", "") for k in range(len(positions) + 1))
        raise ValueError(
            f"{name}: expected weights of shape {allowed.replace('(n,)', '(n,) or (n, 1)')}, got shape {np.shape(w)}"
        )
    model = standardize_dtype(dtype)
    array = readable(copied(array, name), name, model)
    check_finite(array, name, model)
    _check_each((array >= 0).reshape(-1), array.reshape(-1), f"{name}: expected weights from 0", array.shape)
    return array.astype(model, copy=False)


def train_validation_split(
    arrays: Sequence[Any], fraction: float, name: str = "validation_split"
) -> tuple[tuple[Any, ...], tuple[Any, ...] | None]:
    """Cut off the last rows of arrays for validation, a fraction in [0, 1), before any shuffling; both parts are views.

    The second part is None if ``fraction`` is 0. Raise TypeError if it is no number, and ValueError if it is out of
    range, or so small or large that one side would be empty.

    Examples
    --------
    >>> import numpy as np
    >>> from nbnet.data import train_validation_split
    >>> train_validation_split([np.arange(5), None], 0.4)
    ((array([0, 1, 2]), None), (array([3, 4]), None))
    """
    share = _BELOW_ONE.check(fraction, name)
    if share == 0:
        return tuple(arrays), None
    n = next(len(array) for array in arrays if array is not None)
    # Keras's expression, rounding errors included: the same rows on either side.
    cut = int(n * (1.0 - fraction))
    if not 0 < cut < n:
        side = "train" if cut == 0 else "validate"
        raise ValueError(f"{name}: {fraction!r} leaves none of the {_count_of(n, 'row')} to {side} on")
    train, validation = slice(None, cut), slice(cut, None)
    return tuple(a if a is None else a[train] for a in arrays), tuple(a if a is None else a[validation] for a in arrays)


def numbers(value: Any, name: str) -> Array:
    """Return an array of real numbers with at least one row."""
    if value is None:
        raise TypeError(f"{name}: expected booleans, integers or floats, got None")
    if type(value) is not np.ndarray:
        _check_container(value, name)
        if is_frame(value):
            value = frame_array(value, name)
        elif is_series(value):
            value = series_array(value, name)
        elif isinstance(value, (list, tuple)):
            value = plain_parts(value, name)
        else:
            array_memory.check_unmasked(value, name)
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{name}: expected a rectangular array of numbers, got a ragged one: {error}") from None
    check_kind(array.dtype, name)
    if array.ndim == 0:
        raise ValueError(f"{name}: expected rows, got the single number {array}")
    if array.size == 0:
        raise ValueError(f"{name}: expected a non-empty array, got shape {array.shape}")
    return array


def _numbers_of(value: Any, name: str, n: int) -> Array:
    """Return an array of real numbers with a row for each row of x; it is pinned."""
    array = numbers(value, name)
    held = _pinned(array)
    array = array_memory.pinned(array, name) if held is None else held
    if len(array) != n:
        raise ValueError(f"{name}: expected {_count_of(n, 'row')}, as many as x has, got {len(array)}")
    return array


def _pinned(array: Array) -> Array | None:
    """Return a pinned view of an array whose memory NumPy owns, the usual case; None for any other."""
    owner: Any = array
    while owner.base is not None:
        owner = owner.base
        if not isinstance(owner, np.ndarray):
            return None
    if not owner.flags.owndata:
        return None
    view = array.view(Pinned)
    view.pins = weakref.ref(owner)
    return view


def _settled(array: Array, name: str) -> Array:
    """Return an array whose memory stays; see :func:`nbnet.base.array_memory.settled`."""
    held = _pinned(array)
    return array_memory.settled(array, name) if held is None else held


def copied(array: Array, name: str, dtype: DTypeLike | None = None) -> Array:
    """Return a C-contiguous copy that nothing else refers to; see :func:`nbnet.base.array_memory.copied`."""
    plain = dtype is None and _pinned(array) is not None
    return np.array(array, order="C") if plain else array_memory.copied(array, name, dtype)


def _parts(flat: Array, name: str) -> Iterable[tuple[int, Array]]:
    """Return (start, elements) of a vector, ``CHUNK`` elements at a time; only a large one may lie in a file."""
    if flat.nbytes > array_memory.LARGE:
        return mapped.chunks(flat, CHUNK, name)
    return [(start, flat[start : start + CHUNK]) for start in range(0, flat.size, CHUNK)]


def check_kind(dtype: np.dtype[Any], name: str) -> None:
    """Raise TypeError if a dtype is none of real numbers."""
    if dtype.kind not in "fiub":
        hint = _HINTS.get(dtype.kind, "convert it to numbers")
        raise TypeError(f"{name}: expected booleans, integers or floats, got dtype {dtype}: {hint}")


def _check_container(value: Any, name: str) -> None:
    """Refuse containers that NumPy accepts and misreads."""
    if hasattr(value, "toarray") and hasattr(value, "nnz"):
        raise TypeError(f"{name}: expected a dense array, got a sparse matrix: pass {name}.toarray()")
    if hasattr(value, "collect") and not hasattr(value, "to_numpy"):
        raise TypeError(f"{name}: expected values, got a {type(value).__name__}: pass {name}.collect()")


def readable(array: Array, name: str, model: np.dtype[Any]) -> Array:
    """Return the array if kernels can read it, else a copy that they can read."""
    flags = array.flags
    if array.dtype == np.bool_ and (raw := array.view(np.uint8)).max(initial=0) > 1:
        return np.ascontiguousarray(raw != 0)  # Kernels read the bytes of booleans, which a cast leaves as they were.
    if array.dtype in READABLE and flags.c_contiguous and flags.aligned:
        return array
    native = array.dtype.newbyteorder("=")
    return copied(array, name, native if native in READABLE else model)


def check_finite(array: Array, name: str, model: np.dtype[Any], where: Callable[[int], str] | None = None) -> None:
    """Raise ValueError if a value of a contiguous array is not finite, or too large for the model's dtype.

    ``where`` names the place of a value in the message; by default its place in the array.
    """
    if array.dtype.kind != "f":
        return
    flat = np.asarray(array).reshape(-1)
    largest, limit = _LARGEST[array.dtype], _LARGEST[model]
    # If the squares add up to something small enough, so is every value; if not, look again.
    bound = min(largest, limit * limit)
    with np.errstate(over="ignore", invalid="ignore"):
        for _, part in _parts(flat, name):
            if not part.dot(part) <= bound and not (np.abs(part) <= min(largest, limit)).all():
                _refuse(array, name, model, where or (lambda k: place(np.unravel_index(k, array.shape))))


def _refuse(array: Array, name: str, model: np.dtype[Any], where: Callable[[int], str]) -> NoReturn:
    """Raise an error that gives the number of bad values, and the place of the first."""
    flat, first, count = array.reshape(-1), -1, 0
    limit = min(_LARGEST[array.dtype], _LARGEST[model])
    for start, part in _parts(flat, name):
        bad = np.flatnonzero(~(np.abs(part) <= limit))
        if bad.size and first < 0:
            first = start + int(bad[0])
        count += bad.size
    value = flat[first]
    expected, trouble = "finite values", "NaN or infinite"
    if np.isfinite(value):
        expected, trouble = f"values within the range of {model}", "too large"
    share = f"{count} of its {_count_of(flat.size, 'value')} {'is' if count == 1 else 'are'} {trouble}"
    raise ValueError(f"{name}: expected {expected}; {share}, the first is {value} at {where(first)}")


def _check_each(good: Array, values: Array, message: str, shape: tuple[int, ...]) -> None:
    """Raise ValueError for the first value that is not good; ``shape`` is that of the array of the values."""
    if not good.all():
        first = int(np.argmin(good))
        raise ValueError(f"{message}, got {values[first]} at {place(np.unravel_index(first, shape))}")


def _column(array: Array, name: str, what: str, hint: str = "") -> Array:
    """Return (n,) of (n,) or (n, 1)."""
    if array.size != len(array) or array.ndim > 2:
        raise ValueError(f"{name}: expected {what}, one a row, of shape (n,) or (n, 1), got shape {array.shape}{hint}")
    return array.reshape(-1)


def check_row_shape(got: tuple[int, ...], name: str, wanted: Shape, hint: str = "") -> None:
    """Raise ValueError if rows have another shape than wanted, where None fits any size."""
    if _fits(got, wanted):
        return
    if len(got) == len(wanted) == 1:
        raise ValueError(f"{name}: expected {_count_of(wanted[0], 'column')}, got {got[0]}{hint}")
    raise ValueError(f"{name}: expected rows of shape {wanted}, got {got}{hint}")


def _broadcasts(a: tuple[int, ...], b: tuple[int, ...]) -> bool:
    return len(a) == len(b) and all(n == m or 1 in (n, m) for n, m in zip(a, b, strict=True))


def _fits(got: tuple[int, ...], wanted: Shape) -> bool:
    return len(got) == len(wanted) and all(w is None or g == w for g, w in zip(got, wanted, strict=True))


def _count_of(n: int | None, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def place(index: Sequence[Any]) -> str:
    """Return the words for the place of a value: ``row 1, column 2``."""
    row, *rest = (int(i) for i in index)
    if len(rest) == 1:
        return f"row {row}, column {rest[0]}"
    return f"row {row}, position {tuple(rest)}" if rest else f"row {row}"


def is_frame(value: Any) -> bool:
    """Return True if the value has columns and converts to an array."""
    # In this order: the columns of a lazy frame are expensive.
    return hasattr(value, "to_numpy") and hasattr(value, "columns")


def is_series(value: Any) -> bool:
    """Return True if the value is a column that knows of missing values."""
    return hasattr(value, "to_numpy") and hasattr(value, "dtype") and (_pandas(value) or hasattr(value, "null_count"))


def frame_array(frame: Any, name: str) -> Array:
    """Return the numbers of a data frame (n, k) as an array of a dtype that holds all columns.

    Columns are booleans, integers and floats, also nullable ones. Raise TypeError if a column holds no numbers, and
    ValueError if one has missing values.
    """
    columns, labels = _columns(frame), list(frame.columns)
    if not columns:
        raise ValueError(f"{name}: expected columns, got a data frame without any")
    kinds = {column.dtype for column in columns}
    if len(kinds) == 1 and isinstance(columns[0].dtype, np.dtype) and columns[0].dtype.kind in "fiub":
        array = settled(np.asarray(frame.to_numpy()), name)
    else:
        parts = [_column_array(column, name, label) for column, label in zip(columns, labels, strict=True)]
        array = np.empty((len(parts[0]), len(parts)), np.result_type(*parts))
        for k, part in enumerate(parts):
            array[:, k] = part
    if array.dtype.kind == "f":
        for label, missing in zip(labels, np.isnan(array).sum(0), strict=True):
            _check_none_missing(missing, name, label)
    return np.asarray(array)


def series_array(series: Any, name: str) -> Array:
    """Return the numbers of a series (n,); it raises the errors of :func:`frame_array`."""
    return _column_array(series, name, getattr(series, "name", None))


def _columns(frame: Any) -> list[Any]:
    if hasattr(frame, "iloc"):  # in pandas names may repeat, and a repeated one gives a frame
        return [frame.iloc[:, i] for i in range(frame.shape[1])]
    return [frame[label] for label in frame.columns]


def _column_array(column: Any, name: str, label: Any) -> Array:
    dtype = column.dtype
    if not _numeric(dtype):
        raise TypeError(
            f"{name}: expected booleans, integers or floats, {_called(label)} is of dtype {dtype}: encode it as "
            "numbers (codes, or one column for each category) or leave it out"
        )
    if not isinstance(dtype, np.dtype):
        _check_none_missing(int(column.isna().sum()) if _pandas(column) else column.null_count(), name, label)
    plain = getattr(dtype, "numpy_dtype", None)
    array = np.asarray(column.to_numpy() if plain is None else column.to_numpy(plain))
    # Decimals come as objects.
    return array.astype(np.float64) if array.dtype.kind == "O" else settled(array, name)


def _pandas(column: Any) -> bool:
    return hasattr(column, "isna")


def _numeric(dtype: Any) -> bool:
    """Return True for a dtype of numbers; NumPy and pandas have a kind, polars has ``is_numeric``."""
    if hasattr(dtype, "kind"):
        return dtype.kind in "fiub"
    return str(dtype) == "Boolean" or (hasattr(dtype, "is_numeric") and bool(dtype.is_numeric()))


def _check_none_missing(count: int, name: str, label: Any) -> None:
    if count:
        raise ValueError(
            f"{name}: expected no missing values, {_called(label)} has {count}: fill them in, or leave these rows out"
        )


def _called(label: Any) -> str:
    return "the series" if label is None else f"column {label!r}"
