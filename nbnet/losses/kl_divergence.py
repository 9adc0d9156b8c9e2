"""``sum(y_true * log(y_true / y_pred))`` over the last axis, both clipped to [epsilon, 1]."""

from __future__ import annotations

from typing import Any

from nbnet.core.abi import device
from nbnet.core.graph import Tensor
from nbnet.core.math import log
from nbnet.core.tape import apply, tensors
from nbnet.losses.crossentropy import EPSILON
from nbnet.losses.loss import Loss
from nbnet.losses.pairwise import pairwise


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


class KLDivergence(Loss):
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

    def __init__(self, reduction: str | None = "sum_over_batch_size", name: str | None = None) -> None:
        super().__init__(name, reduction)

    def losses(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return apply(KL_DIVERGENCE, *tensors(y_pred, y_true, 0.0))  # type: ignore[no-any-return]


def kl_divergence(y_true: Any, y_pred: Any) -> Tensor:
    """Divergence of each sample; see :class:`KLDivergence`.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.losses.kl_divergence([[0.0, 1.0]], [[0.5, 0.5]]).numpy().round(4)
    array([0.6931], dtype=float32)
    """
    return KLDivergence().each(y_true, y_pred)
