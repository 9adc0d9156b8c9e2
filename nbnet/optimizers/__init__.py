"""Optimizers, by class or by name."""

from __future__ import annotations

from typing import Any

from nbnet.optimizers.adam import Adam
from nbnet.optimizers.optimizer import Optimizer
from nbnet.optimizers.rmsprop import RMSprop
from nbnet.optimizers.sgd import SGD
from nbnet.registry import lookup

__all__ = ["SGD", "Adam", "Optimizer", "RMSprop", "get"]

_known: dict[str, type[Optimizer]] = {"sgd": SGD, "adam": Adam, "rmsprop": RMSprop}


def get(identifier: Any) -> Optimizer:
    """An optimizer from its name, class, configuration or itself.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.optimizers.get("adam")
    Adam(learning_rate=0.001, beta_1=0.9, beta_2=0.999, epsilon=1e-07, amsgrad=False)
    """
    return lookup(identifier, _known, Optimizer, "optimizer")
