"""Targets and predictions as the measures want them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]
Labels = NDArray[np.int64]


def numbers(value: Any, name: str) -> Float64:
    """A float64 array of finite numbers, with a row at least."""
    array = np.asarray(value)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{name}: wants real numbers, got dtype {array.dtype}")
    array = array.astype(np.float64)
    if array.ndim == 0 or len(array) == 0 or not np.isfinite(array).all():
        raise ValueError(f"{name}: wants at least one row of finite numbers, got shape {array.shape}")
    return array


def probabilities(value: Any, name: str = "y_prob") -> Float64:
    """Probabilities: (n,) of the positive one of two classes, or (n, classes) whose rows sum to 1."""
    p = columns(numbers(value, name), name)
    if p.min() < 0 or p.max() > 1:
        wrong = p[(p < 0) | (p > 1)].flat[0]
        raise ValueError(f"{name}: wants probabilities in [0, 1], got {wrong:g}")
    if p.ndim == 2 and np.abs(p.sum(1) - 1).max() > 1e-3:
        raise ValueError(f"{name}: wants rows that sum to 1, got one of {p.sum(1)[np.abs(p.sum(1) - 1).argmax()]:g}")
    return p


def columns(array: Float64, name: str) -> Float64:
    """(n,) for two classes, (n, classes) for more; a single column is the former."""
    if array.ndim > 2 or (array.ndim == 2 and not array.shape[1]):
        raise ValueError(f"{name}: wants shape (n,), (n, 1) or (n, classes), got {array.shape}")
    return array[:, 0] if array.ndim == 2 and array.shape[1] == 1 else array


def labels(value: Any, predicted: Float64) -> Labels:
    """Classes from 0 on, for predictions of shape (n,) or (n, classes); one-hot rows are understood."""
    y, classes = numbers(value, "y_true"), 2 if predicted.ndim == 1 else predicted.shape[1]
    if y.ndim == 2 and y.shape == predicted.shape:
        if not (np.isin(y, (0, 1)).all() and (y.sum(1) == 1).all()):
            raise ValueError("y_true: wants classes, or rows with a single 1 among zeros")
        return np.nonzero(y)[1]
    y = y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y
    if y.shape != predicted.shape[:1]:
        raise ValueError(f"y_true: wants a class for each of {len(predicted)} rows, got shape {y.shape}")
    wrong = y[(y != np.floor(y)) | (y < 0) | (y >= classes)]
    if wrong.size:
        raise ValueError(f"y_true: wants classes from 0 to {classes - 1}, got {wrong[0]:g}")
    return y.astype(np.int64)
