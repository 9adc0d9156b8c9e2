"""Files of tensors and one JSON record: safetensors, written atomically and read with suspicion.

The format (https://github.com/huggingface/safetensors) is eight bytes for the length of a header, the header as JSON,
and the tensors one after the other. The metadata of the header hold the record as text, and before it two checksums, by
SHA-256: that of all bytes before the tensors but its own, and that of the tensors. A file of format 1 has none.
"""

from __future__ import annotations

import hashlib
import json
import os
import warnings
from collections.abc import Iterable, Mapping
from math import prod
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from nbnet.base.atomic_file import replacing, target
from nbnet.base.json_record import MAX_BYTES, check_size, dumps, fields, loads
from nbnet.base.regular_file import open_regular

Array = NDArray[Any]
FilePath = str | os.PathLike[str]

#: Keys of the record and of the checksums in the metadata.
KEY, CHECKSUM = "nbnet", "nbnet_sha256"
#: Version of the format; a newer nbnet writes a higher one.
FORMAT = 2
#: How a header with checksums begins, and number of characters of each of the two after that.
START, DIGITS = f'{{"__metadata__":{{"{CHECKSUM}":"'.encode(), 64
#: The format's names of dtypes.
DTYPES: dict[str, np.dtype[Any]] = {"F32": np.dtype("<f4"), "F64": np.dtype("<f8"), "I64": np.dtype("<i8")}
_CODES = {dtype: code for code, dtype in DTYPES.items()}
#: Bytes that are read or written at a time.
_PART = 1 << 20


