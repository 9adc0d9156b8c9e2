"""Large arrays in mapped files, read block by block.

A page of a mapped file counts as memory of the process from the first access on, and an access may load 2 MB around it.
So blocks of rows are read from the file into a buffer, and kernels read the buffer. Where the file cannot be identified
with certainty, rows are read through the map, whose pages are released after each block; a private map (mode ``"c"``),
which may differ from its file, is always read so. A file that was truncated meanwhile is an OSError either way.
"""

from __future__ import annotations

import mmap
import os
import weakref
from collections.abc import Iterator, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from nbnet.base import array_memory
from nbnet.base.array_memory import MemoryReader, check_length, owner, stays

Array = NDArray[Any]

#: Bytes of a block.
BLOCK = 16 << 20
#: Largest number of bytes that an access to a mapped file loads.
AROUND = 2 << 20
_LET_GO = getattr(mmap, "MADV_DONTNEED", None)


class MappedRows:
    """The rows of a large C-contiguous array in a mapped file.

    Parameters
    ----------
    array, name
        The array, and its name in messages.
    """

    def __init__(self, array: Array, name: str = "x") -> None:
        self.array, self._name = array, name
        found = owner(array)
        self._map = found if isinstance(found, mmap.mmap) else None
        # Only pages of a map that is certain to be shared may be released, and are certain to be those of the file.
        self._shared = self._map is not None and _is_shared(array, self._map)
        self.row_bytes = array.nbytes // len(array)
        self._file, self._start = _open(array) if self._shared else (None, 0)
        if self._file is not None:
            weakref.finalize(self, os.close, self._file)

    @classmethod
    def of(cls, array: Any, name: str = "x") -> Self | None:
        """Return the rows of a large array in a mapped file; else None."""
        if not isinstance(array, np.ndarray) or array.nbytes <= array_memory.LARGE or not array.flags.c_contiguous:
            return None
        return cls(array, name) if is_mapped(array) else None

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
                raise OSError(f"{self._name}: the file that it is mapped from has become too short for row {row}")
            space, place = space[got:], place + got

    def _read_mapped(self, rows: range | NDArray[np.int64], out: Array) -> None:
        step = max(1, BLOCK // (self.row_bytes + (0 if isinstance(rows, range) else AROUND)))
        for start in range(0, len(out), step):
            self._read_part(rows[start : start + step], out[start : start + step])
            if self._map is not None:
                if self._shared and _LET_GO is not None:
                    self._map.madvise(_LET_GO)
                check_length(self.array, self._map, self._name)

    def _read_part(self, rows: range | NDArray[np.int64], out: Array) -> None:
        if not array_memory.POSIX:
            out[...] = self.array[rows.start : rows.stop] if isinstance(rows, range) else self.array[rows]
            return
        with MemoryReader(self._name) as reader:
            if isinstance(rows, range):
                reader.copy(self.array[rows.start : rows.stop], out)
            else:
                for i, row in enumerate(rows.tolist()):
                    reader.copy(self.array[row : row + 1], out[i : i + 1])


class Blocks:
    """Arrays with the same number of rows, read block by block; some have mapped rows."""

    def __init__(self, arrays: Sequence[Array | None], mapped: Sequence[MappedRows | None]) -> None:
        self._arrays, self._mapped = arrays, mapped
        self._buffers: list[Array | None] = [None] * len(arrays)

    @classmethod
    def of(cls, arrays: Sequence[Any], names: Sequence[str] | None = None) -> Self | None:
        """Return blocks of the arrays; None if kernels can read all of them in place."""
        mapped = [MappedRows.of(array, name) for array, name in zip(arrays, names or ["x"] * len(arrays), strict=True)]
        return cls(arrays, mapped) if any(mapped) else None

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


def chunks(flat: Array, size: int, name: str = "x") -> Iterator[tuple[int, Array]]:
    """Yield (start, elements) of a vector, ``size`` elements at a time."""
    mapped = MappedRows.of(flat, name)
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


def is_mapped(array: Array) -> bool:
    """Return True if the memory of an array is that of a file, as far as this can be known.

    Examples
    --------
    >>> import numpy as np
    >>> from nbnet.data.mapped import is_mapped
    >>> is_mapped(np.zeros(3))
    False
    """
    if stays(array):
        return False
    if isinstance(owner(array), mmap.mmap):
        return True
    found = _mapped_at(array.__array_interface__["data"][0])
    return found is not None and found[3] != 0


def _is_shared(array: Any, mapped: mmap.mmap) -> bool:
    """Return True if a map shares its pages with the file: the array is a memmap that says so, or it is read-only."""
    while isinstance(array, np.ndarray):
        if isinstance(array, np.memmap):
            return array.mode != "c"
        array = array.base
    return memoryview(mapped).readonly


def _open(array: Array) -> tuple[int | None, int]:
    """Reopen the file that an array is mapped from; return it and the array's offset, or None if it is not certain."""
    place = array.__array_interface__["data"][0]
    found = _mapped_at(place)
    name = _filename(array)
    if found is None or name is None or not hasattr(os, "preadv"):
        return None, 0
    try:
        file = os.open(name, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
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
