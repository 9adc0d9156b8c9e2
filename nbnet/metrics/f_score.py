"""F-scores, which combine precision and recall, and Matthews's correlation coefficient."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from nbnet.base.array_memory import plain_array
from nbnet.base.validation import ABOVE_ZERO, FINITE, Interval, check_choice
from nbnet.metrics.confusion import selected
from nbnet.metrics.metric import Array, EpochMetric, Score, pairs

#: Predictions this close to 0 are not the largest of a row.
_ZERO = 1e-9


class FBetaScore(EpochMetric):
    """``(1 + beta**2) precision recall / (beta**2 precision + recall)`` of one-hot or multi-label targets.

    Parameters
    ----------
    average : {None, "micro", "macro", "weighted"}
        Combination of the scores of classes: an array of them, the score of all decisions together, their mean, or
        their mean weighted by how often each class is the right one.
    beta : float
        Above 0: recall counts beta times as much as precision.
    threshold : float, optional
        In (0, 1]: predictions above it are positive. None: the largest of each row is.

    Examples
    --------
    >>> import nbnet as nb
    >>> metric = nb.metrics.FBetaScore(beta=2.0, threshold=0.5)
    >>> metric([[1, 1], [1, 0], [1, 1]], [[0.2, 0.6], [0.2, 0.6], [0.6, 0.8]]).round(4)
    array([0.3846, 0.9091])
    """

    name = "fbeta_score"
    _arguments: ClassVar[tuple[str, ...]] = ("average", "beta", "threshold")

    def __init__(
        self, average: str | None = None, beta: float = 1.0, threshold: float | None = None, name: str | None = None
    ) -> None:
        super().__init__(name)
        check_choice(average, "average", [None, "micro", "macro", "weighted"])
        self.average, self.beta = average, ABOVE_ZERO.check(beta, "beta")
        self.threshold = None if threshold is None else Interval(0, 1, above=True).check(threshold, "threshold")

    def compute(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Score:
        from sklearn.metrics import fbeta_score

        y_true, y_pred, w = pairs(y_true, y_pred, sample_weight)
        y_true, y_pred, w = (a.reshape(len(a), -1) for a in (y_true, y_pred, w))
        positive, predicted = y_true != 0, self._decide(y_pred)
        single = y_true.shape[1] == 1
        average, weights = "binary" if single else self.average, w[:, 0]
        score: Array = fbeta_score(
            positive, predicted, beta=self.beta, average=average, sample_weight=weights, zero_division=0.0
        )
        return float(score) if np.size(score) == 1 else score

    def _decide(self, y_pred: Array) -> Array:
        """True for positive decisions: those above the threshold, or the largest of each row."""
        if self.threshold is not None:
            return y_pred > self.threshold
        decisions: Array = (y_pred >= y_pred.max(-1, keepdims=True)) & (np.abs(y_pred) > _ZERO)
        return decisions


class F1Score(FBetaScore):
    """``2 precision recall / (precision + recall)`` of one-hot or multi-label targets.

    Parameters
    ----------
    average, threshold
        See :class:`FBetaScore`.

    Examples
    --------
    >>> import nbnet as nb
    >>> metric = nb.metrics.F1Score(threshold=0.5)
    >>> metric([[1, 1], [1, 0], [1, 1]], [[0.2, 0.6], [0.2, 0.6], [0.6, 0.8]])
    array([0.5, 0.8])
    """

    name = "f1_score"
    _arguments = ("average", "threshold")

    def __init__(self, average: str | None = None, threshold: float | None = None, name: str | None = None) -> None:
        super().__init__(average, 1.0, threshold, name)


class MatthewsCorrelation(EpochMetric):
    """Matthews's correlation coefficient of targets and decisions: 1 if all are right, 0 if as good as chance.

    The class is the largest of several columns, and 1 in one column where the prediction is above the threshold.

    Parameters
    ----------
    threshold : float
        Predictions above it are of class 1.

    References
    ----------
    B. W. Matthews: Comparison of the predicted and observed secondary structure of T4 phage lysozyme. BBA 405 (1975).

    Examples
    --------
    >>> import nbnet as nb
    >>> round(nb.metrics.MatthewsCorrelation()([0, 1, 1, 1], [0.2, 0.3, 0.8, 0.9]), 4)
    0.5774
    """

    name = "matthews_correlation"
    _arguments = ("threshold",)

    def __init__(self, threshold: float = 0.5, name: str | None = None) -> None:
        super().__init__(name)
        self.threshold = FINITE.check(threshold, "threshold")

    def compute(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> float:
        from sklearn.metrics import matthews_corrcoef

        y_pred = plain_array(y_pred, "y_pred")
        if y_pred.ndim < 2 or y_pred.shape[-1] == 1:
            positive, flat, w = selected(y_true, y_pred, sample_weight)
            return float(matthews_corrcoef(positive, flat > self.threshold, sample_weight=w))
        y_true = plain_array(y_true, "y_true")
        classes = y_true.argmax(-1) if y_true.shape == y_pred.shape else y_true.reshape(y_pred.shape[:-1])
        labels, found, w = pairs(classes, y_pred.argmax(-1), sample_weight)
        return float(matthews_corrcoef(labels.reshape(-1), found.reshape(-1), sample_weight=w.reshape(-1)))
