"""Ops that move elements or change shapes, in ONNX; and the axes they work on, found again from a node's attributes."""

from __future__ import annotations

from math import prod

from nbnet.core.graph import Node, Tensor
from nbnet.export.graph import Graph, Operand, writes
from nbnet.export.probe import Sizes
from nbnet.ops.permute import AXES

#: The end of an axis, however long.
_END = (1 << 63) - 1


def reshaped(g: Graph, x: Operand, before: Sizes, after: Sizes) -> str:
    """x in another shape, whatever the batch: 0 keeps an axis, -1 stands for what is left."""
    lengths = []
    for k, (n, other) in enumerate(after):
        if n == other:
            lengths.append(n)
        else:
            lengths.append(0 if k < len(before) and before[k] == (n, other) else -1)
    if lengths.count(-1) > 1 or any(n == other == 0 for n, other in after):
        raise g.depends("more than one axis of the new shape")
    return g.add("Reshape", x, g.integers(*lengths))


@writes("reshape", "reshape_batch")
def _reshape(g: Graph, node: Node, x: Tensor) -> str:
    return reshaped(g, x, g.sizes(x), g.sizes(node.outputs[0]))


@writes("concatenate", "concatenate_batch")
def _concatenate(g: Graph, node: Node, *xs: Tensor) -> str:
    y = node.outputs[0]
    axis = next((k for k, (n, m) in enumerate(zip(xs[0].shape, y.shape, strict=True)) if n != m), 0)
    return g.add("Concat", *xs, axis=axis)


@writes("cut", "cut_batch")
def _cut(g: Graph, node: Node, x: Tensor) -> str:
    # Ends that move with an open axis are counted from its end.
    axis = next(k for k, (n, m) in enumerate(zip(x.shape, node.outputs[0].shape, strict=True)) if n != m)
    (n, count, start, _), (other, more, begin, _) = node.attributes, g.twin.attributes
    first = _from_either_end(g, (start, begin), (n, other))
    reaches_end = start + count == n and begin + more == other
    last = _END if reaches_end else _from_either_end(g, (start + count, begin + more), (n, other))
    return g.add("Slice", x, g.integers(first), g.integers(last), g.integers(axis))


def _from_either_end(g: Graph, places: tuple[int, int], lengths: tuple[int, int]) -> int:
    """A place on an axis, the same in either probe; negative if it is counted from the end."""
    if places[0] == places[1]:
        return places[0]
    if places[0] - lengths[0] == places[1] - lengths[1]:
        return places[0] - lengths[0]
    raise g.depends("where a part begins or ends")


@writes("transpose")
def _transpose(g: Graph, node: Node, x: Tensor) -> str:
    return g.transposed(x, (1, 0))


@writes("permute", "permute_batch")
def _permute(g: Graph, node: Node, x: Tensor) -> str:
    # An axis of y is the axis of x with its length and stride; of several such axes, all of length 1, any will do.
    known = [(n, prod(x.shape[k + 1 :])) for k, n in enumerate(x.shape)]
    lengths, strides = node.attributes[AXES - x.ndim : AXES], node.attributes[2 * AXES - x.ndim : 2 * AXES]
    free, order = list(range(x.ndim)), []
    for wanted in zip(lengths, strides, strict=True):
        order.append(next(k for k in free if known[k] == wanted))
        free.remove(order[-1])
    return g.transposed(x, order)
