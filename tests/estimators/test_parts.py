"""The parts that networks with scikit-learn's parameters are made of, each by itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.utils import shuffle

import nbnet as nb
from nbnet import activations
from nbnet.estimators import regression_heads, solvers
from nbnet.estimators.architecture import Architecture, activation_of, layer_sizes, per_layer
from nbnet.estimators.solvers import LOWEST_RATE, RatePolicy
from nbnet.estimators.training import Convergence, FitData, SklearnSampler

RNG = np.random.default_rng(0)


def objective(y: Any, outputs: Any, weights: Any, kernel: Any, alpha: float) -> float:
    """scikit-learn's, for squared errors of one target."""
    return (0.5 * weights @ (y - outputs) ** 2 + 0.5 * alpha * (kernel**2).sum()) / weights.sum()


@pytest.mark.parametrize("weighted", [False, True])
def test_penalised(weighted: bool) -> None:
    y, outputs, kernel = RNG.normal(size=(6, 1)), RNG.normal(size=(6, 1)), nb.Parameter(RNG.normal(size=(3, 2)))
    weights = RNG.uniform(size=6) if weighted else np.ones(6)
    loss = solvers.regression_loss("squared_error", y, None)
    loss.alpha, loss.kernels, loss.weighted = 0.7, [kernel], weighted
    expected = objective(y[:, 0], outputs[:, 0], weights, kernel.numpy(), 0.7)
    assert loss(y, outputs, weights).item() == pytest.approx(expected)
    assert loss.value(y, outputs, weights) == pytest.approx(objective(y[:, 0], outputs[:, 0], weights, np.zeros(1), 0))


def test_penalised_in_parts() -> None:
    y, outputs, kernel = RNG.normal(size=(6, 1)), RNG.normal(size=(6, 1)), nb.Parameter(RNG.normal(size=(3, 2)))
    weights = RNG.uniform(size=6)
    loss = solvers.regression_loss("squared_error", y, None)
    loss.alpha, loss.kernels, loss.rows, loss.weight = 0.7, [kernel], 6, weights.sum()
    total = sum(loss(y[rows], outputs[rows], weights[rows]).item() for rows in (slice(4), slice(4, 6)))
    assert total == pytest.approx(objective(y[:, 0], outputs[:, 0], weights, kernel.numpy(), 0.7))


def test_several_targets_report_the_mean_and_descend_the_sum() -> None:
    y, outputs = RNG.normal(size=(5, 3)), nb.Parameter(RNG.normal(size=(5, 3)))
    loss = solvers.regression_loss("squared_error", y, None)(y, outputs)
    assert loss.item() == pytest.approx(0.5 * ((y - outputs.numpy()) ** 2).mean())
    loss.backward()
    np.testing.assert_allclose(outputs.grad.numpy(), (outputs.numpy() - y) / 5)


def test_architecture() -> None:
    made = Architecture(3, (), (5, 4), 2, "softmax", (activations.relu, activations.sigmoid), (0.0, 0.5))
    model, dense = made.build(np.random.RandomState(0))
    assert [layer.name for layer in model.layers] == ["hidden_1", "hidden_2", "dropout_2", "output"]
    rng = np.random.RandomState(0)
    for layer, bound in zip(dense, np.sqrt([6 / 8, 2 / 9, 2 / 6]), strict=True):
        np.testing.assert_allclose(layer.kernel.numpy(), rng.uniform(-bound, bound, layer.kernel.shape), rtol=1e-6)
        np.testing.assert_allclose(layer.bias.numpy(), rng.uniform(-bound, bound, layer.bias.shape), rtol=1e-6)


def test_values_for_each_layer() -> None:
    assert layer_sizes(3) == (3,)
    assert layer_sizes(np.array([3, 2])) == (3, 2)
    assert per_layer("relu", 2, "activation", activation_of) == (activations.relu,) * 2
    assert per_layer(("identity", "logistic"), 2, "activation", activation_of) == (
        activations.linear,
        activations.sigmoid,
    )
    with pytest.raises(ValueError, match="dropout must have a value for each of the 3"):
        per_layer([0.1], 3, "dropout")
    with pytest.raises(ValueError, match="whole numbers"):
        layer_sizes([2.5])


@pytest.mark.parametrize("ahead", [False, True])
def test_orders(ahead: bool) -> None:
    drawn, rng = SklearnSampler(20, 8, np.random.RandomState(7)), np.random.RandomState(7)
    expected = np.arange(20)
    calls = drawn.calls(range(3)) if ahead else []
    for epoch in range(3):
        expected = shuffle(expected, random_state=rng)
        if ahead:
            np.testing.assert_array_equal(calls[0].operands[1].numpy()[epoch], expected)
        else:
            assert drawn.epoch(epoch) == slice(0, 20)
            np.testing.assert_array_equal(drawn.order, expected)
    assert SklearnSampler(4, 2, None).calls(range(3)) == []


