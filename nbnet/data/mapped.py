"""Large files mapped into memory, read a block of rows at a time.

A page of a mapped file counts as memory of the process from the first touch on, and a touch may bring in 2 MB around
it. So kernels do not read such arrays: blocks of their rows are read from the file itself into a buffer, which is what
kernels see. Where the file cannot be identified for certain, rows are read through the mapping, which is told
again and again to let go. A mapping with changes that the file does not have (mode ``"c"``) is left alone.
"""

from __future__ import annotations

import mmap
import os
import weakref
from collections.abc import Iterator, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

#: Arrays of more bytes are read in blocks of so many bytes.
LARGE, BLOCK = 64 << 20, 16 << 20
#: Touching one byte of a mapped file brings in as many around it, at most.
AROUND = 2 << 20
_LET_GO = getattr(mmap, "MADV_DONTNEED", None)


def mapping(array: Any) -> mmap.mmap | None:
    """The mapped file that an array is a view of, unless it may differ from what lies on the disk.

    Examples
    --------
    >>> import numpy as np
    >>> from nbnet.data.mapped import mapping
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
    """The rows of a large array in a mapped file.

    Parameters
    ----------
    array : ndarray, (n, ...)
        C-contiguous.
    """

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
        """Rows of an array that is large, and in a mapped file; else None."""
        if not isinstance(array, np.ndarray) or array.nbytes <= LARGE or mapping(array) is None:
            return None
        return cls(array) if array.flags.c_contiguous else None

    def read(self, rows: range | NDArray[np.int64], out: Array) -> None:
        """Copy rows, consecutive ones or any, into an array of their shape and dtype."""
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
    """Some arrays of as many rows, at least one of them large and in a mapped file, block by block.

    Parameters
    ----------
    arrays : sequence of ndarray or None
        Of rows.
    """

    def __init__(self, arrays: Sequence[Array | None], mapped: Sequence[MappedRows | None]) -> None:
        self._arrays, self._mapped = arrays, mapped
        self._buffers: list[Array | None] = [None] * len(arrays)

    @classmethod
    def of(cls, arrays: Sequence[Any]) -> Self | None:
        """Blocks of the arrays, or None if they can be read where they lie."""
        mapped = [MappedRows.of(array) for array in arrays]
        # Sparse rows stay where they are, and so does what comes with them.
        if not any(mapped) or any(array is not None and not isinstance(array, np.ndarray) for array in arrays):
            return None
        return cls(arrays, mapped)

    def read(self, rows: range | NDArray[np.int64], batch: int) -> Iterator[list[Array | None]]:
        """Rows of the arrays, block after block; each overwrites the one before.

        Parameters
        ----------
        rows : range or ndarray
            Numbers of the rows, in the order in which they are wanted.
        batch : int
            A block has a multiple of so many rows.
        """
        row_bytes = sum(a[:1].nbytes for a in self._arrays if a is not None)
        size = max(1, BLOCK // (row_bytes * batch)) * batch
        for start in range(0, len(rows), size):
            part = rows[start : start + size]
            yield [self._read(k, part, min(size, len(rows))) for k in range(len(self._arrays))]

    def _read(self, k: int, rows: range | NDArray[np.int64], size: int) -> Array | None:
        """Rows of array ``k``, in a buffer that holds ``size`` of them."""
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
    """(start, elements) of a vector, ``size`` elements at a time."""
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
    """The file that an array is mapped from, opened anew, and where in it the array begins; None if unsure."""
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
    """What Linux says of the mapping at an address: its first address, offset in the file, device and inode."""
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
