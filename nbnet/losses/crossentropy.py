"""Cross-entropies of probabilities or logits, and the Kullback-Leibler divergence."""

from __future__ import annotations

from operator import index
from typing import Any, ClassVar

import numpy as np

from nbnet import data
from nbnet.base.docstrings import join_common_sections
from nbnet.base.validation import FRACTION
from nbnet.engine.graph.op import Op, register
from nbnet.engine.graph.tensor import Tensor, apply, tensors
from nbnet.engine.kernels.abi import accumulates, attribute, device, intvec, kernel, mat, specialize_width, vec
from nbnet.engine.kernels.math import exp, log, log1p, sigmoid
from nbnet.losses.loss import (
    EPSILON,
    Array,
    Loss,
    PairwiseLoss,
    check_axis,
    infer_labels,
    labels,
    last_axis,
    logits_before,
    loss_op,
    pairwise,
)
from nbnet.ops.activation import SIGMOID
from nbnet.ops.softmax import SOFTMAX, softmax_rows

#: Entries that class creation adds to the docstring of each cross-entropy.
_LAST = """\
from_logits : bool
    If True, predictions are logits. A sigmoid or softmax right before the loss is recognised and read as logits.
label_smoothing : float
    In [0, 1]: share by which targets move towards 0.5, or towards the even distribution of one-hot targets.
axis : int
    Axis of the classes, or that a binary loss is averaged over; by default the last."""


@device
def clip(p: Any) -> Any:
    """A probability that has a logarithm, clipped as in Keras."""
    return min(max(p, EPSILON), 1.0 - EPSILON)


class Crossentropy(Loss, abstract=True):
    """Base class of the losses that are computed from probabilities or, more exactly, from logits."""

    _arguments: ClassVar[tuple[str, ...]] = ("from_logits", "label_smoothing", "axis")
    #: The op that makes probabilities of logits, and the loss of either.
    activation: ClassVar[Op]
    of_probabilities: ClassVar[Op]
    of_logits: ClassVar[Op]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        join_common_sections(cls, last=_LAST)
        super().__init_subclass__(**kwargs)

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(name, reduction, dtype)
        self.from_logits = bool(from_logits)
        self.label_smoothing = FRACTION.check(label_smoothing, "label_smoothing")
        self.axis = check_axis(axis)

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        logits = y_pred if self.from_logits else None
        if logits is None and (self.activation is SIGMOID.op or self.axis in (-1, y_pred.ndim - 1)):
            logits = logits_before(y_pred, self.activation)
        op = self.of_probabilities if logits is None else self.of_logits
        z = last_axis(y_pred if logits is None else logits, self.axis)
        return apply(op, *tensors(z, last_axis(y_true, self.axis), self._parameters(z.shape[-1])))

    def targets(self, y: Any, name: str, n: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        checked = super().targets(y, name, n, shape, dtype)
        return data.check_probabilities(checked, name) if self.activation is SIGMOID.op else checked

    def _parameters(self, width: int) -> Any:
        """The third operand of the op; ``width`` is the size of the last axis."""
        return self.label_smoothing


@device
def smooth(t: Any, a: Any) -> Any:
    """A target after a move by the share a towards 0.5."""
    return t * (1.0 - a) + 0.5 * a


class BinaryCrossentropy(Crossentropy):
    """Cross-entropy of independent binary targets.

    Raises
    ------
    ValueError
        If label_smoothing or a target lies outside [0, 1].

    Examples
    --------
    >>> import nbnet as nb
    >>> round(nb.losses.BinaryCrossentropy()([[1.0, 0.0]], [[0.5, 0.5]]).item(), 4)
    0.6931
    """

    activation = SIGMOID.op

    @device
    def f(p: Any, t: Any, a: Any) -> Any:
        s, q = smooth(t, a), clip(p)
        return -s * log(q) - (1.0 - s) * log(1.0 - q)

    @device
    def df(p: Any, t: Any, a: Any) -> Any:
        q = clip(p)
        d = (q - smooth(t, a)) / (q * (1.0 - q))
        return d if p == q else 0.0

    of_probabilities = pairwise("binary_crossentropy", f, df)

    @device
    def f_logits(z: Any, t: Any, a: Any) -> Any:
        return max(z, 0.0) - z * smooth(t, a) + log1p(exp(-abs(z)))

    @device
    def df_logits(z: Any, t: Any, a: Any) -> Any:
        return sigmoid(z) - smooth(t, a)

    of_logits = pairwise("binary_crossentropy_logits", f_logits, df_logits)


def binary_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1
) -> Tensor:
    """Cross-entropy of each sample; see :class:`BinaryCrossentropy`.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.losses.binary_crossentropy([[0.0, 1.0], [1.0, 0.0]], [[0.5, 0.5], [0.25, 0.75]]).numpy().round(4)
    array([0.6931, 1.3863], dtype=float32)
    """
    return BinaryCrossentropy(from_logits, label_smoothing, axis).each(y_true, y_pred)


