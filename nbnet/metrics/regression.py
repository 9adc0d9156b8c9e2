"""Metrics of regression."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from nbnet import losses
from nbnet.base.docstrings import join_common_sections
from nbnet.base.validation import check_choice, check_int
from nbnet.engine.graph.parameter import Parameter
from nbnet.engine.graph.tensor import Tensor
from nbnet.losses.loss import EPSILON, check_axis, last_axis
from nbnet.losses.weighting import pairs
from nbnet.metrics.metric import LossMetric, Metric, NamedLoss, Score
from nbnet.ops.elementwise import negative, sqrt, square
from nbnet.ops.reduction import mean

#: Ways to combine several scores.
_AGGREGATIONS = ("uniform_average", "variance_weighted_average", None)


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
    """Square root of the mean of squared differences. As in Keras, masked time steps count, too.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.metrics.RootMeanSquaredError()([[0.0], [0.0]], [[1.0], [7.0]])
    5.0
    """

    kind = losses.MeanSquaredError
    heeds_masks = False

    def values(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return square(y_pred - y_true)  # Each of them may have a weight of its own.

    def finish(self, mean: float) -> float:
        return math.sqrt(mean)


class CosineSimilarity(LossMetric):
    """Mean cosine of the angle between target and prediction.

    Parameters
    ----------
    axis : int
        Axis of the vectors, by default the last.

    Examples
    --------
    >>> import nbnet as nb
    >>> round(nb.metrics.CosineSimilarity()([[3.0, 4.0]], [[4.0, 3.0]]), 4)
    0.96
    """

    _arguments = ("axis",)

    def __init__(self, name: str | None = None, dtype: Any = None, axis: int = -1) -> None:
        super().__init__(losses.CosineSimilarity(axis), name, dtype)

    def values(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return negative(super().values(y_true, y_pred))


class R2Score(Metric):
    """Coefficient of determination: 1 - sum of squared errors / sum of squared deviations from the mean.

    Parameters
    ----------
    class_aggregation : {"uniform_average", "variance_weighted_average", None}
        Combination of the scores of several outputs; None keeps an array of them.
    num_regressors : int
        From 0: number of independent variables for which the score is adjusted.

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
    sparse = False
    _arguments = ("class_aggregation", "num_regressors")
    sum: Parameter
    squared_sum: Parameter
    total_mse: Parameter
    count: Parameter

    def __init__(
        self,
        class_aggregation: str | None = "uniform_average",
        num_regressors: int = 0,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(name, dtype)
        check_choice(class_aggregation, "class_aggregation", _AGGREGATIONS)
        self.class_aggregation, self.num_regressors = class_aggregation, check_int(num_regressors, "num_regressors", 0)
        self.num_samples = self._sum("num_samples")
        self._built = False

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take more samples into account; weights as for :class:`Metric`."""
        y_true, y_pred, w = pairs(y_true, y_pred, sample_weight)
        t, p, w = (a.reshape(len(a), -1) for a in (y_true, y_pred, w))
        if not self._built:
            for attribute, name in (("squared_sum",) * 2, ("sum",) * 2, ("total_mse", "residual"), ("count",) * 2):
                setattr(self, attribute, self._sum(name, t.shape[1:]))
            self._built = True
        if t.shape[1:] != self.sum.shape:
            raise ValueError(f"y_pred: expected {self.sum.size} columns as before, got {t.shape[1]}")
        self.sum.assign_add((t * w).sum(0))
        self.squared_sum.assign_add((t * t * w).sum(0))
        self.total_mse.assign_add((np.square(t - p) * w).sum(0))
        self.count.assign_add(w.sum(0))
        self.num_samples.assign_add(float((w != 0).any(-1).sum()))

    def result(self) -> Score:
        """The score of all samples since the last reset; 0 if there are none."""
        n = self.num_samples.item()
        if not n:
            return 0.0 if not self._built or self.class_aggregation else np.zeros(self.sum.shape)
        of, of_squares, residual, count = (v.numpy() for v in (self.sum, self.squared_sum, self.total_mse, self.count))
        total = of_squares - of * of / np.where(count == 0, 1, count)
        # Equal targets have no deviations: right predictions score 1, others 0.
        constant = total <= 1e-12 * of_squares
        scores = 1 - residual / np.where(constant, 1, total)
        scores = np.where(constant, np.where(residual == 0, 1.0, 0.0), scores)
        scores = np.where(np.isfinite(residual), scores, np.nan)
        score: Any = scores
        if self.class_aggregation == "uniform_average":
            score = scores.mean()
        elif self.class_aggregation is not None:
            score = np.average(scores, weights=total) if total.any() else 0.0
        if self.num_regressors:
            if self.num_regressors >= n - 1:
                warnings.warn(
                    f"num_regressors: {self.num_regressors} are too many for {n:.0f} samples, the score stays as it is",
                    stacklevel=2,
                )
            else:
                score = 1 - (1 - score) * (n - 1) / (n - self.num_regressors - 1)
        return score if self.class_aggregation is None else float(score)


def _centred(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The mean of each row, the deviations from it, and the variance."""
    middle = mean(x, axis=-1, keepdims=True)
    rest = x - middle
    return middle, rest, mean(square(rest), axis=-1, keepdims=True)


class Correlation(Metric, abstract=True):
    """Base class of the means of coefficients of samples, each over one axis."""

    sparse = False
    _arguments = ("axis",)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        join_common_sections(cls, first="axis : int\n    Axis of the numbers of a sample, by default the last.")
        super().__init_subclass__(**kwargs)

    def __init__(self, name: str | None = None, dtype: Any = None, axis: int = -1) -> None:
        super().__init__(name, dtype)
        self.axis = check_axis(axis)

    def _centred(self, y_true: Tensor, y_pred: Tensor) -> tuple[tuple[Tensor, Tensor, Tensor], ...]:
        return _centred(last_axis(y_true, self.axis)), _centred(last_axis(y_pred, self.axis))


class PearsonCorrelation(Correlation):
    """Mean of the correlation coefficients of samples, each over an axis longer than 1.

    Examples
    --------
    >>> import nbnet as nb
    >>> round(
    ...     nb.metrics.PearsonCorrelation()([[0.0, 1.0, 0.5], [1.0, 1.0, 0.2]], [[0.1, 0.9, 0.5], [1.0, 0.9, 0.2]]), 4
    ... )
    0.9967
    """

    def values(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        (_, t, t_variance), (_, p, p_variance) = self._centred(y_true, y_pred)
        return mean((t / (sqrt(t_variance) + EPSILON)) * (p / (sqrt(p_variance) + EPSILON)), axis=-1)


def pearson_correlation(y_true: Any, y_pred: Any, axis: int = -1) -> Tensor:
    """Correlation coefficient of each sample; see :class:`PearsonCorrelation`.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.metrics.pearson_correlation([[0.0, 1.0, 0.5]], [[0.1, 0.9, 0.5]]).numpy().round(4)
    array([1.], dtype=float32)
    """
    return PearsonCorrelation(axis=axis).each(y_true, y_pred)


class ConcordanceCorrelation(Correlation):
    """Mean of the concordance correlation coefficients of samples, each over an axis longer than 1.

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
        (t_mean, t, t_variance), (p_mean, p, p_variance) = self._centred(y_true, y_pred)
        return mean(2.0 * t * p / (t_variance + p_variance + square(t_mean - p_mean) + EPSILON), axis=-1)


def concordance_correlation(y_true: Any, y_pred: Any, axis: int = -1) -> Tensor:
    """Concordance correlation coefficient of each sample; see :class:`ConcordanceCorrelation`.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.metrics.concordance_correlation([[0.0, 1.0, 0.5]], [[0.1, 0.9, 0.5]]).numpy().round(4)
    array([0.9756], dtype=float32)
    """
    return ConcordanceCorrelation(axis=axis).each(y_true, y_pred)