class Entry(NamedTuple):
    """A tensor of a file; start and end are offsets of its bytes after the header."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    start: int
    end: int


def write(path: FilePath, tensors: Mapping[str, Array], about: Mapping[str, Any], overwrite: bool = True) -> None:
    """Write a file of arrays of float32, float64 or int64, by name, and the record ``about``, to which it adds the
    number of the format.

    It is written atomically: if that fails, with OSError, the old file remains; of a link, the target is replaced.
    Without ``overwrite``, one that is there raises FileExistsError; a folder raises IsADirectoryError, a FIFO, socket
    or device io.UnsupportedOperation, and a tensor of another dtype TypeError.
    """
    path = target(path)
    if not overwrite and path.exists():
        raise FileExistsError(f"path: {path} is there already; pass overwrite=True to replace it")
    for name, array in tensors.items():
        if array.dtype not in _CODES:
            raise TypeError(f"{name}: tensors of {array.dtype} cannot be saved, only of {', '.join(map(str, _CODES))}")
    # Large elements first, as safetensors does it: each tensor is aligned.
    names = sorted(tensors, key=lambda name: (-tensors[name].dtype.itemsize, name))
    header: dict[str, Any] = {
        "__metadata__": {CHECKSUM: "0" * 2 * DIGITS, KEY: dumps({"format": FORMAT, **about}, "model")}
    }
    end = 0
    for name in names:
        begin, end = end, end + tensors[name].nbytes
        entry = {"dtype": _CODES[tensors[name].dtype], "shape": list(tensors[name].shape), "data_offsets": [begin, end]}
        if name in header:
            raise ValueError(f"{name}: cannot be the name of a tensor")
        header[name] = entry
    text = json.dumps(header, separators=(",", ":"))
    check_size(text, "model")
    start = text.encode()
    start += b" " * (-len(start) % 8)
    with replacing(path) as file:
        _write(file, len(start).to_bytes(8, "little") + start, [tensors[name] for name in names])


def _write(file: BinaryIO, start: bytes, arrays: Iterable[Array]) -> None:
    """Write the start of a file, up to the tensors, the tensors, and then the checksums into their place.

    What is written is what the checksum was computed of, even if another thread trains the model meanwhile.
    """
    file.write(start)
    checksum, part = hashlib.sha256(), memoryview(bytearray(_PART))
    for array in arrays:
        values = _bytes(np.ascontiguousarray(array))
        for at in range(0, len(values), _PART):
            size = min(_PART, len(values) - at)
            part[:size] = values[at : at + size]
            checksum.update(part[:size])
            file.write(part[:size])
    place = 8 + len(START)
    rest = checksum.hexdigest().encode() + start[place + 2 * DIGITS :]
    file.seek(place)
    file.write(hashlib.sha256(start[:place] + rest).hexdigest().encode() + checksum.hexdigest().encode())


class Reader:
    """An open file with a checked header: ``entries`` has the tensors by name, ``about`` is the record, or None.

    Nothing is allocated for tensors that the header only promises. A file that is no safetensors file, whose header
    does not match its content, or that differs from its checksums, raises ValueError; one that is no regular file,
    OSError. A file of format 1, which has no checksums, is read with a warning; so are files of other programs, without
    a warning and without a record.

    The tensors are read once, all of them: by :meth:`read_into` into arrays, which have to be given up if the file
    turns out to be damaged, or by :meth:`read` into memory, which changes nothing before all is checked.
    """

    def __init__(self, path: FilePath) -> None:
        self.path = Path(os.fspath(path))
        self._file = open_regular(self.path)
        self._content: dict[str, Array] | None = None
        try:
            self._read_header()
        except ValueError as error:
            self.close()
            raise ValueError(f"{self.path.name}: {error}") from None
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        self._file.close()

    def _read_header(self) -> None:
        self._stat = os.fstat(self._file.fileno())
        size = self._stat.st_size
        if size < 8:
            raise ValueError(f"is not a safetensors file: it has {size} bytes")
        start = self._file.read(8)
        length = int.from_bytes(start, "little")
        text = self._file.read(min(length, size - 8, MAX_BYTES))
        sealed, place = text.startswith(START), len(START)
        try:
            if len(text) != length:
                raise ValueError(
                    f"is cut off or not a safetensors file: a header of {length} bytes in a file of {size}"
                )
            metadata = self._check_header(text, size - 8 - length)
            if (
                sealed
                and hashlib.sha256(start + text[:place] + text[place + DIGITS :]).hexdigest().encode()
                != (text[place : place + DIGITS])
            ):
                raise ValueError("its header differs from its checksum")
        except ValueError as error:
            raise ValueError(f"damaged: {error}" if sealed else str(error)) from None
        self._checksum = text[place + DIGITS : place + 2 * DIGITS].decode() if sealed else None
        if not sealed:
            self._check_unsealed(metadata)

    def read(self, name: str, into: Array | None = None) -> Array:
        """Return a tensor, or copy it into a given array; raise ValueError if that has another shape, or the file is
        damaged."""
        if self._content is None:
            content = {name: np.empty(entry.shape, entry.dtype) for name, entry in self.entries.items()}
            self.read_into(content)
            self._content = content
        if into is None:
            return self._content[name]
        self._check_shape(name, into)
        into[...] = self._content[name]
        return into

    def read_into(self, places: Mapping[str, Array]) -> None:
        """Read tensors into arrays of their shapes.

        Raises
        ------
        ValueError
            If the file is damaged, has become shorter, or was written to meanwhile; then the arrays hold anything.
        """
        for name, array in places.items():
            self._check_shape(name, array)
        checksum, spare = hashlib.sha256(), memoryview(bytearray(_PART))
        for name, entry in sorted(self.entries.items(), key=lambda item: (item[1].start, item[1].end)):
            place = places.get(name)
            if place is None:
                for at in range(entry.start, entry.end, _PART):
                    self._fill(spare[: min(_PART, entry.end - at)], checksum)
                continue
            direct = place.dtype == entry.dtype and place.flags.c_contiguous
            values = place if direct else np.empty(entry.shape, entry.dtype)
            self._fill(_bytes(values), checksum)
            if not direct:
                place[...] = values
        now = os.fstat(self._file.fileno())
        if self._checksum is not None:
            if checksum.hexdigest() != self._checksum:
                raise ValueError(f"{self.path.name}: damaged: its tensors differ from their checksum")
        elif (now.st_size, now.st_mtime_ns) != (self._stat.st_size, self._stat.st_mtime_ns):
            raise ValueError(f"{self.path.name}: damaged: was written to while it was read")

    def _fill(self, values: memoryview, checksum: Any) -> None:
        """Fill memory from the file, and add it to the checksum."""
        at = 0
        while at < len(values):
            count = self._file.readinto(values[at : at + _PART])
            if not count:
                raise ValueError(f"{self.path.name}: damaged: was cut off while it was read")
            if self._checksum is not None:
                checksum.update(values[at : at + count])
            at += count

    def _check_shape(self, name: str, place: Array) -> None:
        if place.shape != self.entries[name].shape:
            raise ValueError(f"{self.path.name}: {name}: expected shape {place.shape}, got {self.entries[name].shape}")

    def _check_header(self, text: bytes, size: int) -> dict[str, str]:
        """Read the header of a file with so many bytes behind it; return its metadata."""
        header = loads(text, "header")
        if not isinstance(header, dict):
            raise ValueError("header: expected an object")
        metadata = header.pop("__metadata__", {})
        if not isinstance(metadata, dict) or not all(isinstance(text, str) for text in metadata.values()):
            raise ValueError("header: __metadata__: expected strings")
        self.entries = {name: _entry(name, value) for name, value in header.items()}
        _check_places(self.entries, size)
        self.about = loads(metadata[KEY], "record") if KEY in metadata else None
        return metadata

    def _check_unsealed(self, metadata: Mapping[str, str]) -> None:
        """Check that a file without checksums at their place never had any: it is of format 1, or another program's."""
        if KEY not in metadata and CHECKSUM not in metadata:
            return
        version = self.about.get("format", 1) if isinstance(self.about, dict) else 1
        if version == FORMAT or metadata.keys() != {KEY}:
            raise ValueError("damaged: has no checksums where they are expected")
        if version == 1:
            warnings.warn(
                f"{self.path.name}: has no checksum, so damage may go unnoticed; save it again to add one", stacklevel=5
            )