@kernel
def categorical_crossentropy_logits_forward(mem: Any, ins: Any, step: Any) -> None:
    z, t, a, y = mat(mem, ins, 0), mat(mem, ins, 1), vec(mem, ins, 2)[0], vec(mem, ins, 3)
    even = a / z.dtype.type(z.shape[1])
    softmax_rows(mem, z.shape[0], z.shape[1], vec(mem, ins, 0), vec(mem, ins, 4), y)
    for i in range(z.shape[0]):
        norm, total = y[i], 0.0
        for j in range(z.shape[1]):
            total += (t[i, j] * (1.0 - a) + even) * (norm - z[i, j])
        y[i] = total


@kernel
def categorical_crossentropy_logits_backward(mem: Any, ins: Any, step: Any) -> None:
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
def categorical_crossentropy_probabilities_forward(mem: Any, ins: Any, step: Any) -> None:
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
def categorical_crossentropy_probabilities_backward(mem: Any, ins: Any, step: Any) -> None:
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


CATEGORICAL_CROSSENTROPY_LOGITS = loss_op(
    "categorical_crossentropy_logits",
    categorical_crossentropy_logits_forward,
    categorical_crossentropy_logits_backward,
    ("z", "t", "a"),
    saves=("p",),
)
CATEGORICAL_CROSSENTROPY = loss_op(
    "categorical_crossentropy",
    categorical_crossentropy_probabilities_forward,
    categorical_crossentropy_probabilities_backward,
    ("z", "t", "a"),
)


