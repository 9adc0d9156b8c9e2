"""``100 * mean(abs(y_true - y_pred) / max(abs(y_true), epsilon))`` over the last axis."""

from __future__ import annotations

from typing import Any

from nbnet.core.abi import device
from nbnet.core.graph import Tensor
from nbnet.losses.crossentropy import EPSILON
from nbnet.losses.pairwise import PairwiseLoss, pairwise


@device
def _f(z: Any, t: Any, a: Any) -> Any:
    return 100.0 * abs(z - t) / max(abs(t), EPSILON)


@device
def _df(z: Any, t: Any, a: Any) -> Any:
    scale = 100.0 / max(abs(t), EPSILON)
    return scale if z > t else (-scale if z < t else 0.0)


MEAN_ABSOLUTE_PERCENTAGE_ERROR = pairwise("mean_absolute_percentage_error", _f, _df)


class MeanAbsolutePercentageError(PairwiseLoss):
    """Mean of absolute differences, in percent of the target; epsilon is 1e-7. The derivative at 0 is 0.

    Parameters
    ----------
    reduction, name
        See :class:`Loss`.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.losses.MeanAbsolutePercentageError()([[2.0, 4.0]], [[3.0, 3.0]]).item()
    37.5
    """

    name = "mean_absolute_percentage_error"
    op = MEAN_ABSOLUTE_PERCENTAGE_ERROR


def mean_absolute_percentage_error(y_true: Any, y_pred: Any) -> Tensor:
    """Percentage error of each sample; see :class:`MeanAbsolutePercentageError`.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.losses.mean_absolute_percentage_error([[2.0], [4.0]], [[3.0], [3.0]]).numpy()
    array([50., 25.], dtype=float32)
    """
    return MeanAbsolutePercentageError().each(y_true, y_pred)
