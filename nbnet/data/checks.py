"""The checks of data intake: every error names the argument, what it got and what it wants."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from nbnet.config import FLOAT_DTYPES
from nbnet.data.frames import frame_array, is_frame, is_series, series_array
from nbnet.data.mapped import chunks
from nbnet.data.words import Shape, count_of, place

Array = NDArray[Any]

#: What the gather kernels read directly.
READABLE = frozenset(
    np.dtype(name)
    for name in "bool uint8 uint16 uint32 uint64 int8 int16 int32 int64 float32 float64".split()  # noqa: SIM905
)
# Elements checked at a time: they stay in the cache, and a dot product this short is not spread over threads.
CHUNK = 8192
_LARGEST = {dtype: float(np.finfo(dtype).max) for dtype in FLOAT_DTYPES}
_HINTS = {
    "O": "convert every column to numbers, and replace None",
    "U": "encode strings as numbers",
    "S": "encode strings as numbers",
    "c": "pass the real and the imaginary parts as columns",
    "M": "convert dates to numbers",
    "m": "convert durations to numbers",
}


def numbers(value: Any, name: str) -> Array:
    """An array of real numbers with at least one row."""
    if value is None:
        raise TypeError(f"{name} must hold booleans, integers or floats, got None")
    if type(value) is not np.ndarray:
        _check_container(value, name)
        if is_frame(value):
            value = frame_array(value, name)
        elif is_series(value):
            value = series_array(value, name)
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{name} must be a rectangular array of numbers, got a ragged one: {error}") from None
    check_kind(array.dtype, name)
    if array.ndim == 0:
        raise ValueError(f"{name} must have rows, got the single number {array}")
    if array.size == 0:
        raise ValueError(f"{name} must not be empty, got shape {array.shape}")
    return array


def check_kind(dtype: np.dtype[Any], name: str) -> None:
    """Numbers, and no complex ones."""
    if dtype.kind not in "fiub":
        hint = _HINTS.get(dtype.kind, "convert it to numbers")
        raise TypeError(f"{name} must hold booleans, integers or floats, got dtype {dtype}: {hint}")


def _check_container(value: Any, name: str) -> None:
    """Refuse what NumPy would accept and misread."""
    if hasattr(value, "toarray") and hasattr(value, "nnz"):
        raise TypeError(f"{name} must be a dense array, got a sparse matrix: pass {name}.toarray()")
    if hasattr(value, "collect") and not hasattr(value, "to_numpy"):
        raise TypeError(f"{name} must hold its values, got a {type(value).__name__}: pass {name}.collect()")
    # numpy.ma takes a while to import; without it there is no masked array.
    masked = sys.modules.get("numpy.ma")
    if masked is not None and masked.is_masked(value):
        raise ValueError(f"{name} must have no missing values, got a masked array: pass {name}.filled(...)")


def readable(array: Array, model: np.dtype[Any]) -> Array:
    """The array itself if kernels can read it, else a copy that they can."""
    flags = array.flags
    if array.dtype in READABLE and flags.c_contiguous and flags.aligned:
        return array
    native = array.dtype.newbyteorder("=")
    # A long double too large for the model's dtype becomes infinite, and is refused as such.
    with np.errstate(over="ignore"):
        return np.require(array, native if native in READABLE else model, ["C", "A"])


def check_finite(array: Array, name: str, model: np.dtype[Any], where: Callable[[int], str] | None = None) -> None:
    """Every value of a contiguous array is finite, also when rounded to the model's dtype; ``where`` words the place
    of a value, else it is that in the array."""
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
    """Say how many values are bad, and where the first one is."""
    flat, first, count = array.reshape(-1), -1, 0
    limit = min(_LARGEST[array.dtype], _LARGEST[model])
    for start, part in chunks(flat, CHUNK):
        bad = np.flatnonzero(~(np.abs(part) <= limit))
        if bad.size and first < 0:
            first = start + int(bad[0])
        count += bad.size
    value = flat[first]
    wanted, trouble = "finite", "NaN or infinite"
    if np.isfinite(value):
        wanted, trouble = f"within the range of {model}", "too large"
    share = f"{count} of its {count_of(flat.size, 'value')} {'is' if count == 1 else 'are'} {trouble}"
    raise ValueError(f"{name} must be {wanted}; {share}, the first is {value} at {where(first)}")


def check_each(good: Array, values: Array, message: str) -> None:
    if not good.all():
        row = int(np.argmin(good))
        raise ValueError(f"{message}, got {values[row]} at row {row}")


def check_rows(array: Array, name: str, n: int) -> None:
    if len(array) != n:
        raise ValueError(f"{name} has {count_of(len(array), 'row')}, x has {n}")


def column(array: Array, name: str, what: str, hint: str = "") -> Array:
    """(n,) of (n,) or (n, 1)."""
    if array.size != len(array) or array.ndim > 2:
        raise ValueError(f"{name} must hold {what}, one a row, of shape (n,) or (n, 1), got shape {array.shape}{hint}")
    return array.reshape(-1)


def fits(got: tuple[int, ...], wanted: Shape) -> bool:
    return got == wanted or (
        len(got) == len(wanted) and all(w is None or g == w for g, w in zip(got, wanted, strict=True))
    )
