"""Element-wise functions and those of a row, in ONNX.

Where onnxruntime has an operator for float32 only, float64 gets a composition.
"""

from __future__ import annotations

from math import isfinite

from nbnet.core.graph import Node, Tensor
from nbnet.export.graph import Graph, Operand, same, writes
from nbnet.ops.gelu import CUBIC, SQRT_HALF
from nbnet.ops.gelu import SCALE as GELU_SCALE
from nbnet.ops.selu import SCALE, SCALE_ALPHA

for _name, _op in {
    "abs": "Abs", "ceil": "Ceil", "cos": "Cos", "erf": "Erf", "exp": "Exp", "floor": "Floor", "log": "Log",
    "negative": "Neg", "relu": "Relu", "round": "Round", "sigmoid": "Sigmoid", "sign": "Sign", "sin": "Sin",
    "sqrt": "Sqrt", "stop_gradient": "Identity", "tanh": "Tanh",
}.items():  # fmt: skip
    writes(_name)(same(_op))


def where_positive(g: Graph, x: Operand, above: Operand, below: Operand) -> str:
    """``above`` where ``x > 0``, else ``below``."""
    return g.add("Where", g.add("Greater", x, g.real(0.0)), above, below)


def times(g: Graph, x: Operand, factor: float) -> str:
    """x times a number."""
    return g.add("Mul", x, g.real(factor))


def _softplus(g: Graph, x: Operand) -> str:
    if g.single:
        return g.add("Softplus", x)
    rest = g.add("Log", g.add("Add", g.add("Exp", g.add("Neg", g.add("Abs", x))), g.real(1.0)))
    return g.add("Add", g.add("Relu", x), rest)


def _clip(g: Graph, x: Operand, low: float, high: float) -> str:
    return g.add("Clip", x, g.real(low), g.real(high))


def _ramp(g: Graph, x: Operand, slope: float, offset: float) -> str:
    """``slope * x + offset``, cut off at 0 and 1."""
    if g.single:
        return g.add("HardSigmoid", x, alpha=slope, beta=offset)
    return _clip(g, g.add("Add", times(g, x, slope), g.real(offset)), 0.0, 1.0)


def _less_one(g: Graph, x: Operand) -> str:
    """``exp(x) - 1``"""
    return g.add("Sub", g.add("Exp", x), g.real(1.0))


@writes("expm1")
def _expm1(g: Graph, node: Node, x: Tensor) -> str:
    return _less_one(g, x)


@writes("log1p")
def _log1p(g: Graph, node: Node, x: Tensor) -> str:
    return g.add("Log", g.add("Add", x, g.real(1.0)))


@writes("square")
def _square(g: Graph, node: Node, x: Tensor) -> str:
    return g.add("Mul", x, x)


@writes("softplus")
def _write_softplus(g: Graph, node: Node, x: Tensor) -> str:
    return _softplus(g, x)


@writes("log_sigmoid")
def _log_sigmoid(g: Graph, node: Node, x: Tensor) -> str:
    return g.add("Neg", _softplus(g, g.add("Neg", x)))


@writes("mish")
def _mish(g: Graph, node: Node, x: Tensor) -> str:
    return g.add("Mul", x, g.add("Tanh", _softplus(g, x)))


@writes("silu")
def _silu(g: Graph, node: Node, x: Tensor) -> str:
    return g.add("Mul", x, g.add("Sigmoid", x))


@writes("softsign")
def _softsign(g: Graph, node: Node, x: Tensor) -> str:
    return g.add("Softsign", x) if g.single else g.add("Div", x, g.add("Add", g.add("Abs", x), g.real(1.0)))


@writes("tanh_shrink")
def _tanh_shrink(g: Graph, node: Node, x: Tensor) -> str:
    return g.add("Sub", x, g.add("Tanh", x))


@writes("gelu")
def _gelu(g: Graph, node: Node, x: Tensor) -> str:
    cumulative = g.add("Add", g.add("Erf", times(g, x, SQRT_HALF)), g.real(1.0))
    return g.add("Mul", times(g, x, 0.5), cumulative)


@writes("gelu_tanh")
def _gelu_tanh(g: Graph, node: Node, x: Tensor) -> str:
    cubic = g.add("Add", times(g, g.add("Mul", x, x), CUBIC), g.real(1.0))
    return g.add("Mul", x, g.add("Sigmoid", g.add("Mul", times(g, x, GELU_SCALE), cubic)))


@writes("hard_sigmoid")
def _hard_sigmoid(g: Graph, node: Node, x: Tensor) -> str:
    return _ramp(g, x, 1.0 / 6.0, 0.5)


@writes("hard_silu")
def _hard_silu(g: Graph, node: Node, x: Tensor) -> str:
    return g.add("HardSwish", x) if g.single else g.add("Mul", x, _ramp(g, x, 1.0 / 6.0, 0.5))


@writes("hard_tanh")
def _hard_tanh(g: Graph, node: Node, x: Tensor) -> str:
    return _clip(g, x, -1.0, 1.0)


