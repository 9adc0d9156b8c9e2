"""``mean(max(1 - y_true * y_pred, 0)**2)`` over the last axis, with targets -1 and 1."""

from __future__ import annotations

from typing import Any

from nbnet.core.abi import device
from nbnet.core.graph import Tensor
from nbnet.losses.hinge import sign
from nbnet.losses.pairwise import PairwiseLoss, pairwise


@device
def _f(z: Any, t: Any, a: Any) -> Any:
    m = max(1.0 - sign(t) * z, 0.0)
    return m * m


@device
def _df(z: Any, t: Any, a: Any) -> Any:
    s = sign(t)
    return -2.0 * s * max(1.0 - s * z, 0.0)


SQUARED_HINGE = pairwise("squared_hinge", _f, _df)


class SquaredHinge(PairwiseLoss):
    """The square of how far predictions lie on the wrong side of the margin; targets are -1 or 1, and 0 counts as -1.

    Parameters
    ----------
    reduction, name
        See :class:`Loss`.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.losses.SquaredHinge()([[-1.0, 1.0]], [[0.5, 0.5]]).item()
    1.25
    """

    name = "squared_hinge"
    op = SQUARED_HINGE


def squared_hinge(y_true: Any, y_pred: Any) -> Tensor:
    """Squared hinge loss of each sample; see :class:`SquaredHinge`.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.losses.squared_hinge([[0.0], [1.0]], [[0.5], [0.5]]).numpy()
    array([2.25, 0.25], dtype=float32)
    """
    return SquaredHinge().each(y_true, y_pred)
