"""Normalization of samples in groups of channels, by the root mean square, and to length 1."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import nbnet as nb

L = nb.layers


@pytest.mark.parametrize(("groups", "axis"), [(1, -1), (2, -1), (4, 3), (-1, -1), (3, 2), (2, -3)])
def test_groups(groups: int, axis: int) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(3, 2, (5, 2, 6, 4))
    layer = L.GroupNormalization(groups, axis, epsilon=0.01, dtype="float64")
    layer.build((None, 2, 6, 4))
    gamma, beta = rng.normal(size=(2, x.shape[axis]))
    layer.set_weights([gamma, beta])
    y = np.moveaxis(layer(x).numpy(), axis, -1)
    x = np.moveaxis(x, axis, -1)
    for channels in np.split(np.arange(x.shape[-1]), x.shape[-1] if groups == -1 else groups):
        part = x[..., channels]
        centred = part - part.mean((1, 2, 3), keepdims=True)
        wanted = centred / np.sqrt(part.var((1, 2, 3), keepdims=True) + 0.01) * gamma[channels] + beta[channels]
        np.testing.assert_allclose(y[..., channels], wanted, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("axis", [-1, 1, (1, 2), [3, 1]])
def test_root_mean_square(axis: Any) -> None:
    x = np.random.default_rng(0).normal(3, 2, (5, 2, 3, 4))
    axes = tuple(sorted(axis)) if not isinstance(axis, int) else (axis % 4,)
    layer = L.RMSNormalization(axis, epsilon=0.1, dtype="float64")
    layer.build((None, 2, 3, 4))
    scale = np.random.default_rng(1).normal(size=[x.shape[k] for k in axes])
    layer.set_weights([scale])
    aligned = scale.reshape([n if k in axes else 1 for k, n in enumerate(x.shape)])
    wanted = x / np.sqrt((x**2).mean(axes, keepdims=True) + 0.1) * aligned
    np.testing.assert_allclose(layer(x).numpy(), wanted, rtol=1e-10)


def test_unit_length_has_a_gradient_at_zero() -> None:
    x = nb.Parameter(np.array([[3.0, 4.0], [0.0, 0.0]]), dtype="float64")
    with nb.Tape() as tape:
        loss = nb.ops.sum(L.UnitNormalization(dtype="float64")(x))
    (gradient,) = tape.gradient(loss, [x])
    np.testing.assert_allclose(gradient.numpy()[0], [0.032, -0.024], rtol=1e-6)
    assert np.isfinite(gradient.numpy()).all()


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: L.GroupNormalization(0), ValueError, "groups: expected an integer from 1"),
        (lambda: L.GroupNormalization(3)(np.zeros((2, 4))), ValueError, "groups: expected a divisor of .*4, got 3"),
        (lambda: L.GroupNormalization(2, 0)(np.zeros((2, 4))), ValueError, "got that of the batch"),
        (lambda: L.GroupNormalization(2, 5)(np.zeros((2, 4))), ValueError, "out of range"),
        (lambda: L.RMSNormalization(0)(np.zeros((2, 4))), ValueError, "other than the batch axis"),
        (lambda: L.RMSNormalization(-1, -1.0), ValueError, "epsilon: expected a finite number from 0"),
        (lambda: L.UnitNormalization("last"), TypeError, "axis: expected an integer or a list"),
        (lambda: L.UnitNormalization(3)(np.zeros((2, 4))), ValueError, "out of range"),
        (lambda: L.RMSNormalization()(nb.Input((None,))), ValueError, "expected known lengths"),
    ],
)
def test_errors(make: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize("name", ["GroupNormalization", "RMSNormalization"])
def test_it_trains(name: str) -> None:
    nb.set_random_seed(0)
    layer = L.GroupNormalization(2) if name == "GroupNormalization" else L.RMSNormalization()
    model = nb.Sequential([nb.Input((6,)), L.Dense(8), layer, L.Dense(1)])
    x = np.random.default_rng(0).normal(size=(64, 6))
    model.compile(nb.optimizers.Adam(0.01), "mse")
    losses = model.fit(x, x[:, :1] * x[:, 1:2], epochs=60, verbose=0).history["loss"]
    assert losses[-1] < 0.5 * losses[0]
    assert all(np.any(w != np.round(w)) for w in layer.get_weights())


def test_inputs_of_more_axes_than_at_first() -> None:
    layer = L.RMSNormalization()
    layer.build((None, 2))
    x = np.random.default_rng(0).normal(size=(5, 3, 2)).astype("float32")
    np.testing.assert_allclose((layer(x).numpy() ** 2).mean(-1), 1, rtol=1e-4)
    with pytest.raises(ValueError, match="was built for lengths"):
        layer(np.zeros((5, 3)))
