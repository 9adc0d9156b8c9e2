"""Data sets in MNIST's format: in a given file or folder, in ``NBNET_DATA``, or fetched from OpenML."""

from __future__ import annotations

import os
from importlib.util import find_spec
from os import PathLike
from pathlib import Path

import numpy as np

from nbnet.base.regular_file import open_regular
from nbnet.datasets.idx import Images, Labels, load_mnist
from nbnet.datasets.keras_files import folders

Split = tuple[tuple[Images, Labels], tuple[Images, Labels]]

#: Number of images for training; the rest is the test set.
_TRAINING = 60_000
_ARRAYS = ("x_train", "y_train", "x_test", "y_test")


def load(name: str, openml: str, path: str | PathLike[str] | None) -> Split:
    """Return training and test set of a data set, with its names in ``NBNET_DATA`` and at OpenML.

    ``path`` is a folder with the four IDX files, or an ``.npz`` file as Keras stores it; None to search.
    """
    found = _find(name, path)
    if found is None:
        return _fetch(name, openml)
    return _read_npz(found) if found.is_file() else load_mnist(found)


def _find(name: str, path: str | PathLike[str] | None) -> Path | None:
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
    with open_regular(path) as file, np.load(file, allow_pickle=False) as arrays:
        missing = [key for key in _ARRAYS if key not in arrays]
        if missing:
            raise ValueError(f"{path}: expected the arrays {', '.join(_ARRAYS)}; {', '.join(missing)} are missing")
        x_train, y_train, x_test, y_test = (arrays[key] for key in _ARRAYS)
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
    x, y = np.asarray(images).astype(np.uint8).reshape(-1, 28, 28), np.asarray(labels).astype(np.uint8)
    return (x[:_TRAINING], y[:_TRAINING]), (x[_TRAINING:], y[_TRAINING:])
