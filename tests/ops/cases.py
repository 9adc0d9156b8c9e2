"""The one table of ops: what each is given, and what NumPy says it computes.

``test_registry.py`` checks every op of the registry by it. For a new op, add a line or two to ``CASES``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

import nbnet as nb
from nbnet.engine.graph.op import Op, registry
from nbnet.ops import transposed as _transposed  # noqa: F401  (it registers its op)
from nbnet.ops.dense import fused_dense
from nbnet.ops.elementwise import fusible
from nbnet.ops.slicing import concatenate_op
from tests.ops.case import (
    UNITS,
    Case,
    Draw,
    N,
    apart,
    beside,
    booleans,
    constant,
    counts,
    integers,
    normal,
    positive,
    probabilities,
    rows_of_mask,
    whole,
)
from tests.ops.later_cases import LATER_CASES
from tests.ops.loss_cases import LOSS_CASES

Array = NDArray[Any]


def softmax(x: Array) -> Array:
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def sparsemax(x: Array) -> Array:
    """The projection on the simplex by sorting: what the paper's algorithm 1 says."""
    z = -np.sort(-x, -1)
    k = np.arange(1, x.shape[-1] + 1)
    support = (1 + k * z > z.cumsum(-1)).sum(-1, keepdims=True)
    tau = (np.take_along_axis(z.cumsum(-1), support - 1, -1) - 1) / support
    return np.maximum(x - tau, 0)


def rectified(x: Array, p: Array) -> Array:
    threshold, slope, offset, low, high = p
    return np.where(x > threshold, np.clip(x, low, high), slope * x + offset)


def softplus(x: Array) -> Array:
    return np.logaddexp(0, x)


def dropped(x: Array, rate: Any, mask: Array) -> Array:
    return x * mask / (1 - rate)


def alpha_dropped(x: Array, rate: Any, mask: Array) -> Array:
    """Klambauer et al., with the limit of SELU."""
    low = -SELU_SCALE * SELU_ALPHA
    a = ((1 - rate) * (1 + rate * low**2)) ** -0.5
    return a * (x * mask + low * (1 - mask)) - a * low * rate


def block_dropped(x: Array, mask: Array) -> Array:
    kept = mask.reshape(len(x), -1).mean(1)
    return x * mask / kept[:, None, None, None]


