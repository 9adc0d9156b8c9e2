"""``max(1 + max((1 - y_true) * y_pred) - sum(y_true * y_pred), 0)``, inside over the last axis."""

from __future__ import annotations

from typing import Any

from nbnet.core.abi import accumulates, device, kernel, mat, scratch, vec
from nbnet.core.graph import Tensor
from nbnet.core.op import Op, register
from nbnet.core.tape import apply, tensors
from nbnet.losses.loss import Loss
from nbnet.losses.pairwise import infer_rows
from nbnet.ops.softmax import largest_at


@device
def _margin(z: Any, t: Any, each: Any) -> Any:
    """How much a row misses its margin by, and which is the largest wrong prediction, the first of equals; ``each`` is
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


CATEGORICAL_HINGE = register(
    Op(
        "categorical_hinge",
        categorical_hinge_forward,
        ("z", "t"),
        infer=infer_rows,
        backward=categorical_hinge_backward,
        gradient=("z", "t", "dy", "dz"),
    )
)


class CategoricalHinge(Loss):
    """How far the prediction of the right class lies less than 1 above the largest of the others; targets are one-hot.

    Parameters
    ----------
    reduction, name
        See :class:`Loss`.

    References
    ----------
    J. Weston, C. Watkins: Support vector machines for multi-class pattern recognition. ESANN (1999).

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.losses.CategoricalHinge()([[0.0, 1.0, 0.0]], [[0.5, 0.25, 0.0]]).item()
    1.25
    """

    name = "categorical_hinge"

    def __init__(self, reduction: str | None = "sum_over_batch_size", name: str | None = None) -> None:
        super().__init__(name, reduction)

    def losses(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return apply(CATEGORICAL_HINGE, *tensors(y_pred, y_true))  # type: ignore[no-any-return]


def categorical_hinge(y_true: Any, y_pred: Any) -> Tensor:
    """Categorical hinge loss of each sample; see :class:`CategoricalHinge`.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.losses.categorical_hinge([[0.0, 1.0], [1.0, 0.0]], [[0.5, 0.25], [3.0, 1.0]]).numpy()
    array([1.25, 0.  ], dtype=float32)
    """
    return CategoricalHinge().each(y_true, y_pred)
