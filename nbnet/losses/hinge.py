"""Hinge losses: distances from the right side of a margin."""

from __future__ import annotations

from typing import Any

from nbnet.engine.graph.tensor import Tensor
from nbnet.engine.kernels.abi import accumulates, device, kernel, mat, scratch, vec
from nbnet.losses.loss import PairwiseLoss, loss_op, pairwise
from nbnet.ops.softmax import largest_at


@device
def sign(t: Any) -> Any:
    """The target, -1 for 0. Keras changes only batches of nothing but 0 and 1, which is the same for valid targets."""
    return -1.0 if t == 0.0 else t


class Hinge(PairwiseLoss):
    """Distance of predictions from the right side of the margin; targets are -1 or 1, and 0 counts as -1.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.losses.Hinge()([[-1.0, 1.0]], [[0.5, 0.5]]).item()
    1.0
    """

    @device
    def f(z: Any, t: Any, a: Any) -> Any:
        return max(1.0 - sign(t) * z, 0.0)

    @device
    def df(z: Any, t: Any, a: Any) -> Any:
        s = sign(t)
        return -s if s * z < 1.0 else 0.0

    op = pairwise("hinge", f, df)


def hinge(y_true: Any, y_pred: Any) -> Tensor:
    """Hinge loss of each sample; see :class:`Hinge`.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.losses.hinge([[0.0], [1.0]], [[0.5], [0.5]]).numpy()
    array([1.5, 0.5], dtype=float32)
    """
    return Hinge().each(y_true, y_pred)


class SquaredHinge(PairwiseLoss):
    """Squared distance of predictions from the right side of the margin; targets are -1 or 1, and 0 counts as -1.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.losses.SquaredHinge()([[-1.0, 1.0]], [[0.5, 0.5]]).item()
    1.25
    """

    @device
    def f(z: Any, t: Any, a: Any) -> Any:
        m = max(1.0 - sign(t) * z, 0.0)
        return m * m

    @device
    def df(z: Any, t: Any, a: Any) -> Any:
        s = sign(t)
        return -2.0 * s * max(1.0 - s * z, 0.0)

    op = pairwise("squared_hinge", f, df)


def squared_hinge(y_true: Any, y_pred: Any) -> Tensor:
    """Squared hinge loss of each sample; see :class:`SquaredHinge`.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.losses.squared_hinge([[0.0], [1.0]], [[0.5], [0.5]]).numpy()
    array([2.25, 0.25], dtype=float32)
    """
    return SquaredHinge().each(y_true, y_pred)


@device
def _margin(z: Any, t: Any, each: Any) -> Any:
    """Distance of a row from its margin, and index of the largest wrong prediction, the first of equals; ``each`` is
    scratch."""
    right, wrong, at = 0.0, (1.0 - t[0]) * z[0], 0
    for first in range(0, z.size, each.size):
        zb, tb = z[first : first + each.size], t[first : first + each.size]
        for j in range(zb.size):
            right += tb[j] * zb[j]
            each[j] = (1.0 - tb[j]) * zb[j]
        top = largest_at(each[: zb.size])
        if each[top] > wrong:
            wrong, at = each[top], first + top
    return 1.0 + wrong - right, at


@kernel
def categorical_hinge_forward(mem: Any, ins: Any, step: Any) -> None:
    z, t, y = mat(mem, ins, 0), mat(mem, ins, 1), vec(mem, ins, 2)
    for i in range(z.shape[0]):
        margin, _at = _margin(z[i], t[i], scratch(mem))
        y[i] = 0.0 if margin < 0.0 else margin


@kernel
def categorical_hinge_backward(mem: Any, ins: Any, step: Any) -> None:
    z, t, dy, dz = mat(mem, ins, 0), mat(mem, ins, 1), vec(mem, ins, 2), mat(mem, ins, 3)
    add = accumulates(ins, 3)
    for i in range(z.shape[0]):
        margin, at = _margin(z[i], t[i], scratch(mem))
        scale = dy[i] if margin > 0.0 else 0.0
        for j in range(z.shape[1]):
            d = -scale * t[i, j]
            dz[i, j] = dz[i, j] + d if add else d
        dz[i, at] += scale * (1.0 - t[i, at])


class CategoricalHinge(PairwiseLoss):
    """Distance of the right class's prediction from 1 above the largest of the others; targets are one-hot.

    References
    ----------
    J. Weston, C. Watkins: Support vector machines for multi-class pattern recognition. ESANN (1999).

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.losses.CategoricalHinge()([[0.0, 1.0, 0.0]], [[0.5, 0.25, 0.0]]).item()
    1.25
    """

    of_rows = True
    op = loss_op("categorical_hinge", categorical_hinge_forward, categorical_hinge_backward, ("z", "t"))


def categorical_hinge(y_true: Any, y_pred: Any) -> Tensor:
    """Categorical hinge loss of each sample; see :class:`CategoricalHinge`.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.losses.categorical_hinge([[0.0, 1.0], [1.0, 0.0]], [[0.5, 0.25], [3.0, 1.0]]).numpy()
    array([1.25, 0.  ], dtype=float32)
    """
    return CategoricalHinge().each(y_true, y_pred)