def connected(x: Array, w: Array, b: Array, rate: Any, mask: Array, group_size: int) -> Array:
    rows = [x[i] @ (w * m[:-1]) + b * m[-1] for i, m in ((i, mask[i // (group_size or len(x))]) for i in range(len(x)))]
    return np.array(rows) / (1 - rate)


def concrete(x: Array, u: Array, logit: Any, temperature: Any) -> Array:
    return x * special.expit(-(logit + special.logit(u)) / temperature) / special.expit(-logit)


# ---- one tensor, element by element: these also follow a dense layer in fused ops --------------------------------

SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772
#: Op -> how to draw its input, its parameters, the reference.
UNARY: dict[str, tuple[Callable[..., Draw], tuple[float, ...], Callable[..., Array]]] = {
    "abs": (apart, (), np.abs),
    "celu": (apart, (1.0,), lambda x, a: np.where(x > 0, x, a * np.expm1(np.minimum(x, 0) / a))),
    "cos": (normal, (), np.cos),
    "elu": (apart, (0.7,), lambda x, a: np.where(x > 0, x, a * np.expm1(np.minimum(x, 0)))),
    "erf": (normal, (), special.erf),
    "exp": (normal, (), np.exp),
    "expm1": (normal, (), np.expm1),
    "gelu": (normal, (), lambda x: x * special.ndtr(x)),
    "gelu_tanh": (normal, (), lambda x: 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))),
    "hard_shrink": (beside(-0.5, 0.5), (0.5,), lambda x, t: np.where(np.abs(x) > t, x, 0)),
    "hard_sigmoid": (apart, (), lambda x: np.clip(x / 6 + 0.5, 0, 1)),
    "hard_silu": (apart, (), lambda x: x * np.clip(x / 6 + 0.5, 0, 1)),
    "hard_tanh": (beside(-1, 1), (), lambda x: np.clip(x, -1, 1)),
    "leaky_relu": (apart, (0.2,), lambda x, a: np.where(x > 0, x, a * x)),
    "log": (positive, (), np.log),
    "log1p": (positive, (), np.log1p),
    "log_sigmoid": (normal, (), special.log_expit),
    "mish": (normal, (), lambda x: x * np.tanh(softplus(x))),
    "negative": (normal, (), np.negative),
    "relu": (apart, (), lambda x: np.maximum(x, 0)),
    "relu6": (beside(0, 6), (), lambda x: np.clip(x, 0, 6)),
    "selu": (apart, (), lambda x: SELU_SCALE * np.where(x > 0, x, SELU_ALPHA * np.expm1(np.minimum(x, 0)))),
    "sigmoid": (normal, (), special.expit),
    "silu": (normal, (), lambda x: x * special.expit(x)),
    "sin": (normal, (), np.sin),
    "soft_shrink": (beside(-0.5, 0.5), (0.5,), lambda x, t: np.sign(x) * np.maximum(np.abs(x) - t, 0)),
    "softplus": (normal, (), softplus),
    "softsign": (apart, (), lambda x: x / (1 + np.abs(x))),
    "sparse_plus": (beside(-1, 1), (), lambda x: np.where(np.abs(x) < 1, (x + 1) ** 2 / 4, np.maximum(x, 0))),
    "sparse_sigmoid": (beside(-1, 1), (), lambda x: np.clip((x + 1) / 2, 0, 1)),
    "sqrt": (positive, (), np.sqrt),
    "square": (normal, (), np.square),
    "squareplus": (normal, (4.0,), lambda x, b: (x + np.sqrt(x**2 + b)) / 2),
    "tanh": (normal, (), np.tanh),
    "tanh_shrink": (normal, (), lambda x: x - np.tanh(x)),
}


def unary(name: str) -> list[Case]:
    draw, parameters, reference = UNARY[name]
    constants = tuple(constant(a) for a in parameters)
    shapes = {"matrix": (N, 7), "vector": (N,), "cube": (N, 3, 17)}
    return [Case(registry[name], (draw(*s), *constants), reference, rows=(0,), label=k) for k, s in shapes.items()]


def fused(name: str | None, dropout: bool) -> Case:
    """``dropout(activation(x @ w + b))``; b is away from kinks by more than x @ w, so that sums are too."""
    draw, parameters, activation = UNARY[name] if name else (normal, (), lambda x: x)
    op = fused_dense(fusible[name] if name else None, dropout)

    def reference(x: Array, w: Array, b: Array, *rest: Any, mask: Array | None = None) -> Array:
        y = activation(x @ w + b, *rest[: len(parameters)])
        return y if mask is None else dropped(y, rest[-1], mask)

    small: Draw = lambda rng: rng.uniform(-0.1, 0.1, (N, 4))  # noqa: E731
    weights: Draw = lambda rng: rng.uniform(-0.2, 0.2, (4, UNITS))  # noqa: E731
    constants = [constant(a) for a in (*parameters, *([0.4] if dropout else []))]
    return Case(op, (small, weights, draw(UNITS), *constants), reference, rows=(0,))


# ---- the table ---------------------------------------------------------------------------------------------------


def broadcasting(
    name: str, reference: Callable[..., Array], a: Callable[..., Draw], b: Callable[..., Draw]
) -> list[Case]:
    op, n = registry[name], N
    shapes: dict[str, tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]] = {
        "same": ((n, 4), (n, 4), (0, 1)),
        "scalar": ((n, 4), (), (0,)),
        "number": ((), (n, 4), (1,)),
        "row": ((n, 19), (19,), (0,)),
        "column": ((n, 1), (n, 4), (0, 1)),
        "outer": ((n, 1), (1, 5), (0,)),
        "middle": ((n, 3, 4), (n, 1, 4), (0, 1)),
        "mixed": ((n, 1, 3, 1), (n, 2, 1, 4), (0, 1)),
    }
    return [Case(op, (a(*s), b(*t)), reference, rows=rows, label=k) for k, (s, t, rows) in shapes.items()]


def reduced(name: str, reference: Callable[..., Array]) -> list[Case]:
    within, batch = registry[name], registry[f"{name}_batch"]

    def case(op: Op, shape: tuple[int, ...], axis: tuple[int, ...], n: int, inner: int, label: str) -> Case:
        def attributes(rows: int) -> Mapping[str, Any]:
            left = tuple(m for k, m in enumerate((rows, *shape[1:])) if k not in axis)
            return {"shape": left, "n": n, "inner": inner}

        by_rows = (0,) if op is within else ()
        return Case(op, (normal(*shape),), lambda x, **_: reference(x, axis=axis), by_rows, attributes, label)

    return [
        case(within, (N, 7), (1,), 7, 1, "last"),
        case(within, (N, 3, 5), (1,), 3, 5, "middle"),
        case(within, (N, 3, 5), (1, 2), 15, 1, "two"),
        case(batch, (N, 7), (0, 1), N * 7, 1, "all"),
        case(batch, (N, 7), (0,), N, 7, "first"),
    ]


def placed(x: Array, columns: Array, size: int) -> Array:
    y = np.zeros((*x.shape[:-1], size))
    y[..., columns] = x
    return y


def stepped(name: str) -> list[Case]:
    reference = (lambda x: x) if name == "stop_gradient" else getattr(np, name)
    return [
        Case(registry[name], (apart(N, 7),), reference, rows=(0,)),
        Case(registry[name], (apart(N),), reference, (0,), label="vector"),
    ]


def compared(name: str, reference: Callable[..., Array]) -> list[Case]:
    """Whole numbers, so that some of them are equal."""
    return broadcasting(name, reference, whole, whole)


def axis_1(n: int) -> dict[str, Any]:
    """The attributes of a reduction of (n, 3) along the last axis."""
    return {"shape": (n,), "n": 3, "inner": 1}


def cut_out(shape: tuple[int, ...], axis: int, start: int, count: int) -> Case:
    op = registry["cut" if axis else "cut_batch"]
    attributes = {"axis": axis, "start": start, "count": count}

    def reference(x: Array, **_: Any) -> Array:
        return np.take(x, range(start, start + count), axis)

    return Case(op, (normal(*shape),), reference, (0,) if axis else (), lambda n: attributes, f"{count} of {axis}")


def widened(shape: tuple[int, ...], axis: int, before: int, after: int) -> Case:
    attributes = {"axis": axis, "before": before, "after": after}

    def reference(x: Array, **_: Any) -> Array:
        return np.pad(x, [(before, after) if k == axis else (0, 0) for k in range(x.ndim)])

    return Case(registry["widen"], (normal(*shape),), reference, (0,), lambda n: attributes, f"{before}, {after}")


def joined(shapes: list[tuple[int, ...]], axis: int) -> Case:
    return Case(
        concatenate_op(len(shapes), axis == 0),
        tuple(normal(*s) for s in shapes),
        lambda *xs, axis: np.concatenate(xs, axis),
        tuple(range(len(shapes))) if axis else (),
        lambda n: {"axis": axis},
        f"{len(shapes)} along {axis}",
    )


def reshaped(op: str, shape: tuple[int, ...], new: Callable[[int], tuple[int, ...]], label: str = "") -> Case:
    rows = () if registry[op].whole_batch else (0,)
    return Case(
        registry[op], (normal(*shape),), lambda x, shape: x.reshape(shape), rows, lambda n: {"shape": new(n)}, label
    )


def windows(x: Array, size: Sequence[int], strides: Sequence[int], padding: str, dilation: Sequence[int]) -> Array:
    """All windows of x (n, *spatial, channels) as (n, *counts, *size, channels); NaN outside x."""
    n = x.shape[0]
    for axis, (k, s, d) in enumerate(zip(size, strides, dilation, strict=True)):
        length, reach = x.shape[1 + axis], (k - 1) * d + 1
        count = -(-length // s) if padding == "same" else (length - (reach if padding == "valid" else 1)) // s + 1
        before = {"valid": 0, "causal": reach - 1, "same": max((count - 1) * s + reach - length, 0) // 2}[padding]
        take = np.arange(count)[:, None] * s + np.arange(k) * d - before
        inside = (take >= 0) & (take < length)
        part = np.take(x, np.clip(take, 0, length - 1), axis=1 + axis)
        shape = [1] * (1 + axis) + list(inside.shape) + [1] * (x.ndim - 2 - axis)
        part = np.where(inside.reshape(shape), part, np.nan)
        # (n, counts so far, count, k, spatial left, sizes so far, channels): the new size goes behind the others.
        x = np.moveaxis(part, 2 + axis, -2)
    assert x.shape[0] == n
    return x


def convolved(x: Array, w: Array, b: Array, strides: Any, padding: str, dilation_rate: Any) -> Array:
    found = np.nan_to_num(windows(x, w.shape[:-2], strides, padding, dilation_rate), nan=0.0)
    return np.tensordot(found, w, w.ndim - 1) + b


def convolution(x: tuple[int, ...], w: tuple[int, ...], strides: Any, padding: str, dilation: Any, label: str) -> Case:
    attributes = {"strides": strides, "padding": padding, "dilation_rate": dilation}
    draws = normal(*x), normal(*w), normal(w[-1])
    return Case(registry["conv"], draws, convolved, (0,), lambda n: attributes, label)


def by_channel(x: Array, w: Array, b: Array, strides: Any, padding: str, dilation_rate: Any) -> Array:
    found = np.nan_to_num(windows(x, w.shape[:-2], strides, padding, dilation_rate), nan=0.0)
    y: Array = np.einsum("...wvc,wvcm->...cm" if w.ndim == 4 else "...wc,wcm->...cm", found, w)
    return y.reshape(*y.shape[:-2], -1) + b


def depthwise(x: tuple[int, ...], w: tuple[int, ...], strides: Any, padding: str, dilation: Any, label: str) -> Case:
    attributes = {"strides": strides, "padding": padding, "dilation_rate": dilation}
    draws = normal(*x), normal(*w), normal(w[-1] * w[-2])
    return Case(registry["depthwise_conv"], draws, by_channel, (0,), lambda n: attributes, label)


def scattered(
    x: Array, w: Array, b: Array, strides: Any, padding: str, output_padding: Any, dilation_rate: Any
) -> Array:
    """Each element of x adds its multiple of the kernel; then what lies outside the result is cut off."""
    window, places = w.shape[:-2], x.shape[1:-1]
    reach = [(k - 1) * d + 1 for k, d in zip(window, dilation_rate, strict=True)]
    y = np.zeros((len(x), *(n * s + 2 * r for n, s, r in zip(places, strides, reach, strict=True)), w.shape[-2]))
    for i in np.ndindex(*places):
        for k in np.ndindex(*window):
            at = tuple(a * s + c * d for a, s, c, d in zip(i, strides, k, dilation_rate, strict=True))
            y[(slice(None), *at)] += x[(slice(None), *i)] @ w[k].T
    for axis, (n, s, r, extra) in enumerate(zip(places, strides, reach, output_padding, strict=True), 1):
        if padding == "valid":
            before, length = 0, (n - 1) * s + r + (max(s - r, 0) if extra is None else extra)
        else:
            margin = s + r - 2 if extra is None else r + r % 2 - 2 + extra
            before = r - 1 - min(margin - margin // 2, r - 1)
            length = n * s if extra is None else (n - 1) * s + r % 2 + extra
        y = np.take(y, range(before, before + length), axis)
    return y + b


def transposed(
    x: tuple[int, ...], w: tuple[int, ...], strides: Any, padding: str, extra: Any, dilation: Any, label: str
) -> Case:
    attributes = {"strides": strides, "padding": padding, "output_padding": extra, "dilation_rate": dilation}
    draws = normal(*x), normal(*w), normal(w[-2])
    return Case(registry["conv_transpose"], draws, scattered, (0,), lambda n: attributes, label)


def pooled(x: tuple[int, ...], pool_size: Any, strides: Any, padding: str, label: str) -> list[Case]:
    attributes = {"pool_size": pool_size, "strides": strides, "padding": padding}
    inner = tuple(range(-1 - len(pool_size), -1))

    def reference(reduce: Callable[..., Array]) -> Callable[..., Array]:
        return lambda x, pool_size, strides, padding: reduce(
            windows(x, pool_size, strides, padding, [1] * len(pool_size)), axis=inner
        )

    return [
        Case(registry[name], (normal(*x),), reference(reduce), (0,), lambda n: attributes, label)
        for name, reduce in (("max_pool", np.nanmax), ("average_pool", np.nanmean))
    ]


def standardised(x: Array, mean: Array, variance: Array, gamma: Array, beta: Array, epsilon: Any, axis: int) -> Array:
    shape = [-1 if k == axis % x.ndim else 1 for k in range(x.ndim)]
    mean, variance, gamma, beta = (v.reshape(shape) for v in (mean, variance, gamma, beta))
    return (x - mean) / np.sqrt(variance + epsilon) * gamma + beta


def batch_normalised(shape: tuple[int, ...], axis: int, label: str) -> list[Case]:
    def training(x: Array, gamma: Array, beta: Array, epsilon: Any, axis: int) -> Array:
        others = tuple(k for k in range(x.ndim) if k != axis % x.ndim)
        return standardised(x, x.mean(others), x.var(others), gamma, beta, epsilon, axis)

    def fixed(x: Array, gamma: Array, beta: Array, mean: Array, variance: Array, epsilon: Any, axis: int) -> Array:
        return standardised(x, mean, variance, gamma, beta, epsilon, axis)

    n, e, given = shape[axis], constant(1e-3), normal(*shape)
    attributes: Mapping[str, Any] = {"axis": axis}
    return [
        Case(registry["batch_norm"], (given, normal(n), normal(n), e), training, (), lambda n: attributes, label),
        Case(
            registry["batch_norm_fixed"],
            (given, normal(n), normal(n), normal(n), positive(n), e),
            fixed,
            (0,),
            lambda n: attributes,
            label,
        ),
    ]


def layer_normalised(x: Array, gamma: Array, beta: Array, epsilon: Any) -> Array:
    axes = tuple(range(-gamma.ndim, 0))
    mean, variance = x.mean(axes, keepdims=True), x.var(axes, keepdims=True)
    return (x - mean) / np.sqrt(variance + epsilon) * gamma + beta


def permuted(shape: tuple[int, ...], axes: tuple[int, ...]) -> Case:
    moves = axes[0] != 0
    op = registry["permute_batch" if moves else "permute"]
    return Case(op, (normal(*shape),), np.transpose, () if moves else (0,), lambda n: {"axes": axes}, f"{len(axes)}")


CASES: list[Case] = [
    *(case for name in UNARY for case in unary(name)),
    fused(None, True),
    *(fused(name, dropout) for name in UNARY for dropout in (False, True)),
    *broadcasting("add", np.add, normal, normal),
    *broadcasting("subtract", np.subtract, normal, normal),
    *broadcasting("multiply", np.multiply, normal, normal),
    *broadcasting("divide", np.divide, normal, positive),
    *broadcasting("maximum", np.maximum, normal, normal),
    *broadcasting("minimum", np.minimum, normal, normal),
    *broadcasting("power", np.power, positive, normal),
    *(case for name in ("ceil", "floor", "round", "sign", "stop_gradient") for case in stepped(name)),
    *(
        case
        for name in ("equal", "not_equal", "greater", "greater_equal", "less", "less_equal")
        for case in compared(name, getattr(np, name))
    ),
    Case(
        registry["where"],
        (booleans(N, 5), normal(N, 5), normal(N, 5)),
        np.where,
        rows=(0, 1, 2),
    ),
    Case(registry["where"], (booleans(N), integers(N), integers(N)), np.where, (0, 1, 2), label="of integers"),
    Case(registry["where"], (booleans(N), booleans(N), booleans(N)), np.where, (0, 1, 2), label="of booleans"),
    *(
        Case(registry[name], (integers(N, 3), integers(N, 3)), reference, (0, 1), label="of integers")
        for name, reference in {
            "add": np.add,
            "subtract": np.subtract,
            "multiply": np.multiply,
            "maximum": np.maximum,
            "minimum": np.minimum,
            "equal": np.equal,
            "not_equal": np.not_equal,
            "greater": np.greater,
            "greater_equal": np.greater_equal,
            "less": np.less,
            "less_equal": np.less_equal,
        }.items()
    ),
    *(
        Case(registry[name], (integers(N, 3), counts(N, 3)), getattr(np, name), (0, 1), label="of integers")
        for name in ("mod", "floor_divide")
    ),
    *(
        Case(registry[name], (integers(N, 3),), getattr(np, name), (0,), label="of integers")
        for name in ("abs", "negative", "square", "sign")
    ),
    Case(registry["power_of_integers"], (integers(N, 3), counts(N, 3)), np.power, (0, 1)),
    *broadcasting("mod", np.mod, normal, positive),
    *broadcasting("floor_divide", np.floor_divide, normal, positive),
    *(
        Case(registry[name], (draw(N, 3), draw(N, 3)), getattr(np, name), (0, 1), label=label)
        for name in ("bitwise_and", "bitwise_or", "bitwise_xor")
        for label, draw in {"of integers": integers, "of booleans": booleans}.items()
    ),
    Case(registry["sum"], (integers(N, 3),), lambda x, **_: x.sum(1), (0,), lambda n: axis_1(n), label="of integers"),
    Case(registry["max"], (integers(N, 3),), lambda x, **_: x.max(1), (0,), lambda n: axis_1(n), label="of integers"),
    *(
        Case(
            registry["reshape"],
            (draw(N, 4),),
            lambda x, shape: x.reshape(shape),
            (0,),
            lambda n: {"shape": (n, 2, 2)},
            label=label,
        )
        for label, draw in {"of integers": integers, "of booleans": booleans}.items()
    ),
    *(
        Case(
            registry[f"from_{name}"],
            (draw(N, 3),),
            lambda x, dtype: x.astype(dtype),
            (0,),
            lambda n, dtype=dtype: {"dtype": np.dtype(dtype)},
            label=dtype,
        )
        for name, draw, dtype in (
            ("integers", integers, "float32"),
            ("integers", integers, "float64"),
            ("booleans", booleans, "float32"),
            ("booleans", booleans, "float64"),
            ("booleans", booleans, "int64"),
        )
    ),
    Case(registry["to_integers"], (normal(N, 3),), lambda x: x.astype(np.int64), rows=(0,)),
    Case(registry["to_booleans"], (whole(N, 3),), lambda x: x != 0, rows=(0,)),
    Case(registry["to_booleans"], (counts(N, 3),), lambda x: x != 0, rows=(0,), label="of integers"),
    *reduced("max", np.max),
    cut_out((N, 5), 1, 1, 3),
    cut_out((N, 4, 3), 1, 0, 2),
    cut_out((N, 2, 7), 2, 6, 1),
    cut_out((N, 3), 0, 1, 4),
    widened((N, 5), 1, 1, 2),
    widened((N, 2, 3), 1, 0, 1),
    widened((N, 2, 3, 2), 2, 3, 0),
    *reduced("sum", np.sum),
    *reduced("mean", np.mean),
    joined([(N, 3), (N, 1), (N, 4)], 1),
    joined([(2, 3), (4, 3)], 0),
    joined([(N, 2, 3), (N, 1, 3)], 1),
    joined([(N, 2)], 1),
    joined([(N, k + 1) for k in range(13)], 1),
    reshaped("reshape", (N, 12), lambda n: (n, 3, 4)),
    reshaped("reshape_batch", (N, 2), lambda n: (2 * n,)),
    Case(registry["transpose"], (normal(N, 19),), np.transpose),
    Case(registry["dense"], (normal(N, 4), normal(4, 3), normal(3)), lambda x, w, b: x @ w + b, rows=(0,)),
    Case(
        registry["dense"],
        (normal(N, 2, 4), normal(4, 3), normal(3)),
        lambda x, w, b: x @ w + b,
        rows=(0,),
        label="rows",
    ),
    Case(registry["matmul"], (normal(N, 4), normal(4, 3)), np.matmul, rows=(0,)),
    Case(registry["matmul"], (normal(N, 2, 4), normal(4, 3)), np.matmul, rows=(0,), label="rows"),
    Case(registry["matmul"], (normal(4), normal(4, 3)), np.matmul, label="vector"),
    Case(registry["matmul_pairs"], (normal(N, 2, 3, 4), normal(N, 2, 4, 5)), np.matmul, rows=(0, 1)),
    Case(registry["matmul_pairs"], (normal(N, 1, 4), normal(N, 4, 1)), np.matmul, rows=(0, 1), label="vectors"),
    Case(registry["take"], (normal(4, 3), lambda rng: rng.integers(-4, 4, N)), lambda x, rows: x[rows], rows=(1,)),
    Case(
        registry["take"],
        (normal(4), lambda rng: rng.integers(-4, 4, (N, 2))),
        lambda x, rows: x[rows],
        rows=(1,),
        label="matrix",
    ),
    Case(
        registry["take_columns"],
        (normal(N, 2, 5), lambda rng: np.array([3, 0, 4])),
        lambda x, columns: x[..., columns],
        rows=(0,),
    ),
    Case(
        registry["put_columns"],
        (normal(N, 2, 3), lambda rng: np.array([3, 0, 4])),
        placed,
        rows=(0,),
        attributes=lambda n: {"size": 6},
    ),
    Case(registry["take_batch"], (normal(N, 2, 3), lambda rng: np.array(2)), lambda x, rows: x[rows]),
    Case(registry["softmax"], (normal(N, 7),), softmax, rows=(0,)),
    Case(registry["log_softmax"], (normal(N, 7),), lambda x: np.log(softmax(x)), rows=(0,)),
    Case(registry["sparsemax"], (normal(N, 7),), sparsemax, rows=(0,)),
    Case(registry["sparsemax"], (normal(N, 3, 33),), sparsemax, rows=(0,), label="cube"),
    Case(registry["glu"], (normal(N, 8),), lambda x: x[:, :4] * special.expit(x[:, 4:]), rows=(0,)),
    Case(
        registry["rectify"],
        (beside(-0.5, 0, 2)(N, 7), lambda rng: np.array([-0.5, 0.3, 0.15, 0.0, 2.0])),
        rectified,
        rows=(0,),
    ),
    Case(registry["celu"], (apart(N, 7), constant(0.7)), UNARY["celu"][2], rows=(0,), label="alpha"),
    Case(registry["dropout"], (normal(N, 9), constant(0.4)), dropped, rows=(0,)),
    Case(registry["dropout"], (normal(N, 3, 5), constant(0.7)), dropped, rows=(0,), label="cube"),
    Case(
        registry["dropout_shared"],
        (normal(N, 3, 5), constant(0.4)),
        lambda x, rate, mask, noise_shape: dropped(x, rate, mask),
        (0,),
        lambda n: {"noise_shape": (n, 1, 5)},
        "features",
    ),
    Case(
        registry["dropout_shared"],
        (normal(N, 7), constant(0.4)),
        lambda x, rate, mask, **_: dropped(x, rate, mask),
        (),
        lambda n: {"noise_shape": (1, 7), "whole": True},
        "batch",
    ),
    Case(
        registry["dropout"],
        (normal(N, 9), constant(0.4)),
        dropped,
        label="injected",
        injected=rows_of_mask(N, 9),
    ),
    *(
        Case(
            registry["alpha_dropout"],
            (normal(*shape), constant(0.4)),
            lambda x, rate, mask, **_: alpha_dropped(x, rate, mask),
            rows,
            lambda n, noise=noise: {
                "noise_shape": tuple(n if size is None else size for size in noise),
                "whole": noise[0] == 1,
            },
            label,
        )
        for shape, noise, rows, label in (
            ((N, 9), (None, 9), (0,), "matrix"),
            ((N, 3, 5), (None, 1, 5), (0,), "features"),
            ((N, 7), (1, 7), (), "batch"),
        )
    ),
    Case(
        registry["alpha_dropout"],
        (normal(N, 9), constant(0.4)),
        lambda x, rate, mask, **_: alpha_dropped(x, rate, mask),
        attributes=lambda n: {"noise_shape": (N, 9)},
        label="injected",
        injected=rows_of_mask(N, 9),
    ),
    Case(registry["bernoulli"], (normal(N, 9), probabilities(N, 9)), lambda x, keep, mask: x * mask, (0, 1)),
    Case(
        registry["bernoulli"],
        (normal(N, 9), probabilities(N, 9)),
        lambda x, keep, mask: x * mask,
        label="injected",
        injected=rows_of_mask(N, 9),
    ),
    Case(
        registry["gaussian_dropout"],
        (normal(N, 9), constant(0.4)),
        lambda x, rate, noise: x * (1 + math.sqrt(rate / (1 - rate)) * noise),
        (0,),
    ),
    Case(
        registry["gaussian_dropout"],
        (normal(N, 9), constant(0.4)),
        lambda x, rate, noise: x * (1 + math.sqrt(rate / (1 - rate)) * noise),
        label="injected",
        injected=normal(N, 9),
    ),
    Case(registry["gaussian_noise"], (normal(N, 9), constant(0.4)), lambda x, s, noise: x + s * noise, (0,)),
    Case(
        registry["gaussian_noise"],
        (normal(N, 9), positive(N, 9)),
        lambda x, s, noise: x + s * noise,
        (0, 1),
        label="each",
    ),
    Case(
        registry["gaussian_noise"],
        (normal(N, 9), constant(0.4)),
        lambda x, s, noise: x + s * noise,
        label="injected",
        injected=normal(N, 9),
    ),
    Case(
        registry["random_normal"],
        (constant(1.5), constant(0.0)),
        lambda mean, stddev, shape: np.full(shape, mean),
        attributes=lambda n: {"shape": (n, 3)},
    ),
    Case(
        registry["random_uniform"],
        (constant(-0.5), constant(0.0), constant(1.0)),
        lambda low, width, last, shape: np.full(shape, low),
        attributes=lambda n: {"shape": (n, 300)},
    ),
    Case(
        registry["random_integers"],
        (lambda rng: rng.uniform(0, 7, (N, 9)),),
        lambda x, least, last: np.floor(x).astype(int) + least,
        attributes=lambda n: {"least": -3, "last": 3},
    ),
    Case(registry["random_constant"], (normal(N, 9),), lambda x: x),
    Case(
        registry["concrete_dropout"],
        (normal(N, 9), constant(-0.5), constant(0.3)),
        lambda x, logit, temperature, noise: concrete(x, noise, logit, temperature),
        (0,),
    ),
    Case(
        registry["concrete_dropout"],
        (normal(N, 9), constant(-0.5), constant(0.3)),
        lambda x, logit, temperature, noise: concrete(x, noise, logit, temperature),
        label="injected",
        injected=probabilities(N, 9),
    ),
    *(
        Case(
            registry["drop_block"],
            (normal(N, 6, 7, 3), constant(0.4)),
            lambda x, rate, mask, **_: block_dropped(x, mask),
            (0,),
            lambda n, shared=shared: {"block_size": 3, "shared": shared},
            "shared" if shared else "channels",
        )
        for shared in (False, True)
    ),
    Case(
        registry["drop_block"],
        (normal(N, 4, 5, 3), constant(0.4)),
        lambda x, rate, mask, **_: block_dropped(x, mask),
        attributes=lambda n: {"block_size": 3, "shared": True},
        label="injected",
        injected=rows_of_mask(N, 4, 5, 1),
    ),
    Case(
        registry["drop_connect"],
        (normal(N, 4), normal(4, UNITS), normal(UNITS), constant(0.4)),
        connected,
        (0,),
        lambda n: {"group_size": 0},
    ),
    Case(
        registry["drop_connect_groups"],
        (normal(N, 4), normal(4, UNITS), normal(UNITS), constant(0.4)),
        connected,
        (),
        lambda n: {"group_size": 4},
    ),
    Case(
        registry["drop_connect_groups"],
        (normal(N, 4), normal(4, UNITS), normal(UNITS), constant(0.4)),
        connected,
        (),
        lambda n: {"group_size": 3},
        "injected",
        rows_of_mask(2, 5, UNITS),
    ),
    Case(
        registry["drop_connect"],
        (normal(N, 4), normal(4, UNITS), normal(UNITS), constant(0.4)),
        connected,
        (),
        lambda n: {"group_size": 0},
        "injected",
        rows_of_mask(1, 5, UNITS),
    ),
    Case(
        registry["deal_masks"],
        (normal(N, 2, 5), normal(4, 5)),
        lambda x, masks: x * masks[np.arange(len(x)) % 4][:, None],
        (0,),
    ),
    Case(registry["take_turn"], (normal(4, 5),), lambda table: table[3]),  # the step of the harness is 3
    Case(registry["weighted_mean"], (normal(N), normal(N), positive(N)), lambda x, w, d: (x * w).sum() / d.sum()),
    Case(
        registry["weighted_mean"],
        (normal(N), normal(N), lambda rng: np.zeros(N)),
        lambda x, w, d: np.zeros(()),
        label="of nothing",
    ),
    Case(
        registry["l1_l2"],
        (apart(N, 400), constant(0.3), constant(0.2)),
        lambda x, l1, l2: (l1 * np.abs(x) + l2 * x * x).sum(),
    ),
    Case(registry["weighted_sum"], (normal(N), normal(N), constant(0.3)), lambda x, w, scale: scale * (x * w).sum()),
    Case(
        registry["embedding"],
        (normal(4, 3), lambda rng: rng.integers(0, 4, (N, 5))),
        lambda w, ids: w[ids],
        rows=(1,),
    ),
    Case(
        registry["embedding_float"],
        (normal(4, 3), lambda rng: rng.integers(0, 4, (N, 5)).astype(float)),
        lambda w, ids: w[ids.astype(int)],
        rows=(1,),
    ),
    *(
        Case(
            registry[name],
            (normal(4, 3), lambda rng, kind=kind: rng.integers(0, 4, (N, 5)).astype(kind)),
            lambda w, ids: w[ids.astype(int)],
            rows=(1,),
        )
        for name, kind in (("rows_or_nan", int), ("rows_or_nan_float", float))
    ),
    *broadcasting("prelu", lambda x, a: np.where(x > 0, x, a * x), apart, normal),
    *batch_normalised((N, 19), 1, "matrix"),
    *batch_normalised((N, 4, 3), 2, "cube"),
    *batch_normalised((N, 3, 2, 4), 1, "first"),
    Case(registry["layer_norm"], (normal(N, 19), normal(19), normal(19), constant(1e-3)), layer_normalised, (0,)),
    Case(
        registry["layer_norm"],
        (normal(N, 2, 3, 4), normal(3, 4), normal(3, 4), constant(1e-3)),
        layer_normalised,
        (0,),
        label="two",
    ),
    permuted((N, 3, 4), (0, 2, 1)),
    permuted((N, 2, 3, 4), (0, 3, 1, 2)),
    permuted((2, 3, 4), (2, 0, 1)),
    permuted((2, 3, 4, 2, 2), (4, 2, 0, 3, 1)),
    convolution((N, 5, 6, 1), (3, 2, 1, 4), (1, 1), "valid", (1, 1), "one channel"),
    convolution((N, 5, 6, 1), (3, 2, 1, 4), (2, 3), "same", (1, 1), "one channel, steps"),
    convolution((N, 5, 6, 1), (3, 3, 1, 2), (1, 1), "same", (2, 2), "one channel, gaps"),
    convolution((N, 5, 6, 3), (3, 2, 3, 4), (1, 1), "valid", (1, 1), "image"),
    convolution((N, 5, 6, 3), (3, 3, 3, 4), (1, 1), "same", (1, 1), "same"),
    convolution((N, 6, 5, 3), (2, 3, 3, 2), (2, 3), "same", (1, 1), "steps"),
    convolution((N, 7, 6, 2), (3, 2, 2, 3), (1, 1), "same", (2, 3), "gaps"),
    convolution((N, 2, 2, 2), (5, 4, 2, 3), (1, 1), "same", (1, 1), "larger than the image"),
    convolution((N, 3, 3, 4), (1, 1, 4, 2), (1, 1), "valid", (1, 1), "points"),
    convolution((N, 9, 2), (3, 2, 4), (2,), "valid", (1,), "sequence"),
    convolution((N, 9, 2), (3, 2, 4), (1,), "causal", (2,), "causal"),
    depthwise((N, 5, 6, 3), (3, 2, 3, 1), (1, 1), "valid", (1, 1), "image"),
    depthwise((N, 6, 5, 2), (2, 3, 2, 3), (2, 1), "same", (1, 1), "several"),
    depthwise((N, 7, 6, 9), (3, 2, 9, 1), (1, 1), "same", (2, 3), "gaps"),
    depthwise((N, 9, 2), (3, 2, 2), (1,), "causal", (1,), "sequence"),
    transposed((N, 3, 4, 2), (3, 2, 5, 2), (2, 1), "valid", (None, None), (1, 1), "image"),
    transposed((N, 3, 4, 2), (3, 3, 1, 2), (2, 2), "same", (None, None), (1, 1), "one channel"),
    transposed((N, 3, 2, 3), (2, 2, 2, 3), (3, 3), "valid", (2, 0), (1, 1), "more"),
    transposed((N, 3, 4, 2), (2, 3, 2, 2), (1, 1), "same", (None, None), (2, 2), "gaps"),
    transposed((N, 4, 2), (3, 5, 2), (2,), "same", (1,), (1,), "sequence"),
    *pooled((N, 5, 6, 3), (2, 2), (2, 2), "valid", "image"),
    *pooled((N, 5, 6, 3), (2, 3), (2, 3), "same", "same"),
    *pooled((N, 5, 5, 2), (3, 3), (1, 2), "same", "overlap"),
    *pooled((N, 7, 3), (3,), (2,), "valid", "sequence"),
    *LOSS_CASES,
    *LATER_CASES,
]

# The ops of the package, imported whole; those that other tests or examples register are theirs.
REGISTERED = [op for op in registry.values() if op.forward.__module__.startswith(f"{nb.__name__}.")]
