"""Runs an op's kernels on memory with guard bands around every operand."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbnet.engine.graph.autodiff import differentiate
from nbnet.engine.graph.tape import Trace
from nbnet.engine.graph.tensor import Call, Node, Tensor, apply_many, encode
from nbnet.engine.jit.linker import link
from nbnet.engine.kernels import executor
from nbnet.engine.kernels.abi import Memory
from nbnet.engine.kernels.layout import KERNEL, WIDTH
from tests.ops.cases import Case

Array = NDArray[Any]
KEY, STEP = 0x9E3779B97F4A7C15, 3
GUARD, CANARY = 4096, 0xA5


class Memories:
    """Arrays with guard bands. Arrays without a value are filled with 0xFF bytes: NaN, or -1."""

    def __init__(self) -> None:
        self._bands: list[Array] = []
        self._given: list[tuple[Array, Array]] = []

    def place(self, tensor: Tensor, value: Array | None = None) -> Tensor:
        """Give a tensor memory."""
        raw = np.full(tensor.nbytes + 2 * GUARD, CANARY, np.uint8)
        self._bands += [raw[:GUARD], raw[GUARD + tensor.nbytes :]]
        inside = raw[GUARD : GUARD + tensor.nbytes]
        inside[:] = 0xFF
        tensor.data = inside.view(tensor.dtype).reshape(tensor.shape)
        if value is not None:
            tensor.data[...] = value
            self._given.append((tensor.data, tensor.data.copy()))
        return tensor

    def check(self) -> None:
        """Nothing was written around the operands, nor to those that are only read."""
        assert all((band == CANARY).all() for band in self._bands), "a kernel wrote outside its operands"
        for now, before in self._given:
            np.testing.assert_array_equal(now, before, "a kernel changed an operand it only reads")


def run_call(call: Call, step: int = STEP, first_row: int = 0, twin: bool = False) -> None:
    """Run one call: compiled, or as plain Python."""
    row = np.zeros(WIDTH, np.int64)
    encode(row, call, first_row)
    if twin:
        with np.errstate(all="ignore"):
            dtype = np.dtype(np.uint8) if call.dtype.kind == "b" else call.dtype
            call.kernel(Memory(0, dtype), row, step)
    else:
        row[KERNEL] = link([call.kernel], call.dtype)[0]
        executor.run_row(call.dtype, row, step)


def record(case: Case, inputs: Sequence[Tensor]) -> Node:
    """The node of the op, without running it."""
    with Trace() as trace:
        apply_many(case.op, *inputs, **keywords(case, inputs))
    return trace.nodes[-1]


def keywords(case: Case, inputs: Sequence[Tensor]) -> dict[str, Any]:
    """Keywords for ``apply``."""
    found = {**({"key": KEY} if case.op.random else {}), **case.attributes_for([t.numpy() for t in inputs])}
    if case.injected is not None:
        drawn = case.injected(np.random.default_rng(3))
        dtype = next(t.dtype for t in inputs if t.dtype.kind == "f")
        values = drawn if drawn.dtype == np.uint8 else drawn.astype(dtype)
        found["injected"] = Tensor(values.shape, values.dtype, values)
    return found


def tensors_of(case: Case, arrays: Sequence[Array], memories: Memories) -> list[Tensor]:
    return [memories.place(Tensor(a.shape, a.dtype, requires_grad=a.dtype.kind == "f"), a) for a in arrays]


def backward_call(node: Node, dy: Tensor, names: Sequence[str]) -> Call:
    """The backward call that gives gradients of the inputs of these names."""
    sources = [t for name, t in zip(node.op.inputs, node.inputs, strict=True) if name in names]
    calls, _ = differentiate([node], {node.outputs[0]: dy}, sources)
    return calls[0]


def differentiable(case: Case) -> list[str]:
    """Names of the inputs that get gradients: floats."""
    pairs = zip(case.op.inputs, case.inputs(np.float64), strict=True)
    return [name for name, a in pairs if "d" + name in case.op.gradient and a.dtype.kind == "f"]


@dataclass
class Result:
    """The results of an op's kernels."""

    y: Array
    mask: Array | None
    noise: Array | None
    gradients: dict[str, Array]


def execute(
    case: Case,
    arrays: Sequence[Array],
    dy: Array | None = None,
    *,
    wanted: Sequence[str] | None = None,
    presets: Mapping[str, Array] | None = None,
    first_row: int = 0,
    twin: bool = False,
) -> Result:
    """Forward, and backward if ``dy`` is given: of ``wanted`` inputs, added to ``presets`` where there are any."""
    memories = Memories()
    dtype = next((a.dtype for a in arrays if a.dtype.kind == "f"), None)
    node = record(case, tensors_of(case, arrays, memories))
    for t in (*node.outputs, *node.saved):
        memories.place(t, t.data)
    run_call(node.call(), first_row=first_row, twin=twin)
    memories.check()
    names = differentiable(case) if wanted is None else wanted
    found: dict[str, Array] = {}
    if dy is not None and names:
        call = backward_call(node, memories.place(Tensor(dy.shape, dtype), np.asarray(dy, dtype)), names)
        for k, t in enumerate(call.operands):
            name = case.op.gradient[k]
            if t is not None and t.data is None:
                memories.place(t)
                if presets and name[1:] in presets:
                    t.numpy()[...] = presets[name[1:]]
                    call = dataclasses.replace(call, accumulate=call.accumulate | 1 << k)
                if name[1:] in names:
                    found[name[1:]] = t.numpy()
        run_call(call, 0, first_row, twin)
        memories.check()
    return Result(node.outputs[0].numpy(), node.mask, node.noise, found)
