"""How often the right class is among the k largest predictions."""

from __future__ import annotations

from typing import Any

from nbnet.core.abi import attribute, device, intvec, kernel, mat, vec
from nbnet.core.graph import Tensor
from nbnet.core.op import Op, register
from nbnet.core.tape import apply, tensors
from nbnet.losses.loss import labels
from nbnet.losses.pairwise import infer_rows
from nbnet.metrics.accuracy import infer_labels
from nbnet.metrics.metric import Metric
from nbnet.ops.softmax import largest_at
from nbnet.ranges import count


@device
def _above(z: Any, k: Any) -> Any:
    """How many predictions are larger than that of class k; all, if that is NaN."""
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


SPARSE_TOP_K_CATEGORICAL_ACCURACY = register(
    Op(
        "sparse_top_k_categorical_accuracy",
        sparse_top_k_categorical_accuracy_forward,
        ("z", "t"),
        infer=lambda z, t, k: infer_labels(z, t),
        encode=lambda z, t, k: (k,),
        integers=("t",),
    )
)
TOP_K_CATEGORICAL_ACCURACY = register(
    Op(
        "top_k_categorical_accuracy",
        top_k_categorical_accuracy_forward,
        ("z", "t"),
        infer=lambda z, t, k: infer_rows(z, t),
        encode=lambda z, t, k: (k,),
    )
)


class TopKCategoricalAccuracy(Metric):
    """Share of samples where fewer than k predictions are larger than that of the class whose target is largest.

    Parameters
    ----------
    k
        From 1.
    name
        See :class:`Metric`.

    Raises
    ------
    ValueError
        If k is not an integer from 1.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.metrics.TopKCategoricalAccuracy(k=2)([[0.0, 0.0, 1.0]], [[0.5, 0.1, 0.4]])
    1.0
    """

    name = "top_k_categorical_accuracy"

    def __init__(self, k: int = 5, name: str | None = None) -> None:
        super().__init__(name)
        self.k = count(k, "k")

    def values(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return apply(TOP_K_CATEGORICAL_ACCURACY, *tensors(y_pred, y_true), k=self.k)  # type: ignore[no-any-return]

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"k": self.k}


class SparseTopKCategoricalAccuracy(Metric):
    """Share of samples where fewer than k predictions are larger than that of the labelled class.

    Parameters
    ----------
    k
        From 1.
    name
        See :class:`Metric`.

    Raises
    ------
    ValueError
        If k is not an integer from 1.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.metrics.SparseTopKCategoricalAccuracy(k=2)([2, 1], [[0.5, 0.1, 0.4], [0.5, 0.1, 0.4]])
    0.5
    """

    name = "sparse_top_k_categorical_accuracy"
    sparse = True

    def __init__(self, k: int = 5, name: str | None = None) -> None:
        super().__init__(name)
        self.k = count(k, "k")

    def values(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return apply(SPARSE_TOP_K_CATEGORICAL_ACCURACY, y_pred, labels(y_true), k=self.k)  # type: ignore[no-any-return]

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"k": self.k}


def top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5) -> Tensor:
    """1 for samples where fewer than k predictions are larger than that of the class whose target is largest, else 0.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.metrics.top_k_categorical_accuracy([[0.0, 0.0, 1.0]], [[0.5, 0.1, 0.4]], k=2).numpy()
    array([1.], dtype=float32)
    """
    return TopKCategoricalAccuracy(k).each(y_true, y_pred)


def sparse_top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5) -> Tensor:
    """1 for samples where fewer than k predictions are larger than that of the labelled class, else 0.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.metrics.sparse_top_k_categorical_accuracy([2, 1], [[0.5, 0.1, 0.4], [0.5, 0.1, 0.4]], k=2).numpy()
    array([1., 0.], dtype=float32)
    """
    return SparseTopKCategoricalAccuracy(k).each(y_true, y_pred)
