"""Data sets in the files that Keras keeps them in: where they are looked for, and how they are read.

A file is looked for in the folder that ``NBNET_DATA`` names, and in Keras's own, ``~/.keras/datasets`` (or
``KERAS_HOME``). Nothing is fetched. Files that hold pickles are read without running anything in them: only lists,
numbers, text and plain arrays are made.
"""

from __future__ import annotations

import io
import json
import os
import pickle
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from nbnet.base.regular_file import open_regular

Array = NDArray[Any]
FilePath = str | PathLike[str]


def folders() -> list[Path]:
    """The folders that data sets are looked for in.

    Examples
    --------
    >>> from nbnet.datasets.keras_files import folders
    >>> folders()[-1].name
    'datasets'
    """
    own = os.environ.get("NBNET_DATA")
    keras = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras", "datasets")
    return [*([Path(own)] if own else []), keras]


def find(path: FilePath, names: tuple[str, ...], source: str) -> Path:
    """Return the path of a data set: the one given, or the first of some names in the folders of data sets.

    Raises
    ------
    FileNotFoundError
        If there is none; the message says where to put it, and where it can be had.

    Examples
    --------
    >>> from nbnet.datasets.keras_files import find
    >>> find("nowhere.npz", ("nowhere.npz",), "its authors")
    Traceback (most recent call last):
        ...
    FileNotFoundError: nowhere.npz: nothing is fetched: get it from its authors and put it in ... or give its path
    """
    given = Path(path)
    if given.exists():
        return given
    for folder in folders():
        for name in (given.name, *names):
            if (folder / name).exists():
                return folder / name
    places = " or ".join(map(str, folders()))
    raise FileNotFoundError(
        f"{given.name}: nothing is fetched: get it from {source} and put it in {places}, or give its path"
    )


def read_arrays(path: Path, names: tuple[str, ...]) -> list[Array]:
    """Read arrays of an ``.npz`` file; those of objects, which are pickles, hold lists of numbers."""
    found = []
    with open_regular(path) as file, zipfile.ZipFile(file) as archive:
        for name in names:
            if f"{name}.npy" not in archive.namelist():
                raise ValueError(f"{path}: expected the arrays {', '.join(names)}; {name} is missing")
            found.append(_read_array(archive.read(f"{name}.npy"), f"{path}: {name}"))
    return found


def _read_array(content: bytes, name: str) -> Array:
    file = io.BytesIO(content)
    version = npy.read_magic(file)
    header: Callable[..., Any] = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    dtype = header(file)[2]
    if not dtype.hasobject:
        return np.asarray(np.load(io.BytesIO(content), allow_pickle=False))
    array = read_pickle(file.read(), name)
    if not isinstance(array, np.ndarray):
        raise ValueError(f"{name}: expected an array, got {type(array).__name__}")
    return array


class _PlainUnpickler(pickle.Unpickler):
    """Makes lists, dicts, numbers, text and arrays, and nothing else."""

    _ALLOWED = frozenset(
        (module, name)
        for root in ("numpy", "numpy.core", "numpy._core")
        for module, name in (
            (f"{root}.multiarray", "_reconstruct"),
            (f"{root}.multiarray", "scalar"),
            (f"{root}.numeric", "_frombuffer"),
            ("numpy", "ndarray"),
            ("numpy", "dtype"),
        )
    )

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("_codecs", "encode"):
            # Bytes, in pickles of old protocols.
            return _latin_bytes
        if (module, name) not in self._ALLOWED:
            raise ValueError(f"expected lists, numbers, text and arrays, got {module}.{name}")
        return super().find_class(module.replace("numpy.core", "numpy._core"), name)


def _latin_bytes(text: str, encoding: str) -> bytes:
    return text.encode("latin1")


def read_pickle(content: bytes, name: str, encoding: str = "ASCII") -> Any:
    """Read a pickle of lists, dicts, numbers, text and arrays; nothing in it is run.

    Raises
    ------
    ValueError
        If it holds anything else, or is damaged.

    Examples
    --------
    >>> import pickle
    >>> from nbnet.datasets.keras_files import read_pickle
    >>> read_pickle(pickle.dumps({"labels": [1, 2]}), "batch")
    {'labels': [1, 2]}
    >>> read_pickle(pickle.dumps(print), "batch")
    Traceback (most recent call last):
        ...
    ValueError: batch: expected lists, numbers, text and arrays, got builtins.print
    """
    try:
        return _PlainUnpickler(io.BytesIO(content), encoding=encoding).load()
    except (pickle.UnpicklingError, ValueError, TypeError, EOFError, IndexError, KeyError, AttributeError) as error:
        raise ValueError(f"{name}: {error}") from None


def read_json(path: Path) -> Any:
    """Read a JSON file."""
    with open_regular(path) as file:
        return json.loads(file.read())


def read_batches(path: Path, names: tuple[str, ...]) -> Iterator[dict[Any, Any]]:
    """Read the batches of CIFAR of a folder, or of a ``.tar.gz`` file: dicts with the keys as bytes."""
    if path.is_dir():
        inner = next((p for p in sorted(path.iterdir()) if p.is_dir() and (p / names[0]).exists()), path)
        for name in names:
            with open_regular(inner / name) as file:
                yield read_pickle(file.read(), f"{inner / name}", "bytes")
        return
    with open_regular(path) as file, tarfile.open(fileobj=file) as archive:
        members = {Path(m.name).name: m for m in archive.getmembers() if m.isfile()}
        for name in names:
            part = archive.extractfile(members[name]) if name in members else None
            if part is None:
                raise ValueError(f"{path}: expected the files {', '.join(names)}; {name} is missing")
            yield read_pickle(part.read(), f"{path}: {name}", "bytes")


def split(x: Array, y: Array, test_split: float, seed: int) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    """Shuffle rows as Keras does, and split them into training and test set."""
    if not 0 <= test_split < 1:
        raise ValueError(f"test_split: expected a share in [0, 1), got {test_split}")
    order = np.arange(len(x))
    np.random.RandomState(seed).shuffle(order)
    x, y = x[order], y[order]
    cut = int(len(x) * (1 - test_split))
    return (x[:cut], y[:cut]), (x[cut:], y[cut:])
