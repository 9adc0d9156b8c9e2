"""An ONNX graph under construction: nodes, constants and their names. Needs no package onnx.

The modules elementwise, moves and reductions register an entry for each op that has one in ONNX.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nbnet.engine.graph.op import Op
from nbnet.engine.graph.tensor import Node, Tensor
from nbnet.export.probe import Probe, Sizes

Array = NDArray[Any]
#: A tensor of the model, or the name of a value in the ONNX graph.
Operand = Tensor | str
#: Writes a node of the model: ``entry(graph, *inputs)`` returns the names of its outputs.
Entry = Callable[..., str | tuple[str, ...]]

#: Entries by name of op.
ENTRIES: dict[str, Entry] = {}
#: The numbers of int64 and bool among the types of ONNX (TensorProto).
INT64, BOOLEAN = 7, 9
#: Ops that ONNX has no operators for.
ABSENT = frozenset({
    "arctan2", "cholesky", "cholesky_of_one", "cumprod", "erfinv", "i0", "inverse", "inverse_of_one", "segment_max",
    "segment_prod",
})  # fmt: skip
#: Operators that onnxruntime has for float32 only.
SINGLE_ONLY = frozenset({
    "Acos", "Acosh", "Asin", "Asinh", "Atan", "Atanh", "AveragePool", "Conv", "ConvTranspose", "Cosh", "Erf",
    "GlobalAveragePool", "Sinh", "Tan",
})  # fmt: skip


def register(entries: Mapping[str, Entry]) -> None:
    """Add entries of ops, by name; an op has one entry."""
    for name, entry in entries.items():
        if name in ENTRIES:
            raise ValueError(f"op {name!r} has an entry already")
        ENTRIES[name] = entry


def writes(*ops: str) -> Callable[[Entry], Entry]:
    """Return a decorator that makes a function the entry of ops."""

    def enter(entry: Entry) -> Entry:
        register(dict.fromkeys(ops, entry))
        return entry

    return enter


def refusal(op: Op) -> str | None:
    """Return the reason why an op has no entry; None if nothing on its record says so."""
    if op.draws or op.role == "draw":
        return "it draws random numbers, which an exported model does not; apply it in training only"
    if op.name == "deal_masks":
        return "it depends on where in its batch a row stands, which an exported model does not know"
    if op.name == "take_turn":
        return "it depends on the number of a step, which an exported model does not know"
    if op.name.removesuffix("_batch") in ABSENT:
        return "it has no counterpart among the operators of ONNX"
    if op.role in ("loss", "metric"):
        return f"it is a {op.role}, which is not exported"
    return "it is a penalty on weights, which is not exported" if op.role == "penalty" else None


class Record(NamedTuple):
    """A node of the ONNX graph."""

    op: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]


class OnnxGraph:
    """The ONNX graph of a model, written node by node from its recorded forward pass.

    Raise NotImplementedError if an op has no entry, or onnxruntime does not compute it in the model's dtype.
    """

    def __init__(self, probe: Probe) -> None:
        self.probe = probe
        self.records: list[Record] = []
        self.constants: dict[str, Array] = {}
        self._claimed: Counter[str] = Counter()
        self._known: dict[Any, str] = {}
        self.inputs = {self.claim(name): x for name, x in probe.inputs.items()}
        self.outputs = {self.claim(name): x for name, x in probe.outputs.items()}
        self._known |= {x: name for name, x in self.inputs.items()}
        for node in probe.nodes:
            self._write(node)
        self._finish()

    def _write(self, node: Node) -> None:
        self.node = node
        entry = ENTRIES.get(node.op.name)
        if entry is None:
            reason = refusal(node.op) or "it has no entry in nbnet.export"
            raise NotImplementedError(f"export: {node.name} applies the op {node.op.name!r}: {reason}")
        names = entry(self, *node.inputs)
        for x, name in zip(node.outputs, (names,) if isinstance(names, str) else names, strict=True):
            self._known[x] = name

    def _finish(self) -> None:
        """Give the outputs their names; a value that is also an input, or an output twice, is copied."""
        final: dict[str, str] = {}
        for result, x in self.outputs.items():
            name = self.name(x)
            if name in final or any(x is y for y in self.inputs.values()) or x.data is not None:
                self.records.append(Record("Identity", self.claim(f"{result}/Identity"), (name,), (result,), {}))
            else:
                final[name] = result
        self.records = [
            record._replace(
                inputs=tuple(final.get(name, name) for name in record.inputs),
                outputs=tuple(final.get(name, name) for name in record.outputs),
            )
            for record in self.records
        ]

    # ---- for entries ----

    @property
    def single(self) -> bool:
        """True if the node computes in float32."""
        return self.node.dtype == np.float32

    @property
    def twin(self) -> Node:
        """The node with larger sizes of the open axes."""
        return self.probe.twins[id(self.node)]

    def sizes(self, x: Tensor) -> Sizes:
        """Return the lengths of the axes in either pass."""
        return self.probe.sizes[x]

    def length(self, x: Tensor, axis: int) -> int:
        """Return the length of an axis that must not be open."""
        n, other = self.sizes(x)[axis]
        if n != other:
            raise self.depends("an axis that it works on")
        return n

    def depends(self, what: str) -> NotImplementedError:
        """Return the error for a number in ONNX that depends on the size of the input."""
        return NotImplementedError(
            f"export: {self.node.name} applies the op {self.node.op.name!r}, where {what} depends on the size of the "
            "input; give input_signature with all sizes but the batch's"
        )

    def is_integer(self, x: Tensor) -> bool:
        """Return True if a value is an integer in the ONNX graph."""
        return x.dtype.kind == "i" or x in self.probe.integers

    def add(self, op: str, *operands: Operand, **attributes: Any) -> str:
        """Write a node with one output, and return its name."""
        return self.split(op, 1, *operands, **attributes)[0]

    def split(self, op: str, count: int, *operands: Operand, **attributes: Any) -> tuple[str, ...]:
        """Write a node with ``count`` outputs, and return their names."""
        if op in SINGLE_ONLY and not self.single:
            raise NotImplementedError(
                f"export: {self.node.name} needs the ONNX operator {op}, which onnxruntime has for float32 only, and "
                f"the model computes in {self.node.dtype}: build it with dtype='float32'"
            )
        inputs = tuple(self.name(x) for x in operands)
        name = self.claim(f"{self.node.name}/{op}")
        outputs = (name,) if count == 1 else tuple(self.claim(f"{name}/{k}") for k in range(count))
        self.records.append(Record(op, name, inputs, outputs, attributes))
        return outputs

    def name(self, x: Operand) -> str:
        """Return the name of a value; a constant is added when it is first used."""
        if isinstance(x, str):
            return x
        return self._known[x] if x in self._known else self._stored(x, x, lambda value: value)

    def transposed(self, x: Tensor, axes: Sequence[int]) -> str:
        """Return x with its axes in another order; a constant is transposed now."""
        if x.data is None:
            return self.add("Transpose", x, perm=list(axes))
        return self._stored((x, tuple(axes)), x, lambda value: value.transpose(axes))

    def number(self, x: Tensor) -> float:
        """Return the value of a constant with one element."""
        return float(self.value(x).item())

    def value(self, x: Tensor) -> Array:
        """Return the value of a constant."""
        if x.data is None:
            raise NotImplementedError(
                f"export: {self.node.name} applies the op {self.node.op.name!r} with a computed parameter; "
                "expected a number"
            )
        return x.data

    def real(self, value: ArrayLike) -> str:
        """Add a number, or a vector of numbers, in the dtype of the node."""
        return self._constant(np.array(value, self.node.dtype))

    def integers(self, *values: int) -> str:
        """Add a vector of integers."""
        return self._constant(np.array(values, np.int64))

    def integer(self, value: int) -> str:
        """Add an integer without axes."""
        return self._constant(np.array(value, np.int64))

    def claim(self, name: str) -> str:
        """Return the name, or a variant of it if it is taken."""
        while True:
            used = self._claimed[name]
            self._claimed[name] += 1
            if not used:
                return name
            name = f"{name}:{used}"

    def _stored(self, key: Any, x: Tensor, change: Callable[[Array], Array]) -> str:
        if key not in self._known:
            name = self.claim(x.name or f"{self.node.name}/{self._operand(x)}")
            self._known[key], self.constants[name] = name, np.array(change(self.value(x)), order="C")
        return self._known[key]

    def _operand(self, x: Tensor) -> str:
        """Return the name of an input of the node."""
        return next(name for name, y in zip(self.node.op.inputs, self.node.inputs, strict=False) if y is x)

    def _constant(self, value: Array) -> str:
        key = value.dtype, value.shape, value.tobytes()
        if key not in self._known:
            name = self.claim("constant")
            self._known[key], self.constants[name] = name, value
        return self._known[key]
