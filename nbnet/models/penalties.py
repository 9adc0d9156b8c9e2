"""The loss of a slice of the batch, with what layers and weights add to it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from nbnet.core.graph import Node, Tensor, topological
from nbnet.core.tape import Trace
from nbnet.layers.penalties import weight_penalties
from nbnet.ops.add import add
from nbnet.ops.multiply import multiply

if TYPE_CHECKING:
    from nbnet.layers import Layer


def penalised(
    value: Tensor, layer: Layer, trace: Trace, fed: Iterable[Tensor], first: bool, share: float
) -> tuple[Tensor, bool]:
    """A slice's part of the loss of a batch, penalties included; to be called while the trace is at work.

    What does not depend on the batch counts once, in the first slice.

    Parameters
    ----------
    value
        The slice's part of the loss without penalties.
    layer
        Whose forward pass was written down.
    fed
        What the slice of the batch was gathered into.
    first
        Whether this is the first slice.
    share
        Its rows, over those of the batch.

    Returns
    -------
    The sum, and whether it is known to be a part of the loss of the batch: not so if a slice is not all of it and
    something was added that may not be a sum over rows.
    """
    sources, parts = list(fed), True
    for added, additive in trace.losses:
        if not reached(topological([added]), sources):
            value = add(value, added) if first else value
        elif share == 1:
            value = add(value, added)
        else:
            value, parts = add(value, multiply(added, share)), parts and additive
    for penalty in weight_penalties(layer.trainable_weights) if first else ():
        value = add(value, penalty)
    return value, parts


def reached(nodes: Sequence[Node], sources: Iterable[Tensor]) -> list[Node]:
    """Those of the nodes, given in forward order, that depend on the sources."""
    known = set(sources)
    found = []
    for node in nodes:
        if not known.isdisjoint(node.inputs):
            known.update(node.outputs)
            known.update(node.saved)
            found.append(node)
    return found
