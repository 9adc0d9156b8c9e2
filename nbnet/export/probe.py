"""A model recorded twice, with two sizes of its open axes: an axis whose length differs is open."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from nbnet.engine.graph.tape import Trace
from nbnet.engine.graph.tensor import Node, Tensor, topological

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
