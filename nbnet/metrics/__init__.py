"""Metrics, by class or by name."""

from __future__ import annotations

from typing import Any

from nbnet import losses
from nbnet.losses import Loss
from nbnet.metrics.accuracy import BinaryAccuracy, CategoricalAccuracy, SparseCategoricalAccuracy
from nbnet.metrics.metric import MeanLoss, Metric
from nbnet.registry import lookup, snake_case

__all__ = ["BinaryAccuracy", "CategoricalAccuracy", "MeanLoss", "Metric", "SparseCategoricalAccuracy", "get"]

_known: dict[str, type[Metric]] = {
    "binary_accuracy": BinaryAccuracy,
    "categorical_accuracy": CategoricalAccuracy,
    "sparse_categorical_accuracy": SparseCategoricalAccuracy,
}


def get(identifier: Any, loss: Loss | None = None, width: int | None = None) -> Metric:
    """A metric from its name, class, configuration, a loss, or itself.

    Parameters
    ----------
    loss, width
        What the model minimises and the size of its last axis: they say what ``"accuracy"`` means.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.metrics.get("mae")
    MeanLoss(name='mae')
    """
    if isinstance(identifier, str) and identifier in ("accuracy", "acc"):
        if loss is not None and loss.sparse:
            kind: type[Metric] = SparseCategoricalAccuracy
        else:
            kind = (
                BinaryAccuracy
                if width in (None, 1) or isinstance(loss, losses.BinaryCrossentropy)
                else CategoricalAccuracy
            )
        return kind(identifier)
    if isinstance(identifier, Loss):
        return MeanLoss(identifier)
    if isinstance(identifier, str) and snake_case(identifier) in losses.known:
        return MeanLoss(losses.get(identifier), identifier)
    return lookup(identifier, _known, Metric, "metrics")
