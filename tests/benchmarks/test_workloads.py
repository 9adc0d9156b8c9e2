"""The workloads are repeatable, and can be learnt."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from benchmarks.harness.workloads import WORKLOADS, glorot_weights
from benchmarks.numpy_mlp.plain import NumpyMLP


def test_glorot_weights() -> None:
    weights, biases = glorot_weights((300, 200, 2), 7)
    assert [w.shape for w in weights] == [(300, 200), (200, 2)]
    assert all(array.dtype == np.float32 for array in (*weights, *biases))
    assert not any(b.any() for b in biases)
    assert 0.99 * math.sqrt(6 / 500) < np.abs(weights[0]).max() <= np.float32(math.sqrt(6 / 500))
    np.testing.assert_array_equal(weights[0], glorot_weights((300, 200, 2), 7)[0][0])


@pytest.mark.parametrize("name", ["tiny", "digits", "tabular", "mnist"])
def test_workload_can_be_learnt(name: str) -> None:
    load = WORKLOADS[name]
    with pytest.raises(dataclasses.FrozenInstanceError):
        load.n = 1  # type: ignore[misc]
    x, y = load.make()
    assert (x.shape, y.shape) == ((load.n, load.sizes[0]), (load.n,))
    assert x.dtype == np.float32
    assert y.dtype == np.int64
    assert set(y.tolist()) == set(range(load.sizes[-1]))
    np.testing.assert_array_equal(x, load.make()[0])
    sizes = (load.sizes[0], 32, load.sizes[-1])  # small enough for a test
    model = NumpyMLP(sizes, *glorot_weights(sizes, 0), learning_rate=0.01)
    rng = np.random.default_rng(0)
    for _ in range(3):
        model.train_epoch(x, y, rng.permutation(load.n), load.batch_size)
    assert (model.predict(x).argmax(axis=1) == y).mean() > 0.8
