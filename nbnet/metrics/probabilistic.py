"""Losses of distributions as metrics."""

from __future__ import annotations

from typing import Any

from nbnet import losses
from nbnet.losses.loss import check_axis
from nbnet.metrics.reduction import MeanLoss, NamedLoss


class BinaryCrossentropy(MeanLoss):
    """Mean binary cross-entropy.

    Parameters
    ----------
    name
        See :class:`Metric`.
    from_logits
        Whether predictions are logits.
    label_smoothing
        In [0, 1]: targets are moved by this share towards 0.5.

    Examples
    --------
    >>> import nbnet as nb
    >>> round(nb.metrics.BinaryCrossentropy()([[1.0], [0.0]], [[0.5], [0.5]]), 4)
    0.6931
    """

    name = "binary_crossentropy"
    loss: losses.BinaryCrossentropy

    def __init__(self, name: str | None = None, from_logits: bool = False, label_smoothing: float = 0.0) -> None:
        super().__init__(losses.BinaryCrossentropy(from_logits, label_smoothing), name or type(self).name)

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "from_logits": self.loss.from_logits, "label_smoothing": self.loss.label_smoothing}


class CategoricalCrossentropy(MeanLoss):
    """Mean cross-entropy of one-hot targets.

    Parameters
    ----------
    name
        See :class:`Metric`.
    from_logits
        Whether predictions are logits.
    label_smoothing
        In [0, 1]: targets are moved by this share towards the even distribution.
    axis
        The last one.

    Examples
    --------
    >>> import nbnet as nb
    >>> round(nb.metrics.CategoricalCrossentropy()([[0.0, 1.0]], [[0.5, 0.5]]), 4)
    0.6931
    """

    name = "categorical_crossentropy"
    loss: losses.CategoricalCrossentropy

    def __init__(
        self, name: str | None = None, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1
    ) -> None:
        super().__init__(losses.CategoricalCrossentropy(from_logits, label_smoothing, axis), name or type(self).name)

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "from_logits": self.loss.from_logits, "label_smoothing": self.loss.label_smoothing}


class SparseCategoricalCrossentropy(MeanLoss):
    """Mean cross-entropy of class labels.

    Parameters
    ----------
    name
        See :class:`Metric`.
    from_logits
        Whether predictions are logits.
    axis
        The last one.

    Examples
    --------
    >>> import nbnet as nb
    >>> round(nb.metrics.SparseCategoricalCrossentropy()([1], [[0.5, 0.5]]), 4)
    0.6931
    """

    name = "sparse_categorical_crossentropy"
    loss: losses.SparseCategoricalCrossentropy

    def __init__(self, name: str | None = None, from_logits: bool = False, axis: int = -1) -> None:
        check_axis(axis)
        super().__init__(losses.SparseCategoricalCrossentropy(from_logits), name or type(self).name)

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "from_logits": self.loss.from_logits}


class KLDivergence(NamedLoss):
    """Mean Kullback-Leibler divergence of predicted distributions from the true ones.

    Parameters
    ----------
    name
        See :class:`Metric`.

    Examples
    --------
    >>> import nbnet as nb
    >>> round(nb.metrics.KLDivergence()([[0.5, 0.5]], [[0.25, 0.75]]), 4)
    0.1438
    """

    name = "kl_divergence"
    kind = losses.KLDivergence


class Poisson(NamedLoss):
    """Mean Poisson loss.

    Parameters
    ----------
    name
        See :class:`Metric`.

    Examples
    --------
    >>> import nbnet as nb
    >>> round(nb.metrics.Poisson()([[1.0], [0.0]], [[2.0], [0.5]]), 4)
    0.9034
    """

    name = "poisson"
    kind = losses.Poisson
