"""Readers of data sets the user has on disk; nothing is downloaded."""

from nbnet.datasets.idx import load_mnist, read_idx

__all__ = ["load_mnist", "read_idx"]
