"""``-log(p[k])`` where k is the label, from probabilities p or from logits z with ``p = softmax(z)``."""

from __future__ import annotations

from operator import index
from typing import Any, ClassVar

import numpy as np

from nbnet.core.abi import accumulates, attribute, device, intvec, kernel, mat, vec
from nbnet.core.graph import Tensor
from nbnet.core.math import log
from nbnet.core.op import Op, Spec, register
from nbnet.core.short_rows import by_width
from nbnet.core.tape import apply
from nbnet.losses.crossentropy import clip
from nbnet.losses.loss import Array, Loss, check_axis, labels, logits_before, mask_losses
from nbnet.ops.softmax import SOFTMAX, softmax_rows


@kernel
def logits_forward(mem: Any, ins: Any, step: Any) -> None:
    z, t, y = mat(mem, ins, 0), intvec(mem, ins, 1), vec(mem, ins, 2)
    ignored = attribute(ins, 0)
    softmax_rows(mem, z.shape[0], z.shape[1], vec(mem, ins, 0), vec(mem, ins, 3), y)
    for i in range(z.shape[0]):
        y[i] = 0.0 if t[i] == ignored else y[i] - z[i, t[i]]


@by_width
@device
def _logits_backward(width: Any, p: Any, t: Any, dy: Any, dz: Any, add: Any, ignored: Any) -> None:
    for i in range(t.size):
        label, di = t[i], 0.0 if t[i] == ignored else dy[i]
        for j in range(width):
            d = di * p[i * width + j] - (di if j == label else 0.0)
            dz[i * width + j] = dz[i * width + j] + d if add else d


@kernel
def logits_backward(mem: Any, ins: Any, step: Any) -> None:
    p, t, dy, dz = vec(mem, ins, 0), intvec(mem, ins, 1), vec(mem, ins, 2), vec(mem, ins, 3)
    _logits_backward(mat(mem, ins, 0).shape[1], p, t, dy, dz, accumulates(ins, 3), attribute(ins, 0))


@kernel
def probabilities_forward(mem: Any, ins: Any, step: Any) -> None:
    p, t, y, ignored = mat(mem, ins, 0), intvec(mem, ins, 1), vec(mem, ins, 2), attribute(ins, 0)
    for i in range(p.shape[0]):
        whole = 0.0
        for j in range(p.shape[1]):
            whole += p[i, j]
        y[i] = 0.0 if t[i] == ignored else -log(clip(p[i, t[i]] / whole))


@kernel
def probabilities_backward(mem: Any, ins: Any, step: Any) -> None:
    p, t, dy, dp = mat(mem, ins, 0), intvec(mem, ins, 1), vec(mem, ins, 2), mat(mem, ins, 3)
    add, ignored = accumulates(ins, 3), attribute(ins, 0)
    for i in range(p.shape[0]):
        whole = 0.0
        for j in range(p.shape[1]):
            whole += p[i, j]
        q = 0.0 if t[i] == ignored else p[i, t[i]] / whole
        inside = clip(q) == q
        common = dy[i] / whole if inside else 0.0
        for j in range(p.shape[1]):
            dp[i, j] = dp[i, j] + common if add else common
        if inside:
            dp[i, t[i]] -= dy[i] / p[i, t[i]]


@kernel
def label_mask(mem: Any, ins: Any, step: Any) -> None:
    t, y, ignored = intvec(mem, ins, 1), vec(mem, ins, 2), attribute(ins, 0)
    for i in range(y.size):
        y[i] = 0.0 if t[i] == ignored else 1.0


#: In place of a class to ignore: no label is -1, unless that is what is to be ignored.
NONE = -1


def _encode(z: Tensor, t: Tensor, ignored: int = NONE) -> tuple[int, ...]:
    return (ignored,)


def _infer(z: Tensor, t: Tensor, ignored: int = NONE) -> tuple[Spec, ...]:
    if z.ndim < 2 or t.shape != z.shape[:-1]:
        raise ValueError(f"y_true: predictions have shape {z.shape}, so labels must have {z.shape[:-1]}; got {t.shape}")
    return (Spec(t.shape),)


SPARSE_CATEGORICAL_CROSSENTROPY_LOGITS = register(
    Op(
        "sparse_categorical_crossentropy_logits",
        logits_forward,
        ("z", "t"),
        saves=("p",),
        infer=lambda z, t, ignored=NONE: (*_infer(z, t), Spec(z.shape)),
        backward=logits_backward,
        gradient=("p", "t", "dy", "dz"),
        encode=_encode,
        integers=("t",),
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
        encode=_encode,
        integers=("t",),
    )
)
LABEL_MASK = register(Op("label_mask", label_mask, ("z", "t"), infer=_infer, encode=_encode, integers=("t",)))


class SparseCategoricalCrossentropy(Loss):
    """Cross-entropy of class labels 0 ... classes - 1.

    Parameters
    ----------
    from_logits
        Whether predictions are logits. A softmax right before the loss is recognised and treated as logits.
    ignore_class
        A label, of a class or not (-1, 255), whose samples have no loss and are not counted.
    reduction, name
        See :class:`Loss`.

    Raises
    ------
    TypeError
        If ignore_class is no integer.

    Examples
    --------
    >>> import nbnet as nb
    >>> round(nb.losses.SparseCategoricalCrossentropy()([1], [[0.5, 0.5]]).item(), 4)
    0.6931
    """

    name = "sparse_categorical_crossentropy"
    sparse: ClassVar[bool] = True

    def __init__(
        self,
        from_logits: bool = False,
        ignore_class: int | None = None,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
    ) -> None:
        super().__init__(name, reduction)
        self.from_logits = bool(from_logits)
        self.ignore_class = None if ignore_class is None else index(ignore_class)

    def targets(self, y: Any, name: str, n: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        if self.ignore_class is None:
            return super().targets(y, name, n, shape, dtype)
        given = np.asarray(y)
        ignored = given == self.ignore_class
        checked = super().targets(np.where(ignored, 0, given), name, n, shape, dtype)
        return np.where(ignored.reshape(n), self.ignore_class, checked)

    def losses(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        logits = y_pred if self.from_logits else logits_before(y_pred, SOFTMAX)
        op = SPARSE_CATEGORICAL_CROSSENTROPY if logits is None else SPARSE_CATEGORICAL_CROSSENTROPY_LOGITS
        inputs = y_pred if logits is None else logits, labels(y_true)
        if self.ignore_class is None:
            return apply(op, *inputs)  # type: ignore[no-any-return]
        found: Tensor = apply(op, *inputs, ignored=self.ignore_class)
        return mask_losses(found, apply(LABEL_MASK, *inputs, ignored=self.ignore_class))

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"from_logits": self.from_logits, "ignore_class": self.ignore_class}


def sparse_categorical_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, ignore_class: int | None = None, axis: int = -1
) -> Tensor:
    """Cross-entropy of each sample; see :class:`SparseCategoricalCrossentropy`.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.losses.sparse_categorical_crossentropy([1, 0], [[0.5, 0.5], [0.25, 0.75]]).numpy().round(4)
    array([0.6931, 1.3863], dtype=float32)
    """
    check_axis(axis)
    return SparseCategoricalCrossentropy(from_logits, ignore_class).each(y_true, y_pred)
