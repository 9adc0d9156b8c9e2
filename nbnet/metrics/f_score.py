"""F-scores: precision and recall in one number; and Matthews's correlation coefficient."""

from __future__ import annotations

from typing import Any

import numpy as np

from nbnet import data
from nbnet.metrics.confusion import selected
from nbnet.metrics.epoch_metric import EpochMetric, pairs
from nbnet.metrics.metric import Array

# Predictions this near to 0 are not the largest of a row.
_ZERO = 1e-9


class _FScore(EpochMetric):
    def __init__(self, average: str | None, beta: float, threshold: float | None, name: str | None) -> None:
        super().__init__(name)
        if average not in (None, "micro", "macro", "weighted"):
            raise ValueError(f"average: wants None, 'micro', 'macro' or 'weighted', got {average!r}")
        self.average, self.beta = average, data.as_number(beta, "beta")
        if not self.beta > 0:
            raise ValueError(f"beta: wants a number above 0, got {beta!r}")
        self.threshold = None if threshold is None else data.as_number(threshold, "threshold")
        if self.threshold is not None and not 0 < self.threshold <= 1:
            raise ValueError(f"threshold: wants a number above 0 and up to 1, got {threshold!r}")

    def compute(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        from sklearn.metrics import fbeta_score

        y_true, y_pred, w = pairs(y_true, y_pred, sample_weight)
        y_true, y_pred, w = (a.reshape(len(a), -1) for a in (y_true, y_pred, w))
        positive, predicted = y_true != 0, self._decide(y_pred)
        single = y_true.shape[1] == 1
        score = fbeta_score(
            positive, predicted, beta=self.beta, average="binary" if single else self.average, sample_weight=w[:, 0],
            zero_division=0.0,
        )  # fmt: skip
        return float(score) if np.size(score) == 1 else score

    def _decide(self, y_pred: Array) -> Array:
        """What is predicted to be positive: what is above the threshold, or the largest of each row."""
        if self.threshold is not None:
            return y_pred > self.threshold
        found: Array = (y_pred >= y_pred.max(-1, keepdims=True)) & (np.abs(y_pred) > _ZERO)
        return found

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"average": self.average, "beta": self.beta, "threshold": self.threshold}


class FBetaScore(_FScore):
    """``(1 + beta**2) precision recall / (beta**2 precision + recall)`` of one-hot or multi-label targets.

    Parameters
    ----------
    average : {None, "micro", "macro", "weighted"}
        Of the scores of classes: an array of them, that of all decisions taken together, their mean, or their mean
        weighted by how often each class is the right one.
    beta
        Above 0: how much more recall counts than precision.
    threshold
        Above 0 and up to 1: predictions above it are positive. None: the largest of each row is.
    name
        See :class:`Metric`.

    Raises
    ------
    ValueError
        If an argument is out of range.

    Examples
    --------
    >>> import nbnet as nb
    >>> metric = nb.metrics.FBetaScore(beta=2.0, threshold=0.5)
    >>> metric([[1, 1], [1, 0], [1, 1]], [[0.2, 0.6], [0.2, 0.6], [0.6, 0.8]]).round(4)
    array([0.3846, 0.9091])
    """

    name = "fbeta_score"

    def __init__(
        self, average: str | None = None, beta: float = 1.0, threshold: float | None = None, name: str | None = None
    ) -> None:
        super().__init__(average, beta, threshold, name)


class F1Score(_FScore):
    """``2 precision recall / (precision + recall)`` of one-hot or multi-label targets.

    Parameters
    ----------
    average, threshold, name
        See :class:`FBetaScore`.

    Raises
    ------
    ValueError
        If an argument is out of range.

    Examples
    --------
    >>> import nbnet as nb
    >>> metric = nb.metrics.F1Score(threshold=0.5)
    >>> metric([[1, 1], [1, 0], [1, 1]], [[0.2, 0.6], [0.2, 0.6], [0.6, 0.8]])
    array([0.5, 0.8])
    """

    name = "f1_score"

    def __init__(self, average: str | None = None, threshold: float | None = None, name: str | None = None) -> None:
        super().__init__(average, 1.0, threshold, name)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["beta"]
        return config


class MatthewsCorrelation(EpochMetric):
    """Matthews's correlation coefficient of targets and decisions: 1 if all are right, 0 as good as chance.

    Of several columns the largest is the class, of one it is whether the prediction is above the threshold.

    Parameters
    ----------
    threshold
        In [0, 1].
    name
        See :class:`Metric`.

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

    def __init__(self, threshold: float = 0.5, name: str | None = None) -> None:
        super().__init__(name)
        self.threshold = data.as_number(threshold, "threshold")

    def compute(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> float:
        from sklearn.metrics import matthews_corrcoef

        y_pred = np.asarray(y_pred)
        if y_pred.ndim < 2 or y_pred.shape[-1] == 1:
            positive, flat, w = selected(y_true, y_pred, sample_weight)
            return float(matthews_corrcoef(positive, flat > self.threshold, sample_weight=w))
        y_true = np.asarray(y_true)
        classes = y_true.argmax(-1) if y_true.shape == y_pred.shape else y_true.reshape(y_pred.shape[:-1])
        labels, found, w = pairs(classes, y_pred.argmax(-1), sample_weight)
        return float(matthews_corrcoef(labels.reshape(-1), found.reshape(-1), sample_weight=w.reshape(-1)))

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"threshold": self.threshold}
