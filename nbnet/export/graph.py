"""An ONNX graph under construction: nodes, constants and their names, open axes. Needs no package onnx.

The modules elementwise, moves and reductions register an entry for each op that has one in ONNX.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nbnet.engine.graph.op import Op
from nbnet.engine.graph.tape import Trace
from nbnet.engine.graph.tensor import Node, Tensor, topological

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


OpenShape = tuple[int | None, ...]

#: Sizes of the batch, and of other open axes; the latter are long enough for windows.
BATCHES, LENGTHS = (2, 5), (60, 127)

#: Lengths of axes, each in either probe.
Sizes = tuple[tuple[int, int], ...]
Named = Mapping[str, Tensor]
#: Computes the outputs, by name, for inputs in their order.
Forward = Callable[[Sequence[Tensor]], Named]


@dataclass(frozen=True, eq=False)
class Input:
    """An input of a model: None in its shape stands for an open axis, the first of which is the batch."""

    name: str
    shape: OpenShape
    dtype: np.dtype[Any]

    def tensor(self, which: int) -> Tensor:
        """Return a tensor for one of the two passes."""
        head, *tail = self.shape
        rows = BATCHES[which] if head is None else head
        return Tensor((rows, *(LENGTHS[which] if n is None else n for n in tail)), self.dtype, name=self.name)


@dataclass(frozen=True, eq=False)
class Probe:
    """A forward pass with the smaller sizes, and how its nodes change with the larger ones."""

    nodes: Sequence[Node]  # in forward order
    twins: Mapping[int, Node]  # the same nodes with the larger sizes
    inputs: Named
    outputs: Named
    sizes: Mapping[Tensor, Sizes]  # of all tensors
    #: Tensors that may be integers: inputs that only look-ups read, and tensors of their moved elements.
    integers: frozenset[Tensor]


def probe(inputs: Sequence[Input], forward: Forward) -> Probe:
    """Record two forward passes and compare; raise ValueError if they differ in more than the sizes of axes.

    ``forward`` computes the outputs by name, for tensors in the order of ``inputs``.
    """
    first, second = (_record(inputs, forward, which) for which in (0, 1))
    if [(n.op.name, len(n.inputs)) for n in first.nodes] != [(n.op.name, len(n.inputs)) for n in second.nodes]:
        raise ValueError("export: which ops the model applies depends on the size of the batch")
    pairs = _Pairs()
    pairs.add("the input", first.inputs.values(), second.inputs.values())
    for node, twin in zip(first.nodes, second.nodes, strict=True):
        pairs.add(node.name, (*node.inputs, *node.outputs), (*twin.inputs, *twin.outputs))
    pairs.add("the output", first.outputs.values(), second.outputs.values())
    return Probe(
        first.nodes,
        {id(node): twin for node, twin in zip(first.nodes, second.nodes, strict=True)},
        first.inputs,
        first.outputs,
        pairs.sizes,
        _integers(first.nodes, first.inputs, first.outputs),
    )


class _Pass(NamedTuple):
    """A forward pass: inputs and outputs by name, and the nodes that the outputs depend on."""

    inputs: Named
    outputs: Named
    nodes: list[Node]


def _record(inputs: Sequence[Input], forward: Forward, which: int) -> _Pass:
    fed = {x.name: x.tensor(which) for x in inputs}
    with Trace(next((x.dtype for x in fed.values() if x.dtype.kind == "f"), None)) as trace:
        outputs = forward(list(fed.values()))
    traced = {id(node) for node in trace.nodes}
    return _Pass(fed, outputs, [node for node in topological(list(outputs.values())) if id(node) in traced])


class _Pairs:
    """Tensors of one pass and their counterparts in the other."""

    def __init__(self) -> None:
        self.sizes: dict[Tensor, Sizes] = {}
        self._twins: dict[Tensor, Tensor] = {}

    def add(self, where: str, some: Iterable[Tensor], others: Iterable[Tensor]) -> None:
        """Pair tensors; errors name ``where``."""
        for x, twin in zip(some, others, strict=True):
            known = self._twins.setdefault(x, twin)
            if x.ndim != twin.ndim or (x.data is None and known is not twin) or not _same_value(x, twin):
                raise ValueError(f"export: {where} reads a constant or a tensor that depends on the size of the batch")
            self.sizes[x] = tuple(zip(x.shape, twin.shape, strict=True))


def _same_value(x: Tensor, twin: Tensor) -> bool:
    if x is twin or (x.data is None and twin.data is None):
        return True
    return x.data is not None and twin.data is not None and np.array_equal(x.data, twin.data, equal_nan=True)


def _integers(nodes: Sequence[Node], inputs: Named, outputs: Named) -> frozenset[Tensor]:
    kept, readers = set(outputs.values()), _readers(nodes)

    def whole(x: Tensor) -> bool:
        return x not in kept and bool(readers.get(x)) and all(_takes_numbers(node, k, whole) for node, k in readers[x])

    found = {x for x in inputs.values() if x.dtype.kind == "i" or whole(x)}
    for node in nodes:
        if node.op.moves_values and node.inputs[0] in found:
            found.update(node.outputs)
    return frozenset(found)


def _readers(nodes: Sequence[Node]) -> Mapping[Tensor, list[tuple[Node, int]]]:
    """Return the nodes that read a tensor, each with the number of the operand."""
    found: dict[Tensor, list[tuple[Node, int]]] = {}
    for node in nodes:
        for k, x in enumerate(node.inputs):
            found.setdefault(x, []).append((node, k))
    return found


def _takes_numbers(node: Node, operand: int, whole: Callable[[Tensor], Any]) -> bool:
    """Return True if whole numbers are enough for this operand of a node."""
    if node.op.moves_values and operand == 0:
        return bool(whole(node.outputs[0]))
    return node.op.lookup and operand == 1
