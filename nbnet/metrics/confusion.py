"""Counts of right and wrong decisions, precision and recall."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from operator import index
from typing import Any, ClassVar, NamedTuple

import numpy as np

from nbnet.base.docstrings import join_common_sections
from nbnet.base.validation import FRACTION, check_int
from nbnet.losses.loss import one_or_many
from nbnet.metrics.metric import Array, EpochMetric, Score, pairs

#: A threshold below any prediction.
NO_THRESHOLD = -1e10
#: Entries that class creation adds to docstrings.
_THRESHOLDS = """\
thresholds : float or sequence of float, optional
    Predictions above it are positive, by default 0.5; a list makes the metric an array."""
_COLUMNS = """\
top_k : int, optional
    Only the k largest predictions of a row can be positive; without thresholds, all of them are.
class_id : int, optional
    Number of the only column that counts."""


def check_thresholds(value: float | Sequence[float] | None) -> float | list[float] | None:
    """One threshold in [0, 1], or a list of them; None stands for the default."""
    return None if value is None else one_or_many(value, "thresholds", FRACTION)


def check_class(value: Any) -> int | None:
    """The number of a column, or None."""
    if value is not None and index(value) < 0:
        raise ValueError(f"class_id: expected an integer from 0, got {value!r}")
    return None if value is None else index(value)


def selected(
    y_true: Any, y_pred: Any, sample_weight: Any, top_k: int | None = None, class_id: int | None = None
) -> tuple[Array, Array, Array]:
    """Flat targets (booleans), predictions and weights, of a class if given; ``top_k`` keeps the k largest of a row."""
    y_true, y_pred, w = pairs(y_true, y_pred, sample_weight)
    if top_k is not None:
        k = min(top_k, y_pred.shape[-1])
        largest = np.argsort(-y_pred, -1, kind="stable")[..., :k]
        kept = np.full_like(y_pred, NO_THRESHOLD)
        np.put_along_axis(kept, largest, np.take_along_axis(y_pred, largest, -1), -1)
        y_pred = kept
    if class_id is not None:
        if y_pred.ndim < 2 or class_id >= y_pred.shape[-1]:
            raise ValueError(f"class_id: expected a column of predictions {y_pred.shape}, got {class_id}")
        y_true, y_pred, w = y_true[..., class_id], y_pred[..., class_id], w[..., class_id]
    return y_true.reshape(-1) != 0, y_pred.reshape(-1), w.reshape(-1)


class Decisions(EpochMetric):
    """Base class of the scores of targets and decisions: a number for one threshold, an array for several."""

    _arguments: ClassVar[tuple[str, ...]] = ("thresholds",)
    top_k: int | None = None
    class_id: int | None = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        join_common_sections(cls, first=_THRESHOLDS)
        super().__init_subclass__(**kwargs)

    def __init__(self, thresholds: float | Sequence[float] | None = None, name: str | None = None) -> None:
        super().__init__(name)
        self.thresholds = check_thresholds(thresholds)

    @abstractmethod
    def _score(self, positive: Array, predicted: Array, w: Array) -> float: ...

    def compute(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Score:
        positive, flat, w = selected(y_true, y_pred, sample_weight, self.top_k, self.class_id)
        thresholds = self.thresholds
        if thresholds is None:
            thresholds = 0.5 if self.top_k is None else NO_THRESHOLD
        if isinstance(thresholds, list):
            return np.array([self._score(positive, flat > t, w) for t in thresholds])
        return self._score(positive, flat > thresholds, w)


class DecisionCount(Decisions):
    """Base class of the weights, or numbers, of outputs with a certain target and decision."""

    _counted: ClassVar[tuple[bool, bool]]

    def _score(self, positive: Array, predicted: Array, w: Array) -> float:
        target, decision = self._counted
        return float(w[(positive == target) & (predicted == decision)].sum())


class TruePositives(DecisionCount):
    """Weight of positives that are predicted as such; their number, without weights.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.metrics.TruePositives()([0, 1, 1, 1], [1, 0, 1, 1])
    2.0
    """

    name = "true_positives"
    _counted = True, True


class TrueNegatives(DecisionCount):
    """Weight of negatives that are predicted as such; their number, without weights.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.metrics.TrueNegatives()([0, 1, 1, 1], [1, 0, 1, 1])
    0.0
    """

    name = "true_negatives"
    _counted = False, False


class FalsePositives(DecisionCount):
    """Weight of negatives that are predicted to be positive; their number, without weights.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.metrics.FalsePositives()([0, 1, 1, 1], [1, 0, 1, 1])
    1.0
    """

    name = "false_positives"
    _counted = False, True


class FalseNegatives(DecisionCount):
    """Weight of positives that are predicted to be negative; their number, without weights.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.metrics.FalseNegatives()([0, 1, 1, 1], [1, 0, 1, 1])
    1.0
    """

    name = "false_negatives"
    _counted = True, False


def ratio(a: Array, b: Array) -> Array:
    """``a / b``, and 0 where b is 0."""
    quotient: Array = np.divide(a, b, out=np.zeros_like(a), where=b != 0)
    return quotient


class Counts(NamedTuple):
    """Weights of right and wrong decisions at rising thresholds."""

    tp: Array
    fp: Array
    tn: Array
    fn: Array

    @classmethod
    def of(cls, positive: Array, predictions: Array, w: Array, thresholds: Array) -> Counts:
        """Counts of predictions above each threshold."""
        order = np.argsort(predictions, kind="stable")
        below = np.searchsorted(predictions[order], thresholds, side="right")

        def above(weights: Array) -> Array:
            sums = np.concatenate([[0.0], weights[order].cumsum()])
            total: Array = np.maximum(sums[-1] - sums[below], 0.0)
            return total

        tp, fp = above(w * positive), above(w * ~positive)
        return cls(tp, fp, (w * ~positive).sum() - fp, (w * positive).sum() - tp)

    @property
    def recall(self) -> Array:
        return ratio(self.tp, self.tp + self.fn)

    @property
    def precision(self) -> Array:
        return ratio(self.tp, self.tp + self.fp)

    @property
    def specificity(self) -> Array:
        return ratio(self.tn, self.tn + self.fp)

    def area(self, curve: str, summation: str) -> float:
        """The area under the ROC or PR curve, summed from threshold to threshold."""
        if curve == "PR" and summation == "interpolation":
            return self._interpolated()
        x, y = (1.0 - self.specificity, self.recall) if curve == "ROC" else (self.recall, self.precision)
        if curve == "ROC" and not (self.tn + self.fp).any():
            x = np.zeros_like(y)
        sides = {"interpolation": (y[:-1] + y[1:]) / 2, "minoring": np.minimum(y[:-1], y[1:])}
        return float(((x[:-1] - x[1:]) * sides.get(summation, np.maximum(y[:-1], y[1:]))).sum())

    def _interpolated(self) -> float:
        # Between thresholds, true positives change linearly with positives p: tp = slope p + start. The area is that
        # under tp / p over tp.
        p = self.tp + self.fp
        dtp = self.tp[:-1] - self.tp[1:]
        slope = ratio(dtp, p[:-1] - p[1:])
        start = self.tp[1:] - slope * p[1:]
        growth = np.where((p[:-1] > 0) & (p[1:] > 0), ratio(p[:-1], p[1:]), 1.0)
        return float(ratio(slope * (dtp + start * np.log(growth)), self.tp[1:] + self.fn[1:]).sum())


class DecisionShare(Decisions):
    """Base class of the shares of right decisions in the weight of some outputs."""

    _arguments = ("thresholds", "top_k", "class_id")

    def __init_subclass__(cls, **kwargs: Any) -> None:
        join_common_sections(cls, last=_COLUMNS)
        super().__init_subclass__(**kwargs)

    def __init__(
        self,
        thresholds: float | Sequence[float] | None = None,
        top_k: int | None = None,
        class_id: int | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(thresholds, name)
        self.top_k, self.class_id = None if top_k is None else check_int(top_k, "top_k"), check_class(class_id)


class Precision(DecisionShare):
    """Share of predicted positives that are positive: ``tp / (tp + fp)``, 0 if there are none.

    Examples
    --------
    >>> import nbnet as nb
    >>> round(nb.metrics.Precision()([0, 1, 1, 1], [1, 0, 1, 1]), 4)
    0.6667
    """

    name = "precision"

    def _score(self, positive: Array, predicted: Array, w: Array) -> float:
        from sklearn.metrics import precision_score

        return float(precision_score(positive, predicted, sample_weight=w, zero_division=0.0))


class Recall(DecisionShare):
    """Share of positives that are predicted as such: ``tp / (tp + fn)``, 0 if there are none.

    Examples
    --------
    >>> import nbnet as nb
    >>> round(nb.metrics.Recall()([0, 1, 1, 1], [1, 0, 1, 1]), 4)
    0.6667
    """

    name = "recall"

    def _score(self, positive: Array, predicted: Array, w: Array) -> float:
        from sklearn.metrics import recall_score

        return float(recall_score(positive, predicted, sample_weight=w, zero_division=0.0))
