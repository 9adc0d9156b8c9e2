"""What a model computes, seen with two sizes of its open axes: what differs is open, all else stays as it is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from nbnet.core.graph import Node, Tensor, topological
from nbnet.core.tape import Trace

OpenShape = tuple[int | None, ...]

#: Sizes of the batch, and of other open axes; the latter are long enough for windows.
BATCHES, LENGTHS = (2, 5), (60, 127)

#: Lengths of axes, each in either probe.
Sizes = tuple[tuple[int, int], ...]
Named = Mapping[str, Tensor]
#: Computes the outputs, by name, for inputs in their order.
Forward = Callable[[Sequence[Tensor]], Named]

#: Ops that only move elements of their first input: whole numbers stay whole.
_MOVES = frozenset({
    "cut", "cut_batch", "permute", "permute_batch", "reshape", "reshape_batch", "stop_gradient", "take_batch",
    "transpose",
})  # fmt: skip


@dataclass(frozen=True, eq=False)
class Input:
    """An input of a model: None in its shape stands for an open axis, the first of which is the batch."""

    name: str
    shape: OpenShape
    dtype: np.dtype[Any]

    def tensor(self, which: int) -> Tensor:
        """A tensor in its place."""
        head, *tail = self.shape
        rows = BATCHES[which] if head is None else head
        return Tensor((rows, *(LENGTHS[which] if n is None else n for n in tail)), self.dtype, name=self.name)


@dataclass(frozen=True, eq=False)
class Outline:
    """The nodes of a forward pass with the smaller sizes, and how they change with the larger ones.

    Parameters
    ----------
    nodes
        In forward order.
    twins
        The same nodes with the larger sizes.
    inputs, outputs
        By name.
    sizes
        Of all tensors.
    integers
        Inputs that nothing but an embedding reads, and what is made of them by moving elements: they may be integers.
    """

    nodes: Sequence[Node]
    twins: Mapping[int, Node]
    inputs: Named
    outputs: Named
    sizes: Mapping[Tensor, Sizes]
    integers: frozenset[Tensor]


def outline(inputs: Sequence[Input], forward: Forward) -> Outline:
    """Record two forward passes and compare.

    Parameters
    ----------
    inputs
        Of the model.
    forward
        Computes the outputs by name, for tensors in the order of inputs.

    Raises
    ------
    ValueError
        If the passes differ in more than the sizes of axes.
    """
    first, second = (_record(inputs, forward, which) for which in (0, 1))
    if [(n.op.name, len(n.inputs)) for n in first.nodes] != [(n.op.name, len(n.inputs)) for n in second.nodes]:
        raise ValueError("export: which ops the model applies depends on the size of the batch; wants the same for any")
    pairs = _Pairs()
    pairs.add("the input", first.inputs.values(), second.inputs.values())
    for node, twin in zip(first.nodes, second.nodes, strict=True):
        pairs.add(node.name, (*node.inputs, *node.outputs), (*twin.inputs, *twin.outputs))
    pairs.add("the output", first.outputs.values(), second.outputs.values())
    return Outline(
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
    with Trace() as trace:
        outputs = forward(list(fed.values()))
    traced = {id(node) for node in trace.nodes}
    return _Pass(fed, outputs, [node for node in topological(list(outputs.values())) if id(node) in traced])


class _Pairs:
    """Tensors of one pass and their counterparts in the other."""

    def __init__(self) -> None:
        self.sizes: dict[Tensor, Sizes] = {}
        self._twins: dict[Tensor, Tensor] = {}

    def add(self, where: str, some: Iterable[Tensor], others: Iterable[Tensor]) -> None:
        """Pair tensors; ``where`` is for errors."""
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
        if node.op.name in _MOVES and node.inputs[0] in found:
            found.update(node.outputs)
    return frozenset(found)


def _readers(nodes: Sequence[Node]) -> Mapping[Tensor, list[tuple[Node, int]]]:
    """Who reads a tensor, and as which operand."""
    found: dict[Tensor, list[tuple[Node, int]]] = {}
    for node in nodes:
        for k, x in enumerate(node.inputs):
            found.setdefault(x, []).append((node, k))
    return found


def _takes_numbers(node: Node, operand: int, whole: Callable[[Tensor], Any]) -> bool:
    """Whether a node wants nothing of this operand but whole numbers."""
    if node.op.name in _MOVES and operand == 0:
        return bool(whole(node.outputs[0]))
    return node.op.inputs[operand] == "ids"
