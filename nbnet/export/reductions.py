"""Sums and means, and normalisation by them, in ONNX."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from nbnet.core.graph import Node, Tensor
from nbnet.export.graph import Graph, Operand, writes
from nbnet.export.probe import Sizes
from nbnet.export.shapes import reshaped


def _run(node: Node, sizes: Sizes, after: Sizes) -> tuple[int, int]:
    """The axes, from and up to, that a reduction goes over: its attributes tell lengths only."""
    shape = [n for n, _ in sizes]
    n, inner = node.attributes[:2]
    found = [
        (a, b)
        for b in range(len(shape) + 1)
        for a in range(b + 1)
        if prod(shape[b:]) == inner and prod(shape[a:b]) == n
    ]
    # What several runs differ by is axes of length 1, which the batch is not.
    kept = [run for run in found if after in (_without(sizes, run, False), _without(sizes, run, True))]
    return (kept or found)[0]


def _without(sizes: Sizes, run: tuple[int, int], keepdims: bool) -> Sizes:
    return (*sizes[: run[0]], *[(1, 1)] * (keepdims * (run[1] - run[0])), *sizes[run[1] :])


def _reduce(g: Graph, node: Node, x: Tensor, op: str) -> str:
    before, after = g.sizes(x), g.sizes(node.outputs[0])
    run = _run(node, before, after)
    axes = list(range(*run))
    keepdims = bool(axes) and _without(before, run, True) == after
    y = reduced(g, op, x, axes, keepdims) if axes else g.add("Identity", x)
    left = _without(before, run, keepdims)
    return y if left == after else reshaped(g, y, left, after)


def reduced(g: Graph, op: str, x: Operand, axes: Sequence[int], keepdims: bool) -> str:
    """``ReduceSum``, ``ReduceMean`` or ``ReduceMax`` over axes."""
    # Of these, operator set 17 has the axes of the sum alone as an input.
    if op == "ReduceSum":
        return g.add(op, x, g.integers(*axes), keepdims=int(keepdims))
    return g.add(op, x, axes=list(axes), keepdims=int(keepdims))


@writes("sum", "sum_batch")
def _sum(g: Graph, node: Node, x: Tensor) -> str:
    return _reduce(g, node, x, "ReduceSum")


@writes("mean", "mean_batch")
def _mean(g: Graph, node: Node, x: Tensor) -> str:
    return _reduce(g, node, x, "ReduceMean")


@writes("max", "max_batch")
def _max(g: Graph, node: Node, x: Tensor) -> str:
    return _reduce(g, node, x, "ReduceMax")


def _total(g: Graph, x: Operand, ndim: int) -> str:
    """The sum of all elements."""
    return reduced(g, "ReduceSum", x, range(ndim), False)


@writes("weighted_sum")
def _weighted_sum(g: Graph, node: Node, l: Tensor, w: Tensor, scale: Tensor) -> str:  # noqa: E741
    return g.add("Mul", _total(g, g.add("Mul", l, w), l.ndim), g.real(g.number(scale)))


@writes("weighted_mean")
def _weighted_mean(g: Graph, node: Node, l: Tensor, w: Tensor, d: Tensor) -> str:  # noqa: E741
    total, whole, zero = _total(g, g.add("Mul", l, w), l.ndim), _total(g, d, d.ndim), g.real(0.0)
    return g.add("Where", g.add("Equal", whole, zero), zero, g.add("Div", total, whole))


# ---- normalisation -------------------------------------------------------------------------------------------


def _channels(node: Node, x: Tensor) -> int:
    """The axis of the channels."""
    outer, channels, inner = node.attributes[:3]
    return next(
        k
        for k in range(1, x.ndim)
        if (prod(x.shape[:k]), x.shape[k], prod(x.shape[k + 1 :])) == (outer, channels, inner)
    )


def _normalised(
    g: Graph, epsilon: Tensor, x: Operand, mean: Operand, variance: Operand, gamma: Operand, beta: Operand
) -> str:
    """``(x - mean) * (gamma / sqrt(variance + epsilon)) + beta``, where all broadcast."""
    deviation = g.add("Sqrt", g.add("Add", variance, g.real(g.number(epsilon))))
    return g.add("Add", g.add("Mul", g.add("Sub", x, mean), g.add("Div", gamma, deviation)), beta)


@writes("batch_norm_fixed")
def _batch_norm_fixed(
    g: Graph, node: Node, x: Tensor, gamma: Tensor, beta: Tensor, mean: Tensor, variance: Tensor, epsilon: Tensor
) -> str:
    axis = _channels(node, x)
    if axis == 1:
        return g.add("BatchNormalization", x, gamma, beta, mean, variance, epsilon=g.number(epsilon))
    aligned = [_aligned(g, v, axis, x.ndim) for v in (mean, variance, gamma, beta)]
    return _normalised(g, epsilon, x, *aligned)


def _aligned(g: Graph, v: Operand, axis: int, ndim: int) -> Operand:
    """A vector of channels that broadcasts with a tensor of ndim axes."""
    return v if axis == ndim - 1 else g.add("Reshape", v, g.integers(-1, *[1] * (ndim - 1 - axis)))


@writes("batch_norm")
def _batch_norm(g: Graph, node: Node, x: Tensor, gamma: Tensor, beta: Tensor, epsilon: Tensor) -> tuple[str, str, str]:
    axis = _channels(node, x)
    axes = [k for k in range(x.ndim) if k != axis]
    mean = reduced(g, "ReduceMean", x, axes, True)
    apart = g.add("Sub", x, mean)
    variance = reduced(g, "ReduceMean", g.add("Mul", apart, apart), axes, True)
    scaled = [_aligned(g, v, axis, x.ndim) for v in (gamma, beta)]
    flat = g.integers(-1)
    y = _normalised(g, epsilon, x, mean, variance, *scaled)
    return y, g.add("Reshape", mean, flat), g.add("Reshape", variance, flat)


@writes("layer_norm")
def _layer_norm(g: Graph, node: Node, x: Tensor, gamma: Tensor, beta: Tensor, epsilon: Tensor) -> str:
    return g.add("LayerNormalization", x, gamma, beta, axis=-gamma.ndim, epsilon=g.number(epsilon))
