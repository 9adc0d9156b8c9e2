"""Embeddings: lookup, sums of gradients, training."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import nbnet as nb


@pytest.mark.parametrize("dtype", ["int8", "uint16", "int64", "float32", "float64"])
def test_lookup(dtype: str) -> None:
    ids = np.random.default_rng(0).integers(0, 10, (4, 5)).astype(dtype)
    layer = nb.layers.Embedding(10, 3)
    y = layer(ids).numpy()
    np.testing.assert_array_equal(y, layer.get_weights()[0][ids.astype(int)])
    assert np.abs(layer.get_weights()[0]).max() <= 0.05


def test_gradients_of_rows_that_are_taken_often_add_up() -> None:
    layer = nb.layers.Embedding(5, 2, dtype="float64")
    with nb.Tape() as tape:
        y = layer(np.array([1, 3, 1, 1]))
        loss = nb.ops.sum(y * np.array([[1.0], [2.0], [3.0], [4.0]]))
    gradient = tape.gradient(loss, layer.embeddings).numpy()
    np.testing.assert_array_equal(gradient, [[0, 0], [8, 8], [0, 0], [2, 2], [0, 0]])


def test_model_learns_and_leaves_other_rows_alone() -> None:
    rng = np.random.default_rng(0)
    x, truth = rng.integers(0, 8, (200, 2)), rng.normal(size=9)
    y = truth[x].sum(1)
    layer = nb.layers.Embedding(9, 4)
    model = nb.Sequential([nb.Input((2,)), layer, nb.layers.Flatten(), nb.layers.Dense(1)])
    before = layer.get_weights()[0][8].copy()
    model.compile(nb.optimizers.SGD(0.1), "mse")
    losses = model.fit(x, y, batch_size=16, epochs=60, verbose=0).history["loss"]
    assert losses[-1] < 0.02 * losses[0]
    np.testing.assert_array_equal(layer.get_weights()[0][8], before)  # number 8 never came


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (4.0, "numbers from 0 to 3, those of the rows of a table, got 4"),
        (-1, "got -1"),
        (0.5, "whole numbers, got 0.5"),
    ],
)
def test_numbers_out_of_range_never_reach_a_program(number: float, message: str) -> None:
    x, bad = np.array([[0, 1], [3, 2]]), np.array([[0, 1], [number, 2]])
    inputs = [[], [nb.Input((2,))], [nb.Input((2,), dtype="int32")]]
    for first in inputs:
        model = nb.Sequential([*first, nb.layers.Embedding(4, 3), nb.layers.Flatten(), nb.layers.Dense(1)])
        model.compile("sgd", "mse")
        model.fit(x, np.ones(2), verbose=0)
        before = model.get_weights()
        for use in (model.predict, model, lambda bad, m=model: m.fit(bad, np.ones(2), verbose=0)):
            with pytest.raises(ValueError, match=f"x: expected {message}" if number != -1 else message):
                use(bad)
        assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))
        assert "gather_ids" in str(model.program("predict", rows=2))


@pytest.mark.parametrize(
    ("arguments", "inputs", "message"),
    [
        ((0, 2), [[0]], "input_dim: expected an integer from 1"),
        ((3, 2.5), [[0]], "output_dim: expected an integer from 1"),
        ((3, 2), [[3]], "3 is out of range for a table of 3 rows"),
        ((3, 2), [[-1]], "-1 is out of range"),
        ((3, 2), [[0.5]], "expected whole numbers"),
        ((3, 2), [[np.nan]], "expected whole numbers"),
    ],
)
def test_errors(arguments: Any, inputs: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        nb.layers.Embedding(*arguments)(np.array(inputs))


def test_the_length_of_inputs_need_not_be_said():
    with pytest.warns(DeprecationWarning, match="input_length"):
        layer = nb.layers.Embedding(5, 2, input_length=3)
    assert layer([[0, 1]]).shape == (1, 2, 2)
