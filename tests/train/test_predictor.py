"""A prepared prediction is what ``predict`` gives, in any thread, and refuses what it cannot read."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import nbnet as nb
from nbnet import layers

F32 = np.float32


def network(**how: Any) -> nb.Sequential:
    nb.set_random_seed(0)
    hidden = [layers.Dense(9, "relu", **how), layers.BatchNormalization(**how), layers.Dropout(0.5, **how)]
    return nb.Sequential(
        [nb.Input((5,), dtype=how.get("dtype", "float32")), *hidden, layers.Dense(3, "softmax", **how)]
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("rows", [1, 3, 64])
def test_it_is_what_predict_gives(rows: int, dtype: str) -> None:
    model = network(dtype=dtype)
    predictor = model.predictor(rows)
    rng = np.random.default_rng(0)
    for x in (rng.normal(size=(rows, 5)), rng.normal(size=(rows, 5)).astype(F32), rng.integers(9, size=(rows, 5))):
        found = predictor(x)
        np.testing.assert_array_equal(found, model.predict(x))
        assert found.dtype == dtype
    first, second = predictor(x), predictor(-x)
    np.testing.assert_array_equal(first, model.predict(x))  # not overwritten by the second
    assert not np.array_equal(first, second)
    assert predictor(x.tolist()).shape == (rows, 3)


def test_it_follows_the_model() -> None:
    model = network()
    predictor = model.predictor()
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1, 5)).astype(F32)
    before = predictor(x)
    model.compile("adam", "sparse_categorical_crossentropy")  # moves the parameters when it is trained
    model.fit(rng.normal(size=(40, 5)), rng.integers(3, size=40), epochs=3, verbose=0)
    assert not np.array_equal(predictor(x), before)
    np.testing.assert_array_equal(predictor(x), model.predict(x))
    model.set_weights([w + 1 for w in model.get_weights()])
    np.testing.assert_array_equal(predictor(x), model.predict(x))
    model.add(layers.Dense(2))
    np.testing.assert_array_equal(predictor(x), model.predict(x))


def test_threads_share_it() -> None:
    model = network()
    predictor = model.predictor()
    x = np.random.default_rng(0).normal(size=(300, 1, 5)).astype(F32)
    wanted = [model.predict(row) for row in x]
    wrong: list[int] = []

    def work(order: list[int]) -> None:
        wrong.extend(i for i in order if not np.array_equal(predictor(x[i]), wanted[i]))

    threads = [threading.Thread(target=work, args=(list(range(300))[::step],)) for step in (1, -1, 1, -1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_several_outputs_keep_their_structure() -> None:
    inputs = nb.Input((4,))
    a, b = layers.Dense(2)(inputs), layers.Dense(3)(inputs)
    model = nb.Model(inputs, {"a": a, "b": [b, a]})
    x = np.ones((1, 4), F32)
    found, wanted = model.predictor()(x), model.predict(x)
    np.testing.assert_array_equal(found["a"], wanted["a"])
    np.testing.assert_array_equal(found["b"][0], wanted["b"][0])


def test_dropout_that_stays_on_draws_anew() -> None:
    inputs = nb.Input((40,))
    predictor = nb.Model(inputs, layers.Dropout(0.5)(inputs, training=True)).predictor()
    x = np.ones((1, 40), F32)
    assert not np.array_equal(predictor(x), predictor(x))


BAD: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "shape": (lambda: np.ones((2, 5)), ValueError, r"\(1, 5\)"),
    "one row as a vector": (lambda: np.ones(5), ValueError, r"\(1, 5\)"),
    "words": (lambda: np.array([["a"] * 5]), TypeError, "real numbers"),
    "complex": (lambda: np.ones((1, 5), complex), TypeError, "real numbers"),
    "nan": (lambda: np.full((1, 5), np.nan), ValueError, "finite"),
    "infinite": (lambda: np.full((1, 5), np.inf, F32), ValueError, "finite"),
    "too large": (lambda: np.full((1, 5), 1e300), ValueError, "float32"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input(case: str) -> None:
    make, error, words = BAD[case]
    predictor = network().predictor()
    with pytest.raises(error, match=words):
        predictor(make())
    assert np.isfinite(predictor(np.ones((1, 5)))).all()


def test_models_that_cannot_be_prepared_for() -> None:
    pair = [nb.Input((2,)), nb.Input((2,))]
    with pytest.raises(ValueError, match="2 inputs"):
        nb.Model(pair, layers.Add()(pair)).predictor()
    with pytest.raises(ValueError, match="an embedding reads"):
        nb.Sequential([nb.Input((2,)), layers.Embedding(3, 4)]).predictor()
    with pytest.raises(ValueError, match="rows"):
        network().predictor(0)

    class Own(nb.Sequential):
        def predict_step(self, data: Any) -> Any:
            return data

    with pytest.raises(ValueError, match="predict_step"):
        Own([nb.Input((2,)), layers.Dense(2)]).predictor()
