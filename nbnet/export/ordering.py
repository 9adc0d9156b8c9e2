"""Sorting, running sums, and elements at computed places, in ONNX."""

from __future__ import annotations

from math import prod

import numpy as np

from nbnet.engine.graph.tensor import Tensor
from nbnet.export.graph import INT64, OnnxGraph, writes


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
