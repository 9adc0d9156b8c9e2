"""IDX files, the format of MNIST: 00 00, a type code, the number of axes, their sizes, the values; big-endian.

Data sets in this format are in a given folder, in the one that ``NBNET_DATA`` names, or fetched from OpenML.
"""

from __future__ import annotations

import os
from importlib.util import find_spec
from math import prod
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbnet.base.regular_file import open_regular
from nbnet.datasets.keras_files import Unpacked, folders, read_arrays, reading

Images = NDArray[np.uint8]
Labels = NDArray[np.uint8]
Split = tuple[tuple[Images, Labels], tuple[Images, Labels]]

_DTYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_AXES = 32  # the limit of the oldest supported NumPy
_PARTS = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
_SIDE = 28
#: Number of images for training; the rest is the test set.
_TRAINING = 60_000
_ARRAYS = ("x_train", "y_train", "x_test", "y_test")


def read_idx(path: str | PathLike[str]) -> NDArray[Any]:
    """Return the array in an IDX file, which may be gzipped under any name.

    Parameters
    ----------
    path
        Path of the file.

    Returns
    -------
    ndarray
        New array of uint8, int8, int16, int32, float32 or float64, in the machine's byte order.

    Raises
    ------
    OSError
        If there is no such file (FileNotFoundError), or it is a folder, a FIFO, a socket or a device.
    ValueError
        If it is no IDX file, damaged, longer or shorter than its header says, or unpacks to more than 48 MiB and ten
        times its size.

    References
    ----------
    Y. LeCun, C. Cortes, C. J. C. Burges: The MNIST database of handwritten digits (its last section
    describes the format).

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from nbnet.datasets import read_idx
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "labels-idx1-ubyte")
    ...     size = path.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 2, 1]))
    ...     read_idx(path)
    array([7, 2, 1], dtype=uint8)
    """
    content = _content(Path(path))
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in _DTYPES or not 1 <= content[3] <= _AXES:
        raise ValueError(
            f"{path}: not an IDX file: it starts with {content[:4].hex(' ') or 'nothing'}; expected 00 00, "
            f"a type code ({', '.join(f'{code:02x}' for code in _DTYPES)}) and the number of axes (1 to {_AXES})"
        )
    dtype, start = np.dtype(_DTYPES[content[2]]), 4 + 4 * content[3]
    if len(content) < start:
        raise ValueError(f"{path}: truncated: its header takes {start} bytes, the file has {len(content)}")
    shape = tuple(int(n) for n in np.frombuffer(content, ">u4", content[3], 4))
    got, wanted = len(content) - start, prod(shape) * dtype.itemsize
    if got != wanted:
        trouble = "truncated" if got < wanted else "trailing bytes"
        raise ValueError(
            f"{path}: {trouble}: expected {wanted} bytes of {dtype.name} {shape} after the header, got {got}"
        )
    return np.frombuffer(content, dtype, offset=start).reshape(shape).astype(dtype.newbyteorder("="))


def load_mnist(folder: str | PathLike[str]) -> Split:
    """Return MNIST, or a data set in its format (Fashion-MNIST, KMNIST), from its four IDX files.

    Parameters
    ----------
    folder
        Folder with ``train-images-idx3-ubyte``, ``train-labels-idx1-ubyte``, ``t10k-images-idx3-ubyte`` and
        ``t10k-labels-idx1-ubyte``; the hyphen before ``idx`` may be a dot, and each name may end in ``.gz``.

    Returns
    -------
    (x_train, y_train), (x_test, y_test)
        uint8: images (n, 28, 28) from 0 (background) to 255, and labels (n,).

    Raises
    ------
    FileNotFoundError
        If one of the four is missing.
    ValueError
        If one is damaged, or does not hold such images or labels.

    Examples
    --------
    >>> from nbnet.datasets import load_mnist
    >>> load_mnist("nowhere")
    Traceback (most recent call last):
        ...
    FileNotFoundError: nowhere is not a folder; expected one with the four files ...
    """
    paths = _find(Path(folder))
    train, test = (_pair(*paths[i : i + 2]) for i in (0, 2))
    return train, test


