"""``mean((y_true - y_pred)**2)`` over the last axis."""

from __future__ import annotations

from typing import Any

from nbnet.core.abi import device
from nbnet.core.graph import Tensor
from nbnet.losses.pairwise import PairwiseLoss, pairwise


@device
def _f(z: Any, t: Any, a: Any) -> Any:
    return (z - t) * (z - t)


@device
def _df(z: Any, t: Any, a: Any) -> Any:
    return 2.0 * (z - t)


MEAN_SQUARED_ERROR = pairwise("mean_squared_error", _f, _df)


class MeanSquaredError(PairwiseLoss):
    """Mean of squared differences.

    Parameters
    ----------
    reduction, name
        See :class:`Loss`.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.losses.MeanSquaredError()([[0.0, 1.0]], [[1.0, 1.0]]).item()
    0.5
    """

    name = "mean_squared_error"
    op = MEAN_SQUARED_ERROR


def mean_squared_error(y_true: Any, y_pred: Any) -> Tensor:
    """MeanSquaredError of each sample.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.losses.mean_squared_error([[0.0, 1.0], [2.0, 2.0]], [[0.0, 3.0], [2.0, 3.0]]).numpy()
    array([2. , 0.5], dtype=float32)
    """
    return MeanSquaredError().each(y_true, y_pred)
