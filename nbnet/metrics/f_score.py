"""F-scores, which combine precision and recall, and Matthews's correlation coefficient."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from nbnet.base.array_memory import plain_array
from nbnet.base.validation import ABOVE_ZERO, FINITE, Interval, check_choice
from nbnet.engine.graph.parameter import Parameter
from nbnet.losses.weighting import pairs
from nbnet.metrics.confusion import ratio, selected
from nbnet.metrics.metric import Array, EpochMetric, Metric, Score

#: Attributes that hold what is added up.
_STATE = ("true_positives", "false_positives", "false_negatives", "intermediate_weights")
#: Predictions this close to 0 are not the largest of a row.
_ZERO = 1e-9


class FBetaScore(Metric):
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
    sparse = False
    _arguments: ClassVar[tuple[str, ...]] = ("average", "beta", "threshold")
    true_positives: Parameter
    false_positives: Parameter
    false_negatives: Parameter
    intermediate_weights: Parameter

    def __init__(
        self,
        average: str | None = None,
        beta: float = 1.0,
        threshold: float | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(name, dtype)
        check_choice(average, "average", [None, "micro", "macro", "weighted"])
        for argument, value in (("beta", beta), ("threshold", threshold)):
            if not isinstance(value, float) and not (value is None and argument == "threshold"):
                raise ValueError(f"{argument}: expected a float, got {value!r}")
        self.average, self.beta = average, ABOVE_ZERO.check(beta, "beta")
        self.threshold = None if threshold is None else Interval(0, 1, above=True).check(threshold, "threshold")
        self._classes: int | None = None

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take more samples into account; weights as for :class:`Metric`."""
        y_true, y_pred, w = pairs(y_true, y_pred, sample_weight)
        if y_pred.ndim > 2:
            raise ValueError(f"y_pred: expected a matrix (n, classes), got shape {y_pred.shape}")
        t, p, w = (a.reshape(len(a), -1) for a in (y_true, y_pred, w))
        if self._classes is None:
            self._classes = t.shape[1]
            for attribute in _STATE:
                setattr(self, attribute, self._sum(attribute, () if self.average == "micro" else (self._classes,)))
        if t.shape[1] != self._classes:
            raise ValueError(f"y_pred: expected {self._classes} columns as before, got {t.shape[1]}")
        decided = self._decide(p).astype(np.float64)
        axis = None if self.average == "micro" else 0
        for attribute, part in zip(_STATE, (decided * t, decided * (1 - t), (1 - decided) * t, t), strict=True):
            getattr(self, attribute).assign_add((w * part).sum(axis))

    def result(self) -> Score:
        """The score of all samples since the last reset; 0 if there are none."""
        if self._classes is None:
            return 0.0
        tp, fp, fn, support = (getattr(self, attribute).numpy() for attribute in _STATE)
        square = self.beta**2
        score = ratio((1 + square) * tp, (1 + square) * tp + square * fn + fp)
        if self.average == "weighted":
            return float(ratio((score * support).sum(), support.sum()))
        return score if self.average is None else float(score.mean())

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

    def __init__(
        self,
        average: str | None = None,
        threshold: float | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(average, 1.0, threshold, name, dtype)


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

    def __init__(self, threshold: float = 0.5, name: str | None = None, dtype: Any = None) -> None:
        super().__init__(name, dtype)
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
