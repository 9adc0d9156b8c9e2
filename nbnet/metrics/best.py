"""The best of one ratio, such as precision, where another, such as recall, is good enough."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np

from nbnet import data
from nbnet.metrics.confusion import check_class, selected
from nbnet.metrics.counts import Counts
from nbnet.metrics.epoch_metric import EpochMetric
from nbnet.metrics.metric import Array


class _Best(EpochMetric):
    """The largest value of one ratio at those thresholds where another is at least a number."""

    def __init__(
        self, argument: str, value: float, num_thresholds: int, class_id: int | None, name: str | None
    ) -> None:
        super().__init__(name)
        self._argument, self._least = argument, data.as_number(value, argument)
        if not 0 <= self._least <= 1:
            raise ValueError(f"{argument}: wants a number in [0, 1], got {value!r}")
        if num_thresholds < 1:
            raise ValueError(f"num_thresholds: wants an integer from 1, got {num_thresholds!r}")
        self.num_thresholds, self.class_id = int(num_thresholds), check_class(class_id)

    @abstractmethod
    def _ratios(self, counts: Counts) -> tuple[Array, Array]:
        """What there has to be enough of, and what there should be much of."""

    def compute(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> float:
        n = self.num_thresholds
        thresholds = np.arange(n) / (n - 1) if n > 1 else np.array([0.5])
        positive, predictions, w = selected(y_true, y_pred, sample_weight, class_id=self.class_id)
        enough, wanted = self._ratios(Counts.of(positive, np.clip(predictions, 0.0, 1.0), w, thresholds))
        return float(wanted[enough >= self._least].max(initial=0.0))

    def get_config(self) -> dict[str, Any]:
        own = {self._argument: self._least, "num_thresholds": self.num_thresholds, "class_id": self.class_id}
        return super().get_config() | own


class SensitivityAtSpecificity(_Best):
    """The largest sensitivity, ``tp / (tp + fn)``, at those of some thresholds where specificity, ``tn / (tn + fp)``,
    is at least a number; 0 where it nowhere is.

    Parameters
    ----------
    specificity
        In [0, 1]: what specificity has to be at least.
    num_thresholds
        Number of thresholds to try, evenly spaced in [0, 1].
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
    >>> nb.metrics.SensitivityAtSpecificity(0.5)([0, 0, 0, 1, 1], [0, 0.3, 0.8, 0.3, 0.8])
    0.5
    """

    name = "sensitivity_at_specificity"

    def __init__(
        self, specificity: float, num_thresholds: int = 200, class_id: int | None = None, name: str | None = None
    ) -> None:
        super().__init__("specificity", specificity, num_thresholds, class_id, name)

    def _ratios(self, counts: Counts) -> tuple[Array, Array]:
        return counts.specificity, counts.recall


class SpecificityAtSensitivity(_Best):
    """The largest specificity, ``tn / (tn + fp)``, at those of some thresholds where sensitivity, ``tp / (tp + fn)``,
    is at least a number; 0 where it nowhere is.

    Parameters
    ----------
    sensitivity
        In [0, 1]: what sensitivity has to be at least.
    num_thresholds, class_id, name
        See :class:`SensitivityAtSpecificity`.

    Raises
    ------
    ValueError
        If an argument is out of range.

    Examples
    --------
    >>> import nbnet as nb
    >>> round(nb.metrics.SpecificityAtSensitivity(0.5)([0, 0, 0, 1, 1], [0, 0.3, 0.8, 0.3, 0.8]), 4)
    0.6667
    """

    name = "specificity_at_sensitivity"

    def __init__(
        self, sensitivity: float, num_thresholds: int = 200, class_id: int | None = None, name: str | None = None
    ) -> None:
        super().__init__("sensitivity", sensitivity, num_thresholds, class_id, name)

    def _ratios(self, counts: Counts) -> tuple[Array, Array]:
        return counts.recall, counts.specificity


class PrecisionAtRecall(_Best):
    """The largest precision, ``tp / (tp + fp)``, at those of some thresholds where recall, ``tp / (tp + fn)``,
    is at least a number; 0 where it nowhere is.

    Parameters
    ----------
    recall
        In [0, 1]: what recall has to be at least.
    num_thresholds, class_id, name
        See :class:`SensitivityAtSpecificity`.

    Raises
    ------
    ValueError
        If an argument is out of range.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.metrics.PrecisionAtRecall(0.5)([0, 0, 0, 1, 1], [0, 0.3, 0.8, 0.3, 0.8])
    0.5
    """

    name = "precision_at_recall"

    def __init__(
        self, recall: float, num_thresholds: int = 200, class_id: int | None = None, name: str | None = None
    ) -> None:
        super().__init__("recall", recall, num_thresholds, class_id, name)

    def _ratios(self, counts: Counts) -> tuple[Array, Array]:
        return counts.recall, counts.precision


class RecallAtPrecision(_Best):
    """The largest recall, ``tp / (tp + fn)``, at those of some thresholds where precision, ``tp / (tp + fp)``,
    is at least a number; 0 where it nowhere is.

    Parameters
    ----------
    precision
        In [0, 1]: what precision has to be at least.
    num_thresholds, class_id, name
        See :class:`SensitivityAtSpecificity`.

    Raises
    ------
    ValueError
        If an argument is out of range.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.metrics.RecallAtPrecision(0.8)([0, 0, 1, 1], [0, 0.5, 0.3, 0.9])
    0.5
    """

    name = "recall_at_precision"

    def __init__(
        self, precision: float, num_thresholds: int = 200, class_id: int | None = None, name: str | None = None
    ) -> None:
        super().__init__("precision", precision, num_thresholds, class_id, name)

    def _ratios(self, counts: Counts) -> tuple[Array, Array]:
        return counts.precision, counts.recall
