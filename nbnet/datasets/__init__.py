"""Data sets: readers of files the user has; MNIST and Fashion-MNIST are fetched if they are nowhere."""

from typing import TYPE_CHECKING

from nbnet.absences import absent
from nbnet.datasets import fashion_mnist, mnist
from nbnet.datasets.idx import load_mnist, read_idx

__all__ = ["fashion_mnist", "load_mnist", "mnist", "read_idx"]

if not TYPE_CHECKING:
    __getattr__ = absent(__name__)
