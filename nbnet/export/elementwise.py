"""Elementwise ops and functions of a row, such as softmax, in ONNX.

Where onnxruntime has an operator for float32 only, float64 gets a composition.
"""

from __future__ import annotations

from math import isfinite

import numpy as np

from nbnet.engine.graph.op import BOOL, INT
from nbnet.engine.graph.tensor import Tensor
from nbnet.export.graph import BOOLEAN, INT64, Entry, OnnxGraph, Operand, register, writes
from nbnet.ops.activation import GELU_CUBIC, GELU_SCALE, SELU_SCALE, SELU_SCALE_ALPHA, SQRT_HALF

#: Numbers of dtypes among the types of ONNX (TensorProto).
ONNX_TYPES = {np.dtype(np.float32): 1, INT: INT64, BOOL: BOOLEAN, np.dtype(np.float64): 11}


def _ordered(op: str) -> Entry:
    """Return the entry of an op that is an ONNX operator for numbers; booleans become integers first."""

    def write(g: OnnxGraph, *xs: Tensor) -> str:
        return g.add(op, *(g.add("Cast", x, to=INT64) if x.dtype == BOOL else x for x in xs))

    return write


def _extreme(op: str, of_booleans: str) -> Entry:
    """Return the entry of an op that is one ONNX operator for numbers and another one for booleans."""
    return lambda g, a, b: g.add(of_booleans if a.dtype == BOOL else op, a, b)


def _same(op: str) -> Entry:
    """Return the entry of an op that is an ONNX operator."""
    return lambda g, *xs: g.add(op, *xs)


def _bitwise(operator: str) -> Entry:
    """Return the entry of an op that is an ONNX operator for booleans."""

    def write(g: OnnxGraph, a: Tensor, b: Tensor) -> str:
        if a.dtype != BOOL:
            raise NotImplementedError(f"export: {g.node.name} applies {g.node.op.name} to integers, which ONNX lacks")
        return g.add(operator, a, b)

    return write


def _cast(g: OnnxGraph, x: Tensor) -> str:
    return g.add("Cast", x, to=ONNX_TYPES[g.node.outputs[0].dtype])


register({
    name: _same(op)
    for name, op in {
        "abs": "Abs", "add": "Add", "ceil": "Ceil", "cos": "Cos", "divide": "Div", "erf": "Erf", "exp": "Exp",
        "floor": "Floor", "log": "Log", "multiply": "Mul",
        "negative": "Neg", "power": "Pow", "power_of_integers": "Pow", "relu": "Relu", "round": "Round",
        "sigmoid": "Sigmoid", "sign": "Sign",
        "arccos": "Acos", "arccosh": "Acosh", "arcsin": "Asin", "arcsinh": "Asinh", "arctan": "Atan",
        "arctanh": "Atanh", "cosh": "Cosh", "sin": "Sin", "sinh": "Sinh", "tan": "Tan",
        "sqrt": "Sqrt", "stop_gradient": "Identity", "subtract": "Sub", "tanh": "Tanh",
    }.items()
})  # fmt: skip
register({
    name: _ordered(op)
    for name, op in {
        "equal": "Equal", "greater": "Greater", "greater_equal": "GreaterOrEqual", "less": "Less",
        "less_equal": "LessOrEqual",
    }.items()
})  # fmt: skip
register({"maximum": _extreme("Max", "Or"), "minimum": _extreme("Min", "And")})
register(dict.fromkeys(("from_integers", "from_booleans", "to_integers", "to_booleans"), _cast))
register({
    name: _bitwise(operator)
    for name, operator in {"bitwise_and": "And", "bitwise_or": "Or", "bitwise_xor": "Xor"}.items()
})  # fmt: skip


def _remainder(g: OnnxGraph, a: Tensor, b: Tensor) -> str:
    if a.dtype == INT:
        return g.add("Mod", a, b)
    rest = g.add("Mod", a, b, fmod=1)
    # ONNX's has the sign of a.
    other_sign = g.add("Less", g.add("Mul", g.add("Sign", rest), g.add("Sign", b)), g.real(0.0))
    return g.add("Where", other_sign, g.add("Add", rest, b), rest)


register({"mod": _remainder})


@writes("floor_divide")
def _floor_divide(g: OnnxGraph, a: Tensor, b: Tensor) -> str:
    whole = g.add("Div", g.add("Sub", a, _remainder(g, a, b)), b)
    return whole if a.dtype == INT else g.add("Round", whole)


def where_positive(g: OnnxGraph, x: Operand, above: Operand, below: Operand) -> str:
    """``above`` where ``x > 0``, else ``below``."""
    return g.add("Where", g.add("Greater", x, g.real(0.0)), above, below)


