"""Dropout masks of any step, drawn again from the seed."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbnet.base.tree import restructure
from nbnet.base.validation import check_int
from nbnet.engine.graph.op import INT
from nbnet.engine.graph.tape import Trace
from nbnet.engine.graph.tensor import Node, Tensor, run_call, topological
from nbnet.train.inputs import input_rows, signature_of
from nbnet.train.step_builder import reached
from nbnet.train.trainable import Trainable


def step_masks(model: Trainable, step: int, x: Any = None, n: int | None = None) -> dict[str, NDArray[np.bool]]:
    """Return the masks of a step of compiled training: see :meth:`nbnet.Model.masks`.

    Nothing but the masks is computed.

    Examples
    --------
    >>> import nbnet as nb
    >>> from nbnet.masks import step_masks
    >>> model = nb.Sequential([nb.Input((3,)), nb.layers.Dropout(0.5, seed=1, name="drop")])
    >>> step_masks(model, 7, n=4)["drop"].shape
    (4, 3)
    """
    step = check_int(step, "step", least=0)
    if step >= 1 << 63:
        raise ValueError(f"step: expected a number below 2**63, got {step}")
    xs = _inputs(model, x, n)
    with Trace(model.dtype) as trace:
        model.forward(restructure(model.inputs_known.template, xs), training=True)
    computed = {id(node) for node in reached(trace.nodes, xs)}
    masks = {}
    for node in trace.nodes:
        if node.mask_tensor is None:
            continue
        # The first input is what is dropped. The others say how: a rate, or what gives the rate of a step.
        before = topological(node.inputs[1:])
        if any(id(other) in computed for other in before):
            raise ValueError(
                f"step: the masks of {node.name} depend on what the model computes, not only on the seed; record them "
                "with fit(record_masks=k)"
            )
        for other in before:
            _run(other, step)
        if node.op.mask in node.op.saves:
            _run(node, step)
        mask = node.mask
        assert mask is not None
        masks[node.name] = mask
    return masks


def _inputs(model: Trainable, x: Any, n: int | None) -> list[Tensor]:
    """Return tensors without values, of the shapes that a batch has."""
    if (x is None) == (n is None):
        raise TypeError("n: expected x, the batch, or n, its number of rows; not both")
    if x is None:
        known, rows = model.inputs_known, check_int(n, "n")
        if any(size is None for shape in known.shapes for size in shape):
            shapes = restructure(known.template, [(None, *shape) for shape in known.shapes])
            raise ValueError(f"n: {model.name} takes inputs of shape {shapes}, of any length; pass x instead")
        sizes = known.sample_shapes()
    else:
        given = input_rows(model, x)
        sizes, rows = given.row_shapes(), len(given)
    return [
        Tensor((rows, *shape), INT if integer else model.dtype)
        for shape, integer in zip(sizes, signature_of(model, sizes).whole, strict=True)
    ]


def _run(node: Node, step: int) -> None:
    """Run a node by itself; inputs without a value count as zeros."""
    for tensor in (*node.inputs, *node.outputs, *node.saved):
        if tensor.data is None:
            tensor.data = np.zeros(tensor.shape, tensor.dtype)
    run_call(node.call(), step)
