"""Sums and means: axes, shapes, accuracy, errors."""

from __future__ import annotations

import inspect
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


#: Ops that shorten axes: all that have the argument.
SHORTENING = [
    name
    for name in nb.ops.__all__
    if inspect.isfunction(getattr(nb.ops, name)) and "keepdims" in inspect.signature(getattr(nb.ops, name)).parameters
]


@pytest.mark.parametrize("axis", [None, 1])
@pytest.mark.parametrize("name", SHORTENING)
def test_keepdims_is_true_or_false(name: str, axis: int | None) -> None:
    op, x = getattr(nb.ops, name), np.arange(6.0).reshape(2, 3)
    between = (0.5,) if "quantile" in name or "percentile" in name else ()
    axes = [k for k in range(2) if axis in (k, None)]
    where = {"axes": axes} if name == "moments" else {"axis": axis}
    for value in (2 * 10**8, 2, 0, "no", None):
        with pytest.raises(TypeError, match=f"keepdims: expected True or False, got {value!r}"):
            op(x, *between, **where, keepdims=value)
    kept = op(x, *between, **where, keepdims=True)
    first = kept[0] if name == "moments" else kept
    assert first.shape == tuple(1 if k in axes else n for k, n in enumerate(x.shape))


def test_keepdims_of_a_norm_of_matrices() -> None:
    assert len(SHORTENING) > 25
    x = np.arange(12.0).reshape(2, 2, 3)
    for ord in ("fro", 1, 2, "nuc"):
        with pytest.raises(TypeError, match="keepdims: expected True or False, got 3"):
            nb.ops.norm(x, ord, axis=(1, 2), keepdims=3)
        assert nb.ops.norm(x, ord, axis=(1, 2), keepdims=True).shape == (2, 1, 1)
        assert nb.ops.norm(x, ord, axis=(1, 2)).shape == (2,)
