"""Proper scores: smallest, on average, for the true probabilities."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from nbnet.calibration.intake import labels, probabilities


def brier_score(y_true: ArrayLike, y_prob: ArrayLike) -> float:
    """Mean squared distance between probabilities and what happened, summed over classes if there are more than two.

    Parameters
    ----------
    y_true : array_like, (n,)
        Classes from 0; or one-hot, (n, classes).
    y_prob : array_like, (n,) or (n, classes)
        Probability of class 1, which gives a score up to 1; or of all classes, up to 2.

    Raises
    ------
    ValueError
        If shapes do not fit, or numbers are no probabilities or classes.

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
    """Mean of ``-log`` of the probability of what happened, by scikit-learn.

    Parameters
    ----------
    y_true, y_prob
        See :func:`brier_score`. Probabilities of 0 count as the smallest above it.

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
