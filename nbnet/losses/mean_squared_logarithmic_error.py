"""``mean((log(1 + y_true) - log(1 + y_pred))**2)`` over the last axis."""

from __future__ import annotations

from typing import Any

from nbnet.core.abi import device
from nbnet.core.graph import Tensor
from nbnet.core.math import log1p
from nbnet.losses.crossentropy import EPSILON
from nbnet.losses.pairwise import PairwiseLoss, pairwise


@device
def _difference(z: Any, t: Any) -> Any:
    return log1p(max(z, EPSILON)) - log1p(max(t, EPSILON))


@device
def _f(z: Any, t: Any, a: Any) -> Any:
    d = _difference(z, t)
    return d * d


@device
def _df(z: Any, t: Any, a: Any) -> Any:
    return 2.0 * _difference(z, t) / (1.0 + z) if z > EPSILON else 0.0


MEAN_SQUARED_LOGARITHMIC_ERROR = pairwise("mean_squared_logarithmic_error", _f, _df)


class MeanSquaredLogarithmicError(PairwiseLoss):
    """Mean of squared differences of logarithms; targets and predictions below 1e-7 count as 1e-7.

    Parameters
    ----------
    reduction, name
        See :class:`Loss`.

    Examples
    --------
    >>> import nbnet as nb
    >>> round(nb.losses.MeanSquaredLogarithmicError()([[0.0, 1.0]], [[1.0, 1.0]]).item(), 4)
    0.2402
    """

    name = "mean_squared_logarithmic_error"
    op = MEAN_SQUARED_LOGARITHMIC_ERROR


def mean_squared_logarithmic_error(y_true: Any, y_pred: Any) -> Tensor:
    """Squared logarithmic error of each sample; see :class:`MeanSquaredLogarithmicError`.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.losses.mean_squared_logarithmic_error([[0.0], [1.0]], [[1.0], [1.0]]).numpy().round(4)
    array([0.4805, 0.    ], dtype=float32)
    """
    return MeanSquaredLogarithmicError().each(y_true, y_pred)
