"""An ONNX graph that is being written: nodes, constants and their names. Knows no op, and no ONNX package."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nbnet.core.graph import Node, Tensor
from nbnet.export.probe import Outline, Sizes

Array = NDArray[Any]
#: A tensor of the model, or the name of a value in the ONNX graph.
Operand = Tensor | str
#: Writes a node of the model: ``entry(graph, node, *inputs)`` returns the names of its outputs.
Entry = Callable[..., str | tuple[str, ...]]

#: Functions that write ops, by name of op.
entries: dict[str, Entry] = {}
#: The number of int64 among the types of ONNX (TensorProto.INT64).
INT64 = 7
#: What onnxruntime computes in float32 only.
SINGLE_ONLY = frozenset({"AveragePool", "Conv", "Erf", "GlobalAveragePool"})


def writes(*ops: str) -> Callable[[Entry], Entry]:
    """Make a function the entry of ops."""

    def enter(entry: Entry) -> Entry:
        for name in ops:
            if name in entries:
                raise ValueError(f"op {name!r} has an entry already")
            entries[name] = entry
        return entry

    return enter


def same(op: str) -> Entry:
    """The entry of an op that is an ONNX operator."""
    return lambda g, node, *xs: g.add(op, *xs)


class Record(NamedTuple):
    """A node of the ONNX graph."""

    op: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]


class Graph:
    """The ONNX graph of a model, written node by node.

    Parameters
    ----------
    outline
        What the model computes.
    refused
        Ops that have no entry, with the reason.

    Attributes
    ----------
    records
        The nodes.
    inputs, outputs
        By their names in the graph.
    constants
        Parameters and other arrays, by name.

    Raises
    ------
    NotImplementedError
        If an op has no entry, or onnxruntime does not compute it in the model's dtype.
    """

    def __init__(self, outline: Outline, refused: Mapping[str, str]) -> None:
        self.outline, self._refused = outline, refused
        self.records: list[Record] = []
        self.constants: dict[str, Array] = {}
        self._claimed: Counter[str] = Counter()
        self._known: dict[Any, str] = {}
        self.inputs = {self.claim(name): x for name, x in outline.inputs.items()}
        self.outputs = {self.claim(name): x for name, x in outline.outputs.items()}
        self._known |= {x: name for name, x in self.inputs.items()}
        for node in outline.nodes:
            self._write(node)
        self._finish()

    def _write(self, node: Node) -> None:
        self.node = node
        entry = entries.get(node.op.name)
        if entry is None:
            reason = self._refused.get(node.op.name, "nothing says how to write it in ONNX")
            raise NotImplementedError(f"export: {node.name} applies the op {node.op.name!r}: {reason}")
        made = entry(self, node, *node.inputs)
        for x, name in zip(node.outputs, (made,) if isinstance(made, str) else made, strict=True):
            self._known[x] = name

    def _finish(self) -> None:
        """Let the outputs have their names; what is an input as well, or an output twice, is copied."""
        final: dict[str, str] = {}
        for result, x in self.outputs.items():
            name = self.name(x)
            if name in final or x in self.inputs.values() or x.data is not None:
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
        """Whether the node computes in float32."""
        return self.node.dtype == np.float32

    @property
    def twin(self) -> Node:
        """The node with larger sizes of the open axes."""
        return self.outline.twins[id(self.node)]

    def sizes(self, x: Tensor) -> Sizes:
        """Lengths of the axes, in either probe."""
        return self.outline.sizes[x]

    def length(self, x: Tensor, axis: int) -> int:
        """The length of an axis that must not be open."""
        n, other = self.sizes(x)[axis]
        if n != other:
            raise self.depends("an axis that it works on")
        return n

    def depends(self, what: str) -> NotImplementedError:
        """The error for something that ONNX wants as a number, and that depends on the size of the input."""
        return NotImplementedError(
            f"export: {self.node.name} applies the op {self.node.op.name!r}, where {what} depends on the size of the "
            "input; give input_signature with all sizes but the batch's"
        )

    def is_integer(self, x: Tensor) -> bool:
        """Whether a value is an integer in the ONNX graph."""
        return x.dtype.kind == "i" or x in self.outline.integers

    def add(self, op: str, *operands: Operand, **attributes: Any) -> str:
        """Write a node with one output, and return the name of that."""
        return self.split(op, 1, *operands, **attributes)[0]

    def split(self, op: str, count: int, *operands: Operand, **attributes: Any) -> tuple[str, ...]:
        """Write a node with so many outputs, and return their names."""
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
        """The name of a value; a constant is written down when it is first asked for."""
        if isinstance(x, str):
            return x
        return self._known[x] if x in self._known else self._stored(x, x, lambda value: value)

    def transposed(self, x: Tensor, axes: Sequence[int]) -> str:
        """The axes of x in another order; of a constant right away."""
        if x.data is None:
            return self.add("Transpose", x, perm=list(axes))
        return self._stored((x, tuple(axes)), x, lambda value: value.transpose(axes))

    def number(self, x: Tensor) -> float:
        """The value of a constant with one element."""
        return float(self.value(x).item())

    def value(self, x: Tensor) -> Array:
        """The value of a constant."""
        if x.data is None:
            raise NotImplementedError(
                f"export: {self.node.name} applies the op {self.node.op.name!r} with a parameter that is computed; "
                "wants a number"
            )
        return x.data

    def real(self, value: float) -> str:
        """A number in the dtype of the node."""
        return self._constant(np.array(value, self.node.dtype))

    def reals(self, values: Iterable[float]) -> str:
        """A vector of numbers in the dtype of the node."""
        return self._constant(np.array(list(values), self.node.dtype))

    def integers(self, *values: int) -> str:
        """A vector of integers."""
        return self._constant(np.array(values, np.int64))

    def integer(self, value: int) -> str:
        """An integer without axes."""
        return self._constant(np.array(value, np.int64))

    def claim(self, name: str) -> str:
        """The name, or another like it if it was used before."""
        while True:
            used = self._claimed[name]
            self._claimed[name] += 1
            if not used:
                return name
            name = f"{name}:{used}"

    def _stored(self, key: Any, x: Tensor, change: Callable[[Array], Array]) -> str:
        if key not in self._known:
            name = self.claim(x.name or f"{self.node.name}/{self.node.op.inputs[self.node.inputs.index(x)]}")
            self._known[key], self.constants[name] = name, np.array(change(self.value(x)), order="C")
        return self._known[key]

    def _constant(self, value: Array) -> str:
        key = value.dtype, value.shape, value.tobytes()
        if key not in self._known:
            name = self.claim("constant")
            self._known[key], self.constants[name] = name, value
        return self._known[key]
