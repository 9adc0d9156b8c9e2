"""MNIST and its like, for dense networks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import nbnet as nb

#: The last training images: what hyperparameters are chosen by.
HELD_OUT = 10_000


@dataclass(frozen=True)
class Images:
    """Rows of pixels from 0 to 1, float32, and their classes; those to learn from and those to be tested on."""

    x: NDArray[np.float32]
    y: NDArray[np.uint8]
    x_test: NDArray[np.float32]
    y_test: NDArray[np.uint8]

    def held_out(self) -> Images:
        """The last training images in place of those of the test."""
        n = max(len(self.x) - HELD_OUT, len(self.x) // 2)
        return Images(self.x[:n], self.y[:n], self.x[n:], self.y[n:])

    def sample(self, size: int, seed: int, times: int = 1) -> Images:
        """A number of training images, drawn without replacement and then repeated; the test is the same."""
        rows = np.tile(np.random.default_rng(seed).permutation(len(self.x))[:size], times)
        return Images(self.x[rows], self.y[rows], self.x_test, self.y_test)


def load(folder: str | None = None, name: str = "mnist") -> Images:
    """A data set of :mod:`nbnet.datasets`.

    Parameters
    ----------
    folder
        Where its files are, or a folder with such folders in it; None: as :mod:`nbnet.datasets` finds it.
    name : {"mnist", "fashion_mnist"}
    """
    place = None if folder is None else _folder(Path(folder), name)
    (x, y), (x_test, y_test) = getattr(nb.datasets, name).load_data(place)
    return Images(_rows(x), y, _rows(x_test), y_test)


def _folder(given: Path, name: str) -> Path:
    inner = [given / spelling for spelling in (name, name.replace("_", "-"))]
    return next((place for place in inner if place.is_dir()), given)


def _rows(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    return pixels.reshape(len(pixels), -1).astype(np.float32) / np.float32(255)
