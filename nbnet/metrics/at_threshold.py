"""Ratios of decisions at the best threshold, and the area under curves of two ratios."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from nbnet.base.array_memory import plain_array
from nbnet.base.docstrings import join_common_sections
from nbnet.base.loading_budget import reserve
from nbnet.base.validation import FINITE, FRACTION, check_choice, check_int
from nbnet.losses.loss import EPSILON
from nbnet.metrics.confusion import Counts, check_class, check_thresholds, selected
from nbnet.metrics.metric import Array, EpochMetric, pairs

#: Entries that class creation adds to the docstring of each metric at a threshold.
_LAST = """\
num_thresholds : int
    Number of thresholds to try, evenly spaced in [0, 1].
class_id : int, optional
    Number of the only column that counts."""


class _AtThreshold(EpochMetric):
    """Base class of the largest value of one ratio at those thresholds where another is at least a number."""

    #: The ratios of :class:`Counts` that must be large enough, and that is the metric.
    _bounded: ClassVar[str]
    _scored: ClassVar[str]

    def __init__(self, least: float, num_thresholds: int, class_id: int | None, name: str | None) -> None:
        super().__init__(name)
        self._least = FRACTION.check(least, self._arguments[0])
        self.num_thresholds, self.class_id = check_int(num_thresholds, "num_thresholds"), check_class(class_id)
        reserve(self.num_thresholds, "num_thresholds", kept=True)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        join_common_sections(cls, last=_LAST)
        super().__init_subclass__(**kwargs)

    def compute(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> float:
        n = self.num_thresholds
        thresholds = np.arange(n) / (n - 1) if n > 1 else np.array([0.5])
        positive, predictions, w = selected(y_true, y_pred, sample_weight, class_id=self.class_id)
        counts = Counts.of(positive, np.clip(predictions, 0.0, 1.0), w, thresholds)
        enough = getattr(counts, self._bounded) >= self._least
        return float(getattr(counts, self._scored)[enough].max(initial=0.0))

    def get_config(self) -> dict[str, Any]:
        own = {self._arguments[0]: self._least, "num_thresholds": self.num_thresholds, "class_id": self.class_id}
        return {"name": self.name} | own


class SensitivityAtSpecificity(_AtThreshold):
    """The largest sensitivity, ``tp / (tp + fn)``, at those of some thresholds where specificity, ``tn / (tn + fp)``,
    is at least a number; 0 if it nowhere is.

    Parameters
    ----------
    specificity : float
        In [0, 1]: least specificity of the thresholds that count.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.metrics.SensitivityAtSpecificity(0.5)([0, 0, 0, 1, 1], [0, 0.3, 0.8, 0.3, 0.8])
    0.5
    """

    name = "sensitivity_at_specificity"
    _arguments, _bounded, _scored = ("specificity",), "specificity", "recall"

    def __init__(
        self, specificity: float, num_thresholds: int = 200, class_id: int | None = None, name: str | None = None
    ) -> None:
        super().__init__(specificity, num_thresholds, class_id, name)


class SpecificityAtSensitivity(_AtThreshold):
    """The largest specificity, ``tn / (tn + fp)``, at those of some thresholds where sensitivity, ``tp / (tp + fn)``,
    is at least a number; 0 if it nowhere is.

    Parameters
    ----------
    sensitivity : float
        In [0, 1]: least sensitivity of the thresholds that count.

    Examples
    --------
    >>> import nbnet as nb
    >>> round(nb.metrics.SpecificityAtSensitivity(0.5)([0, 0, 0, 1, 1], [0, 0.3, 0.8, 0.3, 0.8]), 4)
    0.6667
    """

    name = "specificity_at_sensitivity"
    _arguments, _bounded, _scored = ("sensitivity",), "recall", "specificity"

    def __init__(
        self, sensitivity: float, num_thresholds: int = 200, class_id: int | None = None, name: str | None = None
    ) -> None:
        super().__init__(sensitivity, num_thresholds, class_id, name)


class PrecisionAtRecall(_AtThreshold):
    """The largest precision, ``tp / (tp + fp)``, at those of some thresholds where recall, ``tp / (tp + fn)``,
    is at least a number; 0 if it nowhere is.

    Parameters
    ----------
    recall : float
        In [0, 1]: least recall of the thresholds that count.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.metrics.PrecisionAtRecall(0.5)([0, 0, 0, 1, 1], [0, 0.3, 0.8, 0.3, 0.8])
    0.5
    """

    name = "precision_at_recall"
    _arguments, _bounded, _scored = ("recall",), "recall", "precision"

    def __init__(
        self, recall: float, num_thresholds: int = 200, class_id: int | None = None, name: str | None = None
    ) -> None:
        super().__init__(recall, num_thresholds, class_id, name)


class RecallAtPrecision(_AtThreshold):
    """The largest recall, ``tp / (tp + fn)``, at those of some thresholds where precision, ``tp / (tp + fp)``,
    is at least a number; 0 if it nowhere is.

    Parameters
    ----------
    precision : float
        In [0, 1]: least precision of the thresholds that count.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.metrics.RecallAtPrecision(0.8)([0, 0, 1, 1], [0, 0.5, 0.3, 0.9])
    0.5
    """

    name = "recall_at_precision"
    _arguments, _bounded, _scored = ("precision",), "precision", "recall"

    def __init__(
        self, precision: float, num_thresholds: int = 200, class_id: int | None = None, name: str | None = None
    ) -> None:
        super().__init__(precision, num_thresholds, class_id, name)


class AUC(EpochMetric):
    """Area under the ROC curve, or under the curve of precision over recall.

    By default every prediction is a threshold, which makes the area exact; ``num_thresholds=200`` is Keras's default.

    Parameters
    ----------
    num_thresholds : int, optional
        Above 1: number of thresholds, evenly spaced in [0, 1]. None: one at each prediction.
    curve : {"ROC", "PR"}
        Recall over the share of false positives, or precision over recall.
    summation_method : {"interpolation", "minoring", "majoring"}
        Between thresholds: trapezoids (for "PR" the interpolation of Davis and Goadrich), the lower or the higher end.
    thresholds : sequence of float, optional
        The thresholds.
    multi_label : bool
        If True, the metric is the mean of the areas of columns; else that of all outputs together.
    num_labels : int, optional
        Expected number of columns, with multi_label.
    label_weights : sequence of float, optional
        A weight for each column.
    from_logits : bool
        If True, predictions are logits, to which a sigmoid is applied.

    References
    ----------
    J. Davis, M. Goadrich: The relationship between precision-recall and ROC curves. ICML (2006).

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.metrics.AUC()([0, 0, 1, 1], [0.0, 0.5, 0.3, 0.9])
    0.75
    """

    name = "auc"
    _arguments = (
        "num_thresholds", "curve", "summation_method", "thresholds", "multi_label", "num_labels", "label_weights",
        "from_logits",
    )  # fmt: skip

    def __init__(
        self,
        num_thresholds: int | None = None,
        curve: str = "ROC",
        summation_method: str = "interpolation",
        name: str | None = None,
        thresholds: Sequence[float] | None = None,
        multi_label: bool = False,
        num_labels: int | None = None,
        label_weights: Any = None,
        from_logits: bool = False,
    ) -> None:
        super().__init__(name)
        methods = ["interpolation", "minoring", "majoring"]
        self.curve = check_choice(str(curve).upper(), "curve", ["ROC", "PR"])
        self.summation_method = check_choice(str(summation_method).lower(), "summation_method", methods)
        self.num_thresholds = None if num_thresholds is None else check_int(num_thresholds, "num_thresholds", 2)
        reserve(self.num_thresholds or 0, "num_thresholds", kept=True)
        self.num_labels = num_labels
        self.thresholds = None if thresholds is None else sorted(check_thresholds(list(thresholds)) or [])  # type: ignore[arg-type]
        self.multi_label, self.from_logits = bool(multi_label), bool(from_logits)
        self.label_weights = (
            None if label_weights is None else [FINITE.check(v, "label_weights") for v in label_weights]
        )

    def compute(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> float:
        if self.from_logits:
            from scipy.special import expit

            y_pred = expit(np.asarray(plain_array(y_pred, "y_pred"), np.float64))
        y_true, y_pred, w = pairs(y_true, y_pred, sample_weight)
        columns = y_pred.shape[-1] if y_pred.ndim > 1 else 1
        for name, length in (("label_weights", len(self.label_weights or ())), ("num_labels", self.num_labels or 0)):
            if length and length != columns:
                raise ValueError(f"{name}: there are {length}, and predictions have {columns} columns")
        by_label = np.ones(columns) if self.label_weights is None else np.array(self.label_weights)
        positive = y_true != 0
        if not self.multi_label:
            w = (w.reshape(-1, columns) * by_label).reshape(-1)
            return self._area(positive.reshape(-1), y_pred.reshape(-1), w)
        areas = [
            self._area(*parts) for parts in zip(*(a.reshape(-1, columns).T for a in (positive, y_pred, w)), strict=True)
        ]
        return float(np.average(areas, weights=by_label)) if by_label.any() else 0.0

    def _area(self, positive: Array, predictions: Array, w: Array) -> float:
        if not np.isfinite(predictions).all():  # a training that diverges
            return float("nan")
        exact = self.num_thresholds is None and self.thresholds is None
        if exact and self.curve == "ROC" and self.summation_method == "interpolation":
            if not (w[positive].any() and w[~positive].any()):
                return 0.0
            from sklearn.metrics import roc_auc_score

            return float(roc_auc_score(positive, predictions, sample_weight=w))
        if not exact:
            predictions = np.clip(predictions, 0.0, 1.0)
        return Counts.of(positive, predictions, w, self._grid(predictions)).area(self.curve, self.summation_method)

    def _grid(self, predictions: Array) -> Array:
        """The thresholds, one below and one above all predictions among them."""
        if self.thresholds is not None:
            return np.array([-EPSILON, *self.thresholds, 1.0 + EPSILON])
        if self.num_thresholds is not None:
            inner = np.arange(1, self.num_thresholds - 1) / (self.num_thresholds - 1)
            return np.array([-EPSILON, *inner, 1.0 + EPSILON])
        return np.concatenate([[-np.inf], np.unique(predictions)])
