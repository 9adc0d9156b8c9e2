"""Losses, by class or by name."""

from __future__ import annotations

from typing import Any

from nbnet.losses.binary_crossentropy import BinaryCrossentropy
from nbnet.losses.categorical_crossentropy import CategoricalCrossentropy
from nbnet.losses.huber import Huber
from nbnet.losses.loss import Loss
from nbnet.losses.mean_absolute_error import MeanAbsoluteError
from nbnet.losses.mean_squared_error import MeanSquaredError
from nbnet.losses.sparse_categorical_crossentropy import SparseCategoricalCrossentropy
from nbnet.registry import lookup

__all__ = [
    "BinaryCrossentropy", "CategoricalCrossentropy", "Huber", "Loss", "MeanAbsoluteError", "MeanSquaredError",
    "SparseCategoricalCrossentropy", "get",
]  # fmt: skip

_classes: tuple[type[Loss], ...] = (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    Huber,
    MeanAbsoluteError,
    MeanSquaredError,
    SparseCategoricalCrossentropy,
)
known: dict[str, type[Loss]] = {loss.name: loss for loss in _classes} | {
    "bce": BinaryCrossentropy,
    "mse": MeanSquaredError,
    "mae": MeanAbsoluteError,
}


def get(identifier: Any) -> Loss:
    """A loss from its name, class, configuration or itself.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.losses.get("mse")
    MeanSquaredError()
    """
    return lookup(identifier, known, Loss, "loss")
