"""The networks of the papers: dense layers of rectified units with dropout between them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import nbnet as nb

PIXELS, CLASSES = 784, 10


def dense_network(
    hidden: Sequence[int],
    input_rate: float = 0.0,
    hidden_rate: float = 0.0,
    max_norm: Sequence[float] = (),
    scaled: bool = False,
    **dropout: Any,
) -> nb.Sequential:
    """Build a network of dense layers of rectified units, and a softmax.

    Parameters
    ----------
    hidden
        Number of units of each hidden layer.
    input_rate, hidden_rate
        Probability to DROP a pixel, and a hidden unit; 0 for no dropout layer.
    max_norm
        Largest norm of the weights into a unit, for each layer, the last one included; if empty, there is no bound.
    scaled
        True if the weights of a hidden layer begin smaller where units are dropped before it: kept units are multiplied
        by ``1 / (1 - rate)``, and if they are few, activations would grow from layer to layer.
    **dropout
        Keywords of the dropout layers.
    """
    bounds: list[nb.constraints.MaxNorm | None] = [nb.constraints.MaxNorm(norm) for norm in max_norm]
    bounds = bounds or [None] * (len(hidden) + 1)
    layers: list[nb.Layer] = []
    if input_rate:
        layers.append(nb.layers.Dropout(input_rate, **dropout))
    rate = input_rate
    for units, bound in zip(hidden, bounds, strict=False):
        start = nb.initializers.VarianceScaling(2.0 * (1.0 - rate) if scaled else 2.0)
        layers.append(nb.layers.Dense(units, "relu", kernel_initializer=start, kernel_constraint=bound))
        rate = hidden_rate
        if hidden_rate:
            layers.append(nb.layers.Dropout(hidden_rate, **dropout))
    output = nb.layers.Dense(CLASSES, "softmax", kernel_constraint=bounds[-1])
    return nb.Sequential([nb.Input((PIXELS,)), *layers, output])
