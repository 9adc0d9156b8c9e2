"""Memory of arrays that users pass: it stays where it is, and is there, as long as kernels may read it.

Another thread, a callback or a signal handler may resize an array, close a map or truncate its file while a program
reads it. Three measures keep that safe:

- *pinning*: NumPy refuses to resize an array that has a weak reference, and an object that exports its buffer refuses
  to be closed or resized. A pinned array holds both, as long as it or a view of it lives.
- *copies* of memory that may vanish, such as a mapped file: up to ``LARGE`` bytes are copied when they are passed;
  larger arrays are read block by block (:mod:`nbnet.data.mapped`).
- *reading by the operating system*: a page of a truncated file kills a process that reads it. ``write`` to a pipe fails
  with an error instead, so copies of such memory go through one.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import sys
import weakref
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray

Array = NDArray[Any]

#: Arrays above this number of bytes are not copied.
LARGE = 64 << 20
# Bytes that a pipe takes at once, and bytes copied at a time from memory with gaps.
_PIPE, _WINDOW = 1 << 16, 1 << 18
# Usual entries of lists.
_NUMBERS = frozenset({float, int, bool})
#: True if the system has pipes, and files that are truncated while they are mapped.
POSIX = os.name == "posix"


class Pinned(np.ndarray):
    """A view whose memory stays in place as long as it lives, or a view of it."""

    __slots__ = ("pins",)
    pins: Any


def owner(array: Any) -> Any:
    """Return the object whose memory an array is a view of; an array that is no view is its own owner.

    Raises
    ------
    ValueError
        If that memory was released.

    Examples
    --------
    >>> import numpy as np
    >>> from nbnet.base.array_memory import owner
    >>> x = np.arange(6)
    >>> owner(x[2:].reshape(2, 2)) is x
    True
    """
    while isinstance(array, (np.ndarray, memoryview)):
        base = array.base if isinstance(array, np.ndarray) else array.obj
        if base is None:
            break
        array = base
    return array


def stays(array: Array) -> bool:
    """Return True if the memory of an array can be pinned: it cannot vanish with a file, or by another library."""
    return _keeps(owner(array))


def _keeps(found: Any) -> bool:
    return found.flags.owndata if isinstance(found, np.ndarray) else isinstance(found, (bytes, bytearray))


def pinned(array: Array, name: str) -> Array:
    """Return a view of an array whose memory stays in place as long as the view, or a view of it, lives.

    Raises
    ------
    ValueError
        If the memory was released or unmapped already.

    Examples
    --------
    >>> import numpy as np
    >>> from nbnet.base.array_memory import pinned
    >>> x = np.zeros(3)
    >>> held = pinned(x, "x")
    >>> x.resize(5, refcheck=False)
    Traceback (most recent call last):
        ...
    ValueError: cannot resize an array that references or is referenced...
    """
    # The other way round, another thread might resize the array between the two lines.
    pins = _pins(array, name)
    held = array.view(Pinned)
    held.pins = pins
    return held


def _pins(array: Array, name: str) -> Any:
    """Return the references that keep the memory of an array in place."""
    pins: list[Any] = []
    part: Any = array
    try:
        while isinstance(part, (np.ndarray, memoryview)):
            base = part.base if isinstance(part, np.ndarray) else part.obj
            if base is None:
                break
            part = base
            if not isinstance(part, np.ndarray) and (view := _export(part)) is not None:
                pins.append(view)
    except ValueError as error:
        raise ValueError(f"{name}: expected an array, got one whose memory was released: {error}") from None
    return weakref.ref(part) if isinstance(part, np.ndarray) else pins


def _export(part: Any) -> memoryview | None:
    try:
        return memoryview(part)
    except (TypeError, BufferError):
        return None


def settled(array: Array, name: str) -> Array:
    """Return an array whose memory stays: pinned, or a copy. Only a large array of memory that may vanish, which
    :class:`nbnet.data.mapped.Blocks` reads, is neither.

    Raises
    ------
    ValueError
        If the memory was released already.
    OSError
        If a file that it is mapped from has become too short.
    """
    held = pinned(array, name)
    return held if array.nbytes > LARGE or stays(held) else copied(held, name)


def settled_parts(value: Any, name: str) -> Any:
    """Return data as they are, but with settled arrays in place of arrays and memory maps, also in lists and dicts.

    Raises
    ------
    ValueError
        If an array has masked entries; and as for :func:`settled`.
    """
    if isinstance(value, Mapping) and type(value) is dict:
        return {key: settled_parts(part, f"{name}[{key!r}]") for key, part in value.items()}
    if type(value) in (list, tuple) and any(isinstance(part, np.ndarray) for part in value):
        return type(value)(settled_parts(part, f"{name}[{k}]") for k, part in enumerate(value))
    check_unmasked(value, name)
    plain = type(value) in (np.ndarray, np.memmap) and value.dtype.kind in "fiub" and value.size > 0
    return settled(value, name) if plain else value


def plain_array(value: Any, name: str) -> Array:
    """Return a value as an array that is safe to read: memory that may vanish is copied, of any size, other memory is
    not.

    Raises
    ------
    ValueError
        If an array, or one in a list, has masked entries.
    OSError
        If a file that one is mapped from has become too short.

    Examples
    --------
    >>> import numpy as np
    >>> from nbnet.base.array_memory import plain_array
    >>> x = np.arange(6)
    >>> plain_array(x, "x") is x
    True
    >>> plain_array([x, np.ma.array(x, mask=x > 4)], "x")
    Traceback (most recent call last):
        ...
    ValueError: x: expected no missing values, got a masked array: pass x.filled(...)
    """
    if type(value) is np.ndarray:
        if value.base is None:
            return value
    elif isinstance(value, np.ndarray):
        check_unmasked(value, name)
    elif isinstance(value, (list, tuple)):
        value = plain_parts(value, name)
    array = np.asarray(value)
    base = array.base
    if base is None or (type(base) is np.ndarray and base.base is None):
        return array
    return array if array.size == 0 or array.dtype.hasobject or stays(array) else copied(array, name)


def held_array(value: Any, name: str) -> Array:
    """Return a value as :func:`plain_array` does, pinned: NumPy's functions let other threads run while they read.

    Examples
    --------
    >>> import numpy as np
    >>> from nbnet.base.array_memory import held_array
    >>> x = np.arange(3)
    >>> held = held_array(x, "x")
    >>> x.resize(5, refcheck=False)
    Traceback (most recent call last):
        ...
    ValueError: cannot resize an array that references or is referenced...
    """
    return pinned(plain_array(value, name), name)


def plain_parts(values: Sequence[Any], name: str) -> Sequence[Any]:
    """Return a list with each array in it, or in lists in it, as :func:`plain_array` returns it."""
    if _NUMBERS.issuperset(map(type, values)):
        return values
    kinds = set(map(type, values))
    lists = {kind for kind in kinds if issubclass(kind, (list, tuple))}
    arrays = {k for k in kinds if (hasattr(k, "__array__") and not issubclass(k, np.generic)) or k is memoryview}
    return [
        plain_parts(part, name) if type(part) in lists else plain_array(part, name) if type(part) in arrays else part
        for part in values
    ]


def check_unmasked(value: Any, name: str) -> None:
    """Raise ValueError if an array, or one in a list, has masked entries.

    Examples
    --------
    >>> import numpy as np
    >>> from nbnet.base.array_memory import check_unmasked
    >>> check_unmasked([np.zeros(2), np.ma.array([1.0, 2.0], mask=[True, False])], "x")
    Traceback (most recent call last):
        ...
    ValueError: x: expected no missing values, got a masked array: pass x.filled(...)
    """
    # numpy.ma takes a while to import; without it there is no masked array.
    masked = sys.modules.get("numpy.ma")
    if masked is None:
        return
    parts = value if isinstance(value, (list, tuple)) else (value,)
    for part in parts:
        if isinstance(part, masked.MaskedArray) and masked.is_masked(part):
            raise ValueError(f"{name}: expected no missing values, got a masked array: pass {name}.filled(...)")
        if isinstance(part, (list, tuple)):
            check_unmasked(part, name)


def copied(array: Array, name: str, dtype: DTypeLike | None = None) -> Array:
    """Return a C-contiguous copy that nothing else refers to.

    Raises
    ------
    OSError
        If a file that the array is mapped from has become too short.

    Examples
    --------
    >>> import numpy as np
    >>> from nbnet.base.array_memory import copied
    >>> copied(np.array([1, 2], ">i4"), "x", "int64")
    array([1, 2])
    """
    pins = _pins(array, name)
    if not POSIX or stays(array):
        out = np.array(array, order="C", copy=True)
    else:
        out = np.empty(array.shape, array.dtype)
        with MemoryReader(name) as reader:
            reader.copy(array, out)
    del pins
    if dtype is not None and dtype != out.dtype:
        # A number too large for the dtype becomes infinite, and is refused as such.
        with np.errstate(over="ignore"):
            out = out.astype(dtype)
    found = owner(array)
    if isinstance(found, mmap.mmap):
        check_length(array, found, name)
    return out


class MemoryReader:
    """Copies memory that may vanish, by way of a pipe: an error of the operating system instead of a signal.

    Parameters
    ----------
    name
        Of the array, for messages.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __enter__(self) -> Self:
        self._end, self._begin = os.pipe()
        os.set_blocking(self._begin, False)
        return self

    def __exit__(self, *error: object) -> None:
        os.close(self._end)
        os.close(self._begin)

    def copy(self, source: Array, out: Array) -> None:
        """Copy an array of any layout into another one of its shape.

        Raises
        ------
        OSError
            If its memory is not there.
        """
        low, high = np.lib.array_utils.byte_bounds(source)
        if source.dtype == out.dtype and source.flags.c_contiguous and out.flags.c_contiguous:
            self._read(low, out.reshape(-1).view(np.uint8))
        elif high - low <= _WINDOW:
            window = np.empty(high - low, np.uint8)
            self._read(low, window)
            first = source.__array_interface__["data"][0] - low
            out[...] = np.ndarray(source.shape, source.dtype, window.data, first, source.strides)
        else:
            # Halves along the axis that takes most room.
            spans = [abs(stride) * (size - 1) for stride, size in zip(source.strides, source.shape, strict=True)]
            axis = int(np.argmax(spans))
            half = source.shape[axis] // 2
            for part in (slice(None, half), slice(half, None)):
                index = (*[slice(None)] * axis, part)
                self.copy(source[index], out[index])

    def _read(self, place: int, out: NDArray[np.uint8]) -> None:
        source = memoryview((ctypes.c_char * out.size).from_address(place)).cast("B")
        target, done = out.data, 0
        try:
            while done < out.size:
                end = done + os.write(self._begin, source[done : done + _PIPE])
                while done < end:
                    done += os.readv(self._end, [target[done:end]])
        except OSError as error:
            raise OSError(error.errno, f"{self._name}: the file that it is mapped from has become too short") from None


def check_length(array: Array, mapped: mmap.mmap, name: str) -> None:
    """Raise OSError if the file of a map ends before an array does: the rest of a page reads as zeros."""
    try:
        length = mapped.size()
    except (ValueError, OSError):  # The map keeps no file, or the file is of a kind without a size.
        return
    _, high = np.lib.array_utils.byte_bounds(array)
    end = high - np.frombuffer(mapped, np.uint8).__array_interface__["data"][0] + _offset(array)
    if length < end:
        raise OSError(f"{name}: the file that it is mapped from has become too short: {length} bytes, expected {end}")


def _offset(array: Any) -> int:
    """Return the place in its file where the map of an array begins, if that is known; else 0."""
    while array is not None:
        if isinstance(array, np.memmap) and array.offset is not None:
            return int(array.offset - array.offset % mmap.ALLOCATIONGRANULARITY)
        array = getattr(array, "base", None)
    return 0
