"""``-sum_j t[j] log(p[j])``, from probabilities p or from logits z with ``p = softmax(z)``."""

from __future__ import annotations

from typing import Any

from nbnet.core.abi import accumulates, kernel, mat, vec
from nbnet.core.graph import Tensor
from nbnet.core.math import log
from nbnet.core.op import Op, Spec, register
from nbnet.losses.crossentropy import Crossentropy, clip
from nbnet.losses.pairwise import infer_rows
from nbnet.ops.softmax import SOFTMAX, softmax_rows


@kernel
def logits_forward(mem: Any, ins: Any, step: Any) -> None:
    z, t, a, y = mat(mem, ins, 0), mat(mem, ins, 1), vec(mem, ins, 2)[0], vec(mem, ins, 3)
    even = a / z.dtype.type(z.shape[1])
    softmax_rows(mem, z.shape[0], z.shape[1], vec(mem, ins, 0), vec(mem, ins, 4), y)
    for i in range(z.shape[0]):
        norm, total = y[i], 0.0
        for j in range(z.shape[1]):
            total += (t[i, j] * (1.0 - a) + even) * (norm - z[i, j])
        y[i] = total


@kernel
def logits_backward(mem: Any, ins: Any, step: Any) -> None:
    p, t, a, dy, dz = mat(mem, ins, 0), mat(mem, ins, 1), vec(mem, ins, 2)[0], vec(mem, ins, 3), mat(mem, ins, 4)
    even, add = a / p.dtype.type(p.shape[1]), accumulates(ins, 4)
    for i in range(p.shape[0]):
        total = 0.0
        for j in range(p.shape[1]):
            total += t[i, j] * (1.0 - a) + even
        for j in range(p.shape[1]):
            d = dy[i] * (p[i, j] * total - (t[i, j] * (1.0 - a) + even))
            dz[i, j] = dz[i, j] + d if add else d


@kernel
def probabilities_forward(mem: Any, ins: Any, step: Any) -> None:
    p, t, a, y = mat(mem, ins, 0), mat(mem, ins, 1), vec(mem, ins, 2)[0], vec(mem, ins, 3)
    even = a / p.dtype.type(p.shape[1])
    for i in range(p.shape[0]):
        total, whole = 0.0, 0.0
        for j in range(p.shape[1]):
            whole += p[i, j]
        for j in range(p.shape[1]):
            total -= (t[i, j] * (1.0 - a) + even) * log(clip(p[i, j] / whole))
        y[i] = total


@kernel
def probabilities_backward(mem: Any, ins: Any, step: Any) -> None:
    p, t, a, dy, dp = mat(mem, ins, 0), mat(mem, ins, 1), vec(mem, ins, 2)[0], vec(mem, ins, 3), mat(mem, ins, 4)
    even, add = a / p.dtype.type(p.shape[1]), accumulates(ins, 4)
    for i in range(p.shape[0]):
        whole, through = 0.0, 0.0
        for j in range(p.shape[1]):
            whole += p[i, j]
        share = 1.0 / whole
        for j in range(p.shape[1]):
            q = p[i, j] * share
            through += t[i, j] * (1.0 - a) + even if clip(q) == q else 0.0
        for j in range(p.shape[1]):
            q = p[i, j] * share
            own = (t[i, j] * (1.0 - a) + even) / q
            d, old = dy[i] * share * (through - (own if clip(q) == q else 0.0)), dp[i, j]
            dp[i, j] = old + d if add else d


CATEGORICAL_CROSSENTROPY_LOGITS = register(
    Op(
        "categorical_crossentropy_logits",
        logits_forward,
        ("z", "t", "a"),
        saves=("p",),
        infer=lambda z, t, a: (*infer_rows(z, t), Spec(z.shape)),
        backward=logits_backward,
        gradient=("p", "t", "a", "dy", "dz"),
    )
)
CATEGORICAL_CROSSENTROPY = register(
    Op(
        "categorical_crossentropy",
        probabilities_forward,
        ("z", "t", "a"),
        infer=infer_rows,
        backward=probabilities_backward,
        gradient=("z", "t", "a", "dy", "dz"),
    )
)


class CategoricalCrossentropy(Crossentropy):
    """Cross-entropy of one-hot targets (or of any distribution over classes).

    Parameters
    ----------
    from_logits
        Whether predictions are logits. A softmax right before the loss is recognised and treated as logits.
    label_smoothing
        In [0, 1]: targets are moved by this share towards the even distribution.
    axis
        The last one.
    reduction, name
        See :class:`Loss`.

    Raises
    ------
    ValueError
        If label_smoothing lies outside [0, 1].

    Examples
    --------
    >>> import nbnet as nb
    >>> round(nb.losses.CategoricalCrossentropy()([[0.0, 1.0]], [[0.5, 0.5]]).item(), 4)
    0.6931
    """

    name = "categorical_crossentropy"
    activation = SOFTMAX
    of_probabilities, of_logits = CATEGORICAL_CROSSENTROPY, CATEGORICAL_CROSSENTROPY_LOGITS


def categorical_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1
) -> Tensor:
    """Cross-entropy of each sample; see :class:`CategoricalCrossentropy`.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.losses.categorical_crossentropy([[0.0, 1.0], [1.0, 0.0]], [[0.5, 0.5], [0.25, 0.75]]).numpy().round(4)
    array([0.6931, 1.3863], dtype=float32)
    """
    return CategoricalCrossentropy(from_logits, label_smoothing, axis).each(y_true, y_pred)
