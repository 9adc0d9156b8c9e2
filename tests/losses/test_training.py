"""Losses inside compiled training and evaluation: the same numbers as at once, whole or cut into slices."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import nbnet as nb
from nbnet.train import step_builder
from tests.losses.test_losses import ROWS, Row
from tests.slicing import always_cut

N = 12


def network(units: int, loss: Any) -> nb.Sequential:
    nb.set_random_seed(3)
    layers = [nb.Input((3,)), nb.layers.Dense(8, "tanh"), nb.layers.Dense(units, "sigmoid")]
    model = nb.Sequential(layers)
    model.compile(nb.optimizers.SGD(0.1), loss)
    return model


def cut_into_slices(monkeypatch: pytest.MonkeyPatch, slices: int) -> None:
    monkeypatch.setattr(step_builder, "processors", lambda: slices)
    always_cut(monkeypatch)


@pytest.mark.parametrize("slices", [1, 2])
@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "sum", "mean_with_sample_weight"])
@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_training_agrees_with_the_tape(row: Row, reduction: str, slices: int, monkeypatch: pytest.MonkeyPatch) -> None:
    cut_into_slices(monkeypatch, slices)
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(N, 3)).astype(np.float32), rng.uniform(0.5, 2, N)
    model = network(row.y_pred.shape[-1], row.loss(reduction=reduction))
    before = model.get_weights()
    wanted = row.loss(reduction=reduction)(row.y_true, model(x), sample_weight=w)
    np.testing.assert_allclose(model.evaluate(x, row.y_true, N, 0, sample_weight=w), wanted.item(), rtol=1e-4)
    with nb.Tape() as tape:
        value = model.loss(row.y_true, model(x), sample_weight=w)
    gradients = [g.numpy() for g in tape.gradient(value, model.trainable_weights)]
    found = model.train_on_batch(x, row.y_true, sample_weight=w)
    np.testing.assert_allclose(found, wanted.item(), rtol=1e-4)
    for old, new, gradient in zip(before, model.get_weights(), gradients, strict=True):
        np.testing.assert_allclose(new, old - 0.1 * gradient, rtol=1e-4, atol=2e-5 * max(1, np.abs(gradient).max()))


@pytest.mark.parametrize("slices", [1, 2])
@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "sum", "mean_with_sample_weight"])
def test_ignored_classes_in_training(reduction: str, slices: int, monkeypatch: pytest.MonkeyPatch) -> None:
    cut_into_slices(monkeypatch, slices)
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(N, 3)).astype(np.float32), rng.uniform(0.5, 2, N)
    y = np.where(np.arange(N) < 4, 255, rng.integers(0, 5, N))
    model = network(5, nb.losses.SparseCategoricalCrossentropy(ignore_class=255, reduction=reduction))
    model.compile(nb.optimizers.SGD(0.1), model.loss, metrics=["accuracy"])
    wanted = model.loss(y, model(x), sample_weight=w).item()
    np.testing.assert_allclose(model.train_on_batch(x, y, sample_weight=w)[0], wanted, rtol=1e-5)
    assert np.isfinite(model.get_weights()[0]).all()


@pytest.mark.parametrize("reduction", [None, "none"])
def test_training_wants_one_number(reduction: str | None) -> None:
    model = network(1, nb.losses.MeanSquaredError(reduction))
    before = model.get_weights()
    for run in (model.fit, model.evaluate, model.train_on_batch):
        with pytest.raises(ValueError, match="mean_squared_error: training needs a number for each batch"):
            run(np.ones((4, 3)), np.ones((4, 1)))
    np.testing.assert_equal(model.get_weights(), before)
