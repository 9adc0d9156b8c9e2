"""Differentiation from graph to graph: the backward calls of nodes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, MutableMapping, Sequence

import numpy as np

from nbnet.core.graph import Call, Node, Tensor


def differentiate(
    nodes: Sequence[Node],
    seeds: Mapping[Tensor, Tensor],
    sources: Iterable[Tensor],
    given: Mapping[Tensor, Tensor] | None = None,
    outer: MutableMapping[Tensor, Tensor | None] | None = None,
) -> tuple[list[Call], dict[Tensor, Tensor]]:
    """The backward calls of ``nodes`` (in forward order), and the gradient tensor of every tensor that got one.

    Parameters
    ----------
    seeds
        Gradients that are known: usually that of the loss, 1.
    sources
        Tensors whose gradients are wanted; what lies on no path to them is left out.
    given
        Places for gradients of sources that have one already: each is overwritten by its first contribution.
    outer
        Sources whose gradients are not computed, each a factor in one node; what the other factor would have to be
        multiplied by is entered here (see :class:`nbnet.core.op.Op`).
    """
    nodes = [node for node in nodes if not node.op.stops_gradient]
    wanted = {id(t) for t in sources}
    for node in nodes:
        if any(id(t) in wanted for t in node.inputs):
            wanted.update(id(t) for t in node.outputs)
    gradients: dict[Tensor, Tensor] = dict(seeds)
    calls: list[Call] = []
    for node in reversed(nodes):
        if any(t in gradients for t in node.outputs) and any(id(t) in wanted for t in node.inputs):
            calls.extend(_backward(node, gradients, wanted, given or {}, {} if outer is None else outer))
    return calls, gradients


def _backward(
    node: Node,
    gradients: dict[Tensor, Tensor],
    wanted: set[int],
    given: Mapping[Tensor, Tensor],
    outer: MutableMapping[Tensor, Tensor | None],
) -> list[Call]:
    """The backward calls of one node; its inputs' gradients are entered among the others.

    A tensor that is several inputs of a node gets its gradient from as many calls, so that it does not matter in which
    order a kernel writes.
    """
    op = node.op
    if op.backward is None:
        raise TypeError(f"op {op.name!r} has no gradient, and one was asked for through node {node.name!r}")
    operands = _operands(node, gradients)
    # What each call writes.
    turns: list[dict[str, Tensor]] = []
    fresh: set[str] = set()
    for name, tensor in zip(op.inputs, node.inputs, strict=True):
        if tensor in outer:
            assert op.outer is not None
            outer[tensor] = operands[op.outer]
            if not turns and op.outer in op.work:
                turns.append({})
        elif id(tensor) in wanted and "d" + name in op.gradient:
            if tensor not in gradients:
                place = given.get(tensor)
                gradients[tensor] = Tensor(tensor.shape, tensor.dtype) if place is None else place
                fresh.add("d" + name)
            turn = next((turn for turn in turns if gradients[tensor] not in turn.values()), None)
            if turn is None:
                turns.append(turn := {})
            turn["d" + name] = gradients[tensor]
    out = {"d" + name for name in op.inputs}
    written = tuple(k for k, name in enumerate(op.gradient) if name in out or name in op.work)
    at = {name: k for k, name in enumerate(op.gradient)}
    reuse = tuple((at[a], at[b]) for a, b in op.reuse.items() if a in at and b in at)
    calls = []
    for turn in turns:
        named = tuple((operands | turn).get(name) for name in op.gradient)
        accumulate = sum(1 << at[name] for name in turn if name not in fresh)
        products = sum("d" + name in turn for name in op.inputs[:2])
        about = node.key, node.attributes, node.name, node.dtype, reuse
        calls.append(Call(op.backward, named, written, accumulate, *about, multiply_adds=products * node.multiply_adds))
    return calls


def _operands(node: Node, gradients: dict[Tensor, Tensor]) -> dict[str, Tensor]:
    """What a backward kernel may read, by name; an output that nobody differentiated gets a gradient of zeros."""
    op = node.op
    operands = dict(zip((*op.inputs, *op.outputs, *op.saves), (*node.inputs, *node.outputs, *node.saved), strict=True))
    operands |= {name: Tensor(shape, dtype) for name, (shape, dtype) in zip(op.work, node.work, strict=True)}
    for name, tensor in zip(op.outputs, node.outputs, strict=True):
        if tensor not in gradients:
            gradients[tensor] = Tensor(tensor.shape, tensor.dtype, np.zeros(tensor.shape, tensor.dtype))
        operands["d" + name] = gradients[tensor]
    return operands
