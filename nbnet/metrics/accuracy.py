"""How many predictions are right: ops without a gradient, and the metrics made of them."""

from __future__ import annotations

from typing import Any

from nbnet import data
from nbnet.core.abi import intvec, kernel, mat, vec
from nbnet.core.graph import Tensor
from nbnet.core.op import Op, Spec, register
from nbnet.core.tape import apply, tensors
from nbnet.losses.loss import labels
from nbnet.losses.pairwise import infer_rows
from nbnet.metrics.metric import Metric
from nbnet.ops.softmax import largest_at


@kernel
def accuracy_forward(mem: Any, ins: Any, step: Any) -> None:
    z, t, y = mat(mem, ins, 0), mat(mem, ins, 1), vec(mem, ins, 2)
    for i in range(z.shape[0]):
        right = 0.0
        for j in range(z.shape[1]):
            right += 1.0 if z[i, j] == t[i, j] else 0.0
        y[i] = right / z.dtype.type(z.shape[1])


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
    z, t, threshold, y = mat(mem, ins, 0), mat(mem, ins, 1), vec(mem, ins, 2)[0], vec(mem, ins, 3)
    for i in range(z.shape[0]):
        right = 0.0
        for j in range(z.shape[1]):
            right += 1.0 if (z[i, j] > threshold) == (t[i, j] > 0.5) else 0.0
        y[i] = right / z.dtype.type(z.shape[1])


def infer_labels(z: Tensor, t: Tensor) -> tuple[Spec, ...]:
    if t.shape != z.shape[:-1]:
        raise ValueError(f"y_true: predictions have shape {z.shape}, so labels must have {z.shape[:-1]}; got {t.shape}")
    return (Spec(t.shape),)


ACCURACY = register(Op("accuracy", accuracy_forward, ("z", "t"), infer=infer_rows))
SPARSE_CATEGORICAL_ACCURACY = register(
    Op(
        "sparse_categorical_accuracy",
        sparse_categorical_accuracy_forward,
        ("z", "t"),
        infer=infer_labels,
        integers=("t",),
    )
)
CATEGORICAL_ACCURACY = register(Op("categorical_accuracy", categorical_accuracy_forward, ("z", "t"), infer=infer_rows))
BINARY_ACCURACY = register(Op("binary_accuracy", binary_accuracy_forward, ("z", "t", "threshold"), infer=infer_rows))


class Accuracy(Metric):
    """Share of outputs that equal their targets.

    Parameters
    ----------
    name
        See :class:`Metric`.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.metrics.Accuracy()([[1], [2], [3], [4]], [[0], [2], [3], [4]])
    0.75
    """

    name = "accuracy"

    def values(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return apply(ACCURACY, *tensors(y_pred, y_true))  # type: ignore[no-any-return]


class SparseCategoricalAccuracy(Metric):
    """Share of samples whose largest prediction is that of the labelled class.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.metrics.SparseCategoricalAccuracy()([1, 0], [[0.2, 0.8], [0.1, 0.9]])
    0.5
    """

    name = "sparse_categorical_accuracy"
    sparse = True

    def values(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return apply(SPARSE_CATEGORICAL_ACCURACY, y_pred, labels(y_true))  # type: ignore[no-any-return]


class CategoricalAccuracy(Metric):
    """Share of samples whose largest prediction is where the target is largest.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.metrics.CategoricalAccuracy()([[0.0, 1.0]], [[0.2, 0.8]])
    1.0
    """

    name = "categorical_accuracy"

    def values(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return apply(CATEGORICAL_ACCURACY, *tensors(y_pred, y_true))  # type: ignore[no-any-return]


class BinaryAccuracy(Metric):
    """Share of outputs on the right side of the threshold.

    Parameters
    ----------
    name
        See :class:`Metric`.
    threshold
        Predictions above it count as 1.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.metrics.BinaryAccuracy()([[1.0], [0.0]], [[0.8], [0.9]])
    0.5
    """

    name = "binary_accuracy"

    def __init__(self, name: str | None = None, threshold: float = 0.5) -> None:
        super().__init__(name)
        self.threshold = data.as_number(threshold, "threshold")

    def values(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return apply(BINARY_ACCURACY, *tensors(y_pred, y_true, self.threshold))  # type: ignore[no-any-return]

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"threshold": self.threshold}


def binary_accuracy(y_true: Any, y_pred: Any, threshold: float = 0.5) -> Tensor:
    """Share of outputs of each sample that are on the right side of the threshold.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.metrics.binary_accuracy([[1.0, 0.0], [0.0, 0.0]], [[0.8, 0.9], [0.1, 0.2]]).numpy()
    array([0.5, 1. ], dtype=float32)
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
