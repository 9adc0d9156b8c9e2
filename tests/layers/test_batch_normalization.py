"""Batch normalisation: Keras's formulas in training and inference, and its moving averages."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import nbnet as nb

Array = NDArray[Any]
LAYER = nb.layers.BatchNormalization


def test_training_uses_the_batch_and_moves_the_averages() -> None:
    x = np.random.default_rng(0).normal(3, 2, (6, 5))
    layer = LAYER(momentum=0.9, epsilon=0.01, dtype="float64")
    y = layer(x, training=True).numpy()
    np.testing.assert_allclose(y, (x - x.mean(0)) / np.sqrt(x.var(0) + 0.01), rtol=1e-12)
    gamma, beta, mean, variance = layer.get_weights()
    np.testing.assert_array_equal([gamma, beta], [np.ones(5), np.zeros(5)])
    np.testing.assert_allclose(mean, 0.1 * x.mean(0), rtol=1e-12)
    np.testing.assert_allclose(variance, 0.9 + 0.1 * x.var(0), rtol=1e-12)


def test_inference_is_affine() -> None:
    rng = np.random.default_rng(0)
    layer = LAYER(dtype="float64")
    layer.build_for((None, 5))
    gamma, beta, mean, variance = (rng.uniform(0.5, 1.5, 5) for _ in range(4))
    layer.set_weights([gamma, beta, mean, variance])
    x = rng.normal(size=(6, 5))
    np.testing.assert_allclose(layer(x).numpy(), gamma * (x - mean) / np.sqrt(variance + 1e-3) + beta, rtol=1e-12)
    for before, after in zip((gamma, beta, mean, variance), layer.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize(("axis", "others"), [(-1, (0, 1, 2)), (1, (0, 2, 3))])
def test_axis(axis: int, others: tuple[int, ...]) -> None:
    x = np.random.default_rng(0).normal(3, 2, (4, 5, 6, 3))
    layer = LAYER(axis=axis, epsilon=0.0, momentum=0.0, dtype="float64")
    y = layer(x, training=True).numpy()
    np.testing.assert_allclose(y.mean(others), 0, atol=1e-12)
    np.testing.assert_allclose(y.var(others), 1)
    np.testing.assert_allclose(layer.moving_variance.numpy(), x.var(others))


def test_without_gamma_and_beta() -> None:
    layer = LAYER(center=False, scale=False)
    layer.build_for((None, 3))
    assert (layer.gamma, layer.beta) == (None, None)
    assert [w.name.split("/")[1] for w in layer.weights] == ["moving_mean", "moving_variance"]
    assert layer.trainable_weights == []


def moving(batches: list[Array], momentum: float) -> tuple[Array, Array]:
    """The averages as Keras's documentation describes them."""
    mean, variance = np.zeros(batches[0].shape[1]), np.ones(batches[0].shape[1])
    for x in batches:
        mean = mean * momentum + x.mean(0) * (1 - momentum)
        variance = variance * momentum + x.var(0) * (1 - momentum)
    return mean, variance


@pytest.mark.parametrize("slices", ["1", "2"])
def test_fit_moves_the_averages_in_every_batch(monkeypatch: pytest.MonkeyPatch, slices: str) -> None:
    monkeypatch.setenv("NBNET_NUM_THREADS", slices)
    rng = np.random.default_rng(0)
    x, y = rng.normal(2, 3, (22, 4)), rng.normal(size=(22, 1))
    layer = LAYER(momentum=0.8, dtype="float64")
    model = nb.Sequential(
        [nb.Input((4,), dtype="float64"), layer, nb.layers.Dense(1, dtype="float64")], dtype="float64"
    )
    model.compile("sgd", "mse")
    model.fit(x, y, batch_size=8, epochs=3, shuffle=False, verbose=0)  # 8, 8, 6 rows
    mean, variance = moving([x[:8], x[8:16], x[16:]] * 3, 0.8)
    np.testing.assert_allclose(layer.moving_mean.numpy(), mean, rtol=1e-12)
    np.testing.assert_allclose(layer.moving_variance.numpy(), variance, rtol=1e-12)
    before = layer.get_weights()
    model.evaluate(x, y, verbose=0)
    model.predict(x)
    for a, b in zip(before, layer.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_deep_averages_move_with_the_weights_in_use() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(10, 4)), rng.normal(size=(10, 1))
    dense, layer = nb.layers.Dense(3, dtype="float64"), LAYER(momentum=0.5, dtype="float64")
    model = nb.Sequential(
        [nb.Input((4,), dtype="float64"), dense, layer, nb.layers.Dense(1, dtype="float64")], dtype="float64"
    )
    model.compile("sgd", "mse")
    batches = []
    for part in (slice(0, 6), slice(6, 10)):
        batches.append(x[part] @ dense.kernel.numpy() + dense.bias.numpy())
        model.train_on_batch(x[part], y[part])
    mean, variance = moving(batches, 0.5)
    np.testing.assert_allclose(layer.moving_mean.numpy(), mean, rtol=1e-10)
    np.testing.assert_allclose(layer.moving_variance.numpy(), variance, rtol=1e-10)


