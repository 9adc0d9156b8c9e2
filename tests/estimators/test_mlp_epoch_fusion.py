"""Epochs that are trained in one call end where they would end one by one."""

from __future__ import annotations

import numpy as np
import pytest

import nbnet as nb
from nbnet.estimators import MLPClassifier
from nbnet.estimators import training as module
from nbnet.train import epoch_fusion

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
rng = np.random.default_rng(1)
X = rng.normal(size=(150, 4))
LABELS = (X[:, 0] + 0.3 * rng.normal(size=150) > 0).astype(int)


@pytest.mark.parametrize(
    ("settings", "together"),
    [
        ({}, True),
        ({"shuffle": False}, True),
        ({"batch_size": 40}, True),
        ({"learning_rate_init": 0.05, "tol": 1e-3, "max_iter": 300}, True),
        ({"learning_rate_init": 0.05, "tol": 0.02, "n_iter_no_change": 1}, False),
        ({"solver": "sgd", "learning_rate": "adaptive", "learning_rate_init": 0.5, "tol": 0.05, "max_iter": 100}, True),
        ({"solver": "sgd", "learning_rate": "invscaling"}, False),
        ({"early_stopping": True}, False),
        ({"callbacks": [nb.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: None)]}, False),
    ],
)
def test_the_same_as_epoch_by_epoch(settings, together, monkeypatch):
    made, count, real = [], [], epoch_fusion._run
    monkeypatch.setattr(epoch_fusion, "_run", lambda *args: count.append(1) or real(*args))
    monkeypatch.setattr(epoch_fusion, "CALL_SECONDS", 1e9)
    for way in (True, False):
        if not way:
            monkeypatch.setattr(module.MultiEpochRunner, "of", lambda *_: None)
        state = np.random.RandomState(0)
        net = MLPClassifier((8,), random_state=state, **({"max_iter": 40} | settings)).fit(X, LABELS)
        made.append((net, state.rand()))
    (net, drawn), (other, drawn_too) = made
    assert bool(count) == together
    assert (net.n_iter_, net.t_, drawn) == (other.n_iter_, other.t_, drawn_too)
    assert net.loss_curve_ == other.loss_curve_
    for w, v in zip(net.coefs_ + net.intercepts_, other.coefs_ + other.intercepts_, strict=True):
        np.testing.assert_array_equal(w, v)
