"""Masks of any step, drawn again from the seed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nbnet.core.graph import Node, Tensor, topological
from nbnet.core.op import INT
from nbnet.core.program import run_call
from nbnet.core.tape import Trace
from nbnet.ranges import count

if TYPE_CHECKING:
    from nbnet.models.network import Network

Array = NDArray[Any]


def step_masks(model: Network, step: int, x: Any = None, n: int | None = None) -> dict[str, Array]:
    """The masks of a step of compiled training: see :meth:`nbnet.Model.masks`.

    Nothing but the masks is computed.

    Examples
    --------
    >>> import nbnet as nb
    >>> from nbnet.masks import step_masks
    >>> model = nb.Sequential([nb.Input((3,)), nb.layers.Dropout(0.5, seed=1, name="drop")])
    >>> step_masks(model, 7, n=4)["drop"].shape
    (4, 3)
    """
    from nbnet.models.intake import packed
    from nbnet.models.penalties import reached

    step = count(step, "step", least=0)
    if step >= 1 << 63:
        raise ValueError(f"step: wants a number below 2**63, got {step}")
    xs = _inputs(model, x, n)
    with Trace() as trace:
        model.forward(packed(model.inputs_known.template, xs), training=True)
    computed = {id(node) for node in reached(trace.nodes, xs)}
    found = {}
    for node in trace.nodes:
        if node.mask_tensor is None:
            continue
        # The first input is what is dropped. The others say how: a rate, or what gives the rate of a step.
        before = topological(node.inputs[1:])
        if any(id(other) in computed for other in before):
            raise ValueError(
                f"step: the masks of {node.name} depend on what the model computes, not on the seed alone; record them "
                "with fit(record_masks=k)"
            )
        for other in before:
            _run(other, step)
        if node.op.mask in node.op.saves:
            _run(node, step)
        mask = node.mask
        assert mask is not None
        found[node.name] = mask
    return found


def _inputs(model: Network, x: Any, n: int | None) -> list[Tensor]:
    """Tensors without values, of the shapes that a batch has."""
    if (x is None) == (n is None):
        raise TypeError("n: wants x, the batch, or n, its number of rows; not both")
    if x is None:
        known, rows = model.inputs_known.shapes, count(n, "n")
        if any(size is None for shape in known for size in shape):
            raise ValueError(
                f"n: {model.name} takes inputs of shape {model.input_shape}, of any length; pass x instead"
            )
        shapes = tuple(tuple(size or 1 for size in shape) for shape in known)
    else:
        given = model._input_rows(x)
        shapes, rows = given.row_shapes(), len(given)
    whole = model.outline(shapes).whole
    return [
        Tensor((rows, *shape), INT if integer else model.compute_dtype)
        for shape, integer in zip(shapes, whole, strict=True)
    ]


def _run(node: Node, step: int) -> None:
    """Run a node by itself; what it reads and has no value counts as zeros."""
    for tensor in (*node.inputs, *node.outputs, *node.saved):
        if tensor.data is None:
            tensor.data = np.zeros(tensor.shape, tensor.dtype)
    run_call(node.call(), step)
