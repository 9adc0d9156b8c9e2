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
from collections.abc import Callable, Iterator, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from nbnet.base.regular_file import open_regular

Array = NDArray[Any]
FilePath = str | PathLike[str]
#: Training set and test set, each of inputs and targets.
Split = tuple[tuple[Array, Array], tuple[Array, Array]]
#: num_words, skip_top, maxlen, start_char, oov_char, index_from of ``load_data`` of texts.
Kept = tuple[int | None, int, int | None, int | None, int | None, int]

#: Where Keras fetches its files from.
_SOURCE = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/"


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


def find(path: FilePath, names: Sequence[str], source: str = "") -> Path:
    """Return the path of a data set: the one given, or the first of some names in the folders of data sets.

    ``source`` is where it can be had; by default where Keras fetches the first of the names.

    Raises
    ------
    FileNotFoundError
        If there is none; the message says where to put it, and where it can be had.

    Examples
    --------
    >>> from nbnet.datasets.keras_files import find
    >>> find("nowhere.npz", ["nowhere.npz"], "its authors")
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
        f"{given.name}: nothing is fetched: get it from {source or _SOURCE + names[0]} and put it in {places}, "
        "or give its path"
    )


def read_arrays(path: Path, names: Sequence[str]) -> list[Array]:
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


# ---- rows of numbers ----


def read_rows(path: Path, test_split: float, seed: int, most: int | None = None) -> Split:
    """Read, shuffle and split x and y of an ``.npz`` file as Keras does; ``most`` rows at most."""
    x, y = (array[:most] for array in read_arrays(path, ("x", "y")))
    if not 0 <= test_split < 1:
        raise ValueError(f"test_split: expected a share in [0, 1), got {test_split}")
    x, y = _shuffled(x, y, np.random.RandomState(seed))
    cut = int(len(x) * (1 - test_split))
    return (x[:cut], y[:cut]), (x[cut:], y[cut:])


def _shuffled(x: Array, y: Array, draws: np.random.RandomState) -> tuple[Array, Array]:
    order = np.arange(len(x))
    draws.shuffle(order)
    return x[order], y[order]


# ---- photographs ----


def read_photographs(path: Path, sets: Sequence[Sequence[str]], labels: str) -> list[tuple[Array, Array]]:
    """Read sets of CIFAR: images (n, 32, 32, 3) and labels (n, 1), uint8.

    ``path`` is a folder with batches, or a ``.tar.gz`` file; ``sets`` are names of the batches of each set, and
    ``labels`` is the name of the labels in a batch.
    """
    batches = _read_batches(path, [name for names in sets for name in names])
    return [_joined([next(batches) for _ in names], labels.encode()) for names in sets]


def _joined(batches: list[dict[Any, Any]], labels: bytes) -> tuple[Array, Array]:
    images = np.concatenate([np.asarray(batch[b"data"], np.uint8).reshape(-1, 3, 32, 32) for batch in batches])
    numbers = np.concatenate([np.asarray(batch[labels], np.uint8) for batch in batches])
    return np.ascontiguousarray(images.transpose(0, 2, 3, 1)), numbers.reshape(-1, 1)


def _read_batches(path: Path, names: Sequence[str]) -> Iterator[dict[Any, Any]]:
    """Read batches one after the other: dicts with the keys as bytes."""
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


# ---- texts as numbers of words ----


def read_texts(path: Path, kept: Kept, seed: int, test_split: float | None = None) -> Split:
    """Read, shuffle and cut texts as Keras does; without a share for tests, the file holds both sets."""
    draws = np.random.RandomState(seed)
    sets = ("",) if test_split is not None else ("_train", "_test")
    arrays = read_arrays(path, [f"{part}{name}" for name in sets for part in "xy"])
    pairs = [_shuffled(x, y, draws) for x, y in zip(arrays[::2], arrays[1::2], strict=True)]
    rows, texts = _chosen([text for x, _ in pairs for text in x], kept)
    x, y = np.empty(len(texts), object), np.concatenate([labels for _, labels in pairs])[rows]
    x[:] = texts
    in_file = sum(row < len(pairs[0][0]) for row in rows)
    cut = in_file if test_split is None else int(len(texts) * (1 - test_split))
    return (x[:cut], y[:cut]), (x[cut:], y[cut:])


def read_word_index(path: Path) -> dict[str, int]:
    """Read the ranks of words."""
    with open_regular(path) as file:
        words = json.loads(file.read())
    if not isinstance(words, dict) or not all(isinstance(rank, int) for rank in words.values()):
        raise ValueError(f"{path}: expected a number for each word")
    return words


def _chosen(texts: Sequence[Any], kept: Kept) -> tuple[list[int], list[list[int]]]:
    """Return the places of the texts that are short enough, and these texts with the words to keep."""
    num_words, skip_top, maxlen, start_char, oov_char, index_from = kept
    start = [] if start_char is None else [start_char]
    numbered = [[*start, *(int(word) + (index_from or 0) for word in text)] for text in texts]
    rows = [k for k, text in enumerate(numbered) if not maxlen or len(text) < maxlen]
    if not rows:
        raise ValueError(f"maxlen: no text is shorter than {maxlen}")
    # Without a limit, the last word counts as one that is not kept, as in Keras.
    most = num_words or max(max(numbered[k], default=0) for k in rows)
    if oov_char is None:
        return rows, [[w for w in numbered[k] if skip_top <= w < most] for k in rows]
    return rows, [[w if skip_top <= w < most else oov_char for w in numbered[k]] for k in rows]
