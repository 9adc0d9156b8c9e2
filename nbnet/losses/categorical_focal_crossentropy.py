"""``-sum(alpha * (1 - p)**gamma * y_true * log(p))`` over the last axis, from probabilities p or from logits z with
``p = softmax(z)``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nbnet import data
from nbnet.core.abi import accumulates, kernel, mat, vec
from nbnet.core.graph import Tensor
from nbnet.core.math import exp, expm1, log
from nbnet.core.op import Op, Spec, register
from nbnet.losses.binary_focal_crossentropy import TINY, check_gamma, power
from nbnet.losses.crossentropy import Crossentropy, clip
from nbnet.losses.pairwise import infer_rows
from nbnet.ops.softmax import SOFTMAX, largest

# The parameters are one vector: label smoothing, gamma, and alpha of each class.


@kernel
def logits_forward(mem: Any, ins: Any, step: Any) -> None:
    z, t, p, y, logs = mat(mem, ins, 0), mat(mem, ins, 1), vec(mem, ins, 2), vec(mem, ins, 3), mat(mem, ins, 4)
    a, gamma = p[0], p[1]
    even = a / z.dtype.type(z.shape[1])
    for i in range(z.shape[0]):
        top, whole, total = largest(z[i]), 0.0, 0.0
        for j in range(z.shape[1]):
            whole += exp(z[i, j] - top)
        norm = top + log(whole)
        for j in range(z.shape[1]):
            logs[i, j] = z[i, j] - norm
        for j in range(z.shape[1]):
            weight = p[2 + j] * (t[i, j] * (1.0 - a) + even)
            total -= weight * power(-expm1(logs[i, j]), gamma) * logs[i, j]
        y[i] = total


@kernel
def logits_backward(mem: Any, ins: Any, step: Any) -> None:
    logs, t, p, dy, dz = mat(mem, ins, 0), mat(mem, ins, 1), vec(mem, ins, 2), vec(mem, ins, 3), mat(mem, ins, 4)
    work = mat(mem, ins, 5)
    a, gamma = p[0], p[1]
    even, add = a / logs.dtype.type(logs.shape[1]), accumulates(ins, 4)
    for i in range(logs.shape[0]):
        total = 0.0
        for j in range(logs.shape[1]):
            weight, u = p[2 + j] * (t[i, j] * (1.0 - a) + even), -expm1(logs[i, j])
            d = weight * power(u, gamma - 1.0) * (gamma * logs[i, j] * exp(logs[i, j]) - max(u, TINY))
            work[i, j] = d
            total += d
        for j in range(logs.shape[1]):
            d, old = dy[i] * (work[i, j] - exp(logs[i, j]) * total), dz[i, j]
            dz[i, j] = old + d if add else d


@kernel
def probabilities_forward(mem: Any, ins: Any, step: Any) -> None:
    z, t, p, y = mat(mem, ins, 0), mat(mem, ins, 1), vec(mem, ins, 2), vec(mem, ins, 3)
    a, gamma = p[0], p[1]
    even = a / z.dtype.type(z.shape[1])
    for i in range(z.shape[0]):
        whole, total = 0.0, 0.0
        for j in range(z.shape[1]):
            whole += z[i, j]
        for j in range(z.shape[1]):
            q = clip(z[i, j] / whole)
            total -= p[2 + j] * (t[i, j] * (1.0 - a) + even) * power(1.0 - q, gamma) * log(q)
        y[i] = total


@kernel
def probabilities_backward(mem: Any, ins: Any, step: Any) -> None:
    z, t, p, dy, dz = mat(mem, ins, 0), mat(mem, ins, 1), vec(mem, ins, 2), vec(mem, ins, 3), mat(mem, ins, 4)
    work = mat(mem, ins, 5)
    a, gamma = p[0], p[1]
    even, add = a / z.dtype.type(z.shape[1]), accumulates(ins, 4)
    for i in range(z.shape[0]):
        whole, through = 0.0, 0.0
        for j in range(z.shape[1]):
            whole += z[i, j]
        for j in range(z.shape[1]):
            q = z[i, j] / whole
            weight = p[2 + j] * (t[i, j] * (1.0 - a) + even)
            d = weight * power(1.0 - q, gamma - 1.0) * (gamma * log(q) - (1.0 - q) / q)
            d = d if clip(q) == q else 0.0
            work[i, j] = d
            through += d * q
        for j in range(z.shape[1]):
            d, old = dy[i] * (work[i, j] - through) / whole, dz[i, j]
            dz[i, j] = old + d if add else d


def _infer(z: Tensor, t: Tensor, p: Tensor) -> tuple[Spec, ...]:
    """One loss a row, and work as large as the predictions."""
    if p.size != z.shape[-1] + 2:
        raise ValueError(f"alpha: wants one number, or one for each of {z.shape[-1]} classes, got {p.size - 2}")
    return (*infer_rows(z, t), Spec(z.shape))


CATEGORICAL_FOCAL_CROSSENTROPY_LOGITS = register(
    Op(
        "categorical_focal_crossentropy_logits",
        logits_forward,
        ("z", "t", "p"),
        saves=("logs",),
        infer=lambda z, t, p: (*_infer(z, t, p), Spec(z.shape)),
        backward=logits_backward,
        gradient=("logs", "t", "p", "dy", "dz", "work"),
        work=("work",),
    )
)
CATEGORICAL_FOCAL_CROSSENTROPY = register(
    Op(
        "categorical_focal_crossentropy",
        probabilities_forward,
        ("z", "t", "p"),
        infer=_infer,
        backward=probabilities_backward,
        gradient=("z", "t", "p", "dy", "dz", "work"),
        work=("work",),
    )
)


class CategoricalFocalCrossentropy(Crossentropy):
    """Cross-entropy of one-hot targets in which easy samples count less.

    Parameters
    ----------
    alpha
        From 0: the weight of all classes, or a list with that of each.
    gamma
        From 0: how much less easy samples count; with 0 this is alpha times the cross-entropy.
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
        If alpha, gamma or label_smoothing lies outside its range, or there are not as many alphas as classes.

    References
    ----------
    T.-Y. Lin, P. Goyal, R. Girshick, K. He, P. Dollar: Focal loss for dense object detection. ICCV (2017).

    Examples
    --------
    >>> import nbnet as nb
    >>> round(nb.losses.CategoricalFocalCrossentropy()([[0.0, 1.0]], [[0.5, 0.5]]).item(), 4)
    0.0433
    """

    name = "categorical_focal_crossentropy"
    activation = SOFTMAX
    of_probabilities, of_logits = CATEGORICAL_FOCAL_CROSSENTROPY, CATEGORICAL_FOCAL_CROSSENTROPY_LOGITS

    def __init__(
        self,
        alpha: float | Sequence[float] = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
    ) -> None:
        super().__init__(from_logits, label_smoothing, axis, reduction, name)
        many = isinstance(alpha, (Sequence, np.ndarray)) and not isinstance(alpha, str)
        weights = [data.as_number(value, "alpha") for value in (alpha if many else [alpha])]  # type: ignore[union-attr]
        if not weights or not all(0 <= value < np.inf for value in weights):
            raise ValueError(f"alpha: wants numbers from 0, got {alpha!r}")
        self.alpha, self.gamma = weights if many else weights[0], check_gamma(gamma)

    def _parameters(self, width: int) -> list[float]:
        weights = self.alpha if isinstance(self.alpha, list) else [self.alpha] * width
        return [self.label_smoothing, self.gamma, *weights]

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"alpha": self.alpha, "gamma": self.gamma}


def categorical_focal_crossentropy(
    y_true: Any,
    y_pred: Any,
    alpha: float | Sequence[float] = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Tensor:
    """Focal cross-entropy of each sample; see :class:`CategoricalFocalCrossentropy`.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.losses.categorical_focal_crossentropy([[0.0, 1.0]], [[0.75, 0.25]], alpha=[0.5, 1.0]).numpy().round(4)
    array([0.7798], dtype=float32)
    """
    return CategoricalFocalCrossentropy(alpha, gamma, from_logits, label_smoothing, axis).each(y_true, y_pred)