def _bytes(array: Array) -> memoryview:
    """Return the memory of a contiguous array."""
    return memoryview(array.reshape(-1).view(np.uint8).data)


def _entry(name: str, value: Any) -> Entry:
    path = f"header: {name}"
    found = fields(value, {"dtype": str, "shape": list, "data_offsets": list}, path)
    shape, offsets = found["shape"], found["data_offsets"]
    if found["dtype"] not in DTYPES:
        raise ValueError(f"{path}: the dtype {found['dtype']!r} is none of {', '.join(DTYPES)}")
    if not _sizes(shape) or len(shape) > 32:
        raise ValueError(f"{path}: {shape!r} is not a shape")
    if not _sizes(offsets) or len(offsets) != 2 or offsets[0] > offsets[1]:
        raise ValueError(f"{path}: {offsets!r} are not offsets")
    dtype, size = DTYPES[found["dtype"]], offsets[1] - offsets[0]
    if prod(shape) * dtype.itemsize != size:
        raise ValueError(
            f"{path}: shape {shape} of {found['dtype']} does not take the {size} bytes from {offsets[0]} to "
            f"{offsets[1]}"
        )
    return Entry(dtype, tuple(shape), *offsets)


def _sizes(values: Iterable[Any]) -> bool:
    return all(type(n) is int and n >= 0 for n in values)


def _check_places(entries: Mapping[str, Entry], size: int) -> None:
    """Check that the tensors fill the rest of the file, one after the other."""
    at = 0
    for name, entry in sorted(entries.items(), key=lambda item: (item[1].start, item[1].end)):
        if entry.start != at:
            raise ValueError(f"header: {name}: begins at {entry.start}, where {at} was expected")
        at = entry.end
    if at != size:
        raise ValueError(f"is cut off or too long: its tensors take {at} bytes, and there are {size}")
