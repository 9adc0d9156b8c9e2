"""Ops that move, sort or look up elements, change shapes or sum, in ONNX; a node's attributes tell the axes."""

from __future__ import annotations

from math import prod

import numpy as np

from nbnet.engine.graph.tensor import Tensor
from nbnet.export.graph import INT64, OnnxGraph, Operand, Sizes, writes
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


def _axis(x: Tensor, n: int, inner: int) -> int:
    """The axis of length n with ``inner`` elements behind it."""
    return next(k for k in range(x.ndim) if (x.shape[k], prod(x.shape[k + 1 :])) == (n, inner))


@writes("cumsum", "cumsum_batch")
def _cumsum(g: OnnxGraph, x: Tensor) -> str:
    return g.add("CumSum", x, g.integer(_axis(x, *g.node.attributes[:2])))


@writes("sort", "sort_batch")
def _sort(g: OnnxGraph, x: Tensor) -> tuple[str, ...]:
    axis, descending = _axis(x, *g.node.attributes[:2]), g.node.attributes[3]
    count = g.length(g.node.outputs[0], axis)
    return g.split("TopK", 2, x, g.integers(count), axis=axis, largest=descending, sorted=1)


@writes("argmax", "argmax_batch")
def _argmax(g: OnnxGraph, x: Tensor) -> str:
    least, skip = g.node.attributes[2] & 1, g.node.attributes[2] & 2
    if skip:
        raise NotImplementedError(f"export: {g.node.name} leaves NaN out, which no operator of ONNX does")
    op = "ArgMin" if least else "ArgMax"
    return g.add(op, x, axis=_axis(x, *g.node.attributes[:2]), keepdims=int(g.node.outputs[0].ndim == x.ndim))


@writes("searchsorted")
def _searchsorted(g: OnnxGraph, sequence: Tensor, x: Tensor) -> str:
    # The number of elements below.
    each = g.add("Unsqueeze", x, g.integers(-1))
    below = g.add("LessOrEqual" if g.node.attributes[0] else "Less", sequence, each)
    return g.add("ReduceSum", g.add("Cast", below, to=INT64), g.integers(-1), keepdims=0)


@writes("take_along_axis", "take_along_axis_batch")
def _take_along_axis(g: OnnxGraph, x: Tensor, indices: Tensor) -> str:
    n, _, inner = g.node.attributes
    return g.add("GatherElements", x, indices, axis=_axis(x, n, inner))


@writes("segment_sum")
def _segment_sum(g: OnnxGraph, x: Tensor, ids: Tensor) -> str:
    y = g.node.outputs[0]
    zeros = g.real(np.zeros([g.length(y, k) for k in range(y.ndim)]))
    return g.add("ScatterND", zeros, g.add("Unsqueeze", ids, g.integers(-1)), x, reduction="add")
