"""Networks made at random, thinned by masks made at random, compute what the masked networks compute."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import nbnet as nb
from nbnet.layers import (
    Activation,
    Add,
    Average,
    BatchNormalization,
    Concatenate,
    Dense,
    Dropout,
    LayerNormalization,
    LeakyReLU,
    Maximum,
    Multiply,
    Rescaling,
    Subtract,
)

Array = NDArray[Any]
Generator = np.random.Generator
ACTIVATIONS = ("relu", "tanh", "sigmoid", "softmax", None)

#: Layers that may come next, for one symbol, and for two of the same shape.
ONE: dict[str, Callable[[Generator, Any], Any]] = {
    "dense": lambda rng, x: Dense(int(rng.integers(2, 9)), rng.choice(ACTIVATIONS))(x),
    "activation": lambda rng, x: Activation(rng.choice(ACTIVATIONS))(x),
    "batch norm": lambda rng, x: BatchNormalization()(x),
    "layer norm": lambda rng, x: LayerNormalization()(x),
    "leaky": lambda rng, x: LeakyReLU()(x),
    "rescaling": lambda rng, x: Rescaling(2.0, float(rng.integers(2)))(x),
    "function": lambda rng, x: nb.ops.relu(x),
    "shifting": lambda rng, x: nb.ops.exp(x),
    "shared": lambda rng, x: (lambda layer: layer(layer(x)))(Dense(x.shape[-1], "tanh")),
}
TWO: dict[str, Callable[[Any, Any], Any]] = {
    "add": lambda x, y: Add()([x, y]),
    "subtract": lambda x, y: Subtract()([x, y]),
    "multiply": lambda x, y: Multiply()([x, y]),
    "maximum": lambda x, y: Maximum()([x, y]),
    "average": lambda x, y: Average()([x, y, x]),
    "operators": lambda x, y: x + 0.5 * y,
    "concatenate": lambda x, y: Concatenate()([x, y]),
}
#: A layer that may be thinned is followed by dropout so often.
DROPPED = 0.4


def network(rng: Generator) -> tuple[nb.Model, dict[str, Array]]:
    """A model and masks for some of its dropout layers; the others drop nothing."""
    found, masks = [nb.Input((int(rng.integers(4, 13)),))], {}
    for number in range(int(rng.integers(4, 14))):
        x = found[int(rng.integers(max(0, len(found) - 3), len(found)))]
        alike = [y for y in found if y.shape == x.shape]
        kinds = [*ONE, *TWO]
        kind = kinds[int(rng.integers(len(kinds)))]
        y = ONE[kind](rng, x) if kind in ONE else TWO[kind](x, alike[int(rng.integers(len(alike)))])
        if rng.random() < DROPPED:
            name, masked = f"drop_{number}", rng.random() < 0.8
            y = Dropout(0.3 if masked else 0.0, name=name)(y)
            if masked:
                masks[name] = rng.random(y.shape[-1]) < 0.7
                masks[name][int(rng.integers(y.shape[-1]))] = True
        found.append(y)
    model = nb.Model(found[0], [Dense(2)(found[-1]), found[int(rng.integers(1, len(found)))]])
    return model, {name: mask for name, mask in masks.items() if any(layer.name == name for layer in model.layers)}


@pytest.mark.parametrize("seed", range(40))
def test_it_computes_what_the_masked_model_computes(seed: int) -> None:
    rng = np.random.default_rng(seed)
    nb.set_random_seed(seed)
    nb.set_floatx("float64")
    try:
        model, masks = network(rng)
    finally:
        nb.set_floatx("float32")
    for weight in model.weights:
        weight.assign(weight.numpy() + 0.1 * rng.random(weight.shape))
    weights, x = model.get_weights(), rng.normal(size=(6, *model.input_shape[1:]))
    thinned = model.thin(masks)
    assert thinned.count_params() <= model.count_params()
    model.merge(thinned)
    for weight, before in zip(model.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(weight, before)
    whole = {name: np.broadcast_to(mask, (len(x), len(mask))) for name, mask in masks.items()}
    with nb.Tape(masks=whole, step=0):
        wanted = model(x, training=True)
    for y, masked in zip(thinned(x, training=True), wanted, strict=True):
        np.testing.assert_allclose(y, masked, rtol=1e-9, atol=1e-9)
