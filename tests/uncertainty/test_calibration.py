"""Calibration measures: against their definitions, and on predictions whose calibration is known."""

from __future__ import annotations

import math
import sys
from itertools import pairwise

import numpy as np
import pytest
from scipy.special import expit, softmax
from scipy.stats import norm
from sklearn.calibration import calibration_curve
from sklearn.metrics import log_loss

import nbnet as nb
from nbnet.engine.jit import linker

cal = nb.calibration
rng = np.random.default_rng(0)
LOGITS = rng.normal(size=(4000, 4))
P = softmax(LOGITS, 1)
#: Classes that have these probabilities.
Y = (P.cumsum(1) > rng.random((4000, 1))).argmax(1)
ONE_P = expit(rng.normal(size=4000))
ONE_Y = (rng.random(4000) < ONE_P).astype(int)


def by_hand(events, confidence, edges):
    """Accuracy, confidence and count of each bin (left, right]."""
    found = []
    for low, high in pairwise(edges):
        inside = (confidence > low) & (confidence <= high)
        if inside.any():
            found.append((events[inside].mean(), confidence[inside].mean(), inside.sum()))
    return np.array(found).T


@pytest.mark.parametrize("n_bins", [1, 5, 15])
@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("strategy", ["uniform", "quantile"])
def test_reliability_is_that_of_its_definition(n_bins, classes, strategy):
    y, p = (ONE_Y, ONE_P) if classes == 2 else (Y, P)
    events, confidence = (y, p) if classes == 2 else (p.argmax(1) == y, p.max(1))
    levels = np.linspace(0, 1, n_bins + 1)
    edges = levels.copy() if strategy == "uniform" else np.percentile(confidence, 100 * levels)
    edges[0] = -1
    accuracy, mean, counts = by_hand(events, confidence, edges)
    curve = cal.reliability_curve(y, p, n_bins, strategy)
    np.testing.assert_allclose(curve.accuracy, accuracy)
    np.testing.assert_allclose(curve.confidence, mean)
    assert np.array_equal(curve.counts, counts)
    gaps = np.abs(accuracy - mean)
    assert cal.expected_calibration_error(y, p, n_bins, strategy) == pytest.approx((gaps * counts).sum() / 4000)
    assert cal.maximum_calibration_error(y, p, n_bins, strategy) == pytest.approx(gaps.max())


def test_reliability_of_two_classes_is_scikit_learns():
    curve = cal.reliability_curve(ONE_Y, ONE_P, 10)
    for found, wanted in zip(
        (curve.accuracy, curve.confidence), calibration_curve(ONE_Y, ONE_P, n_bins=10), strict=True
    ):
        np.testing.assert_array_equal(found, wanted)


def test_all_right_and_all_wrong():
    assert cal.expected_calibration_error([1, 1], [1.0, 1.0]) == 0
    assert cal.expected_calibration_error([0, 0], [1.0, 1.0]) == 1
    assert cal.expected_calibration_error([0, 1], np.eye(2)) == 0
    assert cal.maximum_calibration_error([1, 0], np.eye(2)) == 1


@pytest.mark.parametrize("shape", ["labels", "one-hot", "column"])
def test_forms_of_targets(shape):
    y = {"labels": Y, "one-hot": np.eye(4)[Y], "column": Y[:, None].astype("float32")}[shape]
    assert cal.expected_calibration_error(y, P) == cal.expected_calibration_error(Y, P)
    assert cal.brier_score(y, P) == cal.brier_score(Y, P)
    assert cal.log_loss(y, P) == cal.log_loss(Y, P)


def test_scores_are_those_of_their_definitions():
    assert cal.brier_score(Y, P) == pytest.approx(((P - np.eye(4)[Y]) ** 2).sum() / 4000)
    assert cal.brier_score(ONE_Y, ONE_P[:, None]) == pytest.approx(((ONE_P - ONE_Y) ** 2).mean())
    assert cal.log_loss(Y, P) == pytest.approx(log_loss(Y, P))
    assert cal.log_loss(Y, P) == pytest.approx(-np.log(P[np.arange(4000), Y]).mean())
    assert cal.log_loss(ONE_Y, ONE_P) == pytest.approx(log_loss(ONE_Y, ONE_P))
    assert cal.log_loss([0, 0], [0.5, 0.5]) == pytest.approx(math.log(2))
    # Proper scores: nothing scores better than the truth.
    assert cal.brier_score(Y, P) < cal.brier_score(Y, softmax(2 * LOGITS, 1))
    assert cal.log_loss(Y, P) < cal.log_loss(Y, softmax(LOGITS / 2, 1))