def _content(path: Path) -> bytes:
    """Return the bytes of a file, decompressed if it is gzipped."""
    with open_regular(path) as file, reading(path):
        return Unpacked(file).read()


def _find(folder: Path) -> list[Path]:
    """Return the paths of the four files; of several spellings the first."""
    wanted = f"the four files {', '.join(_PARTS)} (or with .idx for -idx; each may end in .gz)"
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is not a folder; expected one with {wanted}")
    found = []
    for part in _PARTS:
        spellings = [name + end for name in (part, part.replace("-idx", ".idx")) for end in ("", ".gz")]
        found.append(next((folder / name for name in spellings if (folder / name).is_file()), None))
    if missing := [part for part, path in zip(_PARTS, found, strict=True) if path is None]:
        raise FileNotFoundError(f"{folder} lacks {', '.join(missing)}; expected {wanted}")
    return [path for path in found if path is not None]


def _pair(images: Path, labels: Path) -> tuple[Images, Labels]:
    x, y = read_idx(images), read_idx(labels)
    if x.dtype != np.uint8 or x.shape[1:] != (_SIDE, _SIDE):
        raise ValueError(f"{images}: expected images, uint8 (n, {_SIDE}, {_SIDE}), got {x.dtype} {x.shape}")
    if y.dtype != np.uint8 or y.ndim != 1:
        raise ValueError(f"{labels}: expected labels, uint8 (n,), got {y.dtype} {y.shape}")
    if len(x) != len(y):
        raise ValueError(f"{labels}: expected {len(x)} labels, one for each of {images.name}, got {len(y)}")
    return x, y


# ---- where data sets are found ----


def load(name: str, openml: str, path: str | PathLike[str] | None) -> Split:
    """Return training and test set of a data set, with its names in ``NBNET_DATA`` and at OpenML.

    ``path`` is a folder with the four IDX files, or an ``.npz`` file as Keras stores it; None to search.
    """
    found = _place(name, path)
    if found is None:
        return _fetch(name, openml)
    return _read_npz(found) if found.is_file() else load_mnist(found)


def _place(name: str, path: str | PathLike[str] | None) -> Path | None:
    if path is not None:
        given = Path(path)
        # Keras's default is the bare name of a file in its own cache, which is not here.
        if given.exists() or given != Path(f"{name}.npz"):
            return given
    named = os.environ.get("NBNET_DATA")
    if not named:
        kept = folders()[-1] / f"{name}.npz"
        return kept if kept.is_file() else None
    folder = Path(named)
    spellings = (name, name.replace("_", "-"))
    for inner in (*(folder / s for s in spellings), *(folder / f"{s}.npz" for s in spellings)):
        if inner.exists():
            return inner
    # The folder may hold the files themselves.
    return folder if any(folder.glob("train-images*")) or not folder.is_dir() else None


def _read_npz(path: Path) -> Split:
    x_train, y_train, x_test, y_test = read_arrays(path, _ARRAYS).values()
    return (x_train, y_train), (x_test, y_test)


def _fetch(name: str, openml: str) -> Split:
    from sklearn.datasets import fetch_openml

    # The faster parser needs pandas.
    parser = "pandas" if find_spec("pandas") else "liac-arff"
    try:
        images, labels = fetch_openml(openml, version=1, as_frame=False, parser=parser, return_X_y=True)
    except (OSError, ValueError) as error:
        raise OSError(
            f"{name} was not found and could not be fetched from OpenML ({error}): download its four IDX files and "
            f"pass their folder as load_data(path=...), or put them in the folder {name!r} of the folder that the "
            "environment variable NBNET_DATA names"
        ) from error
    x, y = np.asarray(images).astype(np.uint8).reshape(-1, _SIDE, _SIDE), np.asarray(labels).astype(np.uint8)
    return (x[:_TRAINING], y[:_TRAINING]), (x[_TRAINING:], y[_TRAINING:])
