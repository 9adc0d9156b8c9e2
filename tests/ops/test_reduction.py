"""Sums and means: axes, shapes, accuracy, errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes

import nbnet as nb

NAMES = ["sum", "mean"]


@pytest.mark.parametrize("name", NAMES)
@given(shape=array_shapes(min_dims=0, max_dims=4, max_side=4), data=st.data())
def test_agrees_with_numpy(name: str, shape: tuple[int, ...], data: st.DataObject) -> None:
    axes = data.draw(st.none() | st.lists(st.sampled_from(range(len(shape))), unique=True) if shape else st.none())
    keepdims = data.draw(st.booleans())
    axis: Any = axes if axes is None else tuple(k - data.draw(st.sampled_from([0, len(shape)])) for k in axes)
    x = nb.Parameter(np.random.default_rng(0).normal(size=shape))
    with nb.Tape() as tape:
        y = getattr(nb.ops, name)(x, axis=axis, keepdims=keepdims)
    wanted = getattr(np, name)(x.numpy(), axis=axis, keepdims=keepdims)
    assert y.shape == wanted.shape
    np.testing.assert_allclose(y.numpy(), wanted, atol=1e-12)
    count = x.size / y.size if name == "mean" else 1
    np.testing.assert_allclose(tape.gradient(y, x).numpy(), np.full(shape, 1 / count))


@pytest.mark.parametrize("name", NAMES)
def test_an_axis_as_a_number(name: str) -> None:
    x = np.arange(6.0).reshape(2, 3)
    for axis in (0, 1, -1, [0], np.int64(1)):
        wanted = getattr(np, name)(x, axis=tuple(axis) if isinstance(axis, list) else axis)
        np.testing.assert_allclose(getattr(nb.ops, name)(x, axis=axis).numpy(), wanted)


def test_empty() -> None:
    assert nb.ops.sum(np.zeros((0, 3))).item() == 0
    np.testing.assert_array_equal(nb.ops.sum(np.zeros((0, 3)), axis=0).numpy(), [0, 0, 0])
    assert nb.ops.sum(np.zeros((0, 3)), axis=1).shape == (0,)
    assert np.isnan(nb.ops.mean(np.zeros(0)).item())


def test_long_float32_sums_are_accurate() -> None:
    x = np.random.default_rng(0).uniform(0, 1, 10_000_000).astype(np.float32)
    exact = x.sum(dtype=np.float64)
    assert nb.ops.sum(x).item() == pytest.approx(exact, rel=3e-7)
    assert nb.ops.mean(x).item() == pytest.approx(exact / x.size, rel=3e-7)


@pytest.mark.parametrize("name", NAMES)
def test_errors(name: str) -> None:
    op = getattr(nb.ops, name)
    with pytest.raises(ValueError, match="axis: 2 is out of range for 2 axes"):
        op(np.zeros((2, 3)), axis=2)
    with pytest.raises(ValueError, match="names an axis twice"):
        op(np.zeros((2, 3)), axis=(0, -2))
    with pytest.raises(TypeError):
        op(np.zeros((2, 3)), axis=0.5)
