"""Counts of right and wrong decisions; precision, recall and F-scores, Matthews's correlation coefficient."""

from __future__ import annotations

from collections.abc import Sequence
from operator import index
from typing import Any, ClassVar, NamedTuple

import numpy as np

from nbnet.base.array_memory import plain_array
from nbnet.base.constructor import constructor_config
from nbnet.base.docstrings import join_common_sections
from nbnet.base.validation import ABOVE_ZERO, FINITE, FRACTION, Interval, check_choice, check_int
from nbnet.engine.graph.parameter import Parameter
from nbnet.losses.loss import one_or_many
from nbnet.losses.weighting import pairs
from nbnet.metrics.metric import Array, EpochMetric, Metric, Score

#: A threshold below any prediction.
NO_THRESHOLD = -1e10
#: Thresholds up to this number are compared one by one; more of them with sorted predictions.
FEW = 8
#: Entries that class creation adds to docstrings.
_THRESHOLDS = """\
thresholds : float or sequence of float, optional
    Predictions above it are positive, by default 0.5; a list makes the metric an array."""
_COLUMNS = """\
top_k : int, optional
    Only the k largest predictions of a row can be positive; without thresholds, all of them are.
class_id : int, optional
    Number of the only column that counts."""


def check_class(value: Any) -> int | None:
    """The number of a column, or None."""
    if value is not None and index(value) < 0:
        raise ValueError(f"class_id: expected an integer from 0, got {value!r}")
    return None if value is None else index(value)


def are_even(thresholds: Sequence[float]) -> bool:
    """True for three or more thresholds that divide [0, 1] evenly."""
    n = len(thresholds)
    return n > 2 and np.allclose(thresholds, np.arange(n) / (n - 1), atol=1e-7)


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
    def of(cls, positive: Array, predictions: Array, w: Array, thresholds: Any, dtype: Any) -> Counts:
        """Counts of predictions above each threshold, compared in ``dtype``; none is NaN."""
        predictions, thresholds = predictions.astype(dtype), np.asarray(thresholds, dtype)
        of_positive, of_negative = w * positive, w * ~positive
        if len(thresholds) <= FEW:
            above = np.array([predictions > t for t in thresholds], np.float64)
            tp, fp = above @ of_positive, above @ of_negative
        else:
            predictions = np.where(np.isnan(predictions), -np.inf, predictions)
            order = np.argsort(predictions, kind="stable")
            below = np.searchsorted(predictions[order], thresholds, side="right")
            tp, fp = (
                np.concatenate([weights[order][::-1].cumsum()[::-1], [0.0]])[below]
                for weights in (of_positive, of_negative)
            )
        return cls(tp, fp, of_negative.sum() - fp, of_positive.sum() - tp)

    @property
    def recall(self) -> Array:
        return ratio(self.tp, self.tp + self.fn)

    @property
    def precision(self) -> Array:
        return ratio(self.tp, self.tp + self.fp)

    @property
    def specificity(self) -> Array:
        return ratio(self.tn, self.tn + self.fp)

    def area(self, curve: str, summation: str) -> Array:
        """The area under the ROC, PR or PRGAIN curve, summed from threshold to threshold, the first axis."""
        if curve == "PR" and summation == "interpolation":
            return self._interpolated()
        if curve == "ROC":
            x, y = ratio(self.fp, self.fp + self.tn), self.recall
        elif curve == "PR":
            x, y = self.recall, self.precision
        else:
            x, y = self._gains()
        sides = {"interpolation": (y[:-1] + y[1:]) / 2, "minoring": np.minimum(y[:-1], y[1:])}
        area: Array = ((x[:-1] - x[1:]) * sides.get(summation, np.maximum(y[:-1], y[1:]))).sum(0)
        return area

    def _gains(self) -> tuple[Array, Array]:
        """The gains of recall, at least 0, and of precision; without true positives 0 and 1."""
        share, none = ratio(self.tp + self.fn, self.tn + self.fp), self.tp == 0
        recall = np.where(none, 0.0, 1.0 - share * ratio(self.fn, self.tp))
        return np.maximum(recall, 0.0), np.where(none, 1.0, 1.0 - share * ratio(self.fp, self.tp))

    def _interpolated(self) -> Array:
        # Between thresholds, true positives change linearly with positives p: tp = slope p + start. The area is that
        # under tp / p over tp.
        p = self.tp + self.fp
        dtp = self.tp[:-1] - self.tp[1:]
        slope = ratio(dtp, np.maximum(p[:-1] - p[1:], 0.0))
        start = self.tp[1:] - slope * p[1:]
        growth = np.where((p[:-1] > 0) & (p[1:] > 0), ratio(p[:-1], p[1:]), 1.0)
        positives = np.maximum(self.tp[1:] + self.fn[1:], 0.0)
        area: Array = ratio(slope * (dtp + start * np.log(growth)), positives).sum(0)
        return area


class Counted(Metric, abstract=True):
    """Base class of the metrics whose state is counts of decisions."""

    sparse = False
    #: Counts that are added up, by the names of :class:`Counts`, and the attribute that holds each.
    _counted: ClassVar[dict[str, str]] = {
        "tp": "true_positives", "fp": "false_positives", "tn": "true_negatives", "fn": "false_negatives",
    }  # fmt: skip

    def _add_counts(self, shape: tuple[int, ...]) -> None:
        """Create the state."""
        for attribute in self._counted.values():
            setattr(self, attribute, self._sum(attribute, shape))

    def _count(self, found: Counts) -> None:
        """Add counts to the state."""
        for name, attribute in self._counted.items():
            getattr(self, attribute).assign_add(getattr(found, name))

    def _counts(self) -> list[Array]:
        """The state, in the order of the names."""
        return [getattr(self, attribute).numpy() for attribute in self._counted.values()]


