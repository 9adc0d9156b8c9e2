"""Extents of kernels: each kernel states them, and a call with other attributes or operands is refused, or stays within
its operands."""

from __future__ import annotations

import gc
import importlib
import pkgutil
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import nbnet as nb
from nbnet.engine.graph.extents import of_op, parse, refusal
from nbnet.engine.graph.op import Op
from nbnet.engine.graph.tensor import Call, Tensor
from nbnet.engine.jit.linker import Kernel
from tests.ops.cases import CASES, Case
from tests.ops.harness import Memories, backward_call, differentiable, record, run_call, tensors_of

Array = NDArray[Any]
each = pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
#: Changed calls of each op that are tried.
TRIALS = 40


def calls_of(case: Case) -> Iterator[Call]:
    """The forward call of a case, and its backward call for all gradients, and for each alone."""
    arrays = case.inputs(np.float32)
    node = record(case, tensors_of(case, arrays, Memories()))
    yield node.call()
    names = differentiable(case)
    for wanted in [names, *([name] for name in names if len(names) > 1)]:
        if wanted:
            yield backward_call(node, Tensor(node.outputs[0].shape, node.dtype), wanted)


def changed(rng: np.random.Generator, call: Call) -> Call:
    """The call with another attribute, or another operand."""
    if call.attributes and rng.random() < 0.5:
        k = int(rng.integers(len(call.attributes)))
        value = call.attributes[k]
        new = int(rng.choice([0, 1, 2, 7, -1, value - 1, value + 1, 2 * value, 1000]))
        return replace(call, attributes=(*call.attributes[:k], new, *call.attributes[k + 1 :]))
    k = int(rng.integers(len(call.operands)))
    t = call.operands[k]
    if t is None:
        return call
    choices = [(*t.shape[:-1], max(n, 0)) for n in ((t.shape or (1,))[-1] + d for d in (-1, 1, 5))]
    choices += [(1,), (0,), (*t.shape, 2), t.shape[1:], t.shape[::-1], (t.size,)]
    new_shape = choices[int(rng.integers(len(choices)))]
    dtype = t.dtype if rng.random() < 0.9 else rng.choice([np.uint8, np.float64, np.int64])
    operand = None if rng.random() < 0.1 else Tensor(new_shape, dtype)
    return replace(call, operands=(*call.operands[:k], operand, *call.operands[k + 1 :]))


def with_data(rng: np.random.Generator, call: Call) -> Call:
    """The call with values in all its operands; integers lie out of any range now and then."""
    made: dict[int, Tensor] = {}
    for t in call.operands:
        if t is not None and id(t) not in made:
            data: Array = rng.uniform(0.1, 0.9, t.shape).astype(t.dtype)
            if t.dtype.kind in "iu":
                data = rng.integers(-9, 99, t.shape).astype(t.dtype) if t.dtype.kind == "i" else np.ones(t.shape, "u1")
            made[id(t)] = Tensor(t.shape, t.dtype, np.array(data, order="C").reshape(t.shape))
    return replace(call, operands=tuple(None if t is None else made[id(t)] for t in call.operands))


@each
def test_calls_of_ops_fit(case: Case) -> None:
    assert [refusal(call) for call in calls_of(case)] == [None] * len(list(calls_of(case)))


@each
def test_changed_calls_are_refused_or_harmless(case: Case) -> None:
    """A call that is accepted runs as plain Python, where an index out of bounds raises IndexError."""
    rng = np.random.default_rng(7)
    refused = 0
    for call in calls_of(case):
        for _ in range(TRIALS):
            trial = changed(rng, call)
            why = refusal(trial)
            refused += why is not None
            if why is None:
                run_call(with_data(rng, trial), twin=True)
    assert refused > 0


