"""Metrics of regression."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nbnet import losses
from nbnet.core.graph import Tensor
from nbnet.metrics.epoch_metric import EpochMetric, pairs
from nbnet.metrics.reduction import MeanLoss, NamedLoss
from nbnet.ops.negative import negative

#: Keras's words for what becomes of several scores, and scikit-learn's.
_AGGREGATIONS = {
    "uniform_average": "uniform_average",
    "variance_weighted_average": "variance_weighted",
    None: "raw_values",
}


class MeanSquaredError(NamedLoss):
    """Mean of squared differences.

    Parameters
    ----------
    name
        See :class:`Metric`.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.metrics.MeanSquaredError()([[0.0], [1.0]], [[1.0], [1.0]])
    0.5
    """

    name = "mean_squared_error"
    kind = losses.MeanSquaredError


class MeanAbsoluteError(NamedLoss):
    """Mean of absolute differences.

    Parameters
    ----------
    name
        See :class:`Metric`.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.metrics.MeanAbsoluteError()([[0.0], [1.0]], [[3.0], [1.0]])
    1.5
    """

    name = "mean_absolute_error"
    kind = losses.MeanAbsoluteError


class MeanAbsolutePercentageError(NamedLoss):
    """Mean of absolute differences, in percent of the target.

    Parameters
    ----------
    name
        See :class:`Metric`.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.metrics.MeanAbsolutePercentageError()([[2.0], [4.0]], [[3.0], [3.0]])
    37.5
    """

    name = "mean_absolute_percentage_error"
    kind = losses.MeanAbsolutePercentageError


class MeanSquaredLogarithmicError(NamedLoss):
    """Mean of squared differences of ``log(1 + y)``.

    Parameters
    ----------
    name
        See :class:`Metric`.

    Examples
    --------
    >>> import nbnet as nb
    >>> round(nb.metrics.MeanSquaredLogarithmicError()([[0.0], [1.0]], [[1.0], [1.0]]), 4)
    0.2402
    """

    name = "mean_squared_logarithmic_error"
    kind = losses.MeanSquaredLogarithmicError


class LogCoshError(NamedLoss):
    """Mean of logarithms of the hyperbolic cosine of the error.

    Parameters
    ----------
    name
        See :class:`Metric`.

    Examples
    --------
    >>> import nbnet as nb
    >>> round(nb.metrics.LogCoshError()([[0.0]], [[1.0]]), 4)
    0.4338
    """

    name = "logcosh"
    kind = losses.LogCosh


class RootMeanSquaredError(NamedLoss):
    """Square root of the mean of squared differences.

    Parameters
    ----------
    name
        See :class:`Metric`.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.metrics.RootMeanSquaredError()([[0.0], [0.0]], [[1.0], [7.0]])
    5.0
    """

    name = "root_mean_squared_error"
    kind = losses.MeanSquaredError

    def finish(self, mean: float) -> float:
        return math.sqrt(mean)


class CosineSimilarity(MeanLoss):
    """Mean cosine of the angle between target and prediction.

    Parameters
    ----------
    name
        See :class:`Metric`.
    axis
        The last one.

    Examples
    --------
    >>> import nbnet as nb
    >>> round(nb.metrics.CosineSimilarity()([[3.0, 4.0]], [[4.0, 3.0]]), 4)
    0.96
    """

    name = "cosine_similarity"

    def __init__(self, name: str | None = None, axis: int = -1) -> None:
        super().__init__(losses.CosineSimilarity(axis), name or type(self).name)

    def values(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return negative(super().values(y_true, y_pred))

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name}


class R2Score(EpochMetric):
    """Coefficient of determination: 1 - sum of squared errors / sum of squared deviations from the mean.

    Parameters
    ----------
    class_aggregation : {"uniform_average", "variance_weighted_average", None}
        What becomes of the scores of several outputs; None leaves an array of them.
    num_regressors
        From 0: adjusts the score for as many independent variables.
    name
        See :class:`Metric`.

    Raises
    ------
    ValueError
        If an argument is out of range.

    Examples
    --------
    >>> import nbnet as nb
    >>> round(nb.metrics.R2Score()([[1.0], [4.0], [3.0]], [[2.0], [4.0], [4.0]]), 4)
    0.5714
    """

    name = "r2_score"

    def __init__(
        self, class_aggregation: str | None = "uniform_average", num_regressors: int = 0, name: str | None = None
    ) -> None:
        super().__init__(name)
        if class_aggregation not in _AGGREGATIONS:
            raise ValueError(f"class_aggregation: wants one of {[*_AGGREGATIONS]}, got {class_aggregation!r}")
        if not isinstance(num_regressors, (int, np.integer)) or num_regressors < 0:
            raise ValueError(f"num_regressors: wants an integer from 0, got {num_regressors!r}")
        self.class_aggregation, self.num_regressors = class_aggregation, int(num_regressors)

    def compute(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        from sklearn.metrics import r2_score

        y_true, y_pred, w = pairs(y_true, y_pred, sample_weight)
        if not np.isfinite(y_pred).all():  # a training that diverges
            return np.full(y_pred.shape[1:], np.nan) if self.class_aggregation is None else float("nan")
        n = len(y_true)
        rows = w.reshape(n, -1)[:, 0]
        score = r2_score(y_true, y_pred, sample_weight=rows, multioutput=_AGGREGATIONS[self.class_aggregation])
        if self.num_regressors and self.num_regressors < n - 1:
            score = 1 - (1 - score) * (n - 1) / (n - self.num_regressors - 1)
        return float(np.squeeze(score)) if np.size(score) == 1 else score

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "class_aggregation": self.class_aggregation,
            "num_regressors": self.num_regressors,
        }
