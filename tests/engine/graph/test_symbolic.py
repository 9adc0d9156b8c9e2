"""Symbols: calls that are noted, and made again for tensors."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import nbnet as nb
from nbnet.base.tree import flatten, map_structure, restructure
from nbnet.engine.graph.symbolic import Symbol, evaluate, has_symbols, producers, record, symbolic
from nbnet.engine.graph.tensor import Tensor

F32 = np.dtype("float32")


def symbol(*shape: int, name: str = "x") -> Symbol:
    return Symbol((None, *shape), F32, name)


@symbolic
def halves(pair: Any, scale: float = 1.0) -> Any:
    """A sum and a difference, in a dict."""
    a, b = pair
    return {"sum": (a + b) * scale, "parts": [a - b, a]}


def test_structures() -> None:
    nested = {"a": [1, (2, 3)], "b": 4}
    assert list(flatten(nested)) == [1, 2, 3, 4]
    assert map_structure(lambda v: 2 * v, nested) == {"a": [2, (4, 6)], "b": 8}
    pair = namedtuple("pair", "x y")
    assert map_structure(lambda v: 2 * v, pair(1, [2])) == pair(2, [4])
    assert restructure(nested, "wxyz") == {"a": ["w", ("x", "y")], "b": "z"}
    assert not has_symbols(nested)
    assert has_symbols({"a": [1, (symbol(),)]})
    assert has_symbols([{"a": symbol()}])


def test_calls_are_noted_and_made_again() -> None:
    a, b = symbol(3, name="a"), symbol(3, name="b")
    made = halves([a, b], scale=3.0)
    assert made["sum"].shape == (None, 3)
    assert made["sum"].producer is made["parts"][0].producer
    outputs = [made["parts"][0] * made["sum"], made["sum"]]
    order = producers(outputs, [a, b])
    assert [p.name for p in order] == ["halves", "multiply"]
    x, y = np.arange(6, dtype="f").reshape(2, 3), np.ones((2, 3), "f")
    product, total = evaluate(order, {id(a): nb.tensor(x), id(b): nb.tensor(y)}, outputs)
    np.testing.assert_array_equal(total.numpy(), 3 * (x + y))
    np.testing.assert_array_equal(product.numpy(), 3 * (x + y) * (x - y))


def test_of_tensors_a_symbolic_function_is_what_it_was() -> None:
    found = halves([nb.tensor([1.0]), nb.tensor([2.0])])
    assert isinstance(found["sum"], Tensor)
    assert halves.__doc__ == "A sum and a difference, in a dict."


@pytest.mark.parametrize(
    ("function", "shape", "expected"),
    [
        (lambda x: nb.ops.reshape(x, (x.shape[0], -1)) if isinstance(x, Tensor) else None, (2, 3), (None, 6)),
        (lambda x: nb.ops.sum(x, axis=0), (3,), (3,)),
        (lambda x: nb.ops.sum(x, axis=1), (None, 3), (None, 3)),
        (lambda x: nb.ops.transpose(x, (0, 2, 1)), (None, 3), (None, 3, None)),
        (nb.ops.sum, (3,), ()),
    ],
)  # fmt: skip
def test_shapes(function: Callable[[Any], Any], shape: tuple[int, ...], expected: tuple[int | None, ...]) -> None:
    assert record(function, (symbol(*shape),), {}, "f").shape == expected


def test_operators() -> None:
    x = symbol(3)
    for made in (x + 1, 1 + x, x - 1, 1 - x, x * x, 2 * x, x / 2, 2 / x, x**2, 2**x, -x, np.ones(3, "f") * x):
        assert isinstance(made, Symbol)
        assert made.shape == (None, 3)
    assert (x @ np.ones((3, 5), "f")).shape == (None, 5)
    assert (nb.tensor(np.ones(3, "f")) + x).shape == (None, 3)


def test_what_is_not_among_the_inputs() -> None:
    a, b = symbol(name="a"), symbol(name="b")
    with pytest.raises(ValueError, match="inputs: the outputs depend on 'b', which is not among the inputs"):
        producers([a + b], [a])


def test_a_call_returns_tensors() -> None:
    with pytest.raises(TypeError, match="f: expected a tensor, or tensors, to be returned; got int"):
        record(lambda x: 3, (symbol(),), {}, "f")


@pytest.mark.parametrize("use", [np.asarray, float, bool, lambda x: np.exp(x)])
def test_symbols_have_no_values(use: Callable[[Any], Any]) -> None:
    with pytest.raises(TypeError, match=r"<Symbol 'x' shape=\(None, 2\) dtype=float32> has no value"):
        use(symbol(2))


def test_symbols_are_not_walked() -> None:
    with pytest.raises(TypeError, match="cannot be iterated over"):
        list(symbol(2))


def opened(*shape: int | None) -> Symbol:
    return Symbol(shape, F32, "x")


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (lambda o: o.add(opened(None, 3), opened(2, None)), (2, 3)),
        (lambda o: o.where(opened(None, None, 1), opened(2, 1), opened(2, 4)), (None, 2, 4)),
        (lambda o: o.matmul(opened(None, 3, 4), opened(3, None, 4, 5)), (3, None, 3, 5)),
        (lambda o: o.concatenate([opened(2, 3), opened(2, None)], axis=0), (4, 3)),
        (lambda o: o.reshape(opened(None, 3), (3, 2)), (3, 2)),
        (lambda o: o.hsplit(opened(None, None), 2)[1], (None, None)),
        (lambda o: opened(None, 3)[5], (3,)),
    ],
)
def test_an_open_axis_is_as_long_as_the_call_needs(call: Any, expected: Any) -> None:
    assert call(nb.ops).shape == expected
    with pytest.raises(ValueError, match="do not broadcast"):
        nb.ops.add(opened(None, 5), opened(None, 6))


def test_a_batch_size_is_kept() -> None:
    a, b = nb.Input((3,), batch_size=2, name="a"), nb.Input((3,), batch_size=2, name="b")
    model = nb.Model([a, b], nb.layers.Dense(4)(nb.layers.BatchNormalization()(a + b)))
    for again in (model, nb.Model.from_config(model.get_config()), nb.clone_model(model)):
        assert (again.input_shape, again.output_shape) == ([(2, 3), (2, 3)], (2, 4))
    assert model([nb.Input((3,)), nb.Input((3,))]).shape == (None, 4)
    assert model([np.ones((5, 3))] * 2).shape == (5, 4)
    stack = nb.Sequential([nb.Input((3,), batch_size=4), nb.layers.Dense(2)])
    assert (stack.input_shape, stack.output_shape) == ((4, 3), (4, 2))
    stack.compile("sgd", "mse")
    stack.fit(np.ones((10, 3)), np.ones((10, 2)), verbose=0)
    assert not hasattr(nb.Sequential([nb.layers.Dense(2)]), "output_shape")