def test_frozen_layer_runs_in_inference_mode() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(2, 3, (16, 4)), rng.normal(size=(16, 1))
    layer = LAYER(trainable=False)
    model = nb.Sequential([nb.Input((4,)), layer, nb.layers.Dense(1)])
    model.compile("sgd", "mse")
    before = layer.get_weights()
    model.fit(x, y, batch_size=8, verbose=0)
    for a, b in zip(before, layer.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(layer(x, training=True).numpy(), layer(x).numpy())


def test_fit_ends_where_the_tape_does() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(2, 3, (12, 4)), rng.normal(size=(12, 1))

    def make() -> nb.Sequential:
        nb.set_random_seed(1)
        layers = [
            nb.layers.Dense(5, "relu", dtype="float64"),
            LAYER(dtype="float64"),
            nb.layers.Dense(1, dtype="float64"),
        ]
        return nb.Sequential([nb.Input((4,), dtype="float64"), *layers], dtype="float64")

    fitted, stepped = make(), make()
    fitted.compile(nb.optimizers.SGD(0.1), "mse")
    fitted.fit(x, y, batch_size=6, epochs=2, shuffle=False, verbose=0)
    for part in [slice(0, 6), slice(6, 12)] * 2:
        with nb.Tape() as tape:
            error = stepped(x[part], training=True) - y[part]
            loss = nb.ops.mean(error * error)
        for w, g in zip(stepped.trainable_weights, tape.gradient(loss, stepped.trainable_weights), strict=True):
            w.assign(w.numpy() - 0.1 * g.numpy())
    for a, b in zip(fitted.get_weights(), stepped.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"axis": 0}, "not an axis of channels"),
        ({"axis": 2}, "not an axis of channels"),
        ({"axis": 1.5}, "axis: expected an integer"),
        ({"momentum": 1.5}, "momentum: expected a number in"),
        ({"epsilon": -1.0}, "epsilon: expected a finite number from 0"),
    ],
)
def test_errors(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LAYER(**arguments)(np.zeros((2, 3)))


@pytest.mark.parametrize("clipping", [None, {"rmax": 1.1, "rmin": 0.9, "dmax": 0.2}])
@pytest.mark.parametrize("axis", [-1, 1])
def test_renormalization(axis, clipping):
    """The formulas of the paper, in NumPy."""
    rng = np.random.default_rng(0)
    layer = nb.layers.BatchNormalization(
        axis, 0.9, 0.01, renorm=True, renorm_momentum=0.8, renorm_clipping=clipping, dtype="float64"
    )
    x = rng.normal(2, 3, (4, 3, 5))
    layer.build((None, 3, 5))
    n = x.shape[axis]
    assert [w.name.split("/")[1] for w in layer.weights] == [
        "gamma", "beta", "moving_mean", "moving_variance", "moving_stddev", "renorm_mean", "renorm_stddev",
    ]  # fmt: skip
    values = rng.uniform(0.5, 2.0, (7, n))
    layer.set_weights(list(values))
    gamma, beta, mean, _, deviation, slow_mean, slow_deviation = values
    y = layer(x, training=True).numpy()
    flat = np.moveaxis(x, axis, -1).reshape(-1, n)
    batch_mean, batch_deviation = flat.mean(0), np.sqrt(flat.var(0) + 0.01)
    r, d = batch_deviation / slow_deviation, (batch_mean - slow_mean) / slow_deviation
    if clipping:
        r, d = np.clip(r, 0.9, 1.1), np.clip(d, -0.2, 0.2)
    wanted = ((flat - batch_mean) / batch_deviation * r + d) * gamma + beta
    np.testing.assert_allclose(np.moveaxis(y, axis, -1).reshape(-1, n), wanted, rtol=1e-10, atol=1e-12)
    moved = 0.9 * deviation + 0.1 * batch_deviation
    found = [w.numpy() for w in layer.non_trainable_weights]
    for one, other in zip(
        found,
        [
            0.9 * mean + 0.1 * batch_mean,
            np.maximum(moved**2 - 0.01, 0),
            moved,
            0.8 * slow_mean + 0.2 * batch_mean,
            0.8 * slow_deviation + 0.2 * batch_deviation,
        ],
        strict=True,
    ):
        np.testing.assert_allclose(one, other, rtol=1e-10)


def test_renormalization_in_a_program():
    nb.set_random_seed(0)
    x = np.random.default_rng(0).normal(3, 2, (32, 4))
    made = []
    for compiled in (True, False):
        layer = nb.layers.BatchNormalization(renorm=True, moving_variance_initializer=nb.initializers.Constant(4.0))
        model = nb.Sequential([nb.Input((4,)), layer])
        np.testing.assert_array_equal(layer.moving_stddev.numpy(), np.full(4, 2.0))
        model.compile("sgd", "mse", run_eagerly=not compiled)
        model.fit(x, x, batch_size=8, epochs=2, shuffle=False, verbose=0)
        made.append([w.numpy().copy() for w in model.weights])
    for one, other in zip(*made, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