@writes("relu6")
def _relu6(g: Graph, node: Node, x: Tensor) -> str:
    return _clip(g, x, 0.0, 6.0)


@writes("sparse_sigmoid")
def _sparse_sigmoid(g: Graph, node: Node, x: Tensor) -> str:
    return _ramp(g, x, 0.5, 0.5)


@writes("sparse_plus")
def _sparse_plus(g: Graph, node: Node, x: Tensor) -> str:
    # (z + 1)**2 / 4 touches z at 1 and 0 at -1 from above: the maximum picks the right piece.
    side = g.add("Add", times(g, _clip(g, x, -1.0, 1.0), 0.5), g.real(0.5))
    return g.add("Max", x, g.add("Mul", side, side))


@writes("squareplus")
def _squareplus(g: Graph, node: Node, x: Tensor, softness: Tensor) -> str:
    # Where x is negative, x + root would be a difference of near numbers.
    b = g.number(softness)
    root = g.add("Sqrt", g.add("Add", g.add("Mul", x, x), g.real(b)))
    total = g.add("Add", root, g.add("Abs", x))
    below = g.add("Where", g.add("Less", x, g.real(0.0)), g.add("Div", g.real(b), total), total)
    return times(g, below, 0.5)


@writes("elu")
def _elu(g: Graph, node: Node, x: Tensor, alpha: Tensor) -> str:
    a = g.number(alpha)
    return g.add("Elu", x, alpha=a) if g.single else where_positive(g, x, x, times(g, _less_one(g, x), a))


@writes("celu")
def _celu(g: Graph, node: Node, x: Tensor, alpha: Tensor) -> str:
    a = g.number(alpha)
    return where_positive(g, x, x, times(g, _less_one(g, times(g, x, 1.0 / a)), a))


@writes("selu")
def _selu(g: Graph, node: Node, x: Tensor) -> str:
    if g.single:
        return g.add("Selu", x, alpha=SCALE_ALPHA / SCALE, gamma=SCALE)
    return where_positive(g, x, times(g, x, SCALE), times(g, _less_one(g, x), SCALE_ALPHA))


@writes("leaky_relu")
def _leaky_relu(g: Graph, node: Node, x: Tensor, negative_slope: Tensor) -> str:
    # An attribute is a float32: in float64 it would not be the slope.
    slope = g.number(negative_slope)
    return g.add("LeakyRelu", x, alpha=slope) if g.single else where_positive(g, x, x, times(g, x, slope))


@writes("hard_shrink")
def _hard_shrink(g: Graph, node: Node, x: Tensor, threshold: Tensor) -> str:
    small = g.add("LessOrEqual", g.add("Abs", x), g.real(g.number(threshold)))
    return g.add("Where", small, g.real(0.0), x)


@writes("soft_shrink")
def _soft_shrink(g: Graph, node: Node, x: Tensor, threshold: Tensor) -> str:
    a = g.number(threshold)
    return g.add("Sub", x, _clip(g, x, -a, a))


@writes("rectify")
def _rectify(g: Graph, node: Node, x: Tensor, p: Tensor) -> str:
    threshold, slope, offset, low, high = (float(v) for v in g.value(p))
    above: Operand = _clip(g, x, low, high) if isfinite(low) or isfinite(high) else x
    below = g.real(offset) if slope == 0 else g.add("Add", times(g, x, slope), g.real(offset))
    return g.add("Where", g.add("LessOrEqual", x, g.real(threshold)), below, above)


# ---- functions of a row --------------------------------------------------------------------------------------


@writes("softmax")
def _softmax(g: Graph, node: Node, x: Tensor) -> str:
    return g.add("Softmax", x, axis=-1)


@writes("log_softmax")
def _log_softmax(g: Graph, node: Node, x: Tensor) -> str:
    return g.add("LogSoftmax", x, axis=-1)


@writes("glu")
def _glu(g: Graph, node: Node, x: Tensor) -> str:
    a, b = g.split("Split", 2, x, axis=-1)
    return g.add("Mul", a, g.add("Sigmoid", b))


@writes("sparsemax")
def _sparsemax(g: Graph, node: Node, x: Tensor) -> str:
    # With the row sorted, the largest k numbers are in the support as long as 1 + k z_k > z_1 + ... + z_k.
    n, last = g.length(x, -1), g.integers(-1)
    shifted = g.add("Sub", x, g.add("ReduceMax", x, axes=[-1], keepdims=1))
    ordered, _ = g.split("TopK", 2, shifted, g.integers(n), axis=-1, largest=1, sorted=1)
    ranks = g.reals(range(1, n + 1))
    sums = g.add("CumSum", ordered, g.integer(-1))
    inside = g.add("Greater", g.add("Add", g.add("Mul", ordered, ranks), g.real(1.0)), sums)
    one, none = g.real(1.0), g.real(0.0)
    count = g.add("ReduceSum", g.add("Where", inside, one, none), last, keepdims=1)
    total = g.add("ReduceSum", g.add("Where", inside, ordered, none), last, keepdims=1)
    tau = g.add("Div", g.add("Sub", total, one), count)
    return g.add("Relu", g.add("Sub", shifted, tau))