def test_every_kernel_states_its_extents() -> None:
    for module in pkgutil.walk_packages(nb.__path__, "nbnet."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    found = gc.get_objects()
    # By type, as the class of a weak proxy is that of an object that may be gone.
    ops = [x for x in found if issubclass(type(x), Op) and str(x.forward.__module__).startswith("nbnet.")]
    of_ops = {kernel for op in ops for kernel in (op.forward, op.backward)}
    kernels = [x for x in found if issubclass(type(x), Kernel) and str(x.__module__).startswith("nbnet.")]
    # Concatenation states them for each number of tensors.
    alone = [k for k in kernels if k not in of_ops and not k.name.startswith("concatenate_")]
    assert len(ops) > 150
    assert len(alone) > 40
    assert sorted(op.name for op in ops if not op.extents) == []
    assert sorted(kernel.name for kernel in alone if not kernel.extents) == []
    for op in ops:
        assert of_op(op, forward=True) is not None
        assert op.backward is None or of_op(op, forward=False) is not None
    for kernel in alone:
        assert parse(kernel.extents).operands


def call(extents: str, *operands: Tensor | None, attributes: tuple[int, ...] = ()) -> Call:
    kernel = Kernel(lambda mem, ins, step: None, "some", extents)
    return Call(kernel, operands, (), 0, 0, attributes, "some", np.dtype(np.float32))


def floats(*shape: int) -> Tensor:
    return Tensor(shape, np.float32)


@pytest.mark.parametrize(
    ("extents", "shapes", "attributes", "why"),
    [
        ("x[n,k] w[k,m] y[n,m]", [(2, 3, 4), (4, 5), (6, 5)], (), None),
        ("x[n,k] w[k,m] y[n,m]", [(2, 3), (4, 5), (2, 5)], (), "operand w has 4 rows, expected 3"),
        ("x[n,k] w[k,m] y[n,m]", [(2, 3), (3, 5), (2, 4)], (), "operand y has 4 columns, expected 5"),
        ("x[n*k] gamma[k]", [(6,), (3,)], (), None),
        ("x[n*k] gamma[k]", [(7,), (3,)], (), "operand x has 7 elements, expected a multiple of 3"),
        ("x[2*n]; n", [(6,)], (3,), None),
        ("x[2*n]; n", [(6,)], (4,), "operand x has 6 elements, expected 8"),
        ("x[n*k]; n", [(0,)], (0,), None),
        ("x[n]; _ k", [(6,)], (-1, 0), None),
        ("x[n]; k", [(6,)], (-1,), "attribute k is -1"),
        ("x[n]; k", [(6,)], (), "it has 1 operands and 0 attributes"),
        ("x[n]", [(6,), (6,)], (), "it has 2 operands and 0 attributes"),
        ("x[n+]; n", [(6,)], (7,), "operand x has 6 elements, expected at least 7"),
        ("x[n+]; n", [(6,)], (5,), None),
        ("x[n] y[n]", [(6,), None], (), "operand y is absent"),
        ("x[n] y?[n]", [(6,), None], (), None),
        ("x:i8[n]", [(6,)], (), "operand x has dtype float32"),
        ("x:*[n]", [(6,)], (), None),
    ],
)
def test_language(extents: str, shapes: list[Any], attributes: tuple[int, ...], why: str | None) -> None:
    operands = [None if shape is None else floats(*shape) for shape in shapes]
    assert refusal(call(extents, *operands, attributes=attributes)) == why


def test_what_a_statement_cannot_say() -> None:
    kernel = Kernel(lambda mem, ins, step: None, "some", "x[n]; low high", lambda sizes: sizes["high"] <= sizes["n"])
    fits = Call(kernel, (floats(6),), (), 0, 0, (2, 6), "some", np.dtype(np.float32))
    assert refusal(fits) is None
    assert refusal(replace(fits, attributes=(2, 7))) == "its attributes (2, 7) do not fit its operands"


def test_an_op_of_its_own_may_state_nothing() -> None:
    op = Op("free", Kernel(lambda mem, ins, step: None, "free"), ("x",))
    stated = replace(op, extents="x[n] y[n]")
    for made, why in ((op, None), (stated, "operand y has 3 elements, expected 2")):
        assert refusal(Call(made.forward, (floats(2), floats(3)), (), 0, 0, (), "", np.dtype("f4"), op=made)) == why


def test_a_statement_that_leaves_out_an_operand_is_an_error() -> None:
    op = Op("partial", Kernel(lambda mem, ins, step: None, "partial"), ("x",), extents="x[n]")
    with pytest.raises(ValueError, match="op 'partial': its extents do not mention 'y'"):
        of_op(op, forward=True)