def _times(g: OnnxGraph, x: Operand, factor: float) -> str:
    return g.add("Mul", x, g.real(factor))


def _plus(g: OnnxGraph, x: Operand, term: float) -> str:
    return g.add("Add", x, g.real(term))


def _expm1(g: OnnxGraph, x: Operand) -> str:
    return g.add("Sub", g.add("Exp", x), g.real(1.0))


def _softplus(g: OnnxGraph, x: Operand) -> str:
    if g.single:
        return g.add("Softplus", x)
    rest = g.add("Log", _plus(g, g.add("Exp", g.add("Neg", g.add("Abs", x))), 1.0))
    return g.add("Add", g.add("Relu", x), rest)


def _clip(g: OnnxGraph, x: Operand, low: float, high: float) -> str:
    return g.add("Clip", x, g.real(low), g.real(high))


def _ramp(g: OnnxGraph, x: Operand, slope: float, offset: float) -> str:
    """``slope * x + offset``, clipped to [0, 1]."""
    if g.single:
        return g.add("HardSigmoid", x, alpha=slope, beta=offset)
    return _clip(g, _plus(g, _times(g, x, slope), offset), 0.0, 1.0)


register(
    {
        "erfc": lambda g, x: g.add("Sub", g.real(1.0), g.add("Erf", x)),
        "expm1": _expm1,
        "fmod": lambda g, a, b: g.add("Mod", a, b, fmod=1),
        "hypot": lambda g, a, b: g.add("Sqrt", g.add("Add", g.add("Mul", a, a), g.add("Mul", b, b))),
        "log1p": lambda g, x: g.add("Log", _plus(g, x, 1.0)),
        "square": lambda g, x: g.add("Mul", x, x),
        "softplus": _softplus,
        "log_sigmoid": lambda g, x: g.add("Neg", _softplus(g, g.add("Neg", x))),
        "mish": lambda g, x: g.add("Mul", x, g.add("Tanh", _softplus(g, x))),
        "silu": lambda g, x: g.add("Mul", x, g.add("Sigmoid", x)),
        "softsign": lambda g, x: g.add("Softsign", x) if g.single else g.add("Div", x, _plus(g, g.add("Abs", x), 1.0)),
        "tanh_shrink": lambda g, x: g.add("Sub", x, g.add("Tanh", x)),
        "hard_sigmoid": lambda g, x: _ramp(g, x, 1.0 / 6.0, 0.5),
        "hard_silu": lambda g, x: g.add("HardSwish", x) if g.single else g.add("Mul", x, _ramp(g, x, 1.0 / 6.0, 0.5)),
        "hard_tanh": lambda g, x: _clip(g, x, -1.0, 1.0),
        "relu6": lambda g, x: _clip(g, x, 0.0, 6.0),
        "sparse_sigmoid": lambda g, x: _ramp(g, x, 0.5, 0.5),
        "softmax": lambda g, x: g.add("Softmax", x, axis=-1),
        "log_softmax": lambda g, x: g.add("LogSoftmax", x, axis=-1),
    }
)


@writes("not_equal")
def _not_equal(g: OnnxGraph, a: Tensor, b: Tensor) -> str:
    return g.add("Not", g.add("Equal", a, b))


@writes("where")
def _where(g: OnnxGraph, condition: Tensor, a: Tensor, b: Tensor) -> str:
    if a.dtype != BOOL:
        return g.add("Where", condition, a, b)
    return g.add("Or", g.add("And", condition, a), g.add("And", g.add("Not", condition), b))


@writes("gelu")
def _gelu(g: OnnxGraph, x: Tensor) -> str:
    cumulative = _plus(g, g.add("Erf", _times(g, x, SQRT_HALF)), 1.0)
    return g.add("Mul", _times(g, x, 0.5), cumulative)


@writes("gelu_tanh")
def _gelu_tanh(g: OnnxGraph, x: Tensor) -> str:
    cubic = _plus(g, _times(g, g.add("Mul", x, x), GELU_CUBIC), 1.0)
    return g.add("Mul", x, g.add("Sigmoid", g.add("Mul", _times(g, x, GELU_SCALE), cubic)))


@writes("sparse_plus")
def _sparse_plus(g: OnnxGraph, x: Tensor) -> str:
    # (z + 1)**2 / 4 touches z at 1 and 0 at -1 from above: the maximum picks the right piece.
    side = _plus(g, _times(g, _clip(g, x, -1.0, 1.0), 0.5), 0.5)
    return g.add("Max", x, g.add("Mul", side, side))


@writes("trunc")
def _trunc(g: OnnxGraph, x: Tensor) -> str:
    return g.add("Mul", g.add("Sign", x), g.add("Floor", g.add("Abs", x)))


