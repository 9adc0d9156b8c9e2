"""``-log(p[k])`` where k is the label, from probabilities p or from logits z with ``p = softmax(z)``."""

from __future__ import annotations

from typing import Any, ClassVar

from nbnet.core.abi import accumulates, intvec, kernel, mat, vec
from nbnet.core.graph import Tensor
from nbnet.core.math import log
from nbnet.core.op import Op, Spec, register
from nbnet.core.tape import apply
from nbnet.losses.binary_crossentropy import EPSILON
from nbnet.losses.loss import Loss, before, labels
from nbnet.ops.softmax import SOFTMAX, log_norms, softmax_rows


@kernel
def logits_forward(mem: Any, ins: Any, step: Any) -> None:
    z, t, y, p = mat(mem, ins, 0), intvec(mem, ins, 1), vec(mem, ins, 2), mat(mem, ins, 3)
    softmax_rows(z, p, vec(mem, ins, 3))
    log_norms(z, p, y)
    for i in range(z.shape[0]):
        y[i] -= z[i, t[i]]


@kernel
def logits_backward(mem: Any, ins: Any, step: Any) -> None:
    p, t, dy, dz = mat(mem, ins, 0), intvec(mem, ins, 1), vec(mem, ins, 2), mat(mem, ins, 3)
    add = accumulates(ins, 3)
    for i in range(p.shape[0]):
        for j in range(p.shape[1]):
            d = dy[i] * p[i, j]
            dz[i, j] = dz[i, j] + d if add else d
        dz[i, t[i]] -= dy[i]


@kernel
def probabilities_forward(mem: Any, ins: Any, step: Any) -> None:
    p, t, y = mat(mem, ins, 0), intvec(mem, ins, 1), vec(mem, ins, 2)
    for i in range(p.shape[0]):
        whole = 0.0
        for j in range(p.shape[1]):
            whole += p[i, j]
        y[i] = -log(min(max(p[i, t[i]] / whole, EPSILON), 1.0 - EPSILON))


@kernel
def probabilities_backward(mem: Any, ins: Any, step: Any) -> None:
    p, t, dy, dp = mat(mem, ins, 0), intvec(mem, ins, 1), vec(mem, ins, 2), mat(mem, ins, 3)
    add = accumulates(ins, 3)
    for i in range(p.shape[0]):
        whole = 0.0
        for j in range(p.shape[1]):
            whole += p[i, j]
        q = p[i, t[i]] / whole
        inside = min(max(q, EPSILON), 1.0 - EPSILON) == q
        common = dy[i] / whole if inside else 0.0
        for j in range(p.shape[1]):
            dp[i, j] = dp[i, j] + common if add else common
        if inside:
            dp[i, t[i]] -= dy[i] / p[i, t[i]]


def _infer(z: Tensor, t: Tensor) -> tuple[Spec, ...]:
    if z.ndim < 2 or t.shape != z.shape[:-1]:
        raise ValueError(f"y_true: predictions have shape {z.shape}, so labels must have {z.shape[:-1]}; got {t.shape}")
    return (Spec(t.shape),)


SPARSE_CATEGORICAL_CROSSENTROPY_LOGITS = register(
    Op(
        "sparse_categorical_crossentropy_logits",
        logits_forward,
        ("z", "t"),
        saves=("p",),
        infer=lambda z, t: (*_infer(z, t), Spec(z.shape)),
        backward=logits_backward,
        gradient=("p", "t", "dy", "dz"),
    )
)
SPARSE_CATEGORICAL_CROSSENTROPY = register(
    Op(
        "sparse_categorical_crossentropy",
        probabilities_forward,
        ("z", "t"),
        infer=_infer,
        backward=probabilities_backward,
        gradient=("z", "t", "dy", "dz"),
    )
)


class SparseCategoricalCrossentropy(Loss):
    """Cross-entropy of class labels 0 ... classes - 1.

    Parameters
    ----------
    from_logits
        Whether predictions are logits. A softmax right before the loss is recognised and treated as logits.

    Examples
    --------
    >>> import nbnet as nb
    >>> round(nb.losses.SparseCategoricalCrossentropy()([1], [[0.5, 0.5]]).item(), 4)
    0.6931
    """

    name: ClassVar[str] = "sparse_categorical_crossentropy"
    sparse: ClassVar[bool] = True

    def __init__(self, from_logits: bool = False) -> None:
        self.from_logits = bool(from_logits)

    def losses(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        logits = y_pred if self.from_logits else before(y_pred, SOFTMAX)
        if logits is None:
            return apply(SPARSE_CATEGORICAL_CROSSENTROPY, y_pred, labels(y_true))  # type: ignore[no-any-return]
        return apply(SPARSE_CATEGORICAL_CROSSENTROPY_LOGITS, logits, labels(y_true))  # type: ignore[no-any-return]

    def get_config(self) -> dict[str, Any]:
        return {"from_logits": self.from_logits}
