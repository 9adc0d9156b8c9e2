"""Convolution and pooling in ONNX, whose images have their channels before the pixels."""

from __future__ import annotations

from typing import Any, NamedTuple

from nbnet.core.graph import Node, Tensor
from nbnet.export.graph import Graph, Operand, writes
from nbnet.ops.window import (
    COLUMNS,
    GAP_DOWN,
    GAP_RIGHT,
    HEIGHT,
    LEFT,
    OUT_HEIGHT,
    OUT_WIDTH,
    ROWS,
    STEP_DOWN,
    STEP_RIGHT,
    TOP,
    WIDTH,
)

_DOWN = HEIGHT, OUT_HEIGHT, ROWS, STEP_DOWN, TOP, GAP_DOWN
_RIGHT = WIDTH, OUT_WIDTH, COLUMNS, STEP_RIGHT, LEFT, GAP_RIGHT


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
        """Padding up to the end of the last window; what no window reaches needs none."""
        return max((self.windows - 1) * self.step + (self.window - 1) * self.gap + 1 - self.size - self.before, 0)

    @property
    def whole(self) -> bool:
        """Whether one window is the whole axis."""
        return self.windows == 1 and self.window == self.size and self.gap == 1 and self.before == 0


def _axes(node: Node) -> list[_Axis]:
    """The windows along each spatial axis."""
    spatial = (_DOWN, _RIGHT)[4 - node.inputs[0].ndim :]
    return [_Axis(*(node.attributes[k] for k in axis)) for axis in spatial]


def _windows(g: Graph, node: Node) -> dict[str, Any]:
    """The attributes of ONNX for the windows."""
    found = [
        {
            "kernel_shape": [axis.window for axis in axes],
            "strides": [axis.step for axis in axes],
            "dilations": [axis.gap for axis in axes],
            "pads": [*(axis.before for axis in axes), *(axis.after for axis in axes)],
        }
        for axes in (_axes(node), _axes(g.twin))
    ]
    if found[0] != found[1]:
        raise g.depends("padding or the size of windows")
    return found[0]


def _channels_first(g: Graph, x: Tensor) -> str:
    return g.transposed(x, (0, x.ndim - 1, *range(1, x.ndim - 1)))


def _channels_last(g: Graph, y: Operand, ndim: int) -> str:
    return g.add("Transpose", y, perm=[0, *range(2, ndim), 1])


@writes("conv")
def _conv(g: Graph, node: Node, x: Tensor, w: Tensor, b: Tensor) -> str:
    filters_first = g.transposed(w, (w.ndim - 1, w.ndim - 2, *range(w.ndim - 2)))
    y = g.add("Conv", _channels_first(g, x), filters_first, b, **_windows(g, node))
    return _channels_last(g, y, x.ndim)


@writes("max_pool")
def _max_pool(g: Graph, node: Node, x: Tensor) -> str:
    return _pooled(g, node, x, "MaxPool", {})


@writes("average_pool")
def _average_pool(g: Graph, node: Node, x: Tensor) -> str:
    return _pooled(g, node, x, "AveragePool", {"count_include_pad": 0})


def _pooled(g: Graph, node: Node, x: Tensor, op: str, further: dict[str, Any]) -> str:
    first = _channels_first(g, x)
    if all(axis.whole for axis in (*_axes(node), *_axes(g.twin))):
        return _channels_last(g, g.add(f"Global{op}", first), x.ndim)
    windows = {name: value for name, value in _windows(g, node).items() if name != "dilations"}
    return _channels_last(g, g.add(op, first, **windows, **further), x.ndim)
