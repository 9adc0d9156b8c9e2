"""Ratios of decisions at the best threshold, and the area under curves of two ratios."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from nbnet.base.docstrings import join_common_sections
from nbnet.base.loading_budget import reserve
from nbnet.base.validation import FINITE, FRACTION, check_choice, check_int
from nbnet.engine.graph.parameter import Parameter
from nbnet.losses.loss import EPSILON
from nbnet.losses.weighting import numbers, pairs
from nbnet.metrics.confusion import Counted, Counts, check_class, selected
from nbnet.metrics.metric import Array, Score

#: Entries that class creation adds to the docstring of each metric at a threshold.
_LAST = """\
num_thresholds : int
    Number of thresholds to try, evenly spaced in [0, 1].
class_id : int, optional
    Number of the only column that counts."""


class _AtThreshold(Counted, abstract=True):
    """Base class of the largest value of one ratio at those thresholds where another is at least a number."""

    #: The ratios of :class:`Counts` that must be large enough, and that is the metric.
    _bounded: ClassVar[str]
    _scored: ClassVar[str]
    true_positives: Parameter
    false_positives: Parameter
    true_negatives: Parameter
    false_negatives: Parameter

    def __init__(self, least: float, num_thresholds: int, class_id: int | None, name: str | None, dtype: Any) -> None:
        super().__init__(name, dtype)
        self.value = FRACTION.check(least, self._arguments[0])
        setattr(self, self._arguments[0], self.value)
        n = self.num_thresholds = check_int(num_thresholds, "num_thresholds")
        self.class_id = check_class(class_id)
        reserve(4 * n, "num_thresholds", kept=True)
        self.thresholds = (np.arange(n) / (n - 1)).tolist() if n > 1 else [0.5]
        self._add_counts((n,))

    def __init_subclass__(cls, **kwargs: Any) -> None:
        join_common_sections(cls, last=_LAST, raises="ValueError\n    If an argument is out of range.")
        super().__init_subclass__(**kwargs)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take more samples into account; weights as for :class:`Metric`."""
        positive, predictions, w = selected(y_true, y_pred, sample_weight, class_id=self.class_id)
        self._count(Counts.of(positive, np.clip(predictions, 0.0, 1.0), w, self.thresholds, self._real))

    def result(self) -> float:
        """The metric of all samples since the last reset."""
        counts = Counts(*self._counts())
        enough = getattr(counts, self._bounded) >= self.value
        return float(getattr(counts, self._scored)[enough].max(initial=0.0))


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
    _arguments = ("specificity", "num_thresholds", "class_id")
    _bounded, _scored = "specificity", "recall"

    def __init__(
        self,
        specificity: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(specificity, num_thresholds, class_id, name, dtype)


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
    _arguments = ("sensitivity", "num_thresholds", "class_id")
    _bounded, _scored = "recall", "specificity"

    def __init__(
        self,
        sensitivity: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(sensitivity, num_thresholds, class_id, name, dtype)


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
    _arguments = ("recall", "num_thresholds", "class_id")
    _bounded, _scored = "recall", "precision"

    def __init__(
        self,
        recall: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(recall, num_thresholds, class_id, name, dtype)


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
    _arguments = ("precision", "num_thresholds", "class_id")
    _bounded, _scored = "precision", "recall"

    def __init__(
        self,
        precision: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(precision, num_thresholds, class_id, name, dtype)


class AUC(Counted):
    """Area under the ROC curve, or under the curve of precision over recall.

    By default it is summed over 200 thresholds, as in Keras; ``num_thresholds=None`` makes every prediction a
    threshold, which makes the area exact.

    Parameters
    ----------
    num_thresholds : int, optional
        Above 1: number of thresholds, evenly spaced in [0, 1]. None: one at each prediction; all are kept.
    curve : {"ROC", "PR", "PRGAIN"}
        Recall over the share of false positives, precision over recall, or the gain of precision over that of recall.
    summation_method : {"interpolation", "minoring", "majoring"}
        Between thresholds: trapezoids (for "PR" the interpolation of Davis and Goadrich), the lower or the higher end.
    thresholds : sequence of float, optional
        The thresholds, in [0, 1], in place of num_thresholds.
    multi_label : bool
        If True, predictions are a matrix, and the metric is the mean of the areas of columns; else that of all outputs
        together.
    num_labels : int, optional
        Expected number of columns, with multi_label.
    label_weights : sequence of float, optional
        A weight for each column.
    from_logits : bool
        If True, predictions are logits, to which a sigmoid is applied.

    Raises
    ------
    ValueError
        If an argument is out of range.

    References
    ----------
    J. Davis, M. Goadrich: The relationship between precision-recall and ROC curves. ICML (2006).
    P. Flach, M. Kull: Precision-recall-gain curves: PR analysis done right. NIPS (2015).

    Examples
    --------
    >>> import nbnet as nb
    >>> round(nb.metrics.AUC(num_thresholds=3)([0, 0, 1, 1], [0.0, 0.5, 0.3, 0.9]), 4)
    0.75
    """

    name = "auc"
    _arguments = (
        "num_thresholds", "curve", "summation_method", "multi_label", "num_labels", "label_weights", "from_logits",
    )  # fmt: skip
    true_positives: Parameter
    false_positives: Parameter
    true_negatives: Parameter
    false_negatives: Parameter

    def __init__(
        self,
        num_thresholds: int | None = 200,
        curve: str = "ROC",
        summation_method: str = "interpolation",
        name: str | None = None,
        dtype: Any = None,
        thresholds: Sequence[float] | None = None,
        multi_label: bool = False,
        num_labels: int | None = None,
        label_weights: Any = None,
        from_logits: bool = False,
    ) -> None:
        super().__init__(name, dtype)
        methods = ["interpolation", "minoring", "majoring"]
        self.curve = check_choice(str(curve).upper(), "curve", ["ROC", "PR", "PRGAIN"])
        self.summation_method = check_choice(str(summation_method).lower(), "summation_method", methods)
        self.multi_label, self.from_logits = bool(multi_label), bool(from_logits)
        self.num_labels = None if num_labels is None else check_int(num_labels, "num_labels")
        if num_labels is not None and not multi_label:
            raise ValueError(f"num_labels: expected None without multi_label, got {num_labels}")
        self.label_weights = (
            None if label_weights is None else [FINITE.check(v, "label_weights") for v in label_weights]
        )
        #: Inner thresholds as they were given, sorted.
        self.init_thresholds = (
            None if thresholds is None else sorted(FRACTION.check(t, "thresholds") for t in thresholds)
        )
        if self.init_thresholds is not None:
            inner = self.init_thresholds
            self.num_thresholds: int | None = len(inner) + 2
        else:
            self.num_thresholds = None if num_thresholds is None else check_int(num_thresholds, "num_thresholds", 2)
        reserve(4 * (self.num_thresholds or 0) * (self.num_labels or 1), "num_thresholds", kept=True)
        if self.init_thresholds is None:
            inner = (np.arange(1, (self.num_thresholds or 2) - 1) / ((self.num_thresholds or 2) - 1)).tolist()
        # One below and one above all predictions.
        self._grid = None if self.num_thresholds is None else np.array([-EPSILON, *inner, 1.0 + EPSILON])
        self._seen: list[tuple[Array, Array, Array]] = []
        self._columns: int | None = None
        if self._grid is not None and (not self.multi_label or self.num_labels is not None):
            self._allocate(self.num_labels)

    @property
    def thresholds(self) -> list[float] | None:
        """All thresholds, one below 0 and one above 1 among them; None if every prediction is one."""
        return None if self._grid is None else self._grid.tolist()

    def _allocate(self, columns: int | None) -> None:
        assert self.num_thresholds is not None
        self._columns = columns
        shape = (self.num_thresholds,) if columns is None else (self.num_thresholds, columns)
        self._add_counts(shape)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take more samples into account; weights as for :class:`Metric`."""
        if self.from_logits:
            from scipy.special import expit

            y_pred = expit(numbers(y_pred, "y_pred"))
        y_true, y_pred, w = pairs(y_true, y_pred, sample_weight)
        if self.multi_label and y_pred.ndim != 2:
            raise ValueError(f"y_pred: expected a matrix with multi_label, got shape {y_pred.shape}")
        columns = y_pred.shape[-1] if y_pred.ndim > 1 else 1
        expected = self.num_labels or self._columns or 0
        for name, length in (("label_weights", len(self.label_weights or ())), ("num_labels", expected)):
            if length and length != columns:
                raise ValueError(f"{name}: there are {length}, and predictions have {columns} columns")
        positive = y_true != 0
        if not np.isfinite(y_pred).all():  # a training that diverges
            w = np.full(w.shape, np.nan)
        if not self.multi_label:
            if self.label_weights is not None:
                w = w.reshape(-1, columns) * self.label_weights
            columns = 1
        parts = positive.reshape(-1, columns), y_pred.reshape(-1, columns), w.reshape(-1, columns)
        if self._grid is None:
            self._seen.append(parts)
            return
        if not self._variables:
            self._allocate(columns if self.multi_label else None)
        grid = self._grid
        found = [
            Counts.of(t, np.clip(p, 0.0, 1.0), v, grid, self._real)
            for t, p, v in zip(*(a.T for a in parts), strict=True)
        ]
        by_column = Counts(*(np.stack(column, -1) for column in zip(*found, strict=True)))
        self._count(by_column if self.multi_label else found[0])

    def result(self) -> Score:
        """The area of all samples since the last reset; 0 if there are none."""
        if self._grid is None:
            areas = self._exact()
        elif not self._variables:
            return 0.0
        else:
            counts = Counts(*self._counts())
            areas = counts.area(self.curve, self.summation_method)
        if not self.multi_label:
            return float(areas)
        weights = np.ones(len(areas)) if self.label_weights is None else np.array(self.label_weights)
        return float((areas * weights).sum() / weights.sum()) if weights.any() else 0.0

    def reset_state(self) -> None:
        super().reset_state()
        self._seen = []

    def _exact(self) -> Array:
        """The area of each column, with a threshold at each prediction."""
        if not self._seen:
            return np.zeros((1,) if self.multi_label else ())
        parts = [np.concatenate(part) for part in zip(*self._seen, strict=True)]
        areas = np.array([self._area(*column) for column in zip(*(part.T for part in parts), strict=True)])
        return areas if self.multi_label else areas[0]

    def _area(self, positive: Array, predictions: Array, w: Array) -> float:
        if np.isnan(w).any():
            return float("nan")
        if self.curve == "ROC" and self.summation_method == "interpolation":
            if not (w[positive].any() and w[~positive].any()):
                return 0.0
            from sklearn.metrics import roc_auc_score

            return float(roc_auc_score(positive, predictions, sample_weight=w))
        grid = np.concatenate([[-np.inf], np.unique(predictions)])
        return float(Counts.of(positive, predictions, w, grid, np.float64).area(self.curve, self.summation_method))

    def get_config(self) -> dict[str, Any]:
        given = {} if self.init_thresholds is None else {"thresholds": self.init_thresholds}
        return super().get_config() | given
