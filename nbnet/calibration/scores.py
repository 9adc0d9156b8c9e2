"""Scores of predicted probabilities, and the checks of targets and predictions."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nbnet.base.array_memory import plain_array

Float64 = NDArray[np.float64]
Labels = NDArray[np.int64]


def numbers(value: Any, name: str) -> Float64:
    """Return a float64 array of finite numbers with at least one row."""
    array = plain_array(value, name)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{name}: expected real numbers, got dtype {array.dtype}")
    array = array.astype(np.float64)
    if array.ndim == 0 or len(array) == 0 or not np.isfinite(array).all():
        raise ValueError(f"{name}: expected at least one row of finite numbers, got shape {array.shape}")
    return array


def probabilities(value: Any, name: str = "y_prob") -> Float64:
    """Return probabilities: (n,) of the positive class of two, or (n, classes) with rows that sum to 1."""
    p = columns(numbers(value, name), name)
    if p.min() < 0 or p.max() > 1:
        wrong = p[(p < 0) | (p > 1)].flat[0]
        raise ValueError(f"{name}: expected probabilities in [0, 1], got {wrong:g}")
    if p.ndim == 2 and np.abs(p.sum(1) - 1).max() > 1e-3:
        raise ValueError(f"{name}: expected rows that sum to 1, got one of {p.sum(1)[np.abs(p.sum(1) - 1).argmax()]:g}")
    return p


def columns(array: Float64, name: str) -> Float64:
    """Return (n,) for two classes, (n, classes) for more; a single column becomes (n,)."""
    if array.ndim > 2 or (array.ndim == 2 and not array.shape[1]):
        raise ValueError(f"{name}: expected shape (n,), (n, 1) or (n, classes), got {array.shape}")
    return array[:, 0] if array.ndim == 2 and array.shape[1] == 1 else array


def labels(value: Any, predicted: Float64) -> Labels:
    """Return classes from 0, for predictions of shape (n,) or (n, classes); one-hot rows become classes."""
    y, classes = numbers(value, "y_true"), 2 if predicted.ndim == 1 else predicted.shape[1]
    if y.ndim == 2 and y.shape == predicted.shape:
        if not (np.isin(y, (0, 1)).all() and (y.sum(1) == 1).all()):
            raise ValueError("y_true: expected classes, or rows with a single 1 among zeros")
        return np.nonzero(y)[1]
    y = y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y
    if y.shape != predicted.shape[:1]:
        raise ValueError(f"y_true: expected a class for each of {len(predicted)} rows, got shape {y.shape}")
    wrong = y[(y != np.floor(y)) | (y < 0) | (y >= classes)]
    if wrong.size:
        raise ValueError(f"y_true: expected classes from 0 to {classes - 1}, got {wrong[0]:g}")
    return y.astype(np.int64)


def brier_score(y_true: ArrayLike, y_prob: ArrayLike) -> float:
    """Mean squared distance between probabilities and outcomes, summed over classes if there are more than two.

    Parameters
    ----------
    y_true : array_like, (n,)
        Classes from 0; or one-hot, (n, classes).
    y_prob : array_like, (n,) or (n, classes)
        Probabilities of class 1, with a score up to 1; or of all classes, with a score up to 2.

    Raises
    ------
    ValueError
        If shapes do not match, or numbers are no probabilities or classes.

    References
    ----------
    G. W. Brier: Verification of forecasts expressed in terms of probability. Monthly Weather Review 78 (1950).

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.calibration.brier_score([1, 0], [0.5, 0.0])
    0.125
    >>> nb.calibration.brier_score([1, 0], [[0.5, 0.5], [1.0, 0.0]])
    0.25
    """
    from sklearn.metrics import brier_score_loss

    p = probabilities(y_prob)
    y = labels(y_true, p)
    if p.ndim == 1:
        return float(brier_score_loss(y, p, pos_label=1))
    return float(((p - np.eye(p.shape[1])[y]) ** 2).sum(1).mean())


def log_loss(y_true: ArrayLike, y_prob: ArrayLike) -> float:
    """Mean of ``-log`` of the probability of the outcome, by scikit-learn.

    Parameters
    ----------
    y_true, y_prob
        See :func:`brier_score`. A probability of 0 counts as the smallest number above it.

    Examples
    --------
    >>> import nbnet as nb
    >>> round(nb.calibration.log_loss([1, 0], [[0.5, 0.5], [1.0, 0.0]]), 4)
    0.3466
    """
    from sklearn.metrics import log_loss as by_sklearn

    p = probabilities(y_prob)
    both = np.stack([1 - p, p], 1) if p.ndim == 1 else p / p.sum(1, keepdims=True)
    return float(by_sklearn(labels(y_true, p), both, labels=range(both.shape[1])))
