"""``mean(max(1 - y_true * y_pred, 0))`` over the last axis, with targets -1 and 1."""

from __future__ import annotations

from typing import Any

from nbnet.core.abi import device
from nbnet.core.graph import Tensor
from nbnet.losses.pairwise import PairwiseLoss, pairwise


# Targets 0 count as -1, one by one. Keras changes them where all of a batch are 0 or 1: for such targets and for -1 and
# 1 that is the same.
@device
def sign(t: Any) -> Any:
    return -1.0 if t == 0.0 else t


@device
def _f(z: Any, t: Any, a: Any) -> Any:
    return max(1.0 - sign(t) * z, 0.0)


@device
def _df(z: Any, t: Any, a: Any) -> Any:
    s = sign(t)
    return -s if s * z < 1.0 else 0.0


HINGE = pairwise("hinge", _f, _df)


class Hinge(PairwiseLoss):
    """How far predictions lie on the wrong side of the margin; targets are -1 or 1, and 0 counts as -1.

    Parameters
    ----------
    reduction, name
        See :class:`Loss`.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.losses.Hinge()([[-1.0, 1.0]], [[0.5, 0.5]]).item()
    1.0
    """

    name = "hinge"
    op = HINGE


def hinge(y_true: Any, y_pred: Any) -> Tensor:
    """Hinge loss of each sample; see :class:`Hinge`.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.losses.hinge([[0.0], [1.0]], [[0.5], [0.5]]).numpy()
    array([1.5, 0.5], dtype=float32)
    """
    return Hinge().each(y_true, y_pred)