class CategoricalCrossentropy(Crossentropy):
    """Cross-entropy of one-hot targets (or of any distribution over classes).

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

    of_rows = True
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


# Labels are checked before they get to a kernel. This is a second wall: a label of no class that is not to be ignored
# makes the loss and the gradient of its row NaN.


@device
def is_class(label: Any, classes: Any) -> Any:
    """True for a label from 0 to ``classes - 1``."""
    return np.uint64(label) < np.uint64(classes)


@kernel
def sparse_categorical_crossentropy_logits_forward(mem: Any, ins: Any, step: Any) -> None:
    z, t, y = mat(mem, ins, 0), intvec(mem, ins, 1), vec(mem, ins, 2)
    p, ignores, ignored = vec(mem, ins, 3), attribute(ins, 0), attribute(ins, 1)
    softmax_rows(mem, z.shape[0], z.shape[1], vec(mem, ins, 0), p, y)
    for i in range(z.shape[0]):
        label = t[i]
        if is_class(label, z.shape[1]):
            y[i] -= z[i, label]
        elif not (ignores and label == ignored):
            y[i] = np.nan
            for j in range(z.shape[1]):  # Backward, which indexes by no label, then makes the gradient NaN.
                p[i * z.shape[1] + j] = np.nan
    if ignores:
        for i in range(z.shape[0]):
            if t[i] == ignored:
                y[i] = 0.0


@specialize_width
@device
def _logits_backward(width: Any, p: Any, t: Any, dy: Any, dz: Any, add: Any, ignored: Any) -> None:
    for i in range(t.size):
        label, di = t[i], 0.0 if t[i] == ignored else dy[i]
        for j in range(width):
            d = di * p[i * width + j] - (di if j == label else 0.0)
            dz[i * width + j] = dz[i * width + j] + d if add else d


@kernel
def sparse_categorical_crossentropy_logits_backward(mem: Any, ins: Any, step: Any) -> None:
    p, t, dy, dz = vec(mem, ins, 0), intvec(mem, ins, 1), vec(mem, ins, 2), vec(mem, ins, 3)
    _logits_backward(mat(mem, ins, 0).shape[1], p, t, dy, dz, accumulates(ins, 3), attribute(ins, 1))


@kernel
def sparse_categorical_crossentropy_probabilities_forward(mem: Any, ins: Any, step: Any) -> None:
    p, t, y = mat(mem, ins, 0), intvec(mem, ins, 1), vec(mem, ins, 2)
    ignores, ignored = attribute(ins, 0), attribute(ins, 1)
    for i in range(p.shape[0]):
        whole = 0.0
        for j in range(p.shape[1]):
            whole += p[i, j]
        label = t[i]
        known = is_class(label, p.shape[1])
        loss = -log(clip(p[i, label if known else 0] / whole)) if known else np.nan
        y[i] = 0.0 if ignores and label == ignored else loss


@kernel
def sparse_categorical_crossentropy_probabilities_backward(mem: Any, ins: Any, step: Any) -> None:
    p, t, dy, dp = mat(mem, ins, 0), intvec(mem, ins, 1), vec(mem, ins, 2), mat(mem, ins, 3)
    add, ignores, ignored = accumulates(ins, 3), attribute(ins, 0), attribute(ins, 1)
    for i in range(p.shape[0]):
        whole = 0.0
        for j in range(p.shape[1]):
            whole += p[i, j]
        label = t[i]
        known, skipped = is_class(label, p.shape[1]), ignores and label == ignored
        at = label if known else 0
        q = 0.0 if skipped else p[i, at] / whole
        inside = clip(q) == q
        common = dy[i] / whole if inside else 0.0
        common = common if known or skipped else np.nan
        for j in range(p.shape[1]):
            dp[i, j] = dp[i, j] + common if add else common
        if inside:
            dp[i, at] -= dy[i] / p[i, at]


@kernel
def label_mask(mem: Any, ins: Any, step: Any) -> None:
    t, y, ignored = intvec(mem, ins, 1), vec(mem, ins, 2), attribute(ins, 1)
    for i in range(y.size):
        y[i] = 0.0 if t[i] == ignored else 1.0


def _encode_ignored(z: Tensor, t: Tensor, ignored: int | None = None) -> tuple[int, ...]:
    return (0, -1) if ignored is None else (1, ignored)


SPARSE_CATEGORICAL_CROSSENTROPY_LOGITS = loss_op(
    "sparse_categorical_crossentropy_logits",
    sparse_categorical_crossentropy_logits_forward,
    sparse_categorical_crossentropy_logits_backward,
    ("z", "t"),
    infer_labels,
    saves=("p",),
    encode=_encode_ignored,
    integers=("t",),
)
SPARSE_CATEGORICAL_CROSSENTROPY = loss_op(
    "sparse_categorical_crossentropy",
    sparse_categorical_crossentropy_probabilities_forward,
    sparse_categorical_crossentropy_probabilities_backward,
    ("z", "t"),
    infer_labels,
    encode=_encode_ignored,
    integers=("t",),
)
LABEL_MASK = register(
    Op(
        "label_mask",
        label_mask,
        ("z", "t"),
        infer=infer_labels,
        encode=_encode_ignored,
        integers=("t",),
        role="metric",
        extents="z[r,c] t:i8[r] y[r]",
    )
)


class SparseCategoricalCrossentropy(Loss):
    """Cross-entropy of class labels 0 ... classes - 1.

    Parameters
    ----------
    from_logits : bool
        If True, predictions are logits. A softmax right before the loss is recognised and read as logits.
    ignore_class : int, optional
        A label, of a class or not (-1, 255), whose samples have no loss and are not counted.
    axis : int
        -1: classes lie on the last axis.

    Raises
    ------
    ValueError, TypeError
        If ignore_class is not an integer, or axis not -1.

    Examples
    --------
    >>> import nbnet as nb
    >>> round(nb.losses.SparseCategoricalCrossentropy()([1], [[0.5, 0.5]]).item(), 4)
    0.6931
    """

    _arguments = ("from_logits", "ignore_class")
    sparse: ClassVar[bool] = True

    def __init__(
        self,
        from_logits: bool = False,
        ignore_class: int | None = None,
        reduction: str | None = "sum_over_batch_size",
        axis: int = -1,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(name, reduction, dtype)
        if axis != -1:
            raise ValueError(f"axis: expected -1, as labels have no axis of classes, got {axis!r}; move it to the end")
        self.from_logits, self.axis = bool(from_logits), axis
        self.ignore_class = None if ignore_class is None else index(ignore_class)

    def targets(self, y: Any, name: str, n: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        if self.ignore_class is None:
            return super().targets(y, name, n, shape, dtype)
        given = data.copied(data.numbers(y, name), name)
        ignored = given == self.ignore_class
        checked = super().targets(np.where(ignored, 0, given), name, n, shape, dtype)
        return np.where(ignored.reshape(checked.shape), self.ignore_class, checked)

    def check_labels(self, y: Tensor, classes: int) -> None:
        if self.ignore_class is None:
            super().check_labels(y, classes)
        elif y.data is not None and y.size:
            self.targets(y.data.reshape(-1), "y_true", y.size, (classes,), y.dtype)

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        logits = y_pred if self.from_logits else logits_before(y_pred, SOFTMAX)
        op = SPARSE_CATEGORICAL_CROSSENTROPY if logits is None else SPARSE_CATEGORICAL_CROSSENTROPY_LOGITS
        inputs = y_pred if logits is None else logits, labels(y_true, y_pred)
        if self.ignore_class is None:
            return apply(op, *inputs)
        found: Tensor = apply(op, *inputs, ignored=self.ignore_class)
        found.time_mask = apply(LABEL_MASK, *inputs, ignored=self.ignore_class)
        return found


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
    return SparseCategoricalCrossentropy(from_logits, ignore_class, axis=axis).each(y_true, y_pred)


@device
def _clip(p: Any) -> Any:
    return min(max(p, EPSILON), 1.0)


class KLDivergence(PairwiseLoss):
    """Kullback-Leibler divergence of predicted distributions from the true ones; epsilon is 1e-7.

    References
    ----------
    S. Kullback, R. A. Leibler: On information and sufficiency. Annals of Mathematical Statistics 22 (1951).

    Examples
    --------
    >>> import nbnet as nb
    >>> round(nb.losses.KLDivergence()([[0.5, 0.5]], [[0.25, 0.75]]).item(), 4)
    0.1438
    """

    @device
    def f(z: Any, t: Any, a: Any) -> Any:
        s = _clip(t)
        return s * log(s / _clip(z))

    @device
    def df(z: Any, t: Any, a: Any) -> Any:
        return -_clip(t) / z if _clip(z) == z else 0.0

    of_rows = True
    op = pairwise("kl_divergence", f, df, mean=False)


def kl_divergence(y_true: Any, y_pred: Any) -> Tensor:
    """Divergence of each sample; see :class:`KLDivergence`.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.losses.kl_divergence([[0.0, 1.0]], [[0.5, 0.5]]).numpy().round(4)
    array([0.6931], dtype=float32)
    """
    return KLDivergence().each(y_true, y_pred)
