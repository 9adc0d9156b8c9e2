"""Arrays that users pass, checked and converted, in memory or in memory-mapped files.

A page of a mapped file counts as memory of the process from the first access on, and an access may load 2 MB around it.
So blocks of rows are read from the file into a buffer, and kernels read the buffer. Where the file cannot be identified
with certainty, rows are read through the mapping, whose pages are released after each block. A private mapping (mode
``"c"``), which may differ from its file, is read directly.
"""

from __future__ import annotations

import mmap
import os
import sys
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NoReturn, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray

from nbnet.base.validation import Interval
from nbnet.config import FLOAT_DTYPES, standardize_dtype
from nbnet.data.frames import frame_array, is_frame, is_series, series_array

Array = NDArray[Any]

#: Arrays above the first number of bytes are read in blocks of the second.
LARGE, BLOCK = 64 << 20, 16 << 20
#: Largest number of bytes that an access to a mapped file loads.
AROUND = 2 << 20
_LET_GO = getattr(mmap, "MADV_DONTNEED", None)


def mapping(array: Any) -> mmap.mmap | None:
    """Return the memory map that an array is a view of; None for a private one, or none.

    Examples
    --------
    >>> import numpy as np
    >>> from nbnet.data.arrays import mapping
    >>> mapping(np.zeros(3)) is None
    True
    """
    shared = False
    while array is not None:
        if isinstance(array, np.memmap):
            if array.mode == "c":
                return None
            shared = True
        elif isinstance(array, mmap.mmap):
            return array if shared or memoryview(array).readonly else None
        array = array.obj if isinstance(array, memoryview) else getattr(array, "base", None)
    return None


