"""Metrics that are means over samples: values, Keras's stateful interface, and compiled evaluation."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

import nbnet as nb

Array = NDArray[Any]
M, N, K = nb.metrics, 12, 4
RNG = np.random.default_rng(3)
REAL, OTHER = RNG.normal(size=(N, K)), RNG.normal(size=(N, K))
P, SOFT = RNG.uniform(0.02, 0.98, (N, K)), RNG.uniform(0.02, 0.98, (N, K))
LABELS = RNG.integers(0, K, N)
ONE_HOT, BINARY = np.eye(K)[LABELS], RNG.integers(0, 2, (N, K)).astype(float)
WEIGHTS = RNG.uniform(0, 2, N)


class Row(NamedTuple):
    metric: Callable[..., nb.metrics.Metric]
    name: str
    y_true: Array
    y_pred: Array
    reference: Callable[[Array, Array], Array]
    finish: Callable[[float], float] = float


def of_loss(function: Callable[..., nb.Tensor]) -> Callable[[Array, Array], Array]:
    """Values of a loss: those are checked against their formulas in ``tests/losses``."""
    return lambda t, z: function(t, z).numpy()


def cosine(t: Array, z: Array) -> Array:
    return (t * z).sum(-1) / np.linalg.norm(t, axis=-1) / np.linalg.norm(z, axis=-1)


def pearson(t: Array, z: Array) -> Array:
    return np.array([np.corrcoef(a, b)[0, 1] for a, b in zip(t, z, strict=True)])


def concordance(t: Array, z: Array) -> Array:
    covariance = ((t - t.mean(-1, keepdims=True)) * (z - z.mean(-1, keepdims=True))).mean(-1)
    return 2 * covariance / (t.var(-1) + z.var(-1) + (t.mean(-1) - z.mean(-1)) ** 2)


def in_top(k: int) -> Callable[[Array, Array], Array]:
    return lambda t, z: np.array([label in row.argsort()[-k:] for row, label in zip(z, t, strict=True)], float)


ROWS = [
    Row(M.Accuracy, "accuracy", BINARY, np.round(P), lambda t, z: (t == z).mean(-1)),
    Row(M.BinaryAccuracy, "binary_accuracy", BINARY, P, lambda t, z: (t == (z > 0.5)).mean(-1)),
    Row(
        lambda **k: M.BinaryAccuracy(threshold=0.2, **k),
        "binary_accuracy",
        BINARY,
        P,
        lambda t, z: (t == (z > 0.2)).mean(-1),
    ),
    Row(M.CategoricalAccuracy, "categorical_accuracy", ONE_HOT, P, lambda t, z: 1.0 * (t.argmax(-1) == z.argmax(-1))),
    Row(M.SparseCategoricalAccuracy, "sparse_categorical_accuracy", LABELS, P, lambda t, z: 1.0 * (t == z.argmax(-1))),
    Row(
        lambda **k: M.TopKCategoricalAccuracy(2, **k),
        "top_k_categorical_accuracy",
        ONE_HOT,
        P,
        lambda t, z: in_top(2)(t.argmax(-1), z),
    ),
    Row(lambda **k: M.SparseTopKCategoricalAccuracy(3, **k), "sparse_top_k_categorical_accuracy", LABELS, P, in_top(3)),
    Row(M.MeanSquaredError, "mean_squared_error", REAL, OTHER, lambda t, z: ((t - z) ** 2).mean(-1)),
    Row(
        M.RootMeanSquaredError, "root_mean_squared_error", REAL, OTHER, lambda t, z: ((t - z) ** 2).mean(-1), math.sqrt
    ),
    Row(M.MeanAbsoluteError, "mean_absolute_error", REAL, OTHER, lambda t, z: np.abs(t - z).mean(-1)),
    Row(
        M.MeanAbsolutePercentageError,
        "mean_absolute_percentage_error",
        REAL,
        OTHER,
        lambda t, z: 100 * np.abs((t - z) / t).mean(-1),
    ),
    Row(
        M.MeanSquaredLogarithmicError,
        "mean_squared_logarithmic_error",
        P,
        SOFT,
        lambda t, z: (np.log((1 + t) / (1 + z)) ** 2).mean(-1),
    ),
    Row(M.LogCoshError, "logcosh", REAL, OTHER, lambda t, z: np.log(np.cosh(t - z)).mean(-1)),
    Row(M.CosineSimilarity, "cosine_similarity", REAL, OTHER, cosine),
    Row(M.PearsonCorrelation, "pearson_correlation", REAL, OTHER, pearson),
    Row(M.ConcordanceCorrelation, "concordance_correlation", REAL, OTHER, concordance),
    Row(M.Hinge, "hinge", BINARY, REAL, of_loss(nb.losses.hinge)),
    Row(M.SquaredHinge, "squared_hinge", BINARY, REAL, of_loss(nb.losses.squared_hinge)),
    Row(M.CategoricalHinge, "categorical_hinge", ONE_HOT, REAL, of_loss(nb.losses.categorical_hinge)),
    Row(M.KLDivergence, "kl_divergence", P, SOFT, of_loss(nb.losses.kl_divergence)),
    Row(M.Poisson, "poisson", P, SOFT, of_loss(nb.losses.poisson)),
    Row(M.BinaryCrossentropy, "binary_crossentropy", BINARY, P, of_loss(nb.losses.binary_crossentropy)),
    Row(
        lambda **k: M.BinaryCrossentropy(from_logits=True, label_smoothing=0.1, **k),
        "binary_crossentropy",
        BINARY,
        REAL,
        lambda t, z: nb.losses.binary_crossentropy(t, z, True, 0.1).numpy(),
    ),
    Row(M.CategoricalCrossentropy, "categorical_crossentropy", ONE_HOT, P, of_loss(nb.losses.categorical_crossentropy)),
    Row(
        lambda **k: M.SparseCategoricalCrossentropy(from_logits=True, **k),
        "sparse_categorical_crossentropy",
        LABELS,
        REAL,
        lambda t, z: nb.losses.sparse_categorical_crossentropy(t, z, True).numpy(),
    ),
    Row(
        lambda **k: M.MeanLoss(nb.losses.Huber(0.5), **k),
        "huber_loss",
        REAL,
        OTHER,
        lambda t, z: nb.losses.huber(t, z, 0.5).numpy(),
    ),
]
each = pytest.mark.parametrize("row", ROWS, ids=[f"{i}-{row.name}" for i, row in enumerate(ROWS)])


@each
def test_state(row: Row) -> None:
    metric, values = row.metric(), row.reference(row.y_true, row.y_pred)
    assert metric.name == row.name
    assert not metric.epoch_end
    assert metric.result() == 0
    metric.update_state(row.y_true[:5], row.y_pred[:5])
    np.testing.assert_allclose(metric.result(), row.finish(values[:5].mean()), rtol=1e-6)
    metric.update_state(row.y_true[5:], row.y_pred[5:])
    np.testing.assert_allclose(metric.result(), row.finish(values.mean()), rtol=1e-6)
    metric.reset_state()
    assert metric.result() == 0
    found = metric(row.y_true, row.y_pred, sample_weight=WEIGHTS)
    np.testing.assert_allclose(found, row.finish((values * WEIGHTS).sum() / WEIGHTS.sum()), rtol=1e-6)
    assert metric.result() == found
    np.testing.assert_allclose(metric.compute(row.y_true, row.y_pred), row.finish(values.mean()), rtol=1e-6)


@each
def test_evaluation_agrees(row: Row) -> None:
    """A model that passes its input on: evaluation sums the values up in compiled code."""
    metric = row.metric(name="watched")
    loss = "sparse_categorical_crossentropy" if metric.sparse else "mse"
    model = nb.Sequential([nb.Input((K,)), nb.layers.Activation("linear")])
    model.compile("sgd", loss, metrics=[metric])
    found = model.evaluate(row.y_pred.astype(np.float32), row.y_true, batch_size=5, verbose=0, return_dict=True)
    mean = row.reference(row.y_true, row.y_pred).mean()
    np.testing.assert_allclose(found["watched"], row.finish(mean), rtol=2e-4)


@each
def test_configuration(row: Row) -> None:
    metric = row.metric(name="mine")
    again = type(metric).from_config(metric.get_config())
    assert type(again) is type(metric)
    assert again.name == "mine"
    assert again(row.y_true, row.y_pred) == metric(row.y_true, row.y_pred)


def test_mean_and_sum() -> None:
    mean, total = M.Mean(), M.Sum()
    assert (mean.name, total.name) == ("mean", "sum")
    assert mean([1, 3, 5, 7]) == 4
    assert mean([10.0], sample_weight=4) == 7
    mean.reset_state()
    assert mean([1, 3, 5, 7], sample_weight=[1, 1, 0, 0]) == 2
    mean.reset_state()
    assert mean([[1.0, 2.0], [3.0, 4.0]], sample_weight=[1.0, 0.0]) == 1.5
    mean.reset_state()
    assert mean([[1.0, 2.0], [3.0, 4.0]], sample_weight=[[1.0, 0.0], [1.0, 0.0]]) == 2
    mean.reset_state()
    mean.update_state(3.0)
    mean.update_state(6.0, sample_weight=2)
    assert mean.result() == 5
    assert total([1, 3, 5, 7]) == 16
    assert total([1, 3, 5, 7], sample_weight=[1, 1, 0, 0]) == 20
    total.reset_state()
    assert total([[1.0, 2.0], [3.0, 4.0]], sample_weight=[1.0, 0.5]) == 6.5
    total.reset_state()
    assert total(2.5) == 2.5


def test_keras_examples() -> None:
    """Numbers that the documentation of Keras shows."""
    metric = M.BinaryAccuracy()
    assert metric([[1], [1], [0], [0]], [[0.98], [1], [0], [0.6]]) == 0.75
    metric.reset_state()
    assert metric([[1], [1], [0], [0]], [[0.98], [1], [0], [0.6]], sample_weight=[1, 0, 0, 1]) == 0.5
    assert M.Accuracy()([[1], [2], [3], [4]], [[0], [2], [3], [4]], sample_weight=[1, 1, 0, 0]) == 0.5
    t, p, w = [[0, 0, 1], [0, 1, 0]], [[0.1, 0.9, 0.8], [0.05, 0.95, 0]], [0.7, 0.3]
    assert M.CategoricalAccuracy()(t, p, sample_weight=w) == pytest.approx(0.3)
    assert M.TopKCategoricalAccuracy(k=1)(t, p, sample_weight=w) == pytest.approx(0.3)
    assert M.SparseTopKCategoricalAccuracy(k=1)([2, 1], p, sample_weight=w) == pytest.approx(0.3)
    t, z = [[0, 1], [0, 0]], [[1, 1], [0, 0]]
    assert M.RootMeanSquaredError()(t, z) == 0.5
    assert M.RootMeanSquaredError()(t, z, sample_weight=[1, 0]) == pytest.approx(0.70710677)
    assert M.LogCoshError()(t, z) == pytest.approx(0.10844523)
    assert M.MeanSquaredLogarithmicError()(t, z) == pytest.approx(0.12011322)
    assert M.MeanAbsolutePercentageError()(t, z) == pytest.approx(250000000.0)
    t, z = [[0.0, 1.0], [1.0, 1.0]], [[1.0, 0.0], [1.0, 1.0]]
    assert M.CosineSimilarity()(t, z, sample_weight=[0.3, 0.7]) == pytest.approx(0.7)
    t, z = [[0, 1, 0.5], [1, 1, 0.2]], [[0.1, 0.9, 0.5], [1, 0.9, 0.2]]
    assert M.PearsonCorrelation()(t, z) == pytest.approx(0.9966996)
    assert M.ConcordanceCorrelation()(t, z) == pytest.approx(0.98163204)


def test_top_k_of_sorted_ids() -> None:
    metric = M.SparseTopKCategoricalAccuracy(k=2, from_sorted_ids=True)
    assert metric([200, 1, 7], [[1, 200, 3], [1, 2, 3], [1, 2, 7]], sample_weight=[1, 2, 5]) == pytest.approx(3 / 8)
    assert type(metric).from_config(metric.get_config()).from_sorted_ids
    assert "from_sorted_ids" not in M.SparseTopKCategoricalAccuracy().get_config()


def test_ties_are_in_the_top() -> None:
    assert M.SparseTopKCategoricalAccuracy(k=1)([0, 1, 2], np.full((3, 3), 0.3)) == 1
    assert M.SparseTopKCategoricalAccuracy(k=9)([0], [[0.1, 0.5]]) == 1
    assert M.SparseTopKCategoricalAccuracy(k=2)([0, 1], [[np.nan, 1.0, 2.0], [np.nan, 1.0, 0.5]]) == 0.5


def test_vectors_with_weights_are_columns() -> None:
    assert M.MeanAbsoluteError()([1.0, 2.0], [2.0, 4.0], sample_weight=[1.0, 3.0]) == 1.75
    assert M.BinaryAccuracy()([1, 1, 0, 0], [0.98, 1, 0, 0.6], sample_weight=[1, 0, 0, 1]) == 0.5


def test_values_of_several_axes() -> None:
    t, z = RNG.normal(size=(3, 5, 2)), RNG.normal(size=(3, 5, 2))
    values = np.abs(t - z).mean(-1)
    np.testing.assert_allclose(M.MeanAbsoluteError()(t, z), values.mean(), rtol=1e-6)
    w = np.array([1.0, 0.0, 3.0])
    wanted = (values.mean(-1) * w).sum() / 4
    np.testing.assert_allclose(M.MeanAbsoluteError()(t, z, sample_weight=w), wanted, rtol=1e-6)
    one_each = RNG.uniform(size=(3, 5))
    wanted = (values * one_each).sum() / one_each.sum()
    np.testing.assert_allclose(M.MeanAbsoluteError()(t, z, sample_weight=one_each), wanted, rtol=1e-6)
