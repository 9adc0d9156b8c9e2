"""``mean(abs(y_true - y_pred))`` over the last axis."""

from __future__ import annotations

from typing import Any

from nbnet.core.abi import device
from nbnet.core.graph import Tensor
from nbnet.losses.pairwise import PairwiseLoss, pairwise


@device
def _f(z: Any, t: Any, a: Any) -> Any:
    return abs(z - t)


@device
def _df(z: Any, t: Any, a: Any) -> Any:
    return 1.0 if z > t else (-1.0 if z < t else 0.0)


MEAN_ABSOLUTE_ERROR = pairwise("mean_absolute_error", _f, _df)


class MeanAbsoluteError(PairwiseLoss):
    """Mean of absolute differences; the derivative at 0 is 0.

    Parameters
    ----------
    reduction, name
        See :class:`Loss`.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.losses.MeanAbsoluteError()([[0.0, 1.0]], [[3.0, 1.0]]).item()
    1.5
    """

    name = "mean_absolute_error"
    op = MEAN_ABSOLUTE_ERROR


def mean_absolute_error(y_true: Any, y_pred: Any) -> Tensor:
    """MeanAbsoluteError of each sample.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.losses.mean_absolute_error([[0.0, 1.0], [2.0, 2.0]], [[0.0, 3.0], [2.0, 3.0]]).numpy()
    array([1. , 0.5], dtype=float32)
    """
    return MeanAbsoluteError().each(y_true, y_pred)
