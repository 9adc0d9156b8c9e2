"""The networks of the papers: dense layers of rectified units with dropout between them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import nbnet as nb

CLASSES = 10


def dense_network(
    hidden: Sequence[int],
    input_rate: float = 0.0,
    hidden_rate: float = 0.0,
    max_norm: Sequence[float] = (),
    inputs: int = 784,
    **dropout: Any,
) -> nb.Sequential:
    """Dense layers of rectified units, and a softmax.

    Parameters
    ----------
    hidden
        Units of the hidden layers.
    input_rate, hidden_rate
        Probability to DROP a pixel, and a hidden unit; 0 for no dropout layer.
    max_norm
        What the norm of the weights into a unit is held to, for each layer, the last one included; nothing: no bound.
    **dropout
        For the dropout layers.
    """
    bounds: list[nb.constraints.MaxNorm | None] = [nb.constraints.MaxNorm(norm) for norm in max_norm]
    bounds = bounds or [None] * (len(hidden) + 1)
    layers: list[nb.Layer] = []
    if input_rate:
        layers.append(nb.layers.Dropout(input_rate, **dropout))
    for units, bound in zip(hidden, bounds, strict=False):
        layers.append(nb.layers.Dense(units, "relu", kernel_initializer="he_normal", kernel_constraint=bound))
        if hidden_rate:
            layers.append(nb.layers.Dropout(hidden_rate, **dropout))
    return nb.Sequential(
        [nb.Input((inputs,)), *layers, nb.layers.Dense(CLASSES, "softmax", kernel_constraint=bounds[-1])]
    )