class Decisions(Counted, abstract=True):
    """Base class of the scores of targets and decisions: a number for one threshold, an array for several."""

    _arguments: ClassVar[tuple[str, ...]] = ("thresholds",)
    top_k: int | None = None
    class_id: int | None = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        join_common_sections(cls, first=_THRESHOLDS, raises="ValueError\n    If an argument is out of range.")
        super().__init_subclass__(**kwargs)

    def __init__(
        self,
        thresholds: float | Sequence[float] | None,
        default: float = 0.5,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(name, dtype)
        given = None if thresholds is None else one_or_many(thresholds, "thresholds", FRACTION)
        #: Thresholds as they were given, and as a list.
        self.init_thresholds = given
        self.thresholds = given if isinstance(given, list) else [default if given is None else given]
        self._even = are_even(self.thresholds)
        self._add_counts((len(self.thresholds),))

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take more samples into account; weights as for :class:`Metric`."""
        positive, flat, w = selected(y_true, y_pred, sample_weight, self.top_k, self.class_id)
        flat = np.clip(flat, 0.0, 1.0) if self._even else flat
        self._count(Counts.of(positive, flat, w, self.thresholds, self._real))

    def _score(self) -> Array:
        """The score at each threshold."""
        return self._counts()[0]

    def result(self) -> Score:
        """The score of all samples since the last reset."""
        score = self._score()
        return float(score[0]) if len(self.thresholds) == 1 else np.array(score)

    def get_config(self) -> dict[str, Any]:
        own = {argument: getattr(self, argument) for argument in self._arguments}
        own |= {"thresholds": self.init_thresholds}
        return constructor_config(self, {"name": self.name, "dtype": self.dtype} | own)


class DecisionCount(Decisions, abstract=True):
    """Base class of the weights, or numbers, of outputs with a certain target and decision."""

    accumulator: Parameter

    def __init__(
        self, thresholds: float | Sequence[float] | None = None, name: str | None = None, dtype: Any = None
    ) -> None:
        super().__init__(thresholds, name=name, dtype=dtype)


class TruePositives(DecisionCount):
    """Weight of positives that are predicted as such; their number, without weights.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.metrics.TruePositives()([0, 1, 1, 1], [1, 0, 1, 1])
    2.0
    """

    name = "true_positives"
    _counted: ClassVar[dict[str, str]] = {"tp": "accumulator"}


class TrueNegatives(DecisionCount):
    """Weight of negatives that are predicted as such; their number, without weights.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.metrics.TrueNegatives()([0, 1, 1, 1], [1, 0, 1, 1])
    0.0
    """

    name = "true_negatives"
    _counted: ClassVar[dict[str, str]] = {"tn": "accumulator"}


class FalsePositives(DecisionCount):
    """Weight of negatives that are predicted to be positive; their number, without weights.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.metrics.FalsePositives()([0, 1, 1, 1], [1, 0, 1, 1])
    1.0
    """

    name = "false_positives"
    _counted: ClassVar[dict[str, str]] = {"fp": "accumulator"}


class FalseNegatives(DecisionCount):
    """Weight of positives that are predicted to be negative; their number, without weights.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.metrics.FalseNegatives()([0, 1, 1, 1], [1, 0, 1, 1])
    1.0
    """

    name = "false_negatives"
    _counted: ClassVar[dict[str, str]] = {"fn": "accumulator"}


class DecisionShare(Decisions, abstract=True):
    """Base class of the shares of right decisions in the weight of some outputs."""

    _arguments = ("thresholds", "top_k", "class_id")
    true_positives: Parameter

    def __init_subclass__(cls, **kwargs: Any) -> None:
        join_common_sections(cls, last=_COLUMNS)
        super().__init_subclass__(**kwargs)

    def __init__(
        self,
        thresholds: float | Sequence[float] | None = None,
        top_k: int | None = None,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(thresholds, 0.5 if top_k is None else NO_THRESHOLD, name, dtype)
        self.top_k, self.class_id = None if top_k is None else check_int(top_k, "top_k"), check_class(class_id)

    def _score(self) -> Array:
        right, wrong = self._counts()
        return ratio(right, right + wrong)


class Precision(DecisionShare):
    """Share of predicted positives that are positive: ``tp / (tp + fp)``, 0 if there are none.

    Examples
    --------
    >>> import nbnet as nb
    >>> round(nb.metrics.Precision()([0, 1, 1, 1], [1, 0, 1, 1]), 4)
    0.6667
    """

    name = "precision"
    false_positives: Parameter
    _counted: ClassVar[dict[str, str]] = {"tp": "true_positives", "fp": "false_positives"}


class Recall(DecisionShare):
    """Share of positives that are predicted as such: ``tp / (tp + fn)``, 0 if there are none.

    Examples
    --------
    >>> import nbnet as nb
    >>> round(nb.metrics.Recall()([0, 1, 1, 1], [1, 0, 1, 1]), 4)
    0.6667
    """

    name = "recall"
    false_negatives: Parameter
    _counted: ClassVar[dict[str, str]] = {"tp": "true_positives", "fn": "false_negatives"}


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
