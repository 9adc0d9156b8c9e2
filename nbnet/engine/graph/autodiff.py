"""Automatic differentiation: the backward calls of a list of nodes."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from nbnet.base.array_memory import plain_array
from nbnet.engine.graph.arithmetic import operators
from nbnet.engine.graph.tensor import Call, Node, Tensor, run_call, topological


def differentiate(
    nodes: Sequence[Node], seeds: Mapping[Tensor, Tensor], sources: Iterable[Tensor],
    given: Mapping[Tensor, Tensor] | None = None, outer: MutableMapping[Tensor, Tensor | None] | None = None
) -> tuple[list[Call], dict[Tensor, Tensor]]:  # fmt: skip
    """The backward calls of ``nodes`` (in forward order), and the gradient tensor of every tensor that got one.

    ``seeds`` are known gradients, usually that of the loss, 1. ``sources`` are the tensors whose gradients to compute:
    nodes on no path to them are skipped. ``given`` has the gradient tensors of sources that have one already, which its
    first contribution overwrites. ``outer`` has the sources whose gradients are not computed, each a factor in one
    node: the operand whose product with the other factor is the gradient is entered here (see ``outer`` of
    :class:`nbnet.engine.graph.op.Op`).
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
            calls.extend(node.backward_calls(gradients, wanted, given or {}, {} if outer is None else outer))
    return calls, gradients


def gradients(
    nodes: Sequence[Node], target: Tensor, sources: Sequence[Tensor], seed: Any = None
) -> list[Tensor | None]:
    """Gradients of a target with respect to sources; None for those that it does not depend on.

    ``nodes`` computed the target, in order; ``seed`` is the gradient of the target itself, by default ones.
    """
    if target.data is None:
        raise ValueError("target: expected a tensor with a value, computed eagerly")
    given = np.ones(target.shape) if seed is None else plain_array(seed, "gradient")
    start = np.array(given, target.dtype)
    if start.shape != target.shape:
        raise ValueError(f"gradient: expected shape {target.shape}, got {start.shape}")
    nodes, read = _as_read(nodes)
    before = {id(s): [old for (key, _), old in read.items() if key == id(s)] for s in sources} if read else {}
    wanted = [*sources, *(old for olds in before.values() for old in olds)]
    calls, found = differentiate(nodes, {target: Tensor(target.shape, target.dtype, start)}, wanted)
    for call in calls:
        run_call(call, 0)
    for source in sources if read else ():
        for part in [found[old] for old in before[id(source)] if old in found]:
            if source in found:
                found[source].memory()[...] += part.memory()
            else:
                found[source] = part
    return [found.get(t) for t in sources]


def _as_read(nodes: Sequence[Node]) -> tuple[Sequence[Node], dict[tuple[int, int], Tensor]]:
    """Nodes whose inputs have the values that were read, also those that have changed since; and these, by ``id`` of
    the parameter and version."""
    old: dict[tuple[int, int], Tensor] = {}
    found: list[Node] = []
    for node in nodes:
        inputs = list(node.inputs)
        for k, version in node.versions:
            parameter = inputs[k]
            if (key := (id(parameter), version)) not in old and (value := parameter.as_read(version)) is not parameter:
                old[key] = value
            inputs[k] = old.get(key, parameter)
        found.append(node if all(map(operator.is_, inputs, node.inputs)) else replace(node, inputs=tuple(inputs)))
    return (found, old) if old else (nodes, old)


def backward(target: Tensor, seed: Any = None) -> None:
    """Add gradients to ``.grad`` of the leaves: see :meth:`nbnet.Tensor.backward`."""
    nodes = topological([target])
    leaves = list(dict.fromkeys(t for node in nodes for t in node.inputs if t.requires_grad and t.node is None))
    if not leaves:
        raise ValueError("backward: the tensor does not depend on any tensor that requires a gradient")
    for leaf, gradient in zip(leaves, gradients(nodes, target, leaves, seed), strict=True):
        if gradient is not None and leaf.grad is not None:
            leaf.grad.memory()[...] += gradient.memory()
        elif gradient is not None:
            leaf.grad = gradient


operators["backward"] = backward
