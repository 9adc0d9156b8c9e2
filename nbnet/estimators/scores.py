"""Scores of validation, without the checks of data that were checked."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def r2(y: Array, predicted: Array, weights: Array | None) -> float:
    """``1 - sum(w (y - predicted)**2) / sum(w (y - mean)**2)``, mean over targets.

    A target that does not vary scores 1 if it is met, else 0.

    Parameters
    ----------
    y, predicted : ndarray, (n, targets)
    weights : ndarray, (n,), or None

    Examples
    --------
    >>> import numpy as np
    >>> from nbnet.estimators.scores import r2
    >>> r2(np.array([[0.0], [2.0]]), np.array([[0.0], [1.0]]), None)
    0.5
    """
    w = np.ones((len(y), 1)) if weights is None else weights.astype(np.float64)[:, None]
    y64 = y.astype(np.float64)
    residual = (w * (y64 - predicted) ** 2).sum(0)
    total = (w * (y64 - np.average(y64, axis=0, weights=w[:, 0])) ** 2).sum(0)
    met = np.where(residual == 0, 1.0, 0.0)
    varies = total != 0
    return float(np.where(varies, 1 - residual / np.where(varies, total, 1.0), met).mean())
