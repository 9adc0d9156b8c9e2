"""Activations and elementary functions: special values, extreme inputs, arguments."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes
from numpy.typing import NDArray

import nbnet as nb
from tests.ops.cases import UNARY

Array = NDArray[Any]
DTYPES = [np.float32, np.float64]
ACTIVATIONS = sorted(set(UNARY) - {"cos", "erf", "exp", "expm1", "log", "log1p", "sin", "sqrt", "square"})


def function(name: str) -> Any:
    """The user's function of an op."""
    if name.startswith("gelu"):
        return lambda x: nb.ops.gelu(x, approximate=name == "gelu_tanh")
    return getattr(nb.ops, name)


def derivative(name: str, x: Array) -> Array:
    t = nb.Parameter(x)
    with nb.Tape() as tape:
        y = function(name)(t)
    gradient: Array = tape.gradient(y, t).numpy()
    return gradient


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_are_finite_for_large_inputs(name: str, dtype: Any) -> None:
    powers = np.geomspace(1e-30, 1e4, 400)
    x = np.concatenate([-powers[::-1], [0.0], powers]).astype(dtype)
    y = function(name)(x).numpy()
    dx = derivative(name, x)
    assert np.isfinite(y).all()
    assert np.isfinite(dx).all()
    assert np.abs(dx).max() < 1.8  # selu's slope at -0 is the largest


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", sorted(UNARY))
def test_nan_stays_nan(name: str, dtype: Any) -> None:
    x = np.full(19, 0.5, dtype)
    x[[0, 7, 18]] = np.nan
    np.testing.assert_array_equal(np.isnan(function(name)(x).numpy()), np.isnan(x))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("name", "below", "above"),
    [
        ("relu", 0.0, np.inf),
        ("leaky_relu", -np.inf, np.inf),
        ("elu", -1.0, np.inf),
        ("selu", -1.7580993, np.inf),
        ("sigmoid", 0.0, 1.0),
        ("tanh", -1.0, 1.0),
        ("softplus", 0.0, np.inf),
        ("hard_sigmoid", 0.0, 1.0),
        ("exp", 0.0, np.inf),
        ("abs", np.inf, np.inf),
        ("square", np.inf, np.inf),
        ("negative", np.inf, -np.inf),
    ],
)
def test_limits(name: str, below: float, above: float, dtype: Any) -> None:
    y = function(name)(np.array([-np.inf, np.inf], dtype)).numpy()
    np.testing.assert_allclose(y, [below, above], rtol=1e-6)


@pytest.mark.parametrize("name", sorted(UNARY))
def test_derivative_in_float32(name: str) -> None:
    """Against float64 at the same points. 1 - y and 1 - y**2 lose what y has rounded away, and no more."""
    x = np.linspace(0.5, 8, 61, dtype=np.float32)
    x = x if name in ("log", "sqrt") else np.concatenate([-x, x])
    x = x[np.abs(np.abs(x) - 3) > 0.05]
    found, wanted = derivative(name, x), derivative(name, x.astype(np.float64))
    np.testing.assert_allclose(found, wanted, rtol=2e-5, atol=3e-7)


@pytest.mark.parametrize("name", sorted(UNARY))
@given(shape=array_shapes(min_dims=0, max_dims=4, max_side=5), data=st.data())
def test_any_shape(name: str, shape: tuple[int, ...], data: st.DataObject) -> None:
    x = np.linspace(0.1, 2.0, int(np.prod(shape))).reshape(shape)
    _, parameters, reference = UNARY[name]
    with np.errstate(all="ignore"):
        defaults = {"elu": (1.0,)}.get(name, parameters)
        np.testing.assert_allclose(function(name)(x).numpy(), reference(x, *defaults), rtol=1e-12)


def test_empty() -> None:
    for name in UNARY:
        assert function(name)(np.zeros((0, 3))).shape == (0, 3)


def test_kinks() -> None:
    assert derivative("relu", np.zeros(1)) == 0
    assert derivative("abs", np.zeros(1)) == 0
    assert derivative("leaky_relu", np.zeros(1)) == 0.2
    np.testing.assert_array_equal(derivative("hard_sigmoid", np.array([-3.0, 3.0])), [0, 0])


def test_negative_slope() -> None:
    np.testing.assert_allclose(nb.ops.leaky_relu([-2.0, 2.0], 0.5).numpy(), [-1, 2])
    slope = nb.tensor(np.float32(0.25))
    np.testing.assert_allclose(nb.ops.leaky_relu([-2.0, 2.0], slope).numpy(), [-0.5, 2])
    with pytest.raises(ValueError, match="negative_slope: expected a number from 0"):
        nb.ops.leaky_relu([1.0], -0.1)
    with pytest.raises(ValueError, match="negative_slope: expected a number from 0"):
        nb.ops.leaky_relu([1.0], float("nan"))
    with pytest.raises(ValueError, match="expected one negative_slope"):
        nb.ops.leaky_relu([1.0], nb.tensor([0.1, 0.2]))


def test_elu_alpha() -> None:
    np.testing.assert_allclose(nb.ops.elu(np.array([-50.0, 3.0]), 2.5).numpy(), [-2.5, 3])
    with pytest.raises(ValueError, match="expected one alpha"):
        nb.ops.elu([1.0], [1.0, 2.0])


def test_integers_become_floats() -> None:
    assert nb.ops.relu([-1, 2]).dtype == np.float32
    for y in (f(nb.Tensor((2,), np.int64, np.array([1, 2]))) for f in (nb.ops.relu, nb.ops.elu)):
        assert y.dtype == np.float32
        assert y.numpy().tolist() == [1, 2]


@pytest.mark.parametrize("name", ["abs", "floor", "silu", "add", "greater"])
def test_declared_functions(name: str) -> None:
    """Functions declared without a body have a name, a signature that returns a tensor, and shared documentation."""
    f = getattr(nb.ops, name)
    names = list(inspect.signature(f).parameters)
    assert f.__name__ == name
    assert inspect.signature(f).return_annotation == "Tensor"
    assert f"Parameters\n----------\n{', '.join(names)}\n" in f.__doc__
    assert isinstance(f(**{key: [1.0, -2.0] for key in names}), nb.Tensor)
