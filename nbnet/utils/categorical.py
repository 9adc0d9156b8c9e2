"""Class numbers as one-hot rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbnet.config import standardize_dtype


def to_categorical(x: Any, num_classes: int | None = None) -> NDArray[Any]:
    """Class numbers as one-hot rows.

    Parameters
    ----------
    x : array_like of int
        Class numbers from 0, of any shape; a last axis of length 1 is dropped.
    num_classes : int, optional
        By default the largest number plus 1.

    Returns
    -------
    ndarray, (..., num_classes)
        1 at the class, else 0; of the framework's default dtype.

    Raises
    ------
    TypeError
        If x holds no integers.
    ValueError
        If a number is negative, or ``num_classes`` or more.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.utils.to_categorical([0, 2])
    array([[1., 0., 0.],
           [0., 0., 1.]], dtype=float32)
    """
    labels = np.asarray(x)
    if labels.dtype.kind == "f" and np.array_equal(labels, np.floor(labels)):
        labels = labels.astype(np.int64)
    if labels.dtype.kind not in "iub":
        raise TypeError(f"x: wants class numbers, integers from 0; got {labels.dtype}")
    if labels.ndim > 1 and labels.shape[-1] == 1:
        labels = labels[..., 0]
    if num_classes is None:
        if not labels.size:
            raise ValueError("num_classes: x is empty, so it has to be given")
        num_classes = int(labels.max()) + 1
    wrong = labels[(labels < 0) | (labels >= num_classes)]
    if wrong.size:
        raise ValueError(f"x: wants class numbers from 0 to {num_classes - 1}, got {wrong.flat[0]}")
    rows = np.zeros((labels.size, num_classes), standardize_dtype(None))
    rows[np.arange(labels.size), labels.reshape(-1).astype(np.int64)] = 1
    return rows.reshape(*labels.shape, num_classes)
