"""Area under the ROC curve, or under that of precision over recall."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nbnet import data
from nbnet.losses.crossentropy import EPSILON
from nbnet.metrics.confusion import check_thresholds
from nbnet.metrics.counts import Counts
from nbnet.metrics.epoch_metric import EpochMetric, pairs
from nbnet.metrics.metric import Array


class AUC(EpochMetric):
    """Area under the ROC curve, or under the curve of precision over recall.

    By default every prediction is a threshold, so that the area is exact; Keras takes 200 thresholds, and so does this
    if asked to.

    Parameters
    ----------
    num_thresholds
        Above 1: take so many thresholds, evenly spaced in [0, 1]. None: one at each prediction.
    curve : {"ROC", "PR"}
        Recall over the share of false positives, or precision over recall.
    summation_method : {"interpolation", "minoring", "majoring"}
        Between thresholds: trapezoids (for "PR" the interpolation of Davis and Goadrich), the lower or the higher end.
    name
        See :class:`Metric`.
    thresholds
        The thresholds to take.
    multi_label
        Whether the columns have an area each, and the metric is their mean; else all outputs are taken together.
    num_labels
        Number of columns, if multi_label; it is checked.
    label_weights
        A weight for each column.
    from_logits
        Whether predictions are logits, to be put through a sigmoid.

    Raises
    ------
    ValueError
        If an argument is out of range.

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
        self.curve, self.summation_method = str(curve).upper(), str(summation_method).lower()
        if self.curve not in ("ROC", "PR"):
            raise ValueError(f"curve: wants 'ROC' or 'PR', got {curve!r}")
        if self.summation_method not in ("interpolation", "minoring", "majoring"):
            raise ValueError(
                f"summation_method: wants 'interpolation', 'minoring' or 'majoring', got {summation_method!r}"
            )
        if num_thresholds is not None and num_thresholds <= 1:
            raise ValueError(f"num_thresholds: wants an integer above 1, got {num_thresholds!r}")
        self.num_thresholds, self.num_labels = num_thresholds, num_labels
        self.thresholds = None if thresholds is None else sorted(check_thresholds(list(thresholds)) or [])  # type: ignore[arg-type]
        self.multi_label, self.from_logits = bool(multi_label), bool(from_logits)
        self.label_weights = (
            None if label_weights is None else [data.as_number(v, "label_weights") for v in label_weights]
        )

    def compute(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> float:
        if self.from_logits:
            from scipy.special import expit

            y_pred = expit(np.asarray(y_pred, np.float64))
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

    def get_config(self) -> dict[str, Any]:
        names = (
            "num_thresholds", "curve", "summation_method", "thresholds", "multi_label", "num_labels", "label_weights",
            "from_logits",
        )  # fmt: skip
        return super().get_config() | {name: getattr(self, name) for name in names}
