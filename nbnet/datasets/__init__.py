"""Data sets: MNIST and Fashion-MNIST, fetched if they are not found, and those that Keras has, from its files."""

from typing import TYPE_CHECKING

from nbnet.base.unsupported_keras import keras_hint
from nbnet.datasets import fashion_mnist, mnist
from nbnet.datasets.idx import load_mnist, read_idx

__all__ = ["fashion_mnist", "load_mnist", "mnist", "read_idx"]

_FROM_FILES = ("boston_housing", "california_housing", "cifar10", "cifar100", "imdb", "reuters")

if not TYPE_CHECKING:
    __getattr__ = keras_hint(__name__, parts=_FROM_FILES)
