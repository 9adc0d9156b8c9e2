"""Data and a small network that tests of models share."""

from __future__ import annotations

import numpy as np

import nbnet as nb
from nbnet.layers import Dense

rng = np.random.default_rng(3)
X = rng.normal(size=(60, 4)).astype("float32")
LABELS = rng.integers(0, 3, 60)
ONE_HOT = np.eye(3, dtype="float32")[LABELS]
COLUMN = (LABELS > 0).astype("float32")[:, None]
SCCE, CCE, BCE = "sparse_categorical_crossentropy", "categorical_crossentropy", "binary_crossentropy"


def network(loss=SCCE, output="softmax", units=3, optimizer=None, metrics=None, dtype=None, hidden="tanh"):
    """4 -> 8 -> units, compiled; the same weights every time."""
    nb.set_random_seed(1)
    layers = [Dense(8, hidden, dtype=dtype, name="hidden"), Dense(units, output, dtype=dtype, name="output")]
    model = nb.Sequential([nb.Input((4,)), *layers])
    model.compile(nb.optimizers.SGD(0.1) if optimizer is None else optimizer, loss, metrics=metrics)
    return model


def equal(first, second):
    return all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def close(first, second, rtol, atol=0.0):
    for a, b in zip(first, second, strict=True):
        np.testing.assert_allclose(a, b, rtol=rtol, atol=atol)
