"""``mean(y_pred - y_true * log(y_pred + epsilon))`` over the last axis."""

from __future__ import annotations

from typing import Any

from nbnet.core.abi import device
from nbnet.core.graph import Tensor
from nbnet.core.math import log
from nbnet.losses.crossentropy import EPSILON
from nbnet.losses.pairwise import PairwiseLoss, pairwise


@device
def _f(z: Any, t: Any, a: Any) -> Any:
    return z - t * log(z + EPSILON)


@device
def _df(z: Any, t: Any, a: Any) -> Any:
    return 1.0 - t / (z + EPSILON)


POISSON = pairwise("poisson", _f, _df)


class Poisson(PairwiseLoss):
    """Negative log-likelihood of counts whose expectation is predicted, but for a constant; epsilon is 1e-7.

    Parameters
    ----------
    reduction, name
        See :class:`Loss`.

    Examples
    --------
    >>> import nbnet as nb
    >>> round(nb.losses.Poisson()([[1.0, 0.0]], [[2.0, 0.5]]).item(), 4)
    0.9034
    """

    name = "poisson"
    op = POISSON


def poisson(y_true: Any, y_pred: Any) -> Tensor:
    """Poisson loss of each sample; see :class:`Poisson`.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.losses.poisson([[1.0], [0.0]], [[2.0], [0.5]]).numpy().round(4)
    array([1.3069, 0.5   ], dtype=float32)
    """
    return Poisson().each(y_true, y_pred)
