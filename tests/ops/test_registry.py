"""Every op of the registry keeps the contract of ops, checked by the one table in ``cases.py``."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from nbnet.engine.graph.autodiff import differentiate
from nbnet.engine.graph.tape import Tape
from nbnet.engine.graph.tensor import Tensor, apply_many
from nbnet.engine.runtime.program import Linked, lower
from nbnet.ops.elementwise import fusible
from tests.ops.cases import CASES, REGISTERED, UNARY, Case, N
from tests.ops.harness import (
    STEP,
    Memories,
    backward_call,
    differentiable,
    execute,
    keywords,
    record,
    run_call,
    tensors_of,
)

Array = NDArray[Any]
F32, F64 = np.dtype(np.float32), np.dtype(np.float64)
each = pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
#: Integers have no gradients.
REAL = [case for case in CASES if differentiable(case)]
with_gradient = pytest.mark.parametrize("case", REAL, ids=lambda case: case.id)
# All fused ops are compiled in float64; in float32, which differs in nothing but the constants' type, a few.
FEW = ("relu", "gelu", "leaky_relu", "tanh")
float32_too = pytest.mark.parametrize(
    ("case", "dtype"),
    [
        pytest.param(c, d, id=f"{c.id}-{d.name}")
        for c in CASES
        for d in (F32, F64)
        if d == F64 or "dense_" not in c.op.name or c.op.name.removeprefix("dense_").removesuffix("_dropout") in FEW
    ],
)


def close(found: Array, wanted: Array, tolerance: float) -> None:
    """Near, relative to each number and to the largest of them."""
    scale = np.abs(wanted).max(initial=0.0)
    np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=tolerance * scale)


def cotangent(case: Case, arrays: list[Array]) -> Array:
    """A random gradient of the result."""
    y = execute(case, arrays).y
    return np.random.default_rng(1).normal(0, 1, y.shape)


def loose(dtype: np.dtype[Any]) -> float:
    return 1e-5 if dtype == F32 else 1e-12


def test_every_op_has_a_case() -> None:
    missing = sorted({op.name for op in REGISTERED} - {case.op.name for case in CASES})
    assert not missing, f"no case for {missing}: add one for each to CASES in tests/ops/cases.py"


def test_every_elementwise_op_is_tested_alone_and_fused() -> None:
    missing = sorted({made.name for made in fusible.values() if made.op in REGISTERED} - set(UNARY))
    assert not missing, f"no line for {missing}: add one for each to UNARY in tests/ops/cases.py"


def test_case_names_are_unique() -> None:
    ids = [case.id for case in CASES]
    assert len(set(ids)) == len(ids)


@float32_too
def test_forward_agrees_with_numpy(case: Case, dtype: np.dtype[Any]) -> None:
    arrays = case.inputs(dtype)
    result = execute(case, arrays)
    exact = [a.astype(F64) if a.dtype.kind == "f" else a for a in arrays]
    drawn = {"mask": result.mask, "noise": result.noise} if case.op.random else {}
    recorded = {name: a for name, a in drawn.items() if a is not None}
    wanted = case.reference(*exact, **recorded, **case.attributes_for(arrays))
    assert result.y.shape == np.shape(wanted)
    kind = np.asarray(wanted).dtype
    real = any(a.dtype.kind == "f" for a in arrays) and (kind.kind == "f" or case.op.role == "metric")
    assert result.y.dtype == (dtype if real else kind)
    close(result.y, wanted, loose(dtype))


@with_gradient
def test_gradient_agrees_with_finite_differences(case: Case) -> None:
    arrays, h = case.inputs(F64), 1e-5
    dy = cotangent(case, arrays)
    names = differentiable(case)
    gradients = execute(case, arrays, dy).gradients
    assert sorted(gradients) == sorted(names)
    rng = np.random.default_rng(2)
    for k, name in enumerate(case.op.inputs):
        if name not in names:
            continue
        direction = rng.normal(0, 1, arrays[k].shape)
        ends = [execute(case, [*arrays[:k], arrays[k] + s * h * direction, *arrays[k + 1 :]]).y for s in (1, -1)]
        numeric = ((ends[0] - ends[1]) * dy).sum() / (2 * h)
        scale = np.abs(gradients[name] * direction).sum()
        assert abs((gradients[name] * direction).sum() - numeric) <= 1e-6 * scale, name


@float32_too
def test_backward_overwrites_or_adds(case: Case, dtype: np.dtype[Any]) -> None:
    arrays = case.inputs(dtype)
    dy = cotangent(case, arrays)
    once = execute(case, arrays, dy).gradients  # into memory full of NaN
    assert all(np.isfinite(d).all() for d in once.values())
    twice = execute(case, arrays, dy, presets=once).gradients
    for name, d in once.items():
        close(twice[name], 2 * d, 10 * loose(dtype))


@with_gradient
def test_backward_skips_an_absent_gradient(case: Case) -> None:
    arrays = case.inputs(F64)
    dy = cotangent(case, arrays)
    whole = execute(case, arrays, dy).gradients
    for name, d in whole.items():
        alone = execute(case, arrays, dy, wanted=[name]).gradients
        assert list(alone) == [name]
        close(alone[name], d, 1e-12)


@float32_too
def test_compiled_agrees_with_python(case: Case, dtype: np.dtype[Any]) -> None:
    arrays = case.inputs(dtype)
    dy = cotangent(case, arrays)
    compiled, plain = execute(case, arrays, dy), execute(case, arrays, dy, twin=True)
    close(compiled.y, plain.y, loose(dtype))
    if compiled.mask is not None:
        np.testing.assert_array_equal(compiled.mask, plain.mask)
    for name, d in plain.gradients.items():
        close(compiled.gradients[name], d, 10 * loose(dtype))


@each
def test_eager_agrees_with_program(case: Case) -> None:
    arrays = case.inputs(F64)
    inputs = tensors_of(case, arrays, Memories())
    with Tape(step=STEP) as tape:
        y = apply_many(case.op, *inputs, **keywords(case, inputs))[0]
    node = record(case, inputs)
    dy = Tensor(y.shape, F64, np.random.default_rng(1).normal(0, 1, y.shape))
    sources = [t for name, t in zip(case.op.inputs, inputs, strict=True) if name in differentiable(case)]
    calls, gradients = differentiate([node], {node.outputs[0]: dy}, sources)
    kept = {*node.outputs, *node.saved, *(gradients[t] for t in sources)}
    dtype = node.dtype if node.dtype.kind == "f" else F64
    linked = Linked(lower([[[node.call(), *calls]]], [0], dtype, keep=kept))
    linked.run(1, STEP)
    close(linked.view(node.outputs[0]), y.numpy(), 1e-12)
    for name, mine, theirs in zip(case.op.saves, node.saved, tape.nodes[-1].saved, strict=True):
        # With an injected mask, forward leaves its scratch as it is.
        if case.injected is None or name in case.op.gradient:
            close(linked.view(mine), theirs.numpy(), 1e-12)
    eager = execute(case, arrays, dy.numpy()).gradients
    for name, t in zip(case.op.inputs, inputs, strict=True):
        if name in eager:
            close(linked.view(gradients[t]), eager[name], 1e-12)


@pytest.mark.parametrize("case", [c for c in CASES if c.rows and not c.op.whole_batch], ids=lambda case: case.id)
def test_batch_is_its_rows(case: Case) -> None:
    arrays = case.inputs(F64)
    dy = cotangent(case, arrays)
    names = [case.op.inputs[k] for k in case.rows if case.op.inputs[k] in differentiable(case)]
    whole = execute(case, arrays, dy, wanted=names)
    for i in range(len(arrays[case.rows[0]])):
        one = [a[i : i + 1] if k in case.rows else a for k, a in enumerate(arrays)]
        row = execute(case, one, dy[i : i + 1], wanted=names, first_row=i)
        close(row.y, whole.y[i : i + 1], 1e-12)
        if whole.mask is not None and row.mask is not None:
            np.testing.assert_array_equal(row.mask, whole.mask[i : i + 1] if len(whole.mask) == N else whole.mask)
        for name in names:
            close(row.gradients[name], whole.gradients[name][i : i + 1], 1e-12)


@pytest.mark.parametrize("case", [c for c in CASES if c.op.reuse], ids=lambda case: case.id)
def test_operands_may_share_memory(case: Case) -> None:
    arrays = case.inputs(F64)
    dy = cotangent(case, arrays)
    apart = execute(case, arrays, dy)
    memories = Memories()
    inputs = tensors_of(case, arrays, memories)
    node = record(case, inputs)
    for t in (*node.outputs, *node.saved):
        memories.place(t)
    forward = node.call()
    for written, read in forward.reuse:
        forward.operands[written].data = forward.operands[read].numpy().reshape(forward.operands[written].shape)
    run_call(forward)
    close(node.outputs[0].numpy(), apart.y, 1e-12)
    # Backward reads inputs as they were before forward wrote over them: the planner sees to that.
    for t, a in zip(inputs, arrays, strict=True):
        memories.place(t, a)
    if not differentiable(case):
        return
    call = backward_call(node, memories.place(Tensor(dy.shape, F64), dy), differentiable(case))
    for written, read in call.reuse:
        if call.operands[written] is not None and call.operands[read] is not None:
            call.operands[written].data = call.operands[read].numpy().reshape(call.operands[written].shape)
    for t in call.operands:
        if t is not None and t.data is None:
            memories.place(t)
    run_call(call, 0)
    for k, name in enumerate(case.op.gradient):
        if name[1:] in apart.gradients:
            close(call.operands[k].numpy(), apart.gradients[name[1:]], 1e-12)
