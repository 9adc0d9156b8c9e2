"""Tensors, nodes, and differentiation from graph to graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import nbnet as nb
from nbnet.engine.graph.autodiff import differentiate
from nbnet.engine.graph.op import Op, Spec, register
from nbnet.engine.graph.parameter import Parameter
from nbnet.engine.graph.tape import Tape, Trace
from nbnet.engine.graph.tensor import Call, Tensor, apply, apply_many, topological
from nbnet.engine.kernels.abi import kernel, present, vec
from nbnet.engine.runtime.program import Linked, lower
from tests.engine.toys import AFFINE, F32, F64, FLAT, Array, blank, numbers

# ---- topological -------------------------------------------------------------------------------------------------


def test_nodes_come_after_what_they_depend_on() -> None:
    with Trace() as trace:
        x = blank()
        a = apply(AFFINE, x, name="a")
        b = apply(AFFINE, a, name="b")
        c = a + b
        y = c * apply(AFFINE, c, name="d")
    order = topological([y])
    assert sorted(map(id, order)) == sorted(map(id, trace.nodes))
    place = {id(t): i for i, node in enumerate(order) for t in node.outputs}
    for i, node in enumerate(order):
        assert all(place[id(t)] < i for t in node.inputs if t.node is not None)


def test_only_what_targets_need_is_found_and_once() -> None:
    with Trace() as trace:
        shared = apply(AFFINE, blank())
        left, right = apply(AFFINE, shared), apply(AFFINE, shared)
        apply(AFFINE, shared, name="unused")
    order = topological([left, right, left])
    assert [id(n) for n in order] == [id(n) for n in trace.nodes[:3]]


def test_a_leaf_has_no_nodes() -> None:
    assert topological([blank()]) == []


def test_deep_chains_do_not_recurse() -> None:
    with Trace():
        x = blank()
        for _ in range(5000):
            x = apply(AFFINE, x)
    assert len(topological([x])) == 5000


# ---- differentiate -----------------------------------------------------------------------------------------------


def seed(y: Tensor) -> Tensor:
    return Tensor(y.shape, y.dtype, np.ones(y.shape, y.dtype), name="seed")


def test_one_call_a_node_in_reverse() -> None:
    with Trace() as trace:
        x = blank()
        y = apply(AFFINE, apply(AFFINE, x, name="first"), name="second")
    calls, gradients = differentiate(trace.nodes, {y: seed(y)}, [x])
    assert [c.name for c in calls] == ["second", "first"]
    assert all(c.accumulate == 0 for c in calls)
    assert calls[0].operands[1] is calls[1].operands[0]
    assert gradients[x] is calls[1].operands[1]


def test_shared_inputs_accumulate() -> None:
    with Trace() as trace:
        x = blank()
        a, b = apply(AFFINE, x, name="a"), apply(AFFINE, x, name="b")
        y = a + b
    calls, gradients = differentiate(trace.nodes, {y: seed(y)}, [x])
    assert [(c.name, c.accumulate) for c in calls[1:]] == [("b", 0), ("a", 1 << 1)]
    assert calls[1].operands[1] is calls[2].operands[1] is gradients[x]
    assert any(t is gradients[x] for t in calls[2].reads())  # what is added to matters
    assert not any(t is gradients[x] for t in calls[1].reads())


def test_what_leads_to_no_source_is_left_out() -> None:
    with Trace() as trace:
        x, other = blank(), blank()
        side = apply(AFFINE, other, name="side")
        y = apply(AFFINE, x, name="main") + side
    calls, gradients = differentiate(trace.nodes, {y: seed(y)}, [x])
    assert [c.name for c in calls] == ["add", "main"]
    assert calls[0].operands[2] is None  # the gradient of side
    assert other not in gradients


def test_an_intermediate_may_be_a_source() -> None:
    with Trace() as trace:
        h = apply(AFFINE, blank(), name="before")
        y = apply(AFFINE, h, name="after")
    calls, gradients = differentiate(trace.nodes, {y: seed(y)}, [h])
    assert [c.name for c in calls] == ["after"]
    assert gradients[h] is calls[0].operands[1]


def test_later_nodes_do_not_matter() -> None:
    with Trace() as trace:
        x = blank()
        y = apply(AFFINE, x, name="y")
        apply(AFFINE, y, name="later")
    calls, _ = differentiate(trace.nodes, {y: seed(y)}, [x])
    assert [c.name for c in calls] == ["y"]


def test_given_places_are_overwritten_first() -> None:
    with Trace() as trace:
        x = blank()
        y = apply(AFFINE, x) + apply(AFFINE, x)
    place = numbers(7, 7, 7, 7)
    calls, gradients = differentiate(trace.nodes, {y: seed(y)}, [x], {x: place})
    assert gradients[x] is place
    assert [c.accumulate >> 1 & 1 for c in calls[1:]] == [0, 1]


def test_a_place_for_a_scalar_is_used() -> None:
    with Trace() as trace:
        x = Tensor((), F32)
        y = apply(AFFINE, x)
    place = Tensor((), F32, np.zeros((), F32))
    _, gradients = differentiate(trace.nodes, {y: seed(y)}, [x], {x: place})
    assert gradients[x] is place


def test_no_gradient() -> None:
    with Trace() as trace:
        x = blank()
        y = apply(FLAT, apply(AFFINE, x), name="step")
    with pytest.raises(TypeError, match=r"'flat' has no gradient.*'step'"):
        differentiate(trace.nodes, {y: seed(y)}, [x])
    # It is no matter where no gradient passes.
    assert differentiate(trace.nodes, {y: seed(y)}, [blank()])[0] == []


@kernel
def split(mem: Any, ins: Any, step: Any) -> None:
    """a, b = x, 3 x"""
    x, a, b = vec(mem, ins, 0), vec(mem, ins, 1), vec(mem, ins, 2)
    for i in range(x.size):
        a[i] = x[i]
        b[i] = 3.0 * x[i]


@kernel
def join(mem: Any, ins: Any, step: Any) -> None:
    """dx = da + 3 db"""
    da, db, dx = vec(mem, ins, 0), vec(mem, ins, 1), vec(mem, ins, 2)
    if present(ins, 2):
        for i in range(dx.size):
            dx[i] = da[i] + 3.0 * db[i]


def _two(x: Tensor) -> tuple[Spec, ...]:
    return (Spec(x.shape),) * 2


SPLIT = Op("split", split, ("x",), _two, ("a", "b"), backward=join, gradient=("da", "db", "dx"))


def test_outputs_nobody_used_have_gradient_zero() -> None:
    x = Parameter([1.0, 2.0])
    with Tape() as tape:
        a, b = apply_many(SPLIT, x)
        unused, _ = apply_many(SPLIT, x)
        y = b * 2.0
    np.testing.assert_array_equal(tape.gradient(y, x), [6, 6])
    assert tape.gradient(unused, x).numpy().tolist() == [1, 1]
    with Tape() as tape:
        a, b = apply_many(SPLIT, x)
        y = a + b
    np.testing.assert_array_equal(tape.gradient(y, x), [4, 4])


# ---- one tensor as several inputs --------------------------------------------------------------------------------

VALUE = np.array([[1.0, -2.0, 3.0], [0.5, 1.5, -1.0], [2.0, 1.0, 1.0]])
ONES = np.ones((3, 3))


def _both(a: Array) -> Array:
    return ONES @ a.T + a.T @ ONES


REPEATED: dict[str, tuple[Callable[[Tensor], Tensor], Callable[[Array], Array]]] = {
    "multiply": (lambda v: v * v, lambda a: 2 * a),
    "add": (lambda v: v + v, lambda a: 2 * ONES),
    "subtract": (lambda v: v - v, lambda a: 0 * a),
    "divide": (lambda v: v / v, lambda a: 0 * a),
    "concatenate": (lambda v: nb.ops.concatenate([v, v, v]), lambda a: 3 * ONES),
    "matmul": (lambda v: v @ v, _both),
    # This kernel does not write its gradients in the order of its inputs.
    "dense": (lambda v: nb.ops.dense(v, v, np.zeros(3)), _both),
    "diamond": (lambda v: (v * 2.0) * (v + 1.0), lambda a: 4 * a + 2),
}


@pytest.mark.parametrize("name", REPEATED)
def test_a_tensor_as_several_inputs(name: str) -> None:
    f, derivative = REPEATED[name]
    v = Parameter(VALUE, dtype=F64)
    with Tape() as tape:
        y = f(v)
    np.testing.assert_allclose(tape.gradient(y, v), derivative(VALUE), atol=1e-12)


@pytest.mark.parametrize("name", REPEATED)
def test_an_intermediate_as_several_inputs_of_a_program(name: str) -> None:
    f, derivative = REPEATED[name]
    v = Parameter(VALUE / 2, dtype=F64)
    with Trace() as trace:
        y = f(nb.ops.multiply(v, 2.0))
    calls, gradients = differentiate(trace.nodes, {y: seed(y)}, [v])
    linked = Linked(lower([[[*(n.call() for n in trace.nodes), *calls]]], [0], F64, keep=[gradients[v]]))
    linked.run(1, 0)
    np.testing.assert_allclose(linked.view(gradients[v]), 2 * derivative(VALUE), atol=1e-12)


# ---- tensors and parameters --------------------------------------------------------------------------------------


def test_tensor_describes_itself() -> None:
    t = Tensor((2, 3, 4), "float32", name="t")
    assert (t.ndim, t.size, t.nbytes, t.matrix, len(t)) == (3, 24, 96, (6, 4), 2)
    assert repr(t) == "<Tensor 't' shape=(2, 3, 4) dtype=float32>"
    scalar = Tensor((), "float64", np.array(2.5))
    assert (scalar.ndim, scalar.size, scalar.matrix, scalar.item(), float(scalar)) == (0, 1, (1, 1), 2.5, 2.5)
    with pytest.raises(TypeError, match="len"):
        len(scalar)


def test_a_tensor_without_a_value_says_so() -> None:
    with pytest.raises(ValueError, match="tensor 'h' has no value"):
        np.asarray(blank(name="h"))


def test_tensors_are_arrays_to_numpy() -> None:
    t = numbers(1, 2)
    np.testing.assert_array_equal(np.add(np.asarray(t), 1), [2, 3])
    assert np.asarray(t, dtype=F64).dtype == F64
    summed = np.array([1.0, 1.0]) + t  # the array gives way
    assert isinstance(summed, Tensor)


def test_operators() -> None:
    t = numbers(1, 2)
    found = {
        "+": (t + 1, [2, 3]),
        "r+": (1 + t, [2, 3]),
        "-": (t - 1, [0, 1]),
        "r-": (1 - t, [0, -1]),
        "*": (t * 3, [3, 6]),
        "r*": (3 * t, [3, 6]),
        "/": (t / 2, [0.5, 1]),
        "r/": (2 / t, [2, 1]),
        "**": (t**2, [1, 4]),
        "neg": (-t, [-1, -2]),
        "[]": (t[1:], [2]),
        "@": (t @ np.array([[0, 1], [1, 0]], F32), [2, 1]),
    }
    for name, (got, want) in found.items():
        np.testing.assert_allclose(got, want, err_msg=name)


def test_calls_know_what_they_read_and_write() -> None:
    x, y, z = blank(), blank(), blank()
    call = Call(AFFINE.forward, (x, y, None, z), (1, 2, 3), 1 << 3, 0, (), "call", F32)
    assert list(call.reads()) == [x, z]
    assert list(call.writes()) == [y, z]


def test_ops_are_checked() -> None:
    with pytest.raises(ValueError, match=r"'odd': gradient names \['dq'\]"):
        Op("odd", AFFINE.forward, ("x",), backward=AFFINE.backward, gradient=("dy", "dq"))
    with pytest.raises(ValueError, match="expected both backward and gradient, or neither"):
        Op("odd", AFFINE.forward, ("x",), backward=AFFINE.backward)
    with pytest.raises(ValueError, match="'relu' is registered already"):
        register(Op("relu", AFFINE.forward, ("x",)))
