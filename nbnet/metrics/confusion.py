"""Counts of right and wrong decisions."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from operator import index
from typing import Any

import numpy as np

from nbnet import data
from nbnet.metrics.epoch_metric import EpochMetric, pairs
from nbnet.metrics.metric import Array

#: Below any prediction.
NO_THRESHOLD = -1e10


def check_thresholds(value: Any) -> float | list[float] | None:
    """One threshold in [0, 1], or a list of them; None stands for the default."""
    if value is None:
        return None
    many = isinstance(value, (Sequence, np.ndarray)) and not isinstance(value, str)
    found = [data.as_number(v, "thresholds") for v in (value if many else [value])]
    if not found or not all(0 <= v <= 1 for v in found):
        raise ValueError(f"thresholds: wants numbers in [0, 1], got {value!r}")
    return found if many else found[0]


def check_class(value: Any) -> int | None:
    """The number of a column, or None."""
    if value is not None and index(value) < 0:
        raise ValueError(f"class_id: wants an integer from 0, got {value!r}")
    return None if value is None else index(value)


def selected(
    y_true: Any, y_pred: Any, sample_weight: Any, top_k: int | None = None, class_id: int | None = None
) -> tuple[Array, Array, Array]:
    """Targets as booleans, predictions and weights, flat: of one class, and only the largest of each row, if wanted."""
    y_true, y_pred, w = pairs(y_true, y_pred, sample_weight)
    if top_k is not None:
        k = min(top_k, y_pred.shape[-1])
        largest = np.argsort(-y_pred, -1, kind="stable")[..., :k]
        kept = np.full_like(y_pred, NO_THRESHOLD)
        np.put_along_axis(kept, largest, np.take_along_axis(y_pred, largest, -1), -1)
        y_pred = kept
    if class_id is not None:
        if y_pred.ndim < 2 or class_id >= y_pred.shape[-1]:
            raise ValueError(f"class_id: {class_id} is none of the columns of predictions of shape {y_pred.shape}")
        y_true, y_pred, w = y_true[..., class_id], y_pred[..., class_id], w[..., class_id]
    return y_true.reshape(-1) != 0, y_pred.reshape(-1), w.reshape(-1)


def at_thresholds(
    score: Callable[[Array, Array, Array], float],
    y_true: Any,
    y_pred: Any,
    sample_weight: Any,
    thresholds: float | list[float] | None,
    top_k: int | None = None,
    class_id: int | None = None,
) -> Any:
    """A score of targets and decisions: a number for one threshold, an array for several."""
    positive, flat, w = selected(y_true, y_pred, sample_weight, top_k, class_id)
    if thresholds is None:
        thresholds = 0.5 if top_k is None else NO_THRESHOLD
    if isinstance(thresholds, list):
        return np.array([score(positive, flat > t, w) for t in thresholds])
    return score(positive, flat > thresholds, w)


class _Count(EpochMetric):
    """How much weight, or how many outputs, are decided in a certain way."""

    def __init__(self, thresholds: float | Sequence[float] | None = None, name: str | None = None) -> None:
        super().__init__(name)
        self.thresholds = check_thresholds(thresholds)

    @abstractmethod
    def _weigh(self, positive: Array, predicted: Array, w: Array) -> float: ...

    def compute(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        return at_thresholds(self._weigh, y_true, y_pred, sample_weight, self.thresholds)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"thresholds": self.thresholds}


class TruePositives(_Count):
    """Weight of positives that are predicted as such; their number, without weights.

    Parameters
    ----------
    thresholds
        Predictions above it are positive, by default 0.5; of a list, the metric is an array.
    name
        See :class:`Metric`.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.metrics.TruePositives()([0, 1, 1, 1], [1, 0, 1, 1])
    2.0
    """

    name = "true_positives"

    def _weigh(self, positive: Array, predicted: Array, w: Array) -> float:
        return float(w[positive & predicted].sum())


class TrueNegatives(_Count):
    """Weight of negatives that are predicted as such; their number, without weights.

    Parameters
    ----------
    thresholds, name
        See :class:`TruePositives`.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.metrics.TrueNegatives()([0, 1, 1, 1], [1, 0, 1, 1])
    0.0
    """

    name = "true_negatives"

    def _weigh(self, positive: Array, predicted: Array, w: Array) -> float:
        return float(w[~positive & ~predicted].sum())


class FalsePositives(_Count):
    """Weight of negatives that are predicted to be positive; their number, without weights.

    Parameters
    ----------
    thresholds, name
        See :class:`TruePositives`.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.metrics.FalsePositives()([0, 1, 1, 1], [1, 0, 1, 1])
    1.0
    """

    name = "false_positives"

    def _weigh(self, positive: Array, predicted: Array, w: Array) -> float:
        return float(w[~positive & predicted].sum())


class FalseNegatives(_Count):
    """Weight of positives that are predicted to be negative; their number, without weights.

    Parameters
    ----------
    thresholds, name
        See :class:`TruePositives`.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.metrics.FalseNegatives()([0, 1, 1, 1], [1, 0, 1, 1])
    1.0
    """

    name = "false_negatives"

    def _weigh(self, positive: Array, predicted: Array, w: Array) -> float:
        return float(w[positive & ~predicted].sum())
