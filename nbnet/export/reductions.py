"""Products, reductions, normalization, convolution and pooling, in ONNX."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from math import prod
from typing import Any, NamedTuple

from nbnet.engine.graph.op import BOOL
from nbnet.engine.graph.tensor import Node, Tensor
from nbnet.export.graph import BOOLEAN, INT64, OnnxGraph, Operand, Sizes, register, writes
from nbnet.export.moves import reshaped
from nbnet.ops.windows import GAP_DOWN, HEIGHT, OUT_HEIGHT, ROWS, STEP_DOWN, TOP


@writes("dense")
def _dense(g: OnnxGraph, x: Tensor, w: Tensor, b: Tensor) -> str:
    return g.add("Gemm", x, w, b) if x.ndim == 2 else g.add("Add", g.add("MatMul", x, w), b)


@writes("matmul", "matmul_pairs")
def _matmul(g: OnnxGraph, a: Tensor, b: Tensor) -> str:
    return g.add("MatMul", a, b)


def _run(node: Node, sizes: Sizes, after: Sizes) -> tuple[int, int]:
    """Return the axes that a reduction goes over, from and up to; its attributes tell lengths only."""
    shape = [n for n, _ in sizes]
    n, inner = node.attributes[:2]
    found = [
        (a, b)
        for b in range(len(shape) + 1)
        for a in range(b + 1)
        if prod(shape[b:]) == inner and prod(shape[a:b]) == n
    ]
    # Several runs differ in axes of length 1, which the batch is not.
    kept = [run for run in found if after in (_without(sizes, run, False), _without(sizes, run, True))]
    return (kept or found)[0]


def _without(sizes: Sizes, run: tuple[int, int], keepdims: bool) -> Sizes:
    return (*sizes[: run[0]], *[(1, 1)] * (keepdims * (run[1] - run[0])), *sizes[run[1] :])


def _reduce(g: OnnxGraph, x: Tensor, op: str) -> str:
    before, after = g.sizes(x), g.sizes(g.node.outputs[0])
    run = _run(g.node, before, after)
    axes = list(range(*run))
    keepdims = bool(axes) and _without(before, run, True) == after
    boolean = x.dtype == BOOL
    numbers = g.add("Cast", x, to=INT64) if boolean else x
    y = reduced(g, op, numbers, axes, keepdims) if axes else g.add("Identity", numbers)
    left = _without(before, run, keepdims)
    y = y if left == after else reshaped(g, y, left, after)
    return g.add("Cast", y, to=BOOLEAN) if boolean else y


def reduced(g: OnnxGraph, op: str, x: Operand, axes: Sequence[int], keepdims: bool) -> str:
    """``ReduceSum``, ``ReduceMean`` or ``ReduceMax`` over axes."""
    # In operator set 17, only the sum has its axes as an input.
    if op == "ReduceSum":
        return g.add(op, x, g.integers(*axes), keepdims=int(keepdims))
    return g.add(op, x, axes=list(axes), keepdims=int(keepdims))


for _name, _op in {"sum": "ReduceSum", "mean": "ReduceMean", "max": "ReduceMax"}.items():
    register(dict.fromkeys([_name, f"{_name}_batch"], partial(_reduce, op=_op)))


def _total(g: OnnxGraph, x: Operand, ndim: int) -> str:
    """Return the sum of all elements."""
    return reduced(g, "ReduceSum", x, range(ndim), False)


@writes("weighted_sum")
def _weighted_sum(g: OnnxGraph, l: Tensor, w: Tensor, scale: Tensor) -> str:  # noqa: E741
    return g.add("Mul", _total(g, g.add("Mul", l, w), l.ndim), g.real(g.number(scale)))


@writes("weighted_mean")
def _weighted_mean(g: OnnxGraph, l: Tensor, w: Tensor, d: Tensor) -> str:  # noqa: E741
    total, whole, zero = _total(g, g.add("Mul", l, w), l.ndim), _total(g, d, d.ndim), g.real(0.0)
    return g.add("Where", g.add("Equal", whole, zero), zero, g.add("Div", total, whole))


def _channels(node: Node, x: Tensor) -> int:
    """Return the axis of the channels."""
    outer, channels, inner = node.attributes[:3]
    return next(
        k
        for k in range(1, x.ndim)
        if (prod(x.shape[:k]), x.shape[k], prod(x.shape[k + 1 :])) == (outer, channels, inner)
    )


def _normalised(
    g: OnnxGraph, epsilon: Tensor, x: Operand, mean: Operand, variance: Operand, gamma: Operand, beta: Operand
) -> str:
    """``(x - mean) * (gamma / sqrt(variance + epsilon)) + beta``, where all broadcast."""
    deviation = g.add("Sqrt", g.add("Add", variance, g.real(g.number(epsilon))))
    return g.add("Add", g.add("Mul", g.add("Sub", x, mean), g.add("Div", gamma, deviation)), beta)


@writes("batch_norm_fixed")
def _batch_norm_fixed(
    g: OnnxGraph, x: Tensor, gamma: Tensor, beta: Tensor, mean: Tensor, variance: Tensor, epsilon: Tensor
) -> str:
    axis = _channels(g.node, x)
    if axis == 1:
        return g.add("BatchNormalization", x, gamma, beta, mean, variance, epsilon=g.number(epsilon))
    aligned = [_aligned(g, v, axis, x.ndim) for v in (mean, variance, gamma, beta)]
    return _normalised(g, epsilon, x, *aligned)


def _aligned(g: OnnxGraph, v: Operand, axis: int, ndim: int) -> Operand:
    """Return a vector of channels that broadcasts with a tensor of ndim axes."""
    return v if axis == ndim - 1 else g.add("Reshape", v, g.integers(-1, *[1] * (ndim - 1 - axis)))


@writes("batch_norm")
def _batch_norm(g: OnnxGraph, x: Tensor, gamma: Tensor, beta: Tensor, epsilon: Tensor) -> tuple[str, str, str]:
    axis = _channels(g.node, x)
    axes = [k for k in range(x.ndim) if k != axis]
    mean = reduced(g, "ReduceMean", x, axes, True)
    apart = g.add("Sub", x, mean)
    variance = reduced(g, "ReduceMean", g.add("Mul", apart, apart), axes, True)
    scaled = [_aligned(g, v, axis, x.ndim) for v in (gamma, beta)]
    flat = g.integers(-1)
    y = _normalised(g, epsilon, x, mean, variance, *scaled)
    return y, g.add("Reshape", mean, flat), g.add("Reshape", variance, flat)


@writes("layer_norm")
def _layer_norm(g: OnnxGraph, x: Tensor, gamma: Tensor, beta: Tensor, epsilon: Tensor) -> str:
    return g.add("LayerNormalization", x, gamma, beta, axis=-gamma.ndim, epsilon=g.number(epsilon))


#: Places of the fields of an axis among the attributes of a node; those of the horizontal axis follow the vertical.
_DOWN = HEIGHT, OUT_HEIGHT, ROWS, STEP_DOWN, TOP, GAP_DOWN
_RIGHT = tuple(place + 1 for place in _DOWN)


class _Axis(NamedTuple):
    """The windows along an axis."""

    size: int
    windows: int
    window: int
    step: int
    before: int
    gap: int

    @property
    def after(self) -> int:
        """Padding up to the end of the last window."""
        return max((self.windows - 1) * self.step + (self.window - 1) * self.gap + 1 - self.size - self.before, 0)

    @property
    def whole(self) -> bool:
        """True if one window covers the whole axis."""
        return self.windows == 1 and self.window == self.size and self.gap == 1 and self.before == 0


def _axes(node: Node) -> list[_Axis]:
    """Return the windows along each spatial axis."""
    spatial = (_DOWN, _RIGHT)[4 - node.inputs[0].ndim :]
    return [_Axis(*(node.attributes[k] for k in axis)) for axis in spatial]


def _windows(g: OnnxGraph) -> dict[str, Any]:
    """Return the attributes of ONNX for the windows."""
    found = [
        {
            "kernel_shape": [axis.window for axis in axes],
            "strides": [axis.step for axis in axes],
            "dilations": [axis.gap for axis in axes],
            "pads": [*(axis.before for axis in axes), *(axis.after for axis in axes)],
        }
        for axes in (_axes(g.node), _axes(g.twin))
    ]
    if found[0] != found[1]:
        raise g.depends("padding or the size of windows")
    return found[0]


def _channels_first(g: OnnxGraph, x: Tensor) -> str:
    return g.transposed(x, (0, x.ndim - 1, *range(1, x.ndim - 1)))


def _channels_last(g: OnnxGraph, y: Operand, ndim: int) -> str:
    return g.add("Transpose", y, perm=[0, *range(2, ndim), 1])


@writes("conv")
def _conv(g: OnnxGraph, x: Tensor, w: Tensor, b: Tensor) -> str:
    filters_first = g.transposed(w, (w.ndim - 1, w.ndim - 2, *range(w.ndim - 2)))
    y = g.add("Conv", _channels_first(g, x), filters_first, b, **_windows(g))
    return _channels_last(g, y, x.ndim)


@writes("conv_transpose")
def _conv_transpose(g: OnnxGraph, x: Tensor, w: Tensor, b: Tensor) -> str:
    # Axes are those of the convolution that leads back: its input is the result.
    found = []
    for axes in (_axes(g.node), _axes(g.twin)):
        more = [axis.size - ((axis.windows - 1) * axis.step + (axis.window - 1) * axis.gap + 1 - axis.before)
                for axis in axes]  # fmt: skip
        found.append({
            "kernel_shape": [axis.window for axis in axes],
            "strides": [axis.step for axis in axes],
            "dilations": [axis.gap for axis in axes],
            "pads": [*(axis.before for axis in axes), *(max(-n, 0) for n in more)],
            "output_padding": [max(n, 0) for n in more],
        })  # fmt: skip
    if found[0] != found[1]:
        raise g.depends("padding")
    channels_first = g.transposed(w, (w.ndim - 1, w.ndim - 2, *range(w.ndim - 2)))
    return _channels_last(g, g.add("ConvTranspose", _channels_first(g, x), channels_first, b, **found[0]), x.ndim)


@writes("depthwise_conv")
def _depthwise_conv(g: OnnxGraph, x: Tensor, w: Tensor, b: Tensor) -> str:
    channels_first = g.transposed(w, (w.ndim - 2, w.ndim - 1, *range(w.ndim - 2)))
    each = g.add("Reshape", channels_first, g.integers(b.size, 1, *w.shape[:-2]))
    y = g.add("Conv", _channels_first(g, x), each, b, group=w.shape[-2], **_windows(g))
    return _channels_last(g, y, x.ndim)


def _pooled(g: OnnxGraph, x: Tensor, op: str, **further: int) -> str:
    first = _channels_first(g, x)
    if all(axis.whole for axis in (*_axes(g.node), *_axes(g.twin))):
        return _channels_last(g, g.add(f"Global{op}", first), x.ndim)
    windows = {name: value for name, value in _windows(g).items() if name != "dilations"}
    return _channels_last(g, g.add(op, first, **windows, **further), x.ndim)


register(
    {
        "max_pool": partial(_pooled, op="MaxPool"),
        "average_pool": partial(_pooled, op="AveragePool", count_include_pad=0),
    }
)