@writes("cbrt")
def _cbrt(g: OnnxGraph, x: Tensor) -> str:
    return g.add("Mul", g.add("Sign", x), g.add("Pow", g.add("Abs", x), g.real(1.0 / 3.0)))


@writes("squareplus")
def _squareplus(g: OnnxGraph, x: Tensor, softness: Tensor) -> str:
    # Where x is negative, x + root would cancel.
    b = g.number(softness)
    root = g.add("Sqrt", _plus(g, g.add("Mul", x, x), b))
    total = g.add("Add", root, g.add("Abs", x))
    below = g.add("Where", g.add("Less", x, g.real(0.0)), g.add("Div", g.real(b), total), total)
    return _times(g, below, 0.5)


@writes("elu")
def _elu(g: OnnxGraph, x: Tensor, alpha: Tensor) -> str:
    a = g.number(alpha)
    return g.add("Elu", x, alpha=a) if g.single else where_positive(g, x, x, _times(g, _expm1(g, x), a))


@writes("celu")
def _celu(g: OnnxGraph, x: Tensor, alpha: Tensor) -> str:
    a = g.number(alpha)
    return where_positive(g, x, x, _times(g, _expm1(g, _times(g, x, 1.0 / a)), a))


@writes("selu")
def _selu(g: OnnxGraph, x: Tensor) -> str:
    if g.single:
        return g.add("Selu", x, alpha=SELU_SCALE_ALPHA / SELU_SCALE, gamma=SELU_SCALE)
    return where_positive(g, x, _times(g, x, SELU_SCALE), _times(g, _expm1(g, x), SELU_SCALE_ALPHA))


@writes("leaky_relu")
def _leaky_relu(g: OnnxGraph, x: Tensor, negative_slope: Tensor) -> str:
    # An attribute is a float32: in float64 it would not be the slope.
    slope = g.number(negative_slope)
    return g.add("LeakyRelu", x, alpha=slope) if g.single else where_positive(g, x, x, _times(g, x, slope))


@writes("prelu")
def _prelu(g: OnnxGraph, x: Tensor, alpha: Tensor) -> str:
    # ONNX lets the slope broadcast to x, but not x to the slope.
    if g.sizes(g.node.outputs[0]) == g.sizes(x):
        return g.add("PRelu", x, alpha)
    return where_positive(g, x, x, g.add("Mul", alpha, x))


@writes("hard_shrink")
def _hard_shrink(g: OnnxGraph, x: Tensor, threshold: Tensor) -> str:
    small = g.add("LessOrEqual", g.add("Abs", x), g.real(g.number(threshold)))
    return g.add("Where", small, g.real(0.0), x)


@writes("soft_shrink")
def _soft_shrink(g: OnnxGraph, x: Tensor, threshold: Tensor) -> str:
    a = g.number(threshold)
    return g.add("Sub", x, _clip(g, x, -a, a))


@writes("rectify")
def _rectify(g: OnnxGraph, x: Tensor, p: Tensor) -> str:
    threshold, slope, offset, low, high = (float(v) for v in g.value(p))
    above: Operand = _clip(g, x, low, high) if isfinite(low) or isfinite(high) else x
    below = g.real(offset) if slope == 0 else _plus(g, _times(g, x, slope), offset)
    return g.add("Where", g.add("LessOrEqual", x, g.real(threshold)), below, above)


@writes("glu")
def _glu(g: OnnxGraph, x: Tensor) -> str:
    a, b = g.split("Split", 2, x, axis=-1)
    return g.add("Mul", a, g.add("Sigmoid", b))


@writes("sparsemax")
def _sparsemax(g: OnnxGraph, x: Tensor) -> str:
    # With the row sorted, the largest k numbers are in the support as long as 1 + k z_k > z_1 + ... + z_k.
    n, last = g.length(x, -1), g.integers(-1)
    shifted = g.add("Sub", x, g.add("ReduceMax", x, axes=[-1], keepdims=1))
    ordered, _ = g.split("TopK", 2, shifted, g.integers(n), axis=-1, largest=1, sorted=1)
    ranks = g.real(range(1, n + 1))
    sums = g.add("CumSum", ordered, g.integer(-1))
    inside = g.add("Greater", _plus(g, g.add("Mul", ordered, ranks), 1.0), sums)
    one, zero = g.real(1.0), g.real(0.0)
    count = g.add("ReduceSum", g.add("Where", inside, one, zero), last, keepdims=1)
    total = g.add("ReduceSum", g.add("Where", inside, ordered, zero), last, keepdims=1)
    tau = g.add("Div", g.add("Sub", total, one), count)
    return g.add("Relu", g.add("Sub", shifted, tau))
