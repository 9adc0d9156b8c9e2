"""How sure networks are: passes with dropout at work, standard deviations, intervals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.preprocessing import scale

import nbnet as nb
from nbnet.estimators import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, Y = load_iris(return_X_y=True)
X = scale(X)
LINE = np.linspace(-1, 1, 400)[:, None]
NOISY = LINE[:, 0] + np.random.default_rng(0).normal(0, 0.1, 400)
QUICK: dict[str, Any] = {
    "hidden_layer_sizes": (16,), "max_iter": 30, "batch_size": 32, "learning_rate_init": 0.02, "random_state": 0,
}  # fmt: skip


def test_mc_dropout() -> None:
    net = MLPClassifier(dropout=0.5, **QUICK).fit(X, Y)
    sampled = net.predict_proba(X, mc_samples=50)
    np.testing.assert_allclose(sampled.sum(1), 1, rtol=1e-5)
    np.testing.assert_array_equal(sampled, net.predict_proba(X, mc_samples=50))
    assert 0 < np.abs(sampled - net.predict_proba(X)).max() < 0.5
    np.testing.assert_array_equal(net.predict(X, mc_samples=50), sampled.argmax(1))


def test_standard_deviations() -> None:
    mean, std = MLPRegressor(dropout=0.3, **QUICK).fit(LINE, NOISY).predict(LINE, return_std=True)
    assert mean.shape == std.shape == (400,)
    assert (std > 0).all()
    noise = "gaussian_negative_log_likelihood"
    both = np.c_[NOISY, -NOISY]
    mean, std = MLPRegressor(noise, **QUICK | {"max_iter": 200}).fit(LINE, both).predict(LINE, return_std=True)
    assert mean.shape == std.shape == (400, 2)
    assert std.mean() == pytest.approx(0.1, rel=0.3)


@pytest.mark.parametrize(
    "parameters",
    [
        {"early_stopping": True, "validation_fraction": 0.3},
        {"loss": "gaussian_negative_log_likelihood", "max_iter": 200},
        {"loss": "gaussian_negative_log_likelihood", "early_stopping": True, "validation_fraction": 0.3},
        {"loss": nb.losses.Quantile([0.1, 0.5, 0.9]), "early_stopping": True, "validation_fraction": 0.3},
    ],
)
def test_intervals(parameters: dict[str, Any]) -> None:
    net = MLPRegressor(**QUICK | parameters).fit(LINE[::2], NOISY[::2])
    widths = []
    for coverage in (0.5, 0.9):
        lower, upper = net.predict_interval(LINE[1::2], coverage)
        assert nb.calibration.interval_coverage(NOISY[1::2], lower, upper) == pytest.approx(coverage, abs=0.15)
        widths.append((upper - lower).mean())
    assert widths[0] < widths[1]


def test_quantiles() -> None:
    loss = nb.losses.Quantile([0.9, 0.5, 0.1])
    net = MLPRegressor(loss, **QUICK | {"max_iter": 200, "n_iter_no_change": 200}).fit(LINE, NOISY)
    lower, upper = net.predict_interval(LINE, 0.8)
    assert nb.calibration.interval_coverage(NOISY, lower, upper) == pytest.approx(0.8, abs=0.15)
    middle = net.predict(LINE)
    assert middle.shape == (400,)
    assert ((lower <= middle) & (middle <= upper)).all()
    with pytest.raises(ValueError, match="one target"):
        MLPRegressor(loss).fit(LINE, np.c_[NOISY, NOISY])
