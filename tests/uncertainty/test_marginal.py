"""Dropout averaged over its masks: exactly, by enumeration, and as training finds it."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from sklearn.datasets import load_digits

import nbnet as nb
from nbnet.engine.jit import linker
from nbnet.layers import Dense, Dropout

#: Thousands of steps, which take half a minute in plain Python.
compiled = pytest.mark.skipif(linker.DISABLE_JIT, reason="too many steps for plain Python")

rng = np.random.default_rng(0)
X = rng.normal(size=(40, 5)) @ np.diag([1.0, 2.0, 0.5, 1.0, 3.0])
Y = X @ rng.normal(size=(5, 1)) + rng.normal(size=(40, 1))


def linear(rate, dtype="float64"):
    nb.set_random_seed(0)
    dropout = Dropout(rate, dtype=dtype, name="drop")
    return nb.Sequential([nb.Input((5,)), dropout, Dense(1, use_bias=False, dtype=dtype)])


def ridge(rate):
    """Least squares with the penalty that dropout on the inputs comes to."""
    gram = X.T @ X
    return np.linalg.solve(gram + rate / (1 - rate) * np.diag(np.diag(gram)), X.T @ Y)


@pytest.mark.parametrize("rate", [0.2, 0.5, 0.75])
def test_the_mean_over_all_masks_is_the_penalised_error(rate):
    """Srivastava et al. (2014), section 9.1; Wang and Manning (2013).

    Without the factor 1 / (1 - rate) the expected error is ``|y - p X w|^2 + p (1 - p) |diag(X'X)^(1/2) w|^2`` with
    p = 1 - rate; here w stands for their p w. Rows have masks of their own, and errors of rows add up: all of them may
    as well have one mask at a time.
    """
    model = linear(rate)
    w = model.get_weights()[0]
    expected = 0.0
    for mask in product([False, True], repeat=5):
        with nb.Tape(masks={"drop": np.tile(mask, (40, 1))}):
            error = Y - model(X, training=True).numpy()
        kept = sum(mask)
        expected += (1 - rate) ** kept * rate ** (5 - kept) * float((error**2).sum())
    penalty = rate / (1 - rate) * float(np.diag(X.T @ X) @ w[:, 0] ** 2)
    wanted = float(((Y - X @ w) ** 2).sum()) + penalty
    assert expected == pytest.approx(wanted, rel=1e-12)
    # The same in the paper's terms.
    p, v = 1 - rate, w / (1 - rate)
    paper = ((Y - p * X @ v) ** 2).sum() + p * (1 - p) * (np.diag(X.T @ X) @ v[:, 0] ** 2)
    assert expected == pytest.approx(float(paper), rel=1e-12)


@compiled
@pytest.mark.parametrize("rate", [0.2, 0.5])
def test_training_with_dropout_finds_ridge_regression(rate):
    model, x, y = linear(rate), np.tile(X, (200, 1)), np.tile(Y, (200, 1))
    schedule = nb.optimizers.schedules.PolynomialDecay(0.02, 20 * 200, 1e-5)
    model.compile(nb.optimizers.SGD(schedule), "mse")
    model.fit(x, y, batch_size=400, epochs=200, verbose=0)
    found, wanted, plain = model.get_weights()[0], ridge(rate), np.linalg.lstsq(X, Y, rcond=None)[0]
    distance = np.linalg.norm(found - wanted) / np.linalg.norm(wanted)
    assert distance < 0.03
    assert distance < 0.2 * np.linalg.norm(found - plain) / np.linalg.norm(plain)


@pytest.mark.parametrize("masks", ["per_sample", "shared"])
def test_sampled_passes_have_the_moments_of_the_linear_model(masks):
    """Mean x w, variance rate / (1 - rate) sum (x_i w_i)^2."""
    rate, samples = 0.5, 4000
    model = linear(rate)
    w = model.get_weights()[0]
    found = model.predict_mc(X, samples, masks, seed=1)
    std = np.sqrt(rate / (1 - rate) * ((X * w[:, 0]) ** 2).sum(1, keepdims=True))
    assert (np.abs(found.mean - X @ w) < 5 * std / np.sqrt(samples)).all()
    np.testing.assert_allclose(found.std, std, rtol=0.08)


@compiled
def test_averages_of_sub_networks_approach_weight_scaling():
    """Srivastava et al. (2014), figure 11: the error of k averaged sub-networks falls towards that of weight
    scaling."""
    x, y = load_digits(return_X_y=True)
    x, order = (x / 16).astype("float32"), np.random.default_rng(0).permutation(len(x))
    train, test = order[:600], order[600:]
    nb.set_random_seed(1)
    layers = [Dense(64, "relu"), Dropout(0.5), Dense(64, "relu"), Dropout(0.5), Dense(10, "softmax")]
    model = nb.Sequential([nb.Input((64,)), *layers])
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(x[train], y[train], epochs=40, verbose=0)

    scaled = model.predict(x[test])
    samples = model.predict_mc(x[test], 200, masks="shared", return_samples=True, seed=1).samples
    averages = {k: samples.reshape(-1, k, *scaled.shape).mean(1) for k in (1, 5, 20, 100)}
    errors = [float((p.argmax(-1) != y[test]).mean()) for p in averages.values()]
    apart = [float(np.abs(p - scaled).mean()) for p in averages.values()]
    error = float((scaled.argmax(1) != y[test]).mean())
    assert errors[0] > errors[1] > errors[3] - 0.002
    assert apart[0] > apart[1] > apart[2] > apart[3]
    assert errors[0] > 1.5 * error
    assert abs(errors[3] - error) < 0.01