@pytest.mark.parametrize("factor", [0.2, 1.0, 5.0])
def test_temperature_scaling_undoes_a_factor(factor):
    scaling = cal.TemperatureScaling().fit(factor * LOGITS, Y)
    assert scaling.temperature_ == pytest.approx(factor, rel=0.1)
    found = scaling.predict_proba(factor * LOGITS)
    assert cal.log_loss(Y, found) <= cal.log_loss(Y, P)
    assert cal.expected_calibration_error(Y, found) < 0.03
    assert np.array_equal(found.argmax(1), LOGITS.argmax(1))
    # No other temperature does better.
    for other in (0.99, 1.01):
        assert cal.log_loss(Y, softmax(scaling.transform(factor * LOGITS) * other, 1)) > cal.log_loss(Y, found)
    # Logarithms of probabilities are logits but for a constant in each row.
    again = cal.TemperatureScaling().fit(np.log(softmax(factor * LOGITS, 1)), Y)
    assert again.temperature_ == pytest.approx(scaling.temperature_, rel=1e-5)


def test_temperature_scaling_of_two_classes():
    z = np.log(ONE_P / (1 - ONE_P))
    scaling = cal.TemperatureScaling().fit(3 * z[:, None], ONE_Y)
    both = cal.TemperatureScaling().fit(np.stack([-1.5 * z, 1.5 * z], 1), ONE_Y)
    assert scaling.temperature_ == pytest.approx(both.temperature_, rel=1e-5)
    assert scaling.temperature_ == pytest.approx(3, rel=0.1)
    assert scaling.predict_proba(3 * z[:, None]).shape == (4000, 1)
    assert repr(scaling).startswith("TemperatureScaling(temperature_=2.9")


def test_temperature_of_classes_that_are_never_missed():
    scaling = cal.TemperatureScaling().fit(np.eye(3), [0, 1, 2])
    assert 1e-3 <= scaling.temperature_ < 0.1
    with pytest.raises(ValueError, match=r"temperature_: is not known yet"):
        cal.TemperatureScaling().transform(LOGITS)


@pytest.mark.parametrize("factor", [0.5, 1.0, 2.0])
def test_coverage_of_normal_intervals(factor):
    y = rng.normal(size=(5000, 2))
    curve = cal.coverage_curve(y, np.zeros_like(y), np.full_like(y, factor))
    wanted = 2 * norm.cdf(factor * norm.ppf((1 + curve.levels) / 2)) - 1
    assert len(curve.levels) == 19
    np.testing.assert_allclose(curve.coverage, wanted, atol=0.03)
    assert curve.expected_error == pytest.approx(np.abs(curve.coverage - curve.levels).mean())
    assert (curve.expected_error < 0.02) == (factor == 1)


def test_coverage_of_intervals_between_quantiles():
    y, samples = rng.normal(size=3000), rng.normal(size=(400, 3000))
    curve = cal.coverage_curve(y, samples=samples, levels=[0.5, 0.9])
    np.testing.assert_allclose(curve.coverage, [0.5, 0.9], atol=0.03)
    low, high = np.quantile(samples, [0.05, 0.95], axis=0)
    assert cal.interval_coverage(y, low, high) == curve.coverage[1]


@pytest.mark.skipif(linker.DISABLE_JIT, reason="too many steps for plain Python")
def test_sampled_predictions_of_a_trained_network_can_be_calibrated():
    nb.set_random_seed(0)
    x = np.linspace(-1, 1, 400)[:, None]
    y = np.sin(3 * x) + 0.2 * np.random.default_rng(1).normal(size=x.shape)
    layers = [nb.layers.Dense(64, "relu"), nb.layers.Dropout(0.05), nb.layers.Dense(1)]
    model = nb.Sequential([nb.Input((1,)), *layers])
    model.compile(nb.optimizers.Adam(0.01), "mse")
    model.fit(x, y, epochs=60, verbose=0)
    found = model.predict_mc(x, 200, seed=1)
    with_noise = cal.coverage_curve(y, found.mean, np.sqrt(found.std**2 + 0.2**2))
    without = cal.coverage_curve(y, found.mean, found.std)
    assert with_noise.expected_error < 0.08 < without.expected_error


