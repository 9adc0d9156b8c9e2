"""Metrics as functions: ``metric(y_true, y_pred)``, and by name."""

from __future__ import annotations

import numpy as np
import pytest

import nbnet as nb
from nbnet import losses, metrics

P = np.array([[0.1, 0.7, 0.2], [0.5, 0.5, 0.0], [0.2, 0.3, 0.5], [0.9, 0.1, 0.0]])
LABELS = np.array([1, 0, 0, 0])
ONE_HOT = np.eye(3)[LABELS]


def test_categorical():
    # Of equal predictions the first counts, as in NumPy.
    assert metrics.SparseCategoricalAccuracy()(LABELS, P) == 0.75
    assert metrics.SparseCategoricalAccuracy()([1, 1, 2, 0], P) == 0.75
    assert metrics.CategoricalAccuracy()(ONE_HOT, P) == 0.75
    assert metrics.CategoricalAccuracy()(P, P) == 1.0


@pytest.mark.parametrize(("threshold", "expected"), [(0.5, 0.75), (0.3, 1.0), (0.8, 0.5)])
def test_binary(threshold, expected):
    """Predictions above the threshold, not on it, count as 1."""
    p = np.array([[0.5], [0.7], [0.2], [0.4]])
    t = np.array([[1], [1], [0], [1]]) if threshold == 0.3 else np.array([[0], [1], [0], [1]])
    assert metrics.BinaryAccuracy(threshold=threshold)(t, p) == expected
    assert metrics.BinaryAccuracy(threshold=threshold)(t[:, 0], p) == expected


def test_a_loss_is_a_metric():
    metric = metrics.get(losses.Huber(0.5))
    assert isinstance(metric, metrics.MeanLoss)
    assert metric(ONE_HOT, P) == pytest.approx(losses.Huber(0.5)(ONE_HOT, P).item(), rel=1e-12)


@pytest.mark.parametrize(
    ("loss", "width", "kind"),
    [
        ("sparse_categorical_crossentropy", 3, metrics.SparseCategoricalAccuracy),
        ("categorical_crossentropy", 3, metrics.CategoricalAccuracy),
        ("binary_crossentropy", 1, metrics.BinaryAccuracy),
        ("binary_crossentropy", 3, metrics.CategoricalAccuracy),
        ("mse", 1, metrics.BinaryAccuracy),
        ("mse", 3, metrics.CategoricalAccuracy),
    ],
)
@pytest.mark.parametrize("name", ["accuracy", "acc"])
@pytest.mark.filterwarnings("ignore:metrics. 'acc")
def test_accuracy_is_chosen_by_the_loss(loss, width, kind, name):
    metric = metrics.get(name, losses.as_loss(loss), width)
    assert type(metric) is kind
    assert metric.name == name


@pytest.mark.parametrize(
    ("identifier", "name", "expected"),
    [
        ("categorical_accuracy", "categorical_accuracy", 0.75),
        (metrics.CategoricalAccuracy, "categorical_accuracy", 0.75),
        (metrics.CategoricalAccuracy("mine"), "mine", 0.75),
        ("mse", "mse", ((ONE_HOT - P) ** 2).mean()),
        ("mean_absolute_error", "mean_absolute_error", np.abs(ONE_HOT - P).mean()),
        ({"class_name": "BinaryAccuracy", "config": {"threshold": 0.6}}, "binary_accuracy", 10 / 12),
    ],
)
def test_metrics_by_name(identifier, name, expected):
    metric = metrics.get(identifier)
    assert metric.name == name
    assert metric(ONE_HOT, P) == pytest.approx(expected, rel=1e-6)


def test_metrics_do_not_record():
    with nb.Tape() as tape:
        metrics.CategoricalAccuracy()(ONE_HOT, P)
    assert tape.nodes == []


def test_accuracy_of_several_sigmoid_outputs():
    """As in Keras the share of rows whose largest output is where the target is largest; a warning, once, says so."""
    from nbnet.metrics import _warn_of_places

    t = np.array([[1.0, 0.0, 1.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 1.0, 0.0]])
    p = np.array([[0.9, 0.8, 0.7], [0.6, 0.4, 0.2], [0.1, 0.2, 0.6], [0.2, 0.8, 0.6]])
    model = nb.Sequential([nb.Input((3,)), nb.layers.Activation("linear")])
    _warn_of_places.cache_clear()
    with pytest.warns(UserWarning, match="the share of right outputs is 'binary_accuracy'"):
        metrics.get("accuracy", losses.BinaryCrossentropy(), 3)
    model.compile("sgd", "binary_crossentropy", metrics=["accuracy", "binary_accuracy"])
    logs = model.evaluate(p, t, verbose=0, return_dict=True)
    # Warnings are errors here: there is no second.
    assert logs["accuracy"] == 0.5
    assert logs["binary_accuracy"] == pytest.approx(7 / 12)
