"""Ops that move elements, change shapes or look up rows, in ONNX; a node's attributes tell the axes."""

from __future__ import annotations

from math import prod

import numpy as np

from nbnet.engine.graph.tensor import Tensor
from nbnet.export.graph import INT64, OnnxGraph, Operand, writes
from nbnet.export.probe import Sizes
from nbnet.ops.reshape import AXES

#: The end of an axis, however long.
_END = (1 << 63) - 1


def reshaped(g: OnnxGraph, x: Operand, before: Sizes, after: Sizes) -> str:
    """Return x in another shape, for any batch: 0 keeps an axis, -1 stands for the rest."""
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
def _reshape(g: OnnxGraph, x: Tensor) -> str:
    return reshaped(g, x, g.sizes(x), g.sizes(g.node.outputs[0]))


@writes("concatenate", "concatenate_batch")
def _concatenate(g: OnnxGraph, *xs: Tensor) -> str:
    y = g.node.outputs[0]
    axis = next((k for k, (n, m) in enumerate(zip(xs[0].shape, y.shape, strict=True)) if n != m), 0)
    return g.add("Concat", *xs, axis=axis)


@writes("cut", "cut_batch")
def _cut(g: OnnxGraph, x: Tensor) -> str:
    # Ends that move with an open axis are counted from its end.
    axis = next(k for k, (n, m) in enumerate(zip(x.shape, g.node.outputs[0].shape, strict=True)) if n != m)
    (n, count, start, _), (other, more, begin, _) = g.node.attributes, g.twin.attributes
    first = _from_either_end(g, (start, begin), (n, other))
    reaches_end = start + count == n and begin + more == other
    last = _END if reaches_end else _from_either_end(g, (start + count, begin + more), (n, other))
    return g.add("Slice", x, g.integers(first), g.integers(last), g.integers(axis))


@writes("widen")
def _widen(g: OnnxGraph, x: Tensor) -> str:
    axis = next(k for k, (n, m) in enumerate(zip(x.shape, g.node.outputs[0].shape, strict=True)) if n != m)
    (n, count, before, _), (other, more, begin, _) = g.node.attributes, g.twin.attributes
    after = n - count - before
    if (before, after) != (begin, other - more - begin):
        raise g.depends("the number of zeros")
    pads = [[width if k == axis else 0 for k in range(x.ndim)] for width in (before, after)]
    return g.add("Pad", x, g.integers(*pads[0], *pads[1]))


def _from_either_end(g: OnnxGraph, places: tuple[int, int], lengths: tuple[int, int]) -> int:
    """Return a place on an axis that is the same in both passes; negative if it counts from the end."""
    if places[0] == places[1]:
        return places[0]
    if places[0] - lengths[0] == places[1] - lengths[1]:
        return places[0] - lengths[0]
    raise g.depends("where a part begins or ends")


@writes("transpose")
def _transpose(g: OnnxGraph, x: Tensor) -> str:
    return g.transposed(x, (1, 0))


@writes("permute", "permute_batch")
def _permute(g: OnnxGraph, x: Tensor) -> str:
    # An axis of y is the axis of x with its length and stride; of several such axes, all of length 1, any will do.
    known = [(n, prod(x.shape[k + 1 :])) for k, n in enumerate(x.shape)]
    lengths, strides = g.node.attributes[AXES - x.ndim : AXES], g.node.attributes[2 * AXES - x.ndim : 2 * AXES]
    free, order = list(range(x.ndim)), []
    for wanted in zip(lengths, strides, strict=True):
        order.append(next(k for k in free if known[k] == wanted))
        free.remove(order[-1])
    return g.transposed(x, order)


@writes("embedding", "embedding_float")
def _embedding(g: OnnxGraph, w: Tensor, ids: Tensor) -> str:
    numbers: Operand = ids
    if not g.is_integer(ids):
        nearest = g.add("Floor", g.add("Add", ids, g.real(0.5)))
        numbers = g.add("Cast", nearest, to=INT64)
    return g.add("Gather", w, numbers, axis=0)


@writes("rows_or_nan", "rows_or_nan_float")
def _rows_or_nan(g: OnnxGraph, w: Tensor, ids: Tensor) -> str:
    nearest = ids if g.is_integer(ids) else g.add("Cast", g.add("Floor", g.add("Add", ids, g.real(0.5))), to=INT64)
    inside = g.add("And", g.add("GreaterOrEqual", nearest, g.integer(0)),
                   g.add("Less", nearest, g.integer(g.length(w, 0))))  # fmt: skip
    rows = g.add("Gather", w, g.add("Where", inside, nearest, g.integer(0)), axis=0)
    return g.add("Where", g.add("Unsqueeze", inside, g.integers(-1)), rows, g.real(np.nan))


@writes("take", "take_batch")
def _take(g: OnnxGraph, x: Tensor, rows: Tensor) -> str:
    return g.add("Gather", x, rows, axis=0)


@writes("take_columns")
def _take_columns(g: OnnxGraph, x: Tensor, columns: Tensor) -> str:
    return g.add("Gather", x, columns, axis=x.ndim - 1)


@writes("put_columns")
def _put_columns(g: OnnxGraph, x: Tensor, columns: Tensor) -> str:
    places = np.full(g.node.outputs[0].shape[-1], columns.size)
    places[g.value(columns)] = np.arange(columns.size)
    # Units without a place take the zero after the units.
    padded = g.add("Pad", x, g.integers(*[0] * (2 * x.ndim - 1), 1))
    return g.add("Gather", padded, g.integers(*places.tolist()), axis=x.ndim - 1)
