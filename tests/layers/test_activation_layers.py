"""Activations as layers: formulas, parameters, errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import nbnet as nb

X = np.random.default_rng(0).normal(0, 2, (5, 3, 4))


def close(layer: nb.layers.Layer, wanted: Any) -> None:
    np.testing.assert_allclose(layer(X).numpy(), wanted, rtol=1e-12)


def test_relu() -> None:
    close(nb.layers.ReLU(dtype="float64"), np.maximum(X, 0))
    close(nb.layers.ReLU(max_value=1.0, dtype="float64"), np.clip(X, 0, 1))
    close(nb.layers.ReLU(negative_slope=0.3, dtype="float64"), np.where(X > 0, X, 0.3 * X))
    close(nb.layers.ReLU(threshold=0.5, dtype="float64"), np.where(X > 0.5, X, 0))
    every = nb.layers.ReLU(max_value=1.5, negative_slope=0.3, threshold=0.5, dtype="float64")
    close(every, np.where(X > 0.5, np.minimum(X, 1.5), 0.3 * (X - 0.5)))


def test_leaky_relu_and_elu() -> None:
    close(nb.layers.LeakyReLU(dtype="float64"), np.where(X > 0, X, 0.3 * X))
    close(nb.layers.LeakyReLU(negative_slope=0.0, dtype="float64"), np.maximum(X, 0))
    close(nb.layers.ELU(0.7, dtype="float64"), np.where(X > 0, X, 0.7 * np.expm1(X)))


@pytest.mark.parametrize("axis", [-1, 1, 2, -2])
def test_softmax(axis: int) -> None:
    e = np.exp(X - X.max(axis, keepdims=True))
    close(nb.layers.Softmax(axis, dtype="float64"), e / e.sum(axis, keepdims=True))


@pytest.mark.parametrize(
    ("shared", "shape"), [(None, (3, 4)), ([1], (1, 4)), ([2], (3, 1)), (1, (1, 4)), ([-1, 1], (1, 1))]
)
def test_prelu(shared: Any, shape: tuple[int, ...]) -> None:
    layer = nb.layers.PReLU(shared_axes=shared, dtype="float64")
    close(layer, np.maximum(X, 0))
    assert layer.alpha.shape == shape
    alpha = np.random.default_rng(1).normal(size=shape)
    layer.set_weights([alpha])
    close(layer, np.where(X > 0, X, alpha * X))
    with nb.Tape() as tape:
        y = nb.ops.sum(layer(X))
    gradient = tape.gradient(y, layer.alpha).numpy()
    axes = tuple(k for k, n in enumerate(shape) if n == 1)
    np.testing.assert_allclose(gradient, np.minimum(X, 0).sum(0).sum(axes, keepdims=True), rtol=1e-12)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nb.layers.ReLU(max_value=-1.0), "max_value: expected a finite number from 0"),
        (lambda: nb.layers.ReLU(negative_slope=-1.0), "negative_slope: expected a finite number from 0"),
        (lambda: nb.layers.ReLU(threshold=-1.0), "threshold: expected a finite number from 0"),
        (lambda: nb.layers.LeakyReLU(-0.1), "negative_slope: expected a finite number from 0"),
        (lambda: nb.layers.ELU(np.nan), "alpha: expected a finite number from 0"),
        (lambda: nb.layers.Softmax(3)(X), "out of range"),
        (lambda: nb.layers.PReLU(shared_axes=[0])(X), "axis 0 is the batch's"),
        (lambda: nb.layers.PReLU(shared_axes=[3])(X), "out of range"),
    ],
)
def test_errors(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
