"""Predictions of arrays like those before take a shorter way; they are the same."""

from __future__ import annotations

from typing import Any

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


def test_batches_without_a_size_are_of_32_rows_where_they_are_seen() -> None:
    """As in Keras: by callbacks, in a number of steps, by layers and losses that look at the whole batch."""
    x, y = np.arange(80, dtype="float32").reshape(80, 1), np.zeros((80, 1), "float32")

    class Share(nb.layers.Layer):
        def call(self, x: Any) -> Any:
            return x / x.shape[0]

    class Counts(nb.callbacks.Callback):
        def __init__(self) -> None:
            super().__init__()
            self.batches: list[str] = []

        def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
            self.batches.append(f"test {batch}")

        def on_predict_batch_end(self, batch: int, logs: Any = None) -> None:
            self.batches.append(f"predict {batch} {len(logs['outputs'])}")

    def compiled(*layers: Any, loss: Any = "mse") -> Any:
        model = nb.Sequential([nb.Input((1,)), *layers])
        model.compile("sgd", loss)
        return model

    model, counts = compiled(nb.layers.Identity()), Counts()
    model.evaluate(x, y, verbose=0, callbacks=[counts])
    model.predict(x, verbose=0, callbacks=[counts])
    assert counts.batches == ["test 0", "test 1", "test 2", "predict 0 32", "predict 1 32", "predict 2 16"]
    # Without a size, batches are as large as it takes to see all rows in these steps.
    assert len(model.predict(x, verbose=0, steps=2)) == len(x)
    assert len(model.predict(x, 32, verbose=0, steps=2)) == 64
    assert model.evaluate(x, y, verbose=0, steps=2) == pytest.approx(float((x**2).mean()))
    assert model.evaluate(x, y, 32, verbose=0, steps=2) == pytest.approx(float((x[:64] ** 2).mean()))
    shares = [compiled(Share()), compiled(nb.layers.Lambda(lambda x: x / x.shape[0]))]
    inputs = nb.Input((1,))
    shares.append(nb.Model(inputs, inputs / nb.ops.sum(nb.ops.ones_like(inputs), axis=0, keepdims=True)))
    parts = np.split(x, [32, 64])
    for share in shares:
        wanted = np.concatenate([part / len(part) for part in parts])
        np.testing.assert_allclose(share.predict(x, verbose=0), wanted, rtol=1e-6)
    summed = compiled(nb.layers.Identity(), loss=nb.losses.MeanSquaredError(reduction="sum"))
    wanted_loss = sum(len(part) * float((part**2).sum()) for part in parts) / len(x)
    assert summed.evaluate(x, y, verbose=0) == pytest.approx(wanted_loss, rel=1e-5)
