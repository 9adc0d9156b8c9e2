"""How predictions and targets go together, over the last axis of each sample."""

from __future__ import annotations

from nbnet.core.graph import Tensor
from nbnet.losses.crossentropy import EPSILON
from nbnet.losses.loss import check_axis
from nbnet.metrics.metric import Metric
from nbnet.ops.mean import mean
from nbnet.ops.sqrt import sqrt
from nbnet.ops.square import square


def _centred(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The mean of each row, what is left when it is taken off, and the variance."""
    middle = mean(x, axis=-1, keepdims=True)
    rest = x - middle
    return middle, rest, mean(square(rest), axis=-1, keepdims=True)


class PearsonCorrelation(Metric):
    """Mean of the correlation coefficients of samples, each over the last axis, which is longer than 1.

    Parameters
    ----------
    name
        See :class:`Metric`.
    axis
        The last one.

    Examples
    --------
    >>> import nbnet as nb
    >>> round(
    ...     nb.metrics.PearsonCorrelation()([[0.0, 1.0, 0.5], [1.0, 1.0, 0.2]], [[0.1, 0.9, 0.5], [1.0, 0.9, 0.2]]), 4
    ... )
    0.9967
    """

    name = "pearson_correlation"

    def __init__(self, name: str | None = None, axis: int = -1) -> None:
        super().__init__(name)
        self.axis = check_axis(axis)

    def values(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        (_, t, t_variance), (_, p, p_variance) = _centred(y_true), _centred(y_pred)
        return mean((t / (sqrt(t_variance) + EPSILON)) * (p / (sqrt(p_variance) + EPSILON)), axis=-1)


class ConcordanceCorrelation(Metric):
    """Mean of the concordance correlation coefficients of samples, each over the last axis, which is longer than 1.

    It is 1 where predictions equal targets, and less than the correlation coefficient where their means or variances
    differ.

    Parameters
    ----------
    name
        See :class:`Metric`.
    axis
        The last one.

    References
    ----------
    L. I.-K. Lin: A concordance correlation coefficient to evaluate reproducibility. Biometrics 45 (1989).

    Examples
    --------
    >>> import nbnet as nb
    >>> round(nb.metrics.ConcordanceCorrelation()([[0.0, 1.0, 0.5]], [[0.1, 0.9, 0.5]]), 4)
    0.9756
    """

    name = "concordance_correlation"

    def __init__(self, name: str | None = None, axis: int = -1) -> None:
        super().__init__(name)
        self.axis = check_axis(axis)

    def values(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        (t_mean, t, t_variance), (p_mean, p, p_variance) = _centred(y_true), _centred(y_pred)
        return mean(2.0 * t * p / (t_variance + p_variance + square(t_mean - p_mean) + EPSILON), axis=-1)
