"""Metrics of regression."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nbnet import losses
from nbnet.base.docstrings import join_common_sections
from nbnet.base.validation import check_choice, check_int
from nbnet.engine.graph.tensor import Tensor
from nbnet.losses.loss import EPSILON, check_axis
from nbnet.metrics.loss_metrics import LossMetric, NamedLoss
from nbnet.metrics.metric import EpochMetric, Metric, Score, pairs
from nbnet.ops.elementwise import negative, sqrt, square
from nbnet.ops.reduction import mean

#: Keras's names of the ways to combine several scores, and scikit-learn's.
_AGGREGATIONS = {
    "uniform_average": "uniform_average", "variance_weighted_average": "variance_weighted", None: "raw_values"
}  # fmt: skip


class MeanSquaredError(NamedLoss):
    """Mean of squared differences.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.metrics.MeanSquaredError()([[0.0], [1.0]], [[1.0], [1.0]])
    0.5
    """

    kind = losses.MeanSquaredError


class MeanAbsoluteError(NamedLoss):
    """Mean of absolute differences.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.metrics.MeanAbsoluteError()([[0.0], [1.0]], [[3.0], [1.0]])
    1.5
    """

    kind = losses.MeanAbsoluteError


class MeanAbsolutePercentageError(NamedLoss):
    """Mean of absolute differences, in percent of the target.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.metrics.MeanAbsolutePercentageError()([[2.0], [4.0]], [[3.0], [3.0]])
    37.5
    """

    kind = losses.MeanAbsolutePercentageError


class MeanSquaredLogarithmicError(NamedLoss):
    """Mean of squared differences of ``log(1 + y)``.

    Examples
    --------
    >>> import nbnet as nb
    >>> round(nb.metrics.MeanSquaredLogarithmicError()([[0.0], [1.0]], [[1.0], [1.0]]), 4)
    0.2402
    """

    kind = losses.MeanSquaredLogarithmicError


class LogCoshError(NamedLoss):
    """Mean of logarithms of the hyperbolic cosine of the error.

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

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.metrics.RootMeanSquaredError()([[0.0], [0.0]], [[1.0], [7.0]])
    5.0
    """

    kind = losses.MeanSquaredError

    def finish(self, mean: float) -> float:
        return math.sqrt(mean)


class CosineSimilarity(LossMetric):
    """Mean cosine of the angle between target and prediction.

    Parameters
    ----------
    axis : int
        -1: kernels work on the last axis.

    Examples
    --------
    >>> import nbnet as nb
    >>> round(nb.metrics.CosineSimilarity()([[3.0, 4.0]], [[4.0, 3.0]]), 4)
    0.96
    """

    def __init__(self, name: str | None = None, axis: int = -1) -> None:
        super().__init__(losses.CosineSimilarity(axis), name)

    def values(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return negative(super().values(y_true, y_pred))


class R2Score(EpochMetric):
    """Coefficient of determination: 1 - sum of squared errors / sum of squared deviations from the mean.

    Parameters
    ----------
    class_aggregation : {"uniform_average", "variance_weighted_average", None}
        Combination of the scores of several outputs; None keeps an array of them.
    num_regressors : int
        From 0: number of independent variables for which the score is adjusted.

    Examples
    --------
    >>> import nbnet as nb
    >>> round(nb.metrics.R2Score()([[1.0], [4.0], [3.0]], [[2.0], [4.0], [4.0]]), 4)
    0.5714
    """

    name = "r2_score"
    _arguments = ("class_aggregation", "num_regressors")

    def __init__(
        self, class_aggregation: str | None = "uniform_average", num_regressors: int = 0, name: str | None = None
    ) -> None:
        super().__init__(name)
        check_choice(class_aggregation, "class_aggregation", _AGGREGATIONS)
        self.class_aggregation, self.num_regressors = class_aggregation, check_int(num_regressors, "num_regressors", 0)

    def compute(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Score:
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


def _centred(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The mean of each row, the deviations from it, and the variance."""
    middle = mean(x, axis=-1, keepdims=True)
    rest = x - middle
    return middle, rest, mean(square(rest), axis=-1, keepdims=True)


class Correlation(Metric, abstract=True):
    """Base class of the means of coefficients of samples, each over the last axis."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        join_common_sections(cls, first="axis : int\n    -1: kernels work on the last axis.")
        super().__init_subclass__(**kwargs)

    def __init__(self, name: str | None = None, axis: int = -1) -> None:
        super().__init__(name)
        self.axis = check_axis(axis)


class PearsonCorrelation(Correlation):
    """Mean of the correlation coefficients of samples, each over the last axis, which is longer than 1.

    Examples
    --------
    >>> import nbnet as nb
    >>> round(
    ...     nb.metrics.PearsonCorrelation()([[0.0, 1.0, 0.5], [1.0, 1.0, 0.2]], [[0.1, 0.9, 0.5], [1.0, 0.9, 0.2]]), 4
    ... )
    0.9967
    """

    def values(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        (_, t, t_variance), (_, p, p_variance) = _centred(y_true), _centred(y_pred)
        return mean((t / (sqrt(t_variance) + EPSILON)) * (p / (sqrt(p_variance) + EPSILON)), axis=-1)


class ConcordanceCorrelation(Correlation):
    """Mean of the concordance correlation coefficients of samples, each over the last axis, which is longer than 1.

    It is 1 where predictions equal targets, and less than the correlation coefficient where their means or variances
    differ.

    References
    ----------
    L. I.-K. Lin: A concordance correlation coefficient to evaluate reproducibility. Biometrics 45 (1989).

    Examples
    --------
    >>> import nbnet as nb
    >>> round(nb.metrics.ConcordanceCorrelation()([[0.0, 1.0, 0.5]], [[0.1, 0.9, 0.5]]), 4)
    0.9756
    """

    def values(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        (t_mean, t, t_variance), (p_mean, p, p_variance) = _centred(y_true), _centred(y_pred)
        return mean(2.0 * t * p / (t_variance + p_variance + square(t_mean - p_mean) + EPSILON), axis=-1)