@pytest.mark.parametrize("make", [lambda: cal.reliability_curve(Y, P), lambda: cal.coverage_curve(Y, Y, P[:, 0])])
def test_plots(make, monkeypatch):
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    from matplotlib import pyplot

    curve = make()
    ax = curve.plot()
    x, y = ax.lines[1].get_data()
    first = curve.confidence if hasattr(curve, "confidence") else curve.levels
    np.testing.assert_array_equal(x, first)
    np.testing.assert_array_equal(y, curve.accuracy if hasattr(curve, "accuracy") else curve.coverage)
    assert curve.plot(ax) is ax
    pyplot.close(ax.figure)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"Curve.plot requires matplotlib: pip install 'nbnet\[plot\]'"):
        curve.plot()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: cal.reliability_curve([0, 1], [0.5, 1.5]), r"y_prob: expected probabilities in \[0, 1\], got 1.5"),
        (lambda: cal.reliability_curve([0], [[0.5, 0.4]]), r"y_prob: expected rows that sum to 1, got one of 0.9"),
        (lambda: cal.reliability_curve([0, 2], [0.5, 0.5]), r"y_true: expected classes from 0 to 1, got 2"),
        (lambda: cal.reliability_curve([0.5, 1], [0.5, 0.5]), r"y_true: expected classes from 0 to 1, got 0.5"),
        (lambda: cal.reliability_curve([0], [0.5, 0.5]), r"y_true: expected a class for each of 2 rows"),
        (lambda: cal.reliability_curve([[1, 1]], [[0.5, 0.5]]), r"y_true: expected classes, or rows with a single 1"),
        (lambda: cal.reliability_curve([], []), r"y_prob: expected at least one row of finite numbers"),
        (lambda: cal.reliability_curve([0, 1], [0.5, math.nan]), r"y_prob: expected at least one row of finite"),
        (lambda: cal.reliability_curve([0], np.ones((1, 1, 1))), r"y_prob: expected shape"),
        (lambda: cal.reliability_curve([0, 1], [0.5, 0.5], 0), r"n_bins: expected an integer from 1, got 0"),
        (lambda: cal.reliability_curve([0, 1], [0.5, 0.5], 2, "even"), r"strategy: expected 'uniform' or"),
        (lambda: cal.TemperatureScaling().fit([[math.inf, 0]], [0]), r"logits: expected at least one row of finite"),
        (lambda: cal.TemperatureScaling().fit([[1, 0]], [2]), r"y_true: expected classes from 0 to 1, got 2"),
        (lambda: cal.interval_coverage([1], [2], [1]), r"upper: expected bounds that are not below lower"),
        (lambda: cal.interval_coverage([1], [2, 1], [1]), r"lower, upper: expected shape \(1,\)"),
        (lambda: cal.coverage_curve([1], [1, 2], [1]), r"mean: expected shape \(1,\), that of y_true, got \(2,\)"),
        (lambda: cal.coverage_curve([1], [1], [-1]), r"std: expected numbers from 0, got -1"),
        (lambda: cal.coverage_curve([1], [1], [1], levels=[1.0]), r"levels: expected numbers in \(0, 1\), got \[1.0\]"),
        (lambda: cal.coverage_curve([1], samples=[[1, 2]]), r"samples: expected shape \(samples, 1,\), got \(1, 2\)"),
    ],
)
def test_arguments_are_checked(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_kinds_of_arguments_are_checked():
    with pytest.raises(TypeError, match=r"samples: expected mean and std, or samples; not both"):
        cal.coverage_curve([1], [1])
    with pytest.raises(TypeError, match=r"y_prob: expected real numbers"):
        cal.brier_score([0], ["a"])
