"""Broadcasting ops: shapes, one tensor twice, numbers and arrays on either side, errors."""

from __future__ import annotations

import inspect
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import mutually_broadcastable_shapes

import nbnet as nb
from nbnet.ops.broadcast import collapse

BINARY: dict[str, Callable[..., Any]] = {
    "add": operator.add,
    "subtract": operator.sub,
    "multiply": operator.mul,
    "divide": operator.truediv,
    "power": operator.pow,
}
NAMES = [*BINARY, "maximum", "minimum"]


@pytest.mark.parametrize("name", NAMES)
@given(shapes=mutually_broadcastable_shapes(num_shapes=2, max_dims=4, max_side=4, min_side=0), seed=st.integers(0, 99))
def test_agrees_with_numpy(name: str, shapes: Any, seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = (rng.uniform(0.5, 2, shape) for shape in shapes.input_shapes)
    x, y = nb.Parameter(a), nb.Parameter(b)
    with nb.Tape() as tape:
        z = getattr(nb.ops, name)(x, y)
    np.testing.assert_allclose(z.numpy(), getattr(np, name)(a, b), rtol=1e-12)
    assert z.shape == shapes.result_shape
    # The gradient of an operand that is broadcast is the sum over its copies.
    dx, dy = tape.gradient(z, [x, y])
    whole = [nb.Parameter(np.broadcast_to(v, z.shape)) for v in (a, b)]
    with nb.Tape() as tape:
        w = getattr(nb.ops, name)(*whole)
    for d, p, full in zip((dx, dy), (x, y), tape.gradient(w, whole), strict=True):
        extra = tuple(range(z.ndim - p.ndim))
        ones = tuple(k + len(extra) for k, n in enumerate(p.shape) if n == 1)
        wanted = full.numpy().sum(extra + ones).reshape(p.shape)
        np.testing.assert_allclose(d.numpy(), wanted, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_one_tensor_twice(name: str) -> None:
    a = np.array([0.5, 1.0, 2.5])
    x = nb.Parameter(a)
    with nb.Tape() as tape:
        y = getattr(nb.ops, name)(x, x)
    wanted = {
        "add": 2 + 0 * a,
        "subtract": 0 * a,
        "multiply": 2 * a,
        "divide": 0 * a,
        "power": a**a * (1 + np.log(a)),
        "maximum": 1 + 0 * a,
        "minimum": 1 + 0 * a,
    }[name]
    np.testing.assert_allclose(tape.gradient(y, x).numpy(), wanted, atol=1e-15)


@pytest.mark.parametrize("name", BINARY)
@pytest.mark.parametrize("other", [2, 2.0, np.float64(2), np.array([2.0, 1.0]), [2, 1]], ids=repr)
def test_operators(name: str, other: Any) -> None:
    x = nb.Parameter(np.array([0.5, 4], np.float32))
    apply = BINARY[name]
    for found, wanted in [
        (apply(x, other), apply(x.numpy(), other)),
        (getattr(nb.ops, name)(other, x), apply(np.array(other), x.numpy())),
    ]:
        assert isinstance(found, nb.Tensor)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found.numpy(), wanted, rtol=1e-6)
    if name != "power":
        left = apply(other, x)
        assert isinstance(left, nb.Tensor)
        np.testing.assert_allclose(left.numpy(), apply(np.array(other), x.numpy()), rtol=1e-6)


def test_minus() -> None:
    np.testing.assert_array_equal((-nb.tensor([1.0, -2.0])).numpy(), [-1, 2])


def test_chain_of_operators() -> None:
    x = nb.Parameter(np.array([1.0, 2.0, 3.0]))
    with nb.Tape() as tape:
        y = nb.ops.sum((1 - x) * x / 2 + x**3 - 2 / x)
    a = x.numpy()
    assert y.item() == pytest.approx(((1 - a) * a / 2 + a**3 - 2 / a).sum())
    np.testing.assert_allclose(tape.gradient(y, x).numpy(), 0.5 - a + 3 * a**2 + 2 / a**2)


def test_maximum_of_equals_shares_the_gradient() -> None:
    x, y = nb.Parameter(np.array([1.0, 2.0])), nb.Parameter(np.array([1.0, 3.0]))
    with nb.Tape() as tape:
        z = nb.ops.maximum(x, y)
    dx, dy = tape.gradient(z, [x, y])
    np.testing.assert_array_equal(dx.numpy(), [0.5, 0])
    np.testing.assert_array_equal(dy.numpy(), [0.5, 1])


@pytest.mark.parametrize("name", sorted(set(NAMES) - {"power"}))
def test_nan_wins(name: str) -> None:
    a, b = np.array([np.nan, 1.0, np.nan, 2.0]), np.array([1.0, np.nan, np.nan, 3.0])
    np.testing.assert_array_equal(np.isnan(getattr(nb.ops, name)(a, b).numpy()), [True, True, True, False])


def test_power() -> None:
    x = np.array([-2.0, 0.0, 3.0])
    for p in (0, 1, 2, 3, -1):
        with np.errstate(divide="ignore"):
            np.testing.assert_allclose(nb.ops.power(x, p).numpy(), x ** float(p))
    assert np.isnan(nb.ops.power(x, 0.5).numpy()[0])
    assert np.isnan(nb.ops.power(x, 1.5).numpy()[0])


@pytest.mark.parametrize("p", [0.0, 1.0, 2.0, 3.0])
def test_power_of_zero_has_a_finite_gradient(p: float) -> None:
    x, q = nb.Parameter(np.zeros(2)), nb.Parameter(np.array(p))
    with nb.Tape() as tape:
        y = nb.ops.power(x, q)
    dx, dp = tape.gradient(y, [x, q])
    np.testing.assert_array_equal(dx.numpy(), np.full(2, float(p == 1)))
    assert dp.item() == 0


def test_collapse() -> None:
    assert collapse((5, 4, 3), (5, 4, 3)) == ((5, 4, 3), (1, 1, 1, 60, 60, 60, 60, 1, 60, 60, 60, 1))
    assert collapse((2, 1, 2, 1, 2), (2, 1, 2, 3, 2))[0] == (2, 1, 2, 3, 2)


@pytest.mark.parametrize("name", NAMES)
def test_shapes_that_do_not_fit(name: str) -> None:
    with pytest.raises(ValueError, match=r"\(2, 3\) and \(2,\) do not broadcast"):
        getattr(nb.ops, name)(np.zeros((2, 3)), np.zeros(2))


def test_too_many_runs() -> None:
    with pytest.raises(ValueError, match="more than 4 runs"):
        nb.ops.add(np.zeros((2, 1, 2, 1, 2)), np.zeros((1, 2, 1, 2, 1)))


def test_floats_of_two_kinds_are_refused() -> None:
    with pytest.raises(TypeError, match="one float dtype"):
        nb.ops.add(nb.tensor(np.zeros(2, np.float32)), nb.tensor(np.zeros(2)))


@pytest.mark.parametrize(
    ("name", "names"),
    [
        *((name, ("x1", "x2")) for name in ("add", "subtract", "divide", "true_divide", "floor_divide", "mod", "fmod",
          "multiply", "power", "maximum", "minimum", "arctan2", "hypot", "equal", "not_equal", "greater",
          "greater_equal", "less", "less_equal")),
        *((name, ("x", "y")) for name in ("bitwise_and", "bitwise_or", "bitwise_xor")),
        *((name, ("x",)) for name in ("exp", "abs", "floor")),
        ("stop_gradient", ("variable",)),
    ],
)  # fmt: skip
def test_operands_may_be_named(name: str, names: tuple[str, ...]) -> None:
    function = getattr(nb.ops, name)
    values = [nb.ops.convert_to_tensor(v) for v in ([7, 5], [2, 3])][: len(names)]
    named = dict(zip(names, values, strict=True))
    expected = function(*values).numpy()
    np.testing.assert_array_equal(function(**dict(reversed(named.items()))).numpy(), expected)
    np.testing.assert_array_equal(function(values[0], **dict(list(named.items())[1:])).numpy(), expected)
    reference = getattr(np, name, lambda x: x)(*(v.numpy() for v in values))
    np.testing.assert_allclose(expected, reference, rtol=1e-6)
    symbols = {key: nb.Input((2,), dtype="int32") for key in names}
    assert nb.Model(symbols, function(**symbols)).output_shape == (None, 2)
    assert f"\n{', '.join(names)}\n" in inspect.cleandoc(function.__doc__)


@pytest.mark.parametrize("given", [{}, {"x1": 1.0}, {"a": 1.0, "b": 2.0}, {"x1": 1.0, "x2": 2.0, "x3": 3.0}])
def test_other_arguments_are_errors(given: dict[str, float]) -> None:
    with pytest.raises(TypeError, match=r"x2|'a'|x1|x3"):
        nb.ops.add(**given)
    with pytest.raises(TypeError, match="too many"):
        nb.ops.add(1.0, 2.0, 3.0)  # type: ignore[call-arg]
