"""``sum(y_true * log(y_true / y_pred))`` over the last axis, both clipped to [epsilon, 1]."""

from __future__ import annotations

from typing import Any

from nbnet.core.abi import device
from nbnet.core.graph import Tensor
from nbnet.core.math import log
from nbnet.losses.crossentropy import EPSILON
from nbnet.losses.pairwise import PairwiseLoss, pairwise


@device
def _clip(p: Any) -> Any:
    return min(max(p, EPSILON), 1.0)


@device
def _f(z: Any, t: Any, a: Any) -> Any:
    s = _clip(t)
    return s * log(s / _clip(z))


@device
def _df(z: Any, t: Any, a: Any) -> Any:
    return -_clip(t) / z if _clip(z) == z else 0.0


KL_DIVERGENCE = pairwise("kl_divergence", _f, _df, mean=False)


class KLDivergence(PairwiseLoss):
    """Kullback-Leibler divergence of predicted distributions from the true ones; epsilon is 1e-7.

    Parameters
    ----------
    reduction, name
        See :class:`Loss`.

    References
    ----------
    S. Kullback, R. A. Leibler: On information and sufficiency. Annals of Mathematical Statistics 22 (1951).

    Examples
    --------
    >>> import nbnet as nb
    >>> round(nb.losses.KLDivergence()([[0.5, 0.5]], [[0.25, 0.75]]).item(), 4)
    0.1438
    """

    name = "kl_divergence"
    op = KL_DIVERGENCE


def kl_divergence(y_true: Any, y_pred: Any) -> Tensor:
    """Divergence of each sample; see :class:`KLDivergence`.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.losses.kl_divergence([[0.0, 1.0]], [[0.5, 0.5]]).numpy().round(4)
    array([0.6931], dtype=float32)
    """
    return KLDivergence().each(y_true, y_pred)
