"""The NumPy opponents are right before they are fast, and compute what nbnet computes."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import nbnet as nb
from benchmarks.harness.workloads import glorot_weights
from benchmarks.numpy_mlp import tuned as tuned_numpy_baseline
from benchmarks.numpy_mlp.plain import NumpyMLP
from benchmarks.numpy_mlp.tuned import TunedNumpyMLP

Opponent = type[NumpyMLP] | type[TunedNumpyMLP]

SIZES = (5, 7, 6, 3)


@pytest.fixture(params=[NumpyMLP, TunedNumpyMLP])
def kind(request: pytest.FixtureRequest) -> Opponent:
    opponent: Opponent = request.param
    return opponent


def build(kind: Opponent, sizes: tuple[int, ...] = SIZES, **options: Any) -> NumpyMLP | TunedNumpyMLP:
    return kind(sizes, *glorot_weights(sizes, 1), **options)


def data(n: int, sizes: tuple[int, ...] = SIZES) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    rng = np.random.default_rng(2)
    return rng.standard_normal((n, sizes[0]), dtype=np.float32), rng.integers(sizes[-1], size=n)


@pytest.mark.parametrize("rates", [(0.0, 0.0), (0.2, 0.0), (0.2, 0.5)])
def test_gradients_match_finite_differences(kind: Opponent, rates: tuple[float, float]) -> None:
    x, y = data(8)
    initial = build(kind, dtype=np.float64).weights

    def model(parameters: list[NDArray[np.float64]]) -> NumpyMLP | TunedNumpyMLP:  # the same seed and masks
        return kind(SIZES, parameters[::2], parameters[1::2], *rates, seed=3, dtype=np.float64)

    exact = model(initial)
    exact.compute_gradients(x, y)
    for k, gradient in enumerate(exact.gradients):
        for index in np.ndindex(gradient.shape):
            losses = []
            for change in (1e-6, -1e-6):
                moved = [array.copy() for array in initial]
                moved[k][index] += change
                losses.append(model(moved).compute_gradients(x, y))
            assert gradient[index] == pytest.approx((losses[0] - losses[1]) / 2e-6, rel=1e-5, abs=1e-8)


def test_loss_is_mean_cross_entropy(kind: Opponent) -> None:
    x, y = data(9)
    model = build(kind, dtype=np.float64)
    expected = -np.log(model.predict(x)[np.arange(9), y]).mean()
    assert model.train_batch(x, y) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("block", [7, 65536])
def test_adam_is_keras_formula_for_each_scalar(kind: Opponent, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tuned_numpy_baseline, "BLOCK", block)
    x, y = data(8)
    model = build(kind, learning_rate=0.01, dtype=np.float64)
    p = np.concatenate([array.ravel() for array in model.weights]).tolist()
    m, v = [0.0] * len(p), [0.0] * len(p)
    for t in range(1, 6):
        model.train_batch(x, y)
        alpha = 0.01 * math.sqrt(1 - 0.999**t) / (1 - 0.9**t)
        for i, g in enumerate(np.concatenate([array.ravel() for array in model.gradients]).tolist()):
            m[i] += (g - m[i]) * (1 - 0.9)
            v[i] += (g * g - v[i]) * (1 - 0.999)
            p[i] -= alpha * m[i] / (math.sqrt(v[i]) + 1e-7)
        np.testing.assert_allclose(np.concatenate([array.ravel() for array in model.weights]), p, rtol=1e-10)


@pytest.mark.parametrize(("sizes", "rates"), [((20_000, 2), (0.2, 0.0)), ((1, 20_000, 2), (0.0, 0.5))])
def test_dropout_keeps_the_right_share_of_each_row(
    kind: Opponent, sizes: tuple[int, ...], rates: tuple[float, float]
) -> None:
    weights = [np.zeros(shape, np.float32) for shape in pairwise(sizes)]
    biases = [np.ones(n, np.float32) for n in sizes[1:]]
    model, rate, rows = kind(sizes, weights, biases, *rates), max(rates), 4
    model.compute_gradients(np.ones((rows, sizes[0]), np.float32), np.zeros(rows, np.int64))
    # Dropout falls on ones and each row's derivative is -1/2 / rows, so this counts the rows that kept a unit.
    kept = model.gradients[-2][:, 0] * (1 - rate) * -2 * rows
    np.testing.assert_allclose(kept, kept.round(), atol=1e-5)
    assert kept.mean() / rows == pytest.approx(1 - rate, abs=0.01)
    assert kept.var() / rows == pytest.approx(rate * (1 - rate), abs=0.02)


def test_nothing_is_drawn_at_rate_zero(kind: Opponent) -> None:
    x, y = data(8)
    model = build(kind)
    before = model.rng.bit_generator.state
    model.train_batch(x, y)
    assert model.rng.bit_generator.state == before


def test_epoch_is_its_batches_with_a_short_last_one(kind: Opponent) -> None:
    x, y = data(12)
    order = np.random.default_rng(4).permutation(12)[:10]
    options: dict[str, Any] = {"input_dropout": 0.2, "hidden_dropout": 0.5}
    whole, parts = build(kind, **options), build(kind, **options)
    mean = whole.train_epoch(x, y, order, 4)
    batches = [order[:4], order[4:8], order[8:]]
    losses = [parts.train_batch(x[rows], y[rows]) for rows in batches]
    assert whole.steps == 3
    assert mean == pytest.approx((4 * losses[0] + 4 * losses[1] + 2 * losses[2]) / 10)
    for left, right in zip(whole.weights, parts.weights, strict=True):
        np.testing.assert_array_equal(left, right)


def test_arguments_are_left_alone_and_weights_are_copies(kind: Opponent) -> None:
    x, y = data(8)
    weights, biases = glorot_weights(SIZES, 1)
    arguments: list[NDArray[Any]] = [x, y, *weights, *biases]
    before = [array.copy() for array in arguments]
    model = kind(SIZES, weights, biases, input_dropout=0.2, hidden_dropout=0.5)
    model.train_batch(x, y)
    model.predict(x)
    for left, right in zip(arguments, before, strict=True):
        np.testing.assert_array_equal(left, right)
    model.weights[0][:] = 0
    assert model.weights[0].any()
    assert {array.dtype for array in model.weights} == {np.dtype(np.float32)}


def test_any_type_of_features_and_labels(kind: Opponent) -> None:
    x = np.random.default_rng(5).integers(256, size=(8, 5), dtype=np.uint8)
    y = np.arange(8) % 3
    left, right = build(kind, input_dropout=0.2), build(kind, input_dropout=0.2)
    assert left.train_batch(x, y.astype(np.int32)) == right.train_batch(x.astype(np.float64), y)
    np.testing.assert_array_equal(left.predict(x), right.predict(x.astype(np.float32)))


def test_large_logits_stay_finite(kind: Opponent) -> None:
    x, y = data(8)
    model = build(kind)
    x *= 1e6
    assert np.isfinite(model.train_batch(x, y))
    np.testing.assert_allclose(model.predict(x).sum(axis=1), 1, rtol=1e-5)


def test_wrong_shapes_are_refused(kind: Opponent) -> None:
    weights, biases = glorot_weights(SIZES, 1)
    with pytest.raises(ValueError, match="shapes"):
        kind((5, 7, 3), weights, biases)


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-4), ("float64", 1e-10)])
def test_opponents_and_nbnet_learn_the_same_without_dropout(dtype: str, tolerance: float) -> None:
    sizes, n, size = (12, 16, 8, 4), 150, 32  # four full batches and a short one
    x, y = data(n, sizes)
    plain, tuned = build(NumpyMLP, sizes, dtype=dtype), build(TunedNumpyMLP, sizes, dtype=dtype)
    layers = [nb.layers.Dense(units, activation="relu", dtype=dtype) for units in sizes[1:-1]]
    output = nb.layers.Dense(sizes[-1], activation="softmax", dtype=dtype)
    model = nb.Sequential([nb.Input((sizes[0],), dtype=dtype), *layers, output], dtype=dtype)
    model.compile(nb.optimizers.Adam(plain.learning_rate), "sparse_categorical_crossentropy")
    model.set_weights(plain.weights)

    losses = model.fit(x, y, size, epochs=5, verbose=0, shuffle=False).history["loss"]
    for opponent in (plain, tuned):
        theirs = [opponent.train_epoch(x, y, np.arange(n), size) for _ in losses]
        np.testing.assert_allclose(losses, theirs, rtol=tolerance)
        np.testing.assert_allclose(model.predict(x), opponent.predict(x), rtol=10 * tolerance)
    for ours, left, right in zip(model.get_weights(), plain.weights, tuned.weights, strict=True):
        np.testing.assert_allclose(left, right, atol=tolerance)
        np.testing.assert_allclose(ours, left, atol=tolerance)
