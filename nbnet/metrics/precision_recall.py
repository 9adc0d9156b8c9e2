"""Ratios of right and wrong decisions: precision and recall."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

from nbnet.metrics.confusion import at_thresholds, check_class, check_thresholds
from nbnet.metrics.epoch_metric import EpochMetric
from nbnet.metrics.metric import Array
from nbnet.ranges import count


class _Share(EpochMetric):
    """How much of the weight of some outputs is decided rightly."""

    def __init__(
        self,
        thresholds: float | Sequence[float] | None = None,
        top_k: int | None = None,
        class_id: int | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        self.thresholds = check_thresholds(thresholds)
        self.top_k = None if top_k is None else count(top_k, "top_k")
        self.class_id = check_class(class_id)

    @abstractmethod
    def _score(self, positive: Array, predicted: Array, w: Array) -> float: ...

    def compute(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        return at_thresholds(self._score, y_true, y_pred, sample_weight, self.thresholds, self.top_k, self.class_id)

    def get_config(self) -> dict[str, Any]:
        own = {"thresholds": self.thresholds, "top_k": self.top_k, "class_id": self.class_id}
        return super().get_config() | own


class Precision(_Share):
    """Share of predicted positives that are positive: ``tp / (tp + fp)``, 0 if there are none.

    Parameters
    ----------
    thresholds
        Predictions above it are positive, by default 0.5; of a list, the metric is an array.
    top_k
        Only the k largest predictions of a row can be positive; without thresholds, all of them are.
    class_id
        Number of the only column to look at.
    name
        See :class:`Metric`.

    Raises
    ------
    ValueError
        If an argument is out of range.

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


class Recall(_Share):
    """Share of positives that are predicted as such: ``tp / (tp + fn)``, 0 if there are none.

    Parameters
    ----------
    thresholds, top_k, class_id, name
        See :class:`Precision`.

    Raises
    ------
    ValueError
        If an argument is out of range.

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
