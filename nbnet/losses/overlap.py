"""Losses composed of ops: of whole regions, of the rows of a batch among each other, of labels that may be wrong."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from nbnet.base.validation import FINITE, Interval
from nbnet.engine.graph.tensor import Tensor, tensor
from nbnet.losses.loss import EPSILON, Array, Loss, labels
from nbnet.ops.activation import relu, softplus
from nbnet.ops.broadcast import power
from nbnet.ops.compare import equal, greater, where
from nbnet.ops.convert import cast
from nbnet.ops.create import one_hot
from nbnet.ops.matmul import matmul
from nbnet.ops.reduction import sum as sum_over
from nbnet.ops.reshape import transpose
from nbnet.ops.statistics import logsumexp

#: Stands for minus infinity among logarithms: its exponential is 0, and so is its gradient.
NEVER = -1e9


class Dice(Loss):
    """``1 - 2 sum(t p) / (sum(t) + sum(p))``: one minus the overlap of targets t and predictions p; epsilon is 1e-7.

    Parameters
    ----------
    axis : int or sequence of int, optional
        Axes to sum over; None: all of them, the samples included, so that a batch has one loss.

    References
    ----------
    F. Milletari, N. Navab, S.-A. Ahmadi: V-Net: fully convolutional neural networks for volumetric medical image
    segmentation. 3DV (2016).

    Examples
    --------
    >>> import nbnet as nb
    >>> round(nb.losses.Dice()([[1.0, 0.0]], [[0.5, 0.5]]).item(), 4)
    0.5
    """

    broadcasts = True
    _arguments: ClassVar[tuple[str, ...]] = ("axis",)

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        axis: int | Sequence[int] | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(name, reduction, dtype)
        self.axis = axis if axis is None or isinstance(axis, int) else tuple(int(a) for a in axis)

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        both = sum_over(y_true * y_pred, self.axis)
        return 1.0 - 2.0 * both / (sum_over(y_true, self.axis) + sum_over(y_pred, self.axis) + EPSILON)


def dice(y_true: Any, y_pred: Any, axis: int | Sequence[int] | None = None) -> Tensor:
    """Dice loss, summed over axes; see :class:`Dice`.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.losses.dice([[1.0, 0.0], [1.0, 1.0]], [[1.0, 0.0], [0.0, 1.0]], axis=1).numpy().round(4)
    array([0.    , 0.3333], dtype=float32)
    """
    return Dice(axis=axis).each(y_true, y_pred)


class Tversky(Loss):
    """``1 - tp / (tp + alpha fp + beta fn)`` of regions; with alpha = beta = 0.5 it is :class:`Dice`.

    Parameters
    ----------
    alpha, beta : float
        Weights of false positives and of false negatives.
    axis : int or sequence of int, optional
        As for :class:`Dice`.

    References
    ----------
    S. S. M. Salehi, D. Erdogmus, A. Gholipour: Tversky loss function for image segmentation using 3D fully
    convolutional deep networks. MLMI (2017).

    Examples
    --------
    >>> import nbnet as nb
    >>> round(nb.losses.Tversky(alpha=1.0, beta=0.0)([[1.0, 0.0]], [[0.5, 0.5]]).item(), 4)
    0.5
    """

    broadcasts = True
    _arguments: ClassVar[tuple[str, ...]] = ("alpha", "beta", "axis")

    def __init__(
        self,
        alpha: float = 0.5,
        beta: float = 0.5,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        axis: int | Sequence[int] | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(name, reduction, dtype)
        self.alpha, self.beta = FINITE.check(alpha, "alpha"), FINITE.check(beta, "beta")
        self.axis = axis if axis is None or isinstance(axis, int) else tuple(int(a) for a in axis)

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        right = sum_over(y_true * y_pred, self.axis)
        false_positives = sum_over((1.0 - y_true) * y_pred, self.axis)
        false_negatives = sum_over(y_true * (1.0 - y_pred), self.axis)
        return 1.0 - right / (right + self.alpha * false_positives + self.beta * false_negatives + EPSILON)


def tversky(
    y_true: Any, y_pred: Any, alpha: float = 0.5, beta: float = 0.5, axis: int | Sequence[int] | None = None
) -> Tensor:
    """Tversky loss, summed over axes; see :class:`Tversky`.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.losses.tversky([[1.0, 0.0]], [[0.5, 0.5]], axis=1).numpy()
    array([0.5], dtype=float32)
    """
    return Tversky(alpha, beta, axis=axis).each(y_true, y_pred)


class Circle(Loss):
    """Circle loss of embeddings: rows of one label are drawn together, those of others apart.

    Predictions are rows of length 1 (L2), targets are labels: any whole numbers up to 2**24. Rows without a loss, such
    as those whose label no other row has, do not count in a mean.

    Parameters
    ----------
    gamma : float
        Scale of similarities.
    margin : float
        Relaxation of the margin.
    remove_diagonal : bool
        If True, a row is not similar to itself.

    References
    ----------
    Y. Sun et al.: Circle loss: a unified perspective of pair similarity optimization. CVPR (2020).

    Examples
    --------
    >>> import nbnet as nb
    >>> embeddings = [[1.0, 0.0], [0.8, 0.6], [0.0, 1.0], [0.6, 0.8]]
    >>> round(nb.losses.Circle(gamma=1.0)([0, 0, 1, 1], embeddings).item(), 3)
    1.213
    """

    _arguments: ClassVar[tuple[str, ...]] = ("gamma", "margin", "remove_diagonal")

    def __init__(
        self,
        gamma: float = 80.0,
        margin: float = 0.4,
        remove_diagonal: bool = True,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(name, reduction, dtype)
        self.gamma, self.margin = FINITE.check(gamma, "gamma"), FINITE.check(margin, "margin")
        self.remove_diagonal = bool(remove_diagonal)

    def targets(self, y: Any, name: str, n: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        return super().targets(y, name, n, (1,), dtype)

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        if y_pred.ndim != 2 or y_true.shape != (len(y_pred), 1):
            raise ValueError(
                f"{self.name}: expected embeddings (n, size) and labels (n,), got {y_pred.shape} and {y_true.shape}"
            )
        n, dtype, margin = len(y_pred), y_pred.dtype, self.margin
        distance = relu(1.0 - matmul(y_pred, transpose(y_pred)))
        same = cast(equal(y_true, transpose(y_true)), dtype)
        positive = same * tensor(1.0 - np.eye(n), dtype) if self.remove_diagonal else same
        negative = 1.0 - same
        drawn = -self.gamma * relu((margin + distance) * positive) * (margin - distance)
        pushed = self.gamma * relu((1.0 + margin - distance) * negative) * (1.0 - margin - distance)
        drawn, pushed = where(positive, drawn, NEVER), where(negative, pushed, NEVER)
        loss = softplus(logsumexp(drawn, axis=1) + logsumexp(pushed, axis=1))
        loss.time_mask = cast(greater(loss, 0.0), dtype)
        return loss


def circle(
    y_true: Any,
    y_pred: Any,
    ref_labels: Any = None,
    ref_embeddings: Any = None,
    remove_diagonal: bool = True,
    gamma: float = 80.0,
    margin: float = 0.4,
) -> Tensor:
    """Circle loss of each row; see :class:`Circle`.

    Parameters
    ----------
    ref_labels, ref_embeddings
        None: rows are compared with each other.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.losses.circle([0, 0], [[1.0, 0.0], [0.8, 0.6]]).numpy()
    array([0., 0.], dtype=float32)
    """
    if ref_labels is not None or ref_embeddings is not None:
        raise ValueError("ref_labels: expected None, rows are compared with each other; append the references to them")
    return Circle(gamma, margin, remove_diagonal).each(y_true, y_pred)


class CategoricalGeneralizedCrossEntropy(Loss):
    """``(1 - p**q) / q`` of the probability p of the labelled class: between the cross-entropy and the absolute error.

    Wrong labels count less with a larger q.

    Parameters
    ----------
    q : float
        In (0, 1).

    Raises
    ------
    ValueError
        If q lies outside (0, 1).

    References
    ----------
    Z. Zhang, M. R. Sabuncu: Generalized cross entropy loss for training deep neural networks with noisy labels. NeurIPS
    (2018).

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.losses.CategoricalGeneralizedCrossEntropy(q=0.5)([1], [[0.75, 0.25]]).item()
    1.0
    """

    sparse: ClassVar[bool] = True
    _arguments: ClassVar[tuple[str, ...]] = ("q",)

    def __init__(
        self,
        q: float = 0.5,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(name, reduction, dtype)
        self.q = Interval(0, 1, above=True, below=True).check(q, "q")

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        right = one_hot(labels(y_true, y_pred), y_pred.shape[-1], dtype=y_pred.dtype)
        return (1.0 - power(sum_over(y_pred * right, -1), self.q)) / self.q


def categorical_generalized_cross_entropy(y_true: Any, y_pred: Any, q: float) -> Tensor:
    """Generalized cross-entropy of each sample; see :class:`CategoricalGeneralizedCrossEntropy`.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.losses.categorical_generalized_cross_entropy([1], [[0.75, 0.25]], q=0.5).numpy()
    array([1.], dtype=float32)
    """
    return CategoricalGeneralizedCrossEntropy(q).each(y_true, y_pred)
