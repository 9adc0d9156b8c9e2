"""``-sum(y_true * y_pred) / (norm(y_true) * norm(y_pred))`` over the last axis, norms at least epsilon."""

from __future__ import annotations

from typing import Any

import numpy as np

from nbnet.core.abi import accumulates, device, kernel, mat, vec
from nbnet.core.graph import Tensor
from nbnet.core.op import Op, register
from nbnet.core.tape import apply, tensors
from nbnet.losses.crossentropy import EPSILON
from nbnet.losses.loss import Loss, check_axis
from nbnet.losses.pairwise import infer_rows


@device
def _parts(z: Any, t: Any) -> Any:
    """The norm of z, 1 / the product of norms, and the cosine."""
    inner, zz, tt = 0.0, 0.0, 0.0
    for j in range(z.size):
        inner += z[j] * t[j]
        zz += z[j] * z[j]
        tt += t[j] * t[j]
    norm = np.sqrt(zz)
    scale = 1.0 / (max(norm, EPSILON) * max(np.sqrt(tt), EPSILON))
    return norm, scale, inner * scale


@kernel
def cosine_similarity_forward(mem: Any, ins: Any, step: Any) -> None:
    z, t, y = mat(mem, ins, 0), mat(mem, ins, 1), vec(mem, ins, 2)
    for i in range(z.shape[0]):
        _norm, _scale, cosine = _parts(z[i], t[i])
        y[i] = -cosine


@kernel
def cosine_similarity_backward(mem: Any, ins: Any, step: Any) -> None:
    z, t, dy, dz = mat(mem, ins, 0), mat(mem, ins, 1), vec(mem, ins, 2), mat(mem, ins, 3)
    add = accumulates(ins, 3)
    for i in range(z.shape[0]):
        norm, scale, cosine = _parts(z[i], t[i])
        along = cosine / (norm * norm) if norm > EPSILON else 0.0
        for j in range(z.shape[1]):
            d, old = dy[i] * (along * z[i, j] - scale * t[i, j]), dz[i, j]
            dz[i, j] = old + d if add else d


COSINE_SIMILARITY = register(
    Op(
        "cosine_similarity",
        cosine_similarity_forward,
        ("z", "t"),
        infer=infer_rows,
        backward=cosine_similarity_backward,
        gradient=("z", "t", "dy", "dz"),
    )
)


class CosineSimilarity(Loss):
    """Minus the cosine of the angle between target and prediction: -1 where they point the same way, 1 where opposite.

    Parameters
    ----------
    axis
        The last one.
    reduction, name
        See :class:`Loss`.

    Examples
    --------
    >>> import nbnet as nb
    >>> round(nb.losses.CosineSimilarity()([[3.0, 4.0]], [[4.0, 3.0]]).item(), 4)
    -0.96
    """

    name = "cosine_similarity"

    def __init__(self, axis: int = -1, reduction: str | None = "sum_over_batch_size", name: str | None = None) -> None:
        super().__init__(name, reduction)
        self.axis = check_axis(axis)

    def losses(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return apply(COSINE_SIMILARITY, *tensors(y_pred, y_true))  # type: ignore[no-any-return]


def cosine_similarity(y_true: Any, y_pred: Any, axis: int = -1) -> Tensor:
    """Minus the cosine for each sample; see :class:`CosineSimilarity`.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.losses.cosine_similarity([[0.0, 1.0], [1.0, 0.0]], [[0.0, 2.0], [0.0, 1.0]]).numpy()
    array([-1., -0.], dtype=float32)
    """
    return CosineSimilarity(axis).each(y_true, y_pred)
