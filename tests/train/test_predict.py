"""Predictions of arrays like those before take a shorter way; they are the same."""

from __future__ import annotations

import numpy as np
import pytest

import nbnet as nb
from nbnet.models import trainer
from tests.networks import LABELS, X, network


@pytest.fixture
def found(monkeypatch):
    """The results of ``predict_again``, which takes a shorter path."""
    seen = []
    again = trainer.predict_again
    monkeypatch.setattr(trainer, "predict_again", lambda *args: seen.append(again(*args)) or seen[-1])
    return seen


def test_again_is_the_same(found):
    model = network()
    first, second, other = (
        model.predict(X[:5], verbose=0),
        model.predict(X[:5], verbose=0),
        model.predict(X[5:10], verbose=0),
    )
    np.testing.assert_array_equal(first, second)
    assert not np.shares_memory(first, second)
    np.testing.assert_array_equal(other, model(X[5:10]).numpy())
    assert [y is None for y in found] == [True, False, False]
    assert model.predict(X[:4], verbose=0).shape == (4, 3)
    assert found[-1] is None


def test_again_after_training(found):
    model = network()
    model.predict(X, verbose=0)
    model.fit(X, LABELS, verbose=0)
    np.testing.assert_array_equal(model.predict(X, verbose=0), network_like(model).predict(X, verbose=0))
    before = model.predict(X, verbose=0)
    assert found[-1] is not None
    model.add(nb.layers.Rescaling(2.0))
    np.testing.assert_allclose(model.predict(X, verbose=0), 2 * before, rtol=1e-6)


def network_like(model):
    other = network()
    other.set_weights(model.get_weights())
    return other


@pytest.mark.parametrize(
    "x",
    [
        np.full_like(X, np.nan),
        np.full(X.shape, 1e300),
        X.reshape(60, 2, 2),
        X.astype(object),
    ],
)
def test_again_checks_what_comes(x):
    model = network()
    for good in (X, X.astype("float64")):
        model.predict(good, verbose=0)
    with pytest.raises((ValueError, TypeError), match=r"x: expected"):
        model.predict(x, verbose=0)


def test_other_arrays_go_the_long_way(found):
    model = network()
    wide = np.repeat(X, 2, axis=1)
    expected = model.predict(X, verbose=0)
    for given in (wide[:, ::2], np.asfortranarray(X), X.tolist(), nb.tensor(X)):
        np.testing.assert_array_equal(model.predict(given, verbose=0), expected)
    assert all(y is None for y in found)
    np.testing.assert_array_equal(model.predict(X, batch_size=60), expected)


def test_numbers_of_rows_are_always_checked():
    model = nb.Sequential([nb.Input((2,)), nb.layers.Embedding(4, 3), nb.layers.Flatten()])
    ids = np.array([[0, 3]])
    model.predict(ids, verbose=0)
    for _ in range(2):
        with pytest.raises(ValueError, match="from 0 to 3"):
            model.predict(ids + 1)