class MappedRows:
    """The rows of a large C-contiguous array in a mapped file."""

    def __init__(self, array: Array) -> None:
        found = mapping(array)
        assert found is not None
        self.array, self._map = array, found
        self.row_bytes = array.nbytes // len(array)
        self._file, self._start = _open(array)
        if self._file is not None:
            weakref.finalize(self, os.close, self._file)

    @classmethod
    def of(cls, array: Any) -> Self | None:
        """Return the rows of a large array in a mapped file; else None."""
        if not isinstance(array, np.ndarray) or array.nbytes <= LARGE or mapping(array) is None:
            return None
        return cls(array) if array.flags.c_contiguous else None

    def read(self, rows: range | NDArray[np.int64], out: Array) -> None:
        """Copy rows, consecutive or any, into an array of their shape and dtype."""
        if self._file is None:
            self._read_mapped(rows, out)
        elif isinstance(rows, range):
            self._fill(out, rows.start)
        else:
            for i in np.argsort(rows).tolist():
                self._fill(out[i : i + 1], int(rows[i]))

    def _fill(self, out: Array, row: int) -> None:
        assert self._file is not None
        space = memoryview(out.reshape(-1).view(np.uint8).data)
        place = self._start + row * self.row_bytes
        while space:
            got = os.preadv(self._file, [space], place)
            if got == 0:
                raise OSError(f"the file that an array is mapped from has become too short for row {row}")
            space, place = space[got:], place + got

    def _read_mapped(self, rows: range | NDArray[np.int64], out: Array) -> None:
        step = max(1, BLOCK // (self.row_bytes + (0 if isinstance(rows, range) else AROUND)))
        for start in range(0, len(out), step):
            part = rows[start : start + step]
            out[start : start + step] = (
                self.array[part.start : part.stop] if isinstance(part, range) else self.array[part]
            )
            if _LET_GO is not None:
                self._map.madvise(_LET_GO)


class Blocks:
    """Arrays with the same number of rows, read block by block; some have mapped rows."""

    def __init__(self, arrays: Sequence[Array | None], mapped: Sequence[MappedRows | None]) -> None:
        self._arrays, self._mapped = arrays, mapped
        self._buffers: list[Array | None] = [None] * len(arrays)

    @classmethod
    def of(cls, arrays: Sequence[Any]) -> Self | None:
        """Return blocks of the arrays; None if kernels can read all of them in place."""
        mapped = [MappedRows.of(array) for array in arrays]
        # Sparse rows, and the arrays beside them, are read in place.
        if not any(mapped) or any(array is not None and not isinstance(array, np.ndarray) for array in arrays):
            return None
        return cls(arrays, mapped)

    def read(self, rows: range | NDArray[np.int64], batch: int) -> Iterator[list[Array | None]]:
        """Yield rows of the arrays in blocks of a multiple of ``batch`` rows; each block overwrites the last."""
        row_bytes = sum(a[:1].nbytes for a in self._arrays if a is not None)
        size = max(1, BLOCK // (row_bytes * batch)) * batch
        for start in range(0, len(rows), size):
            part = rows[start : start + size]
            yield [self._read(k, part, min(size, len(rows))) for k in range(len(self._arrays))]

    def _read(self, k: int, rows: range | NDArray[np.int64], size: int) -> Array | None:
        """Return rows of array ``k``, in a buffer for ``size`` rows."""
        array, mapped, buffer = self._arrays[k], self._mapped[k], self._buffers[k]
        if array is None:
            return None
        if buffer is None or len(buffer) < size:
            buffer = self._buffers[k] = np.empty((size, *array.shape[1:]), array.dtype)
        out = buffer[: len(rows)]
        if mapped is not None:
            mapped.read(rows, out)
        else:
            out[...] = array[rows.start : rows.stop] if isinstance(rows, range) else array[rows]
        return out


def chunks(flat: Array, size: int) -> Iterator[tuple[int, Array]]:
    """Yield (start, elements) of a vector, ``size`` elements at a time."""
    mapped = MappedRows.of(flat)
    if mapped is None:
        for first in range(0, flat.size, size):
            yield first, flat[first : first + size]
        return
    first = 0
    for (block,) in Blocks([flat], [mapped]).read(range(flat.size), size):
        assert block is not None
        for start in range(0, block.size, size):
            yield first + start, block[start : start + size]
        first += block.size


def _open(array: Array) -> tuple[int | None, int]:
    """Reopen the file that an array is mapped from; return it and the array's offset, or None if it is not certain."""
    place = array.__array_interface__["data"][0]
    found = _mapped_at(place)
    name = _filename(array)
    if found is None or name is None or not hasattr(os, "preadv"):
        return None, 0
    try:
        file = os.open(name, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None, 0
    first, offset, device, inode = found
    status = os.fstat(file)
    if (f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}", status.st_ino) != (device, inode):
        os.close(file)
        return None, 0
    return file, offset + place - first


def _filename(array: Any) -> str | None:
    while array is not None:
        if isinstance(array, np.memmap) and array.filename is not None:
            return os.fspath(array.filename)
        array = getattr(array, "base", None)
    return None


def _mapped_at(place: int) -> tuple[int, int, str, int] | None:
    """Return first address, file offset, device and inode of the mapping at an address, as Linux lists it."""
    try:
        with open("/proc/self/maps") as lines:
            for line in lines:
                span, _, offset, device, inode, *_ = line.split()
                first, last = (int(part, 16) for part in span.split("-"))
                if first <= place < last:
                    return first, int(offset, 16), device, int(inode)
    except OSError:
        pass
    return None


Shape = tuple[int | None, ...]

#: Dtypes that the gather kernels read directly.
READABLE = frozenset(
    np.dtype(name)
    for name in "bool uint8 uint16 uint32 uint64 int8 int16 int32 int64 float32 float64".split()  # noqa: SIM905
)
# Elements checked at a time: they stay in the cache, and a dot product this short is not spread over threads.
CHUNK = 8192
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
    array = numbers(x, name)
    one_dimensional = array.ndim == 1
    if one_dimensional:
        array = array.reshape(-1, 1)
    if shape is not None:
        array = _with_last_axis(array, shape)
        hint = f"; a 1-D array is one column: for a single row pass {name}[None]" if len(shape) == 1 else ""
        check_row_shape(array.shape[1:], name, shape, hint if one_dimensional else "")
    model = dtype if isinstance(dtype, np.dtype) else standardize_dtype(dtype)
    array = readable(array, model)
    check_finite(array, name, model)
    return array


def _with_last_axis(array: Array, shape: Shape) -> Array:
    """Return the array with a last axis of length 1 added or removed, if it fits the shape then."""
    sizes = array.shape[1:]
    if shape[-1:] == (1,) and _fits(sizes, shape[:-1]):
        return array[..., None]
    return array[..., 0] if sizes[-1:] == (1,) and _fits(sizes[:-1], shape) else array


def as_dense_targets(y: Any, name: str, n: int, shape: tuple[int, ...], dtype: DTypeLike | None = None) -> Array:
    """Targets of a loss that compares numbers, for n rows of x: one row per sample, in the shape of the model's output.

    The result (n, *shape) is a C-contiguous array of ``dtype``; it shares memory with ``y`` if that was so already. 1-D
    is accepted where the output is one column. Errors are those of :func:`as_input`.

    Examples
    --------
    >>> from nbnet.data import as_dense_targets
    >>> as_dense_targets([1, 0, 1], "y", 3, (1,)).shape
    (3, 1)
    """
    array = _numbers_of(y, name, n)
    if array.ndim == 1:
        array = array.reshape(-1, 1)
    labels = array.shape[1:] == (1,) and array.dtype.kind in "biu"
    hint = "; for labels given as integers use the loss 'sparse_categorical_crossentropy'" if labels else ""
    check_row_shape(array.shape[1:], name, shape, hint)
    model = standardize_dtype(dtype)
    array = readable(array, model)
    check_finite(array, name, model)
    return array.astype(model, copy=False)


def as_labels(y: Any, name: str, n: int, classes: int) -> NDArray[np.int64]:
    """Labels (n,) or (n, 1), the number of each row's class, as a contiguous array of int64 (n,).

    They are whole numbers from 0 to ``classes - 1``, of any dtype; the result shares memory with ``y`` if it can.
    Errors are those of :func:`as_input`, and a ValueError if a label is fractional or out of range.

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
    flat = _column(array, name, "labels", "; for one-hot rows use the loss 'categorical_crossentropy'")
    if flat.dtype.kind == "f":
        flat = flat.astype(np.float64)
        check_finite(flat, name, flat.dtype)
        _check_each(flat == np.floor(flat), flat, f"{name}: expected whole numbers, the labels of classes")
    _check_each((flat >= 0) & (flat < classes), flat, f"{name}: expected labels from 0 to {classes - 1}")
    return np.ascontiguousarray(flat, np.int64)


def check_probabilities(array: Array, name: str) -> Array:
    """Return the array; raise ValueError if a value does not lie in [0, 1], but for rounding.

    Examples
    --------
    >>> import numpy as np
    >>> from nbnet.data import check_probabilities
    >>> check_probabilities(np.array([[0.0], [-1.0]]), "y")
    Traceback (most recent call last):
        ...
    ValueError: y: expected values in [0, 1], got -1.0 at row 1, column 0
    """
    low, high = array.min(), array.max()
    if low < -_ROUNDING or high > 1 + _ROUNDING:
        worst = array.argmin() if low < -_ROUNDING else array.argmax()
        where = place(np.unravel_index(worst, array.shape))
        raise ValueError(f"{name}: expected values in [0, 1], got {array.flat[worst]} at {where}")
    return array


def as_weights(w: Any, name: str, n: int, dtype: DTypeLike | None = None) -> Array:
    """Weights of samples, (n,) or (n, 1), as a contiguous array (n,) of ``dtype``.

    They are 0 or more, at least one of them more than 0; the result shares memory with ``w`` if it can. Errors are
    those of :func:`as_input`, and a ValueError if a weight is negative, or all are 0.

    Examples
    --------
    >>> from nbnet.data import as_weights
    >>> as_weights([1, 2], "sample_weight", 2)
    array([1., 2.], dtype=float32)
    """
    array = _numbers_of(w, name, n)
    model = standardize_dtype(dtype)
    array = readable(_column(array, name, "weights"), model)
    check_finite(array, name, model)
    _check_each(array >= 0, array, f"{name}: expected weights from 0")
    array = array.astype(model, copy=False)
    if not array.any():
        raise ValueError(f"{name}: expected a weight above 0, all {n} are 0")
    return array


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
    """Return an array of real numbers with a row for each row of x."""
    array = numbers(value, name)
    if len(array) != n:
        raise ValueError(f"{name}: expected {_count_of(n, 'row')}, as many as x has, got {len(array)}")
    return array


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
    # numpy.ma takes a while to import; without it there is no masked array.
    masked = sys.modules.get("numpy.ma")
    if masked is not None and masked.is_masked(value):
        raise ValueError(f"{name}: expected no missing values, got a masked array: pass {name}.filled(...)")


def readable(array: Array, model: np.dtype[Any]) -> Array:
    """Return the array if kernels can read it, else a copy that they can read."""
    flags = array.flags
    if array.dtype in READABLE and flags.c_contiguous and flags.aligned:
        return array
    native = array.dtype.newbyteorder("=")
    # A long double too large for the model's dtype becomes infinite, and is refused as such.
    with np.errstate(over="ignore"):
        return np.require(array, native if native in READABLE else model, ["C", "A"])


def check_finite(array: Array, name: str, model: np.dtype[Any], where: Callable[[int], str] | None = None) -> None:
    """Raise ValueError if a value of a contiguous array is not finite, or too large for the model's dtype.

    ``where`` names the place of a value in the message; by default its place in the array.
    """
    if array.dtype.kind != "f":
        return
    flat = array.reshape(-1)
    largest, limit = _LARGEST[array.dtype], _LARGEST[model]
    # If the squares add up to something small enough, so is every value; if not, look again.
    bound = min(largest, limit * limit)
    with np.errstate(over="ignore", invalid="ignore"):
        for _, part in chunks(flat, CHUNK):
            if not part.dot(part) <= bound and not (np.abs(part) <= min(largest, limit)).all():
                _refuse(array, name, model, where or (lambda k: place(np.unravel_index(k, array.shape))))


def _refuse(array: Array, name: str, model: np.dtype[Any], where: Callable[[int], str]) -> NoReturn:
    """Raise an error that gives the number of bad values, and the place of the first."""
    flat, first, count = array.reshape(-1), -1, 0
    limit = min(_LARGEST[array.dtype], _LARGEST[model])
    for start, part in chunks(flat, CHUNK):
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


def _check_each(good: Array, values: Array, message: str) -> None:
    if not good.all():
        row = int(np.argmin(good))
        raise ValueError(f"{message}, got {values[row]} at row {row}")


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
