"""Files of tensors and one JSON record: safetensors, written atomically and read with suspicion.

The format (https://github.com/huggingface/safetensors) is eight bytes for the length of a header, the header as JSON,
and the tensors one after the other. The record is text under one key of the header's metadata.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from io import BufferedReader
from math import prod
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import save_file

from nbnet.base.atomic_file import replacing
from nbnet.base.json_record import MAX_BYTES, dumps, fields, loads

Array = NDArray[Any]
FilePath = str | os.PathLike[str]

#: Key of the record in the metadata.
KEY = "nbnet"
#: The format's names of dtypes.
DTYPES: dict[str, np.dtype[Any]] = {"F32": np.dtype("<f4"), "F64": np.dtype("<f8"), "I64": np.dtype("<i8")}


class Entry(NamedTuple):
    """A tensor of a file; start and end are offsets of its bytes after the header."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    start: int
    end: int


def write(path: FilePath, tensors: Mapping[str, Array], about: Any, overwrite: bool = True) -> None:
    """Write a file of arrays of float32, float64 or int64, by name, and the record ``about``.

    It is written atomically: if that fails, with OSError, the old file remains. Without ``overwrite``, one that is
    there raises FileExistsError; a folder raises IsADirectoryError, and a tensor of another dtype TypeError.
    """
    path = Path(os.fspath(path)).resolve()
    if not overwrite and path.exists():
        raise FileExistsError(f"path: {path} is there already; pass overwrite=True to replace it")
    if path.is_dir():
        raise IsADirectoryError(f"path: {path} is a folder")
    for name, array in tensors.items():
        if array.dtype not in DTYPES.values():
            names = ", ".join(map(str, DTYPES.values()))
            raise TypeError(f"{name}: tensors of {array.dtype} cannot be saved, only of {names}")
    text = dumps(about, "model")
    arrays = {name: np.ascontiguousarray(array).reshape(array.shape) for name, array in tensors.items()}
    try:
        with replacing(path) as aside:
            mode = aside.stat().st_mode
            save_file(arrays, aside, {KEY: text})
            aside.chmod(mode)  # safetensors makes files that only their owner can read
    except SafetensorError as error:
        raise OSError(f"path: {path} cannot be written: {error}") from error


class Reader:
    """An open file with a checked header: ``entries`` has the tensors by name, ``about`` is the record, or None.

    Nothing is allocated for tensors that the header only promises: a file that is no safetensors file, or whose header
    does not match its content, raises ValueError.
    """

    def __init__(self, path: FilePath) -> None:
        self.path = Path(os.fspath(path))
        self._file: BufferedReader = self.path.open("rb")
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
        size = os.fstat(self._file.fileno()).st_size
        if size < 8:
            raise ValueError(f"is not a safetensors file: it has {size} bytes")
        length = int.from_bytes(self._file.read(8), "little")
        if length > min(size - 8, MAX_BYTES):
            raise ValueError(f"is cut off or not a safetensors file: a header of {length} bytes in a file of {size}")
        header = loads(self._file.read(length), "header")
        if not isinstance(header, dict):
            raise ValueError("header: expected an object")
        self._begin = 8 + length
        metadata = header.pop("__metadata__", {})
        if not isinstance(metadata, dict) or not all(isinstance(text, str) for text in metadata.values()):
            raise ValueError("header: __metadata__: expected strings")
        self.entries = {name: _entry(name, value) for name, value in header.items()}
        _check_places(self.entries, size - self._begin)
        self.about = loads(metadata[KEY], "record") if KEY in metadata else None

    def read(self, name: str, into: Array | None = None) -> Array:
        """Return a tensor as a new array, or read it into a given one; raises ValueError if that has another shape, or
        the file has become shorter."""
        entry = self.entries[name]
        array = np.empty(entry.shape, entry.dtype) if into is None else into
        if array.shape != entry.shape:
            raise ValueError(f"{self.path.name}: {name}: expected shape {array.shape}, got {entry.shape}")
        direct = array.dtype == entry.dtype and array.flags.c_contiguous
        place = array if direct else np.empty(entry.shape, entry.dtype)
        self._file.seek(self._begin + entry.start)
        if place.size and self._file.readinto(place.reshape(-1).view(np.uint8).data) != entry.end - entry.start:
            raise ValueError(f"{self.path.name}: is cut off in {name}")
        if not direct:
            array[...] = place
        return array


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
