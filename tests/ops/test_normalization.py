"""Batch normalisation: gradients of its statistics, and large means."""

from __future__ import annotations

import numpy as np
import pytest

import nbnet as nb


def test_gradients_flow_through_the_statistics() -> None:
    rng = np.random.default_rng(0)
    value, a, b, c = rng.normal(size=(6, 3)), rng.normal(size=3), rng.normal(size=3), rng.normal(size=(6, 3))

    def loss(x: nb.Tensor) -> nb.Tensor:
        y, mean, variance = nb.ops.batch_norm(x, epsilon=0.1)
        return nb.ops.sum(y * c) + nb.ops.sum(mean * a) + nb.ops.sum(variance * b)

    x = nb.Parameter(value)
    with nb.Tape() as tape:
        y = loss(x)
    gradient, direction, h = tape.gradient(y, x).numpy(), rng.normal(size=(6, 3)), 1e-6
    ends = [loss(nb.tensor(value + s * h * direction)).item() for s in (1, -1)]
    np.testing.assert_allclose((gradient * direction).sum(), (ends[0] - ends[1]) / (2 * h), rtol=1e-7)


def test_a_large_mean_does_not_drown_the_variance() -> None:
    x = (1000 + np.random.default_rng(0).normal(size=(20000, 3))).astype("float32")
    y, mean, variance = nb.ops.batch_norm(x)
    exact = x.astype(float)
    np.testing.assert_allclose(mean.numpy(), exact.mean(0), rtol=1e-7)
    np.testing.assert_allclose(variance.numpy(), exact.var(0), rtol=1e-4)
    np.testing.assert_allclose(y.numpy(), (exact - exact.mean(0)) / np.sqrt(exact.var(0) + 1e-3), atol=2e-4)


def test_sums_of_many_rows_stay_exact() -> None:
    x = np.random.default_rng(0).uniform(0, 1, (300_000, 2)).astype("float32")
    _, mean, _ = nb.ops.batch_norm(x)
    np.testing.assert_allclose(mean.numpy(), x.astype(float).mean(0), rtol=1e-7)


@pytest.mark.parametrize("axis", [0, -2, 2])
def test_axis_is_checked(axis: int) -> None:
    with pytest.raises(ValueError, match="not an axis of channels"):
        nb.ops.batch_norm(np.zeros((2, 3)), axis=axis)
    with pytest.raises(ValueError, match="not an axis of channels"):
        nb.ops.batch_normalization(np.zeros((2, 3)), [0.0] * 3, [1.0] * 3, axis)


def test_shapes_are_checked() -> None:
    with pytest.raises(ValueError, match="one value for each of 3 channels"):
        nb.ops.batch_norm(np.zeros((2, 3)), [1.0, 1.0])
    with pytest.raises(ValueError, match="one value for each of 3 channels"):
        nb.ops.batch_normalization(np.zeros((2, 3)), [0.0], [1.0], -1)