def test_patience() -> None:
    convergence = Convergence(early_stopping=False)
    for loss, unchanged in ((1.0, 0), (0.95, 1), (0.8, 0), (0.79, 1), (float("nan"), 1), (0.85, 2), (0.9, 3)):
        if loss == loss:
            convergence.add_loss(loss, 0.1)
            assert convergence.no_improvement_count == unchanged
    assert convergence.best_loss == 0.79
    assert convergence.reason_to_stop(0.1, 3) == ""
    assert (
        convergence.reason_to_stop(0.1, 2)
        == "Training loss did not improve more than tol=0.100000 for 2 consecutive epochs."
    )


def test_scores_decide_with_early_stopping() -> None:
    convergence = Convergence(early_stopping=True)
    assert convergence.add_score(0.5, 1.0, 0.1)
    assert convergence.add_score(0.55, 0.9, 0.1)
    assert not convergence.add_score(0.4, 1.1, 0.1)
    convergence.add_loss(3.0, 0.1)
    assert (convergence.no_improvement_count, convergence.best_score, convergence.validation_losses) == (
        2,
        0.55,
        [1.0, 0.9, 1.1],
    )
    assert convergence.best_loss == np.inf


def test_rates() -> None:
    optimizer = nb.optimizers.SGD(0.5)
    RatePolicy(optimizer, "invscaling", 0.5, 0.5).end_epoch(99)
    assert optimizer.learning_rate == pytest.approx(0.05)
    adaptive = RatePolicy(optimizer, "adaptive", 0.5, 0.5)
    assert adaptive.reach_plateau() == (False, " Setting learning rate to 0.010000")
    optimizer.learning_rate = LOWEST_RATE
    assert adaptive.reach_plateau() == (True, " Learning rate too small. Stopping.")
    assert RatePolicy(optimizer, "constant", 0.5, 0.5).reach_plateau() == (True, " Stopping.")


def test_split() -> None:
    part = FitData((np.arange(20.0)[:, None],), np.arange(20) % 2, np.arange(20.0))
    first, held = part.split(0.25, np.random.RandomState(0), part.targets)
    assert (len(first), len(held)) == (15, 5)
    for side in (first, held):
        np.testing.assert_array_equal(side.x[0][:, 0], side.weights)
        np.testing.assert_array_equal(side.x[0][:, 0] % 2, side.targets)
    with pytest.raises(ValueError, match="validation set is too small"):
        part.split(0.05, np.random.RandomState(0), None)


@pytest.mark.parametrize("coverage", [0.5, 0.9])
def test_intervals_cover_what_they_promise(coverage: float) -> None:
    covered = []
    for _ in range(300):
        scores = np.abs(RNG.standard_t(3, size=(50, 2)))
        covered.append(np.abs(RNG.standard_t(3, size=2)) <= regression_heads.conformal_distance(scores[:49], coverage))
    assert np.mean(covered) == pytest.approx(coverage, abs=0.05)


def test_heads() -> None:
    y, outputs = np.array([[1.0, 2.0]]), np.array([[1.5, 2.0, 0.0, np.log(4.0)]])
    normal = regression_heads.GaussianHead(2)
    np.testing.assert_allclose(normal.std(outputs), [[1, 2]])
    np.testing.assert_allclose(normal.distance(y, outputs), [[0.5, 0.0]])
    np.testing.assert_allclose(normal.interval(outputs, 1.0), [[[0.5, 0.0]], [[2.5, 4.0]]])
    assert normal.predicted_distance(0.95) == pytest.approx(1.96, abs=0.001)
    crossed, quantiles = np.array([[3.0, 0.0, 1.0]]), regression_heads.QuantileHead(1, (0.1, 0.5, 0.9))
    assert quantiles.mean(crossed).item() == 1.0
    np.testing.assert_allclose(quantiles.distance(np.array([[4.0]]), crossed), [[1.0]])
    np.testing.assert_allclose(quantiles.distance(np.array([[0.5]]), crossed), [[-0.5]])
    np.testing.assert_allclose(quantiles.interval(crossed, 1.0), [[[-1.0]], [[4.0]]])
    assert quantiles.predicted_distance(0.8) == 0.0
    with pytest.raises(ValueError, match=r"expected 0\.8, .*, got 0\.5"):
        quantiles.predicted_distance(0.5)
