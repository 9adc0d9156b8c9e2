"""Arithmetic of two tensors, products and look-ups, in ONNX."""

from __future__ import annotations

import numpy as np

from nbnet.core.graph import Node, Tensor
from nbnet.export.activations import where_positive
from nbnet.export.graph import INT64, Entry, Graph, Operand, same, writes

for _name, _op in {
    "add": "Add", "divide": "Div", "matmul": "MatMul", "maximum": "Max", "minimum": "Min", "multiply": "Mul",
    "power": "Pow", "subtract": "Sub",
}.items():  # fmt: skip
    writes(_name)(same(_op))


def _comparison(op: str) -> Entry:
    """The entry of an op that is 1 where an ONNX operator holds, and 0 elsewhere."""
    return lambda g, node, a, b: g.add("Where", g.add(op, a, b), g.real(1.0), g.real(0.0))


for _name, _op in {
    "equal": "Equal", "greater": "Greater", "greater_equal": "GreaterOrEqual", "less": "Less",
    "less_equal": "LessOrEqual",
}.items():  # fmt: skip
    writes(_name)(_comparison(_op))


@writes("not_equal")
def _not_equal(g: Graph, node: Node, a: Tensor, b: Tensor) -> str:
    return g.add("Where", g.add("Equal", a, b), g.real(0.0), g.real(1.0))


@writes("where")
def _where(g: Graph, node: Node, condition: Tensor, a: Tensor, b: Tensor) -> str:
    return g.add("Where", g.add("Equal", condition, g.real(0.0)), b, a)


@writes("prelu")
def _prelu(g: Graph, node: Node, x: Tensor, alpha: Tensor) -> str:
    # ONNX lets the slope broadcast to x, but not x to the slope.
    if g.sizes(node.outputs[0]) == g.sizes(x):
        return g.add("PRelu", x, alpha)
    return where_positive(g, x, x, g.add("Mul", alpha, x))


@writes("dense")
def _dense(g: Graph, node: Node, x: Tensor, w: Tensor, b: Tensor) -> str:
    return g.add("Gemm", x, w, b) if x.ndim == 2 else g.add("Add", g.add("MatMul", x, w), b)


@writes("embedding", "embedding_float")
def _embedding(g: Graph, node: Node, w: Tensor, ids: Tensor) -> str:
    numbers: Operand = ids
    if not g.is_integer(ids):
        nearest = g.add("Floor", g.add("Add", ids, g.real(0.5)))
        numbers = g.add("Cast", nearest, to=INT64)
    return g.add("Gather", w, numbers, axis=0)


@writes("take", "take_batch")
def _take(g: Graph, node: Node, x: Tensor, rows: Tensor) -> str:
    return g.add("Gather", x, rows, axis=0)


@writes("take_columns")
def _take_columns(g: Graph, node: Node, x: Tensor, columns: Tensor) -> str:
    return g.add("Gather", x, columns, axis=x.ndim - 1)


@writes("put_columns")
def _put_columns(g: Graph, node: Node, x: Tensor, columns: Tensor) -> str:
    places = np.full(node.outputs[0].shape[-1], columns.size)
    places[g.value(columns)] = np.arange(columns.size)
    # What has no place takes the zero that is put behind the units.
    padded = g.add("Pad", x, g.integers(*[0] * (2 * x.ndim - 1), 1))
    return g.add("Gather", padded, g.integers(*places.tolist()), axis=x.ndim - 1)
