"""Data sets: readers of IDX files; MNIST and Fashion-MNIST are fetched if they are not found."""

from typing import TYPE_CHECKING

from nbnet.base.unsupported_keras import keras_hint
from nbnet.datasets import fashion_mnist, mnist
from nbnet.datasets.idx import load_mnist, read_idx

__all__ = ["fashion_mnist", "load_mnist", "mnist", "read_idx"]

if not TYPE_CHECKING:
    __getattr__ = keras_hint(__name__)
