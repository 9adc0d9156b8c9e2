"""Metrics of classification: shares of right predictions, by ops without a gradient, and losses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from nbnet import losses
from nbnet.base.docstrings import join_common_sections
from nbnet.base.validation import FINITE, check_int
from nbnet.engine.graph.op import Op, Spec, register
from nbnet.engine.graph.tensor import Tensor, apply, tensors
from nbnet.engine.kernels.abi import Kernel, attribute, device, intvec, kernel, mat, vec
from nbnet.losses.loss import infer_labels, infer_rows, labels
from nbnet.metrics.metric import LossMetric, Metric, NamedLoss
from nbnet.ops.compare import any as any_of
from nbnet.ops.compare import equal
from nbnet.ops.convert import cast
from nbnet.ops.reshape import reshape
from nbnet.ops.softmax import largest_at


@kernel
def accuracy_forward(mem: Any, ins: Any, step: Any) -> None:
    z, t, y = vec(mem, ins, 0), vec(mem, ins, 1), vec(mem, ins, 2)
    for i in range(y.size):
        y[i] = 1.0 if z[i] == t[i] else 0.0


@kernel
def sparse_categorical_accuracy_forward(mem: Any, ins: Any, step: Any) -> None:
    z, t, y = mat(mem, ins, 0), intvec(mem, ins, 1), vec(mem, ins, 2)
    for i in range(z.shape[0]):
        y[i] = 1.0 if largest_at(z[i]) == t[i] else 0.0


@kernel
def categorical_accuracy_forward(mem: Any, ins: Any, step: Any) -> None:
    z, t, y = mat(mem, ins, 0), mat(mem, ins, 1), vec(mem, ins, 2)
    for i in range(z.shape[0]):
        y[i] = 1.0 if largest_at(z[i]) == largest_at(t[i]) else 0.0


@kernel
def binary_accuracy_forward(mem: Any, ins: Any, step: Any) -> None:
    z, t, threshold, y = vec(mem, ins, 0), vec(mem, ins, 1), vec(mem, ins, 2)[0], vec(mem, ins, 3)
    for i in range(y.size):
        y[i] = 1.0 if t[i] == (1.0 if z[i] > threshold else 0.0) else 0.0


@device
def _above(z: Any, k: Any) -> Any:
    """Number of predictions larger than that of class k; all, if that is NaN."""
    count = 0
    for j in range(z.size):
        count += 0 if z[j] <= z[k] else 1
    return count


@kernel
def sparse_top_k_categorical_accuracy_forward(mem: Any, ins: Any, step: Any) -> None:
    z, t, y, k = mat(mem, ins, 0), intvec(mem, ins, 1), vec(mem, ins, 2), attribute(ins, 0)
    for i in range(z.shape[0]):
        known = t[i] >= 0 and t[i] < z.shape[1]
        y[i] = 1.0 if known and _above(z[i], t[i] if known else 0) < k else 0.0


@kernel
def top_k_categorical_accuracy_forward(mem: Any, ins: Any, step: Any) -> None:
    z, t, y, k = mat(mem, ins, 0), mat(mem, ins, 1), vec(mem, ins, 2), attribute(ins, 0)
    for i in range(z.shape[0]):
        y[i] = 1.0 if _above(z[i], largest_at(t[i])) < k else 0.0


def _infer_each(z: Tensor, t: Tensor, *threshold: Tensor) -> tuple[Spec, ...]:
    """A value for each prediction."""
    if z.shape != t.shape:
        raise ValueError(f"y_true: expected the shape of the predictions, {z.shape}, got {t.shape}")
    return (Spec(z.shape),)


def metric_op(
    name: str,
    forward: Kernel,
    inputs: tuple[str, ...] = ("z", "t"),
    infer: Callable[..., tuple[Spec, ...]] = infer_rows,
    **fields: Any,
) -> Op:
    """Register an op that computes a value for each row of predictions, or for each of them, without a gradient."""
    target = "t:i8[r]" if "t" in fields.get("integers", ()) else "t[r,c]"
    extents = "z[n] t[n] threshold[1] y[n]" if infer is _infer_each else f"z[r,c] {target} y[r]"
    return register(Op(name, forward, inputs, infer=infer, role="metric", extents=extents, **fields))


class RowAccuracy(Metric, abstract=True):
    """Base class of the accuracies that one op computes for each row of predictions, or for each prediction."""

    sparse: bool | None = False
    op: ClassVar[Op]

    def values(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return apply(self.op, *self._operands(y_true, y_pred))

    def _operands(self, y_true: Tensor, y_pred: Tensor) -> Sequence[Tensor]:
        return (y_pred, labels(y_true, y_pred)) if self.sparse else tensors(y_pred, y_true)


class Accuracy(RowAccuracy):
    """Share of outputs that equal their targets.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.metrics.Accuracy()([[1], [2], [3], [4]], [[0], [2], [3], [4]])
    0.75
    """

    broadcasts = True
    op = metric_op("accuracy", accuracy_forward, infer=_infer_each)


class SparseCategoricalAccuracy(RowAccuracy):
    """Share of samples whose largest prediction is that of the labelled class.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.metrics.SparseCategoricalAccuracy()([1, 0], [[0.2, 0.8], [0.1, 0.9]])
    0.5
    """

    sparse = True
    op = metric_op(
        "sparse_categorical_accuracy", sparse_categorical_accuracy_forward, infer=infer_labels, integers=("t",)
    )


class CategoricalAccuracy(RowAccuracy):
    """Share of samples whose largest prediction is where the target is largest.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.metrics.CategoricalAccuracy()([[0.0, 1.0]], [[0.2, 0.8]])
    1.0
    """

    op = metric_op("categorical_accuracy", categorical_accuracy_forward)


class BinaryAccuracy(RowAccuracy):
    """Share of outputs that equal their targets, as 1 above the threshold and 0 below.

    Parameters
    ----------
    threshold : float
        Predictions above it count as 1.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.metrics.BinaryAccuracy()([[1.0], [0.0]], [[0.8], [0.9]])
    0.5
    """

    _arguments = ("threshold",)
    broadcasts = True
    op = metric_op("binary_accuracy", binary_accuracy_forward, ("z", "t", "threshold"), _infer_each)

    def __init__(self, name: str | None = None, dtype: Any = None, threshold: float = 0.5) -> None:
        super().__init__(name, dtype)
        self.threshold = FINITE.check(threshold, "threshold")

    def _operands(self, y_true: Tensor, y_pred: Tensor) -> Sequence[Tensor]:
        return tensors(y_pred, y_true, self.threshold)


class TopKAccuracy(RowAccuracy, abstract=True):
    """Base class of the accuracies among the k largest predictions."""

    _arguments = ("k",)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        raises = "ValueError\n    If k is not an integer from 1."
        join_common_sections(cls, first="k : int\n    From 1.", raises=raises)
        super().__init_subclass__(**kwargs)

    def __init__(self, k: int = 5, name: str | None = None, dtype: Any = None) -> None:
        super().__init__(name, dtype)
        self.k = check_int(k, "k")

    def values(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return apply(self.op, *self._operands(y_true, y_pred), k=self.k)


class TopKCategoricalAccuracy(TopKAccuracy):
    """Share of samples where fewer than k predictions are larger than that of the class whose target is largest.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.metrics.TopKCategoricalAccuracy(k=2)([[0.0, 0.0, 1.0]], [[0.5, 0.1, 0.4]])
    1.0
    """

    op = metric_op("top_k_categorical_accuracy", top_k_categorical_accuracy_forward, encode=lambda z, t, k: (k,))


class SparseTopKCategoricalAccuracy(TopKAccuracy):
    """Share of samples where fewer than k predictions are larger than that of the labelled class.

    Parameters
    ----------
    from_sorted_ids : bool
        If True, predictions are the numbers of classes, the likeliest first, and the label is among the first k.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.metrics.SparseTopKCategoricalAccuracy(k=2)([2, 1], [[0.5, 0.1, 0.4], [0.5, 0.1, 0.4]])
    0.5
    """

    sparse: bool | None = True
    op = metric_op(
        "sparse_top_k_categorical_accuracy",
        sparse_top_k_categorical_accuracy_forward,
        infer=infer_labels,
        encode=lambda z, t, k: (k,),
        integers=("t",),
    )

    def __init__(self, k: int = 5, name: str | None = None, dtype: Any = None, from_sorted_ids: bool = False) -> None:
        super().__init__(k, name, dtype)
        self.from_sorted_ids = bool(from_sorted_ids)
        if self.from_sorted_ids:
            self.sparse = None  # Labels are not limited by the number of predictions.

    def values(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        if not self.from_sorted_ids:
            return super().values(y_true, y_pred)
        wanted = reshape(cast(y_true, y_pred.dtype), (*y_pred.shape[:-1], 1))
        return cast(any_of(equal(y_pred[..., : self.k], wanted), axis=-1), y_pred.dtype)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | ({"from_sorted_ids": True} if self.from_sorted_ids else {})


class BinaryCrossentropy(LossMetric):
    """Mean binary cross-entropy.

    Parameters
    ----------
    from_logits : bool
        If True, predictions are logits.
    label_smoothing : float
        In [0, 1]: share by which targets move towards 0.5.

    Examples
    --------
    >>> import nbnet as nb
    >>> round(nb.metrics.BinaryCrossentropy()([[1.0], [0.0]], [[0.5], [0.5]]), 4)
    0.6931
    """

    _arguments = ("from_logits", "label_smoothing")

    def __init__(
        self, name: str | None = None, dtype: Any = None, from_logits: bool = False, label_smoothing: float = 0.0
    ) -> None:
        super().__init__(losses.BinaryCrossentropy(from_logits, label_smoothing), name, dtype)


class CategoricalCrossentropy(LossMetric):
    """Mean cross-entropy of one-hot targets.

    Parameters
    ----------
    from_logits : bool
        If True, predictions are logits.
    label_smoothing : float
        In [0, 1]: share by which targets move towards the even distribution.
    axis : int
        Axis of the classes, by default the last.

    Examples
    --------
    >>> import nbnet as nb
    >>> round(nb.metrics.CategoricalCrossentropy()([[0.0, 1.0]], [[0.5, 0.5]]), 4)
    0.6931
    """

    _arguments = ("from_logits", "label_smoothing", "axis")

    def __init__(
        self,
        name: str | None = None,
        dtype: Any = None,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
    ) -> None:
        super().__init__(losses.CategoricalCrossentropy(from_logits, label_smoothing, axis), name, dtype)


class SparseCategoricalCrossentropy(LossMetric):
    """Mean cross-entropy of class labels.

    Parameters
    ----------
    from_logits : bool
        If True, predictions are logits.
    ignore_class : int, optional
        A label whose samples do not count.
    axis : int
        -1: classes lie on the last axis.

    Examples
    --------
    >>> import nbnet as nb
    >>> round(nb.metrics.SparseCategoricalCrossentropy()([1], [[0.5, 0.5]]), 4)
    0.6931
    """

    _arguments = ("from_logits", "ignore_class", "axis")

    def __init__(
        self,
        name: str | None = None,
        dtype: Any = None,
        from_logits: bool = False,
        ignore_class: int | None = None,
        axis: int = -1,
    ) -> None:
        super().__init__(losses.SparseCategoricalCrossentropy(from_logits, ignore_class, axis=axis), name, dtype)


class KLDivergence(NamedLoss):
    """Mean Kullback-Leibler divergence of predicted distributions from the true ones.

    Examples
    --------
    >>> import nbnet as nb
    >>> round(nb.metrics.KLDivergence()([[0.5, 0.5]], [[0.25, 0.75]]), 4)
    0.1438
    """

    kind = losses.KLDivergence


class Poisson(NamedLoss):
    """Mean Poisson loss.

    Examples
    --------
    >>> import nbnet as nb
    >>> round(nb.metrics.Poisson()([[1.0], [0.0]], [[2.0], [0.5]]), 4)
    0.9034
    """

    kind = losses.Poisson


class Hinge(NamedLoss):
    """Mean of the hinge loss; targets are -1 or 1, and 0 counts as -1.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.metrics.Hinge()([[0.0], [1.0]], [[0.5], [0.5]])
    1.0
    """

    kind = losses.Hinge


class SquaredHinge(NamedLoss):
    """Mean of the squared hinge loss; targets are -1 or 1, and 0 counts as -1.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.metrics.SquaredHinge()([[0.0], [1.0]], [[0.5], [0.5]])
    1.25
    """

    kind = losses.SquaredHinge


class CategoricalHinge(NamedLoss):
    """Mean of the categorical hinge loss; targets are one-hot.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.metrics.CategoricalHinge()([[0.0, 1.0]], [[0.5, 0.25]])
    1.25
    """

    kind = losses.CategoricalHinge


def binary_accuracy(y_true: Any, y_pred: Any, threshold: float = 0.5) -> Tensor:
    """1 for outputs that equal their targets, as 1 above the threshold and 0 below; else 0.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.metrics.binary_accuracy([[1.0, 0.0], [0.0, 0.0]], [[0.8, 0.9], [0.1, 0.2]]).numpy()
    array([[1., 0.],
           [1., 1.]], dtype=float32)
    """
    return BinaryAccuracy(threshold=threshold).each(y_true, y_pred)


def categorical_accuracy(y_true: Any, y_pred: Any) -> Tensor:
    """1 for samples whose largest prediction is where the target is largest, else 0.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.metrics.categorical_accuracy([[0.0, 1.0], [1.0, 0.0]], [[0.2, 0.8], [0.1, 0.9]]).numpy()
    array([1., 0.], dtype=float32)
    """
    return CategoricalAccuracy().each(y_true, y_pred)


def sparse_categorical_accuracy(y_true: Any, y_pred: Any) -> Tensor:
    """1 for samples whose largest prediction is that of the labelled class, else 0.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.metrics.sparse_categorical_accuracy([1, 0], [[0.2, 0.8], [0.1, 0.9]]).numpy()
    array([1., 0.], dtype=float32)
    """
    return SparseCategoricalAccuracy().each(y_true, y_pred)


def top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5) -> Tensor:
    """1 for samples where fewer than k predictions are larger than that of the class whose target is largest, else 0.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.metrics.top_k_categorical_accuracy([[0.0, 0.0, 1.0]], [[0.5, 0.1, 0.4]], k=2).numpy()
    array([1.], dtype=float32)
    """
    return TopKCategoricalAccuracy(k).each(y_true, y_pred)


def sparse_top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5, from_sorted_ids: bool = False) -> Tensor:
    """1 for samples where fewer than k predictions are larger than that of the labelled class, or with from_sorted_ids
    where it is among the first k predictions; else 0.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.metrics.sparse_top_k_categorical_accuracy([2, 1], [[0.5, 0.1, 0.4], [0.5, 0.1, 0.4]], k=2).numpy()
    array([1., 0.], dtype=float32)
    """
    return SparseTopKCategoricalAccuracy(k, from_sorted_ids=from_sorted_ids).each(y_true, y_pred)
