"""Losses as metrics: any loss, and the losses of classification and of distributions under names of their own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np

from nbnet import losses
from nbnet.base.constructor import constructor_config
from nbnet.engine.graph.tensor import Tensor
from nbnet.losses.loss import Loss
from nbnet.metrics.metric import Array, Metric


class LossMetric(Metric, abstract=True):
    """Base class of the means of a loss."""

    def __init__(self, loss: Loss, name: str | None = None, dtype: Any = None) -> None:
        super().__init__(name, dtype)
        self.loss, self.sparse, self.broadcasts = loss, loss.sparse, loss.broadcasts

    def values(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        if y_pred.ndim == 1 and y_pred.data is not None:
            return self.loss.call(y_true, y_pred)
        return self.loss.losses(y_true, y_pred)

    def get_config(self) -> dict[str, Any]:
        own = {argument: getattr(self.loss, argument) for argument in self._arguments}
        return constructor_config(self, {"name": self.name, "dtype": self.dtype} | own)

    def _targets(self, y: Any, n: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        return self.loss.targets(y, "y_true", n, shape, dtype)


class MeanLoss(LossMetric):
    """A loss, watched and not minimised.

    Parameters
    ----------
    loss : Loss
        The loss.
    name : str, optional
        By default the loss's name.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.metrics.MeanLoss(nb.losses.MeanSquaredError())([[0.0]], [[2.0]])
    4.0
    """

    def __init__(self, loss: Loss, name: str | None = None, dtype: Any = None) -> None:
        super().__init__(loss, name or loss.name, dtype)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"loss": losses.serialize(self.loss)}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        given = {"loss": losses.as_loss(config["loss"])} if "loss" in config else {}
        return cls(**{**config, **given})


class NamedLoss(LossMetric, abstract=True):
    """Base class of the losses that are metrics of their own, without arguments."""

    kind: ClassVar[type[Loss]]

    def __init__(self, name: str | None = None, dtype: Any = None) -> None:
        super().__init__(self.kind(), name, dtype)


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
