"""Members of the dropout family with weights: DropConnect, standout, concrete and variational dropout, Masksembles."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import special

import nbnet as nb
from nbnet.layers import (
    ConcreteDropout,
    Dense,
    DropConnectDense,
    Masksembles,
    StandoutDense,
    VariationalDense,
    VariationalDropout,
)

Array = NDArray[Any]
rng = np.random.default_rng(0)
X = rng.normal(size=(60, 8))


def trained(layer: Any, y: Array, epochs: int = 200, rate: float = 0.01) -> Any:
    model = nb.Sequential([nb.Input((8,)), layer])
    model.compile(nb.optimizers.Adam(rate), "mse")
    model.fit(X.astype("float32"), y, batch_size=60, epochs=epochs, verbose=0)
    return model


# ---- DropConnect ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("group_size", [None, 1, 7])
def test_drop_connect_masks_weights(group_size: int | None) -> None:
    layer = DropConnectDense(5, 0.3, "tanh", group_size=group_size, dtype="float64", bias_initializer="ones", name="it")
    with nb.Tape() as tape:
        y = layer(X, training=True).numpy()
    masks = tape.masks["it"]
    size = group_size or len(X)
    assert masks.shape == (math.ceil(len(X) / size), 9, 5)
    w, b = layer.get_weights()
    for i, x in enumerate(X):
        m = masks[i // size] / 0.7
        np.testing.assert_allclose(y[i], np.tanh(x @ (w * m[:-1]) + b * m[-1]), rtol=1e-10)


def test_drop_connect_rates() -> None:
    layer = DropConnectDense(50, 0.3, group_size=1, seed=1, name="it")
    with nb.Tape(step=0) as tape:
        layer(X, training=True)
    kept = tape.masks["it"]
    assert abs(kept.mean() - 0.7) < 5 * math.sqrt(0.21 / kept.size)
    flat = kept.reshape(len(kept), -1)
    assert abs(np.corrcoef(flat[1:].ravel(), flat[:-1].ravel())[0, 1]) < 5 / math.sqrt(flat.size)


@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid", None])
def test_drop_connect_inference_is_the_mean_over_masks(activation: str | None) -> None:
    """Many inputs, so that the sums are nearly normal, as the paper assumes."""
    x = rng.normal(size=(10, 400))
    layer = DropConnectDense(6, 0.5, activation, samples=4000, seed=2, dtype="float64", bias_initializer="ones")
    y = layer(x).numpy()
    (w, b), n = layer.get_weights(), 4000
    drawn = np.zeros((n, 10, 6))
    for k in range(n):
        keep = rng.random((401, 6)) >= 0.5
        drawn[k] = getattr(nb.activations, activation or "linear")(
            nb.tensor(x @ (w * keep[:-1] * 2) + b * keep[-1] * 2)
        ).numpy()
    # Two averages of so many numbers each, and the normal approximation.
    np.testing.assert_array_less(np.abs(y - drawn.mean(0)), 5 * drawn.std(0) * math.sqrt(2 / n) + 0.02)
    plain = DropConnectDense(6, 0.5, activation, inference="mean", dtype="float64")
    plain.build_for((None, 400))
    plain.set_weights([w, b])
    exact = getattr(nb.activations, activation or "linear")(nb.tensor(x @ w + b)).numpy()
    np.testing.assert_allclose(plain(x).numpy(), exact, rtol=1e-10)
    if activation is None:
        np.testing.assert_allclose(y, exact, rtol=1e-10)


def test_drop_connect_inference_is_deterministic() -> None:
    layer = DropConnectDense(3, 0.5, "relu", seed=1)
    model = nb.Sequential([nb.Input((8,)), layer])
    first = model.predict(X, batch_size=7)
    np.testing.assert_allclose(first, model.predict(X, batch_size=60), rtol=1e-5, atol=1e-6)
    again = DropConnectDense(3, 0.5, "relu", seed=1)
    again.build_for((None, 8))
    again.set_weights(layer.get_weights())
    np.testing.assert_allclose(first, again(X).numpy(), rtol=1e-5, atol=1e-6)


def test_drop_connect_without_bias_trains() -> None:
    layer = DropConnectDense(1, 0.1, use_bias=False)
    model = trained(layer, X @ np.ones((8, 1)), 400)
    assert len(layer.weights) == 1
    assert model.evaluate(X, X @ np.ones((8, 1)), verbose=0) < 1.0


# ---- standout ------------------------------------------------------------------------------------------------------


def test_standout_keeps_by_its_own_sums() -> None:
    layer = StandoutDense(4, "relu", alpha=2.0, beta=-0.5, dtype="float64", seed=1, name="it")
    w, b = (layer(X), layer.get_weights())[1]
    z = X @ w + b
    keep = special.expit(2 * z - 0.5)
    np.testing.assert_allclose(layer(X).numpy(), np.maximum(z, 0) * keep, rtol=1e-10)
    kept, n = np.zeros_like(z), 2000
    for step in range(n):
        with nb.Tape(step=step) as tape:
            y = layer(X, training=True).numpy()
        np.testing.assert_allclose(y, np.maximum(z, 0) * tape.masks["it"], rtol=1e-10)
        kept += tape.masks["it"]
    assert (np.abs(kept / n - keep) < 5.5 * np.sqrt(keep * (1 - keep) / n) + 1e-9).all()


def test_standout_gradient_does_not_see_the_probabilities() -> None:
    layer = StandoutDense(4, dtype="float64", name="it")
    x = nb.Parameter(X)
    with nb.Tape() as tape:
        y = nb.ops.sum(layer(x, training=True))
    np.testing.assert_allclose(tape.gradient(y, x).numpy(), tape.masks["it"] @ layer.get_weights()[0].T, rtol=1e-10)


def test_standout_without_alpha_is_dropout_of_one_rate() -> None:
    layer = StandoutDense(100, alpha=0.0, beta=math.log(4), seed=1, name="it")  # keeps 4 of 5
    with nb.Tape(step=0) as tape:
        layer(X, training=True)
    kept = tape.masks["it"]
    assert abs(kept.mean() - 0.8) < 5 * math.sqrt(0.16 / kept.size)


# ---- concrete dropout ----------------------------------------------------------------------------------------------


def test_concrete_losses() -> None:
    layer = ConcreteDropout(Dense(3, dtype="float64"), 0.1, 0.2, init_min=0.3, init_max=0.3, dtype="float64")
    layer(X)
    w, p = layer.layer.get_weights()[0], 0.3
    wanted = [0.1 * (w**2).sum() / (1 - p), 0.2 * 8 * (p * math.log(p) + (1 - p) * math.log(1 - p))]
    np.testing.assert_allclose([loss.item() for loss in layer.losses], wanted, rtol=1e-6)


def test_concrete_mask_is_dropout_at_low_temperature() -> None:
    n = 200_000
    with nb.Tape(step=0):
        y = nb.ops.concrete_dropout(np.ones((n // 100, 100)), math.log(0.3 / 0.7), 1e-3, key=1).numpy()
    assert ((y < 1e-6) | (np.abs(y - 1 / 0.7) < 1e-5)).mean() > 0.99
    assert abs(y.mean() - 1) < 5 * math.sqrt(0.3 / 0.7 / n)


def test_concrete_rates_follow_the_data() -> None:
    """Where noise costs much, the rate falls; where weights are of no use, the entropy alone draws it to 1/2."""
    found = []
    for y in (X @ np.ones((8, 1)), np.zeros((60, 1))):
        nb.set_random_seed(1)
        layer = ConcreteDropout(Dense(1), 1e-4, 1e-2, init_min=0.2, init_max=0.2, seed=1)
        trained(layer, y, 600, 0.02)
        found.append(layer.rate)
    assert found[0] < 0.1
    assert 0.4 < found[1] < 0.6


def test_concrete_wraps_convolutions_and_is_cloned() -> None:
    layer = ConcreteDropout(nb.layers.Conv2D(4, 3, name="inside"), init_min=0.1, init_max=0.4, seed=1)
    model = nb.Sequential([nb.Input((6, 6, 2)), layer, nb.layers.Flatten(), Dense(1)])
    model.compile("adam", "mse")
    x = rng.normal(size=(20, 6, 6, 2))
    model.fit(x, np.ones(20), verbose=0)
    again = nb.clone_model(model)
    again.set_weights(model.get_weights())
    np.testing.assert_allclose(again.predict(x), model.predict(x), rtol=1e-6)
    assert 0.1 < layer.rate < 0.4
    with pytest.raises(TypeError, match="layer: expected a layer to wrap"):
        ConcreteDropout(3)


# ---- variational dropout -------------------------------------------------------------------------------------------


def divergence(log_alpha: Array) -> Array:
    k1, k2, k3 = 0.63576, 1.87320, 1.48695
    return -(k1 * special.expit(k2 + k3 * log_alpha) - 0.5 * np.log1p(np.exp(-log_alpha)) - k1)


def test_divergence_is_near_the_integral() -> None:
    """The approximation against the expectation it approximates, which is known up to a constant."""
    log_alpha = np.linspace(-4, 4, 9)
    eps = np.random.default_rng(0).normal(size=2_000_000)
    wanted = [np.log(np.abs(1 + np.exp(0.5 * la) * eps)).mean() - 0.5 * la for la in log_alpha]
    found = divergence(log_alpha)
    np.testing.assert_allclose(found - found[-1], np.array(wanted) - wanted[-1], atol=0.02)


def test_variational_losses() -> None:
    for per_unit in (False, True):
        layer = VariationalDropout(0.5, per_unit, kl_weight=0.1, dtype="float64")
        layer(X)
        np.testing.assert_allclose(layer.losses[0].item(), 0.1 * 8 * divergence(np.log(0.5)), rtol=1e-6)
    dense = VariationalDense(3, kl_weight=0.1, initial_log_sigma2=-3.0, dtype="float64")
    dense(X)
    wanted = 0.1 * divergence(-3.0 - np.log(dense.get_weights()[0] ** 2 + 1e-8)).sum()
    np.testing.assert_allclose(dense.losses[0].item(), wanted, rtol=1e-6)


def test_variational_dropout_draws_around_its_input() -> None:
    y = VariationalDropout(0.25, seed=1)(np.full((1000, 100), 2.0), training=True).numpy().astype(float)
    assert abs(y.mean() - 2) < 5 / math.sqrt(y.size)
    assert abs(y.var() - 1) < 5 * math.sqrt(2 / y.size)


def test_variational_dense_draws_its_outputs() -> None:
    layer = VariationalDense(4, initial_log_sigma2=-1.0, dtype="float64", seed=1)
    w = (layer(X), layer.get_weights()[0])[1]
    n, total, squares = 1000, 0.0, 0.0
    for step in range(n):
        with nb.Tape(step=step):
            y = layer(X, training=True).numpy()
        total, squares = total + y, squares + y * y
    mean, variance = total / n, (X**2) @ np.full((8, 4), math.exp(-1.0))
    assert (np.abs(mean - X @ w) < 5.5 * np.sqrt(variance / n)).all()
    assert (np.abs(squares / n - mean**2 - variance) < 5.5 * variance * math.sqrt(2 / n)).all()


def test_variational_dense_finds_useless_inputs() -> None:
    y = X[:, :2] @ np.array([[2.0], [-3.0]])
    layer = VariationalDense(1, kl_weight=1 / 60, initial_log_sigma2=-4.0, seed=1)
    model = trained(layer, y, 1500, 0.02)
    assert (layer.log_alpha[:2] < 0).all()
    assert layer.sparsity >= 0.5
    assert model.evaluate(X, y, verbose=0) < model.evaluate(X, 0 * y, verbose=0)
    assert np.square(model.predict(X) - y).mean() < 0.2


# ---- Masksembles ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "scale", "features"), [(4, 2.0, 64), (2, 3.0, 33), (8, 1.3, 100), (3, 1.0, 7)])
def test_masks_of_masksembles(n: int, scale: float, features: int) -> None:
    layer = Masksembles(n, scale, seed=1)
    layer.build_for((None, features))
    masks = layer.masks.numpy()
    assert masks.shape == (n, features)
    assert set(np.unique(masks)) <= {0.0, 1.0}
    assert masks.any(axis=0).all()
    assert len(set(masks.sum(axis=1))) == 1
    wanted = 1 / (scale * (1 - (1 - 1 / scale) ** n))
    assert masks.mean() == pytest.approx(wanted, abs=0.08)
    assert not layer.trainable_weights
    np.testing.assert_array_equal(masks, Masksembles(n, scale, seed=1)(np.ones((n, features))).numpy())


def test_members_are_the_masked_networks() -> None:
    layer = Masksembles(3, 2.0, seed=1)
    model = nb.Sequential([nb.Input((8,)), layer, Dense(2)])
    found = layer.members(model, X, batch_size=7)
    w, b = model.layers[-1].get_weights()
    for k in range(3):
        np.testing.assert_allclose(found[k], (X * layer.masks.numpy()[k]) @ w + b, rtol=1e-4, atol=1e-5)


# ---- all of them in one model --------------------------------------------------------------------------------------


def test_a_model_of_them_is_saved_and_exported(tmp_path: Any) -> None:
    layers = [DropConnectDense(6, 0.3, "relu"), VariationalDropout(0.1), StandoutDense(6, "relu")]
    layers += [VariationalDense(6, "tanh"), ConcreteDropout(Dense(2))]
    model = nb.Sequential([nb.Input((8,)), *layers])
    model.compile("adam", "mse")
    model.fit(X, X[:, :2], epochs=2, verbose=0)
    model.save(tmp_path / "model.nbnet")
    wanted = model.predict(X)
    np.testing.assert_array_equal(nb.load_model(tmp_path / "model.nbnet").predict(X), wanted)
    runtime = pytest.importorskip("onnxruntime", reason="needs onnxruntime")
    pytest.importorskip("onnx", reason="needs onnx")
    model.export(tmp_path / "model.onnx")
    session = runtime.InferenceSession(tmp_path / "model.onnx")
    (found,) = session.run(None, {session.get_inputs()[0].name: X.astype("float32")})
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)
