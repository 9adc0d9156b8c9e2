"""Gradients of tensors that have values: backward calls, run one by one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nbnet.core.arithmetic import operators
from nbnet.core.differentiation import differentiate
from nbnet.core.graph import Node, Tensor, topological
from nbnet.core.program import run_call


def gradients(
    nodes: Sequence[Node], target: Tensor, sources: Sequence[Tensor], seed: Any = None
) -> list[Tensor | None]:
    """Gradients of a target with respect to sources; None for those that it does not depend on.

    Parameters
    ----------
    nodes
        What the target was computed by, in order.
    seed
        The gradient of the target itself; by default ones.
    """
    if target.data is None:
        raise ValueError("target: has no value; it was not computed on a tape")
    start = np.ones(target.shape, target.dtype) if seed is None else np.array(seed, target.dtype)
    if start.shape != target.shape:
        raise ValueError(f"gradient: has shape {start.shape}, the tensor {target.shape}")
    calls, found = differentiate(nodes, {target: Tensor(target.shape, target.dtype, start)}, sources)
    for call in calls:
        for t in call.operands:
            if t is not None and t.data is None:
                t.data = np.empty(t.shape, t.dtype)
        run_call(call, 0)
    return [found.get(t) for t in sources]


def backward(target: Tensor, seed: Any = None) -> None:
    """Add gradients to ``.grad`` of the leaves: see :meth:`nbnet.Tensor.backward`."""
    nodes = topological([target])
    leaves = list(dict.fromkeys(t for node in nodes for t in node.inputs if t.requires_grad and t.node is None))
    if not leaves:
        raise ValueError("backward: the tensor depends on nothing that requires a gradient")
    for leaf, gradient in zip(leaves, gradients(nodes, target, leaves, seed), strict=True):
        if gradient is not None and leaf.grad is not None:
            leaf.grad.numpy()[...] += gradient.numpy()
        elif gradient is not None:
            leaf.grad = gradient


operators["backward"] = backward
