"""Layer normalisation over any axes of a sample."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import nbnet as nb


@pytest.mark.parametrize("axis", [-1, 1, [2], [1, 2], (2, 3), [1, 3], [1, 2, 3]])
def test_formula(axis: Any) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(3, 2, (5, 2, 3, 4))
    layer = nb.layers.LayerNormalization(axis, epsilon=0.01, dtype="float64")
    axes = tuple(k % 4 for k in ([axis] if isinstance(axis, int) else axis))
    layer.build_for((None, 2, 3, 4))
    shape = tuple(x.shape[k] for k in axes)
    gamma, beta = rng.normal(size=shape), rng.normal(size=shape)
    layer.set_weights([gamma, beta])
    aligned = [n if k in axes else 1 for k, n in enumerate(x.shape)]
    wanted = (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + 0.01)
    wanted = wanted * gamma.reshape(aligned) + beta.reshape(aligned)
    np.testing.assert_allclose(layer(x).numpy(), wanted, rtol=1e-10, atol=1e-12)
    np.testing.assert_array_equal(layer(x, training=True).numpy(), layer(x).numpy())


@pytest.mark.parametrize("center", [True, False])
@pytest.mark.parametrize("scale", [True, False])
@pytest.mark.parametrize("axis", [-1, 1])
def test_gamma_and_beta_are_optional(center: bool, scale: bool, axis: int) -> None:
    layer = nb.layers.LayerNormalization(axis, center=center, scale=scale)
    y = layer(np.random.default_rng(0).normal(3, 2, (5, 3, 4))).numpy()
    assert (layer.gamma is None, layer.beta is None) == (not scale, not center)
    np.testing.assert_allclose(y.mean(axis), 0, atol=1e-6)


def test_it_trains() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(64, 6))
    model = nb.Sequential([nb.layers.Dense(16, "relu"), nb.layers.LayerNormalization(), nb.layers.Dense(1)])
    model.compile(nb.optimizers.Adam(0.01), "mse")
    losses = model.fit(x, x[:, :1] * x[:, 1:2], batch_size=16, epochs=20, verbose=0).history["loss"]
    assert losses[-1] < 0.5 * losses[0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"axis": 0}, "other than the batch axis"),
        ({"axis": [0, 1]}, "other than the batch axis"),
        ({"axis": 5}, "out of range"),
        ({"axis": []}, r"one or more axes .* got \[\]"),
        ({"epsilon": -1.0}, "epsilon: expected a finite number from 0"),
    ],
)
def test_errors(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        nb.layers.LayerNormalization(**arguments)(np.zeros((2, 3, 4)))


def test_the_axis_of_a_built_layer_is_a_list() -> None:
    layer = nb.layers.LayerNormalization(-1)
    layer.build((None, 3, 4))
    assert layer.axis == [2]
    with pytest.raises(ValueError, match="was built for lengths"):
        layer(np.zeros((2, 3, 5)))
    x = np.random.default_rng(0).normal(size=(2, 3, 4, 2))
    np.testing.assert_allclose(layer(x).numpy().mean(2), 0, atol=1e-5)


def test_division_by_the_deviation_alone() -> None:
    with pytest.warns(UserWarning, match="RMSNormalization"):
        layer = nb.layers.LayerNormalization(rms_scaling=True, epsilon=0.0)
    np.testing.assert_allclose(layer([[0.0, 1.0, 2.0, 3.0, 4.0]]).numpy()[0], np.arange(5) / np.sqrt(2), rtol=1e-6)
    assert [w.shape for w in layer.get_weights()] == [(5,)]


def test_an_axis_is_an_integer() -> None:
    with pytest.raises(TypeError, match="axis: expected an integer or a list of integers"):
        nb.layers.LayerNormalization({"axis": -1})
