"""Files of tensors and one record: safetensors, written whole or not at all, and read with suspicion.

The format (https://github.com/huggingface/safetensors) is eight bytes for the length of a header, the header as JSON,
and the tensors one after the other. The record is text under one key of the header's metadata.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from io import BufferedReader
from math import prod
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import save_file

from nbnet.saving import record
from nbnet.saving.replacing import replacing

Array = NDArray[Any]
FilePath = str | os.PathLike[str]

#: Where the metadata keeps the record.
KEY = "nbnet"
#: The format's names of dtypes.
DTYPES: dict[str, np.dtype[Any]] = {"F32": np.dtype("<f4"), "F64": np.dtype("<f8"), "I64": np.dtype("<i8")}
_NAMES = {dtype: name for name, dtype in DTYPES.items()}


class Entry(NamedTuple):
    """A tensor of a file: where its bytes begin and end, after the header."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    start: int
    end: int


def write(path: FilePath, tensors: Mapping[str, Array], about: Any, overwrite: bool = True) -> None:
    """Write a file; whatever happens meanwhile, there is the old file or the new one under its name.

    Parameters
    ----------
    tensors
        Arrays of float32, float64 or int64, by name.
    about
        The record.
    overwrite
        Whether a file of this name may be there.

    Raises
    ------
    FileExistsError
        If there is, and may not be.
    """
    path = Path(os.fspath(path)).resolve()
    if not overwrite and path.exists():
        raise FileExistsError(f"path: {path} is there already; pass overwrite=True to replace it")
    if path.is_dir():
        raise IsADirectoryError(f"path: {path} is a folder")
    for name, array in tensors.items():
        if array.dtype not in _NAMES:
            raise TypeError(f"{name}: tensors of {array.dtype} cannot be saved, only of {', '.join(map(str, _NAMES))}")
    text = record.dumps(about, "model")
    arrays = {name: np.ascontiguousarray(array).reshape(array.shape) for name, array in tensors.items()}
    try:
        with replacing(path) as aside:
            mode = aside.stat().st_mode
            save_file(arrays, aside, {KEY: text})
            aside.chmod(mode)  # the package lets nobody but the owner read what it writes
    except SafetensorError as error:
        raise OSError(f"path: {path} cannot be written: {error}") from error


class Reader:
    """An open file whose header has been checked: nothing is allocated for what it only promises.

    Parameters
    ----------
    path
        Of the file.

    Attributes
    ----------
    entries : dict
        The tensors by name.
    about
        The record; None if the file has none.

    Raises
    ------
    ValueError
        If the file is no safetensors file, or lies about what is in it.
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

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._file.close()

    def _read_header(self) -> None:
        size = os.fstat(self._file.fileno()).st_size
        if size < 8:
            raise ValueError(f"is no safetensors file: it has {size} bytes")
        length = int.from_bytes(self._file.read(8), "little")
        if length > min(size - 8, record.MOST_BYTES):
            raise ValueError(f"is cut off or no safetensors file: a header of {length} bytes in a file of {size}")
        header = record.loads(self._file.read(length), "header")
        if not isinstance(header, dict):
            raise ValueError("header: wants an object")
        self._begin = 8 + length
        metadata = header.pop("__metadata__", {})
        if not isinstance(metadata, dict) or not all(isinstance(text, str) for text in metadata.values()):
            raise ValueError("header: __metadata__ wants strings")
        self.entries = {name: _entry(name, value) for name, value in header.items()}
        _check_places(self.entries, size - self._begin)
        self.about = record.loads(metadata[KEY], "record") if KEY in metadata else None

    def read(self, name: str, into: Array | None = None) -> Array:
        """A tensor as an array, a new one or one given.

        Raises
        ------
        ValueError
            If the array has another shape, or the file has become shorter.
        """
        entry = self.entries[name]
        array = np.empty(entry.shape, entry.dtype) if into is None else into
        if array.shape != entry.shape:
            raise ValueError(f"{self.path.name}: {name} has shape {entry.shape}, wanted is {array.shape}")
        direct = array.dtype == entry.dtype and array.flags.c_contiguous
        place = array if direct else np.empty(entry.shape, entry.dtype)
        self._file.seek(self._begin + entry.start)
        if place.size and self._file.readinto(place.reshape(-1).view(np.uint8).data) != entry.end - entry.start:
            raise ValueError(f"{self.path.name}: is cut off in {name}")
        if not direct:
            array[...] = place
        return array


def _entry(name: str, value: Any) -> Entry:
    found = record.fields(value, {"dtype": str, "shape": list, "data_offsets": list}, f"header: {name}")
    shape, offsets = found["shape"], found["data_offsets"]
    if found["dtype"] not in DTYPES:
        raise ValueError(f"header: {name}: the dtype {found['dtype']!r} is none of {', '.join(DTYPES)}")
    if not _sizes(shape) or len(shape) > 32:
        raise ValueError(f"header: {name}: {shape!r} is no shape")
    if not _sizes(offsets) or len(offsets) != 2 or offsets[0] > offsets[1]:
        raise ValueError(f"header: {name}: {offsets!r} are no offsets")
    dtype = DTYPES[found["dtype"]]
    if prod(shape) * dtype.itemsize != offsets[1] - offsets[0]:
        raise ValueError(
            f"header: {name}: shape {shape} of {found['dtype']} does not take the {offsets[1] - offsets[0]} bytes "
            f"from {offsets[0]} to {offsets[1]}"
        )
    return Entry(dtype, tuple(shape), *offsets)


def _sizes(values: Iterable[Any]) -> bool:
    return all(type(n) is int and n >= 0 for n in values)


def _check_places(entries: Mapping[str, Entry], size: int) -> None:
    """The tensors fill the rest of the file, one after the other."""
    at = 0
    for name, entry in sorted(entries.items(), key=lambda item: (item[1].start, item[1].end)):
        if entry.start != at:
            raise ValueError(f"header: {name}: begins at {entry.start}, where {at} was expected")
        at = entry.end
    if at != size:
        raise ValueError(f"is cut off or too long: its tensors take {at} bytes, and there are {size}")
