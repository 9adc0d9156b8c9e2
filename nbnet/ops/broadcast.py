"""Arithmetic of two tensors with NumPy's broadcasting: add, multiply, maximum, power and the like.

An op is made from scalar functions: ``y = f(a, b)`` and its two derivatives.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from math import prod
from typing import Any

import numpy as np

from nbnet.engine.graph.extents import spanned
from nbnet.engine.graph.op import BOOL, Op, Shape, Spec, register, registry
from nbnet.engine.graph.tensor import Tensor, apply, exact_tensor, tensor, tensors
from nbnet.engine.jit.linker import precise
from nbnet.engine.kernels.abi import Function, Kernel, accumulates, attribute, bytevec, device, present, vec
from nbnet.engine.kernels.math import log
from nbnet.engine.kernels.math import power as power_of
from nbnet.ops.elementwise import P, implement, scalar, sqrt, square

#: Number of axes that a kernel walks, after neighbouring axes that broadcast alike are joined.
AXES = 4
# Attributes: lengths of the axes, strides of a, strides of b; in elements, and 0 where the operand is broadcast.
A_STRIDES, B_STRIDES = AXES, 2 * AXES


@functools.lru_cache(1024)
def collapse(a: Shape, b: Shape) -> tuple[Shape, tuple[int, ...]]:
    """The shape that two shapes broadcast to, and the attributes by which kernels walk it.

    Raises
    ------
    ValueError
        If the shapes do not fit, or broadcast along axes too interleaved.

    Examples
    --------
    >>> collapse((8, 4, 3), (3,))
    ((8, 4, 3), (1, 1, 32, 3, 96, 96, 3, 1, 3, 3, 0, 1))
    """
    try:
        shape = np.broadcast_shapes(a, b)
    except ValueError:
        raise ValueError(
            f"shapes {a} and {b} do not broadcast: aligned from the right, two axes are equal or one of them is 1"
        ) from None
    padded = [(1,) * (len(shape) - len(s)) + s for s in (a, b)]
    axes: list[list[int]] = []  # length, 1 if a moves along it, 1 if b does
    for n, *own in zip(shape, *padded, strict=True):
        moves = [int(m == n) for m in own]
        if axes and axes[-1][1:] == moves:
            axes[-1][0] *= n
        elif n != 1:
            axes.append([n, *moves])
    if len(axes) > AXES:
        raise ValueError(
            f"shapes {a} and {b} alternate between broadcast and other axes: more than {AXES} runs; "
            "reshape or transpose them first"
        )
    axes = [[1, 1, 1]] * (AXES - len(axes)) + axes
    strides: list[int] = []
    for k in (1, 2):
        step, found = 1, []
        for axis in reversed(axes):
            found.append(step * axis[k])
            step *= axis[0] if axis[k] else 1
        strides += reversed(found)
    return shape, (*(axis[0] for axis in axes), *strides)


@device
def _start(ins: Any, strides: Any, i0: Any, i1: Any, i2: Any) -> Any:
    """Number of the first element of row (i0, i1, i2) in an operand."""
    return i0 * attribute(ins, strides) + i1 * attribute(ins, strides + 1) + i2 * attribute(ins, strides + 2)


def _make_forward(f: Function, result: Any = vec) -> Any:
    def forward(mem: Any, ins: Any, step: Any) -> None:
        a, b, y = vec(mem, ins, 0), vec(mem, ins, 1), result(mem, ins, 2)
        n, start = attribute(ins, AXES - 1), 0
        for i0 in range(attribute(ins, 0)):
            for i1 in range(attribute(ins, 1)):
                for i2 in range(attribute(ins, 2)):
                    u, v = a[_start(ins, A_STRIDES, i0, i1, i2) :], b[_start(ins, B_STRIDES, i0, i1, i2) :]
                    row = y[start : start + n]
                    start += n
                    if attribute(ins, A_STRIDES + AXES - 1) == 0:
                        c = u[0]
                        for j in range(n):
                            row[j] = f(c, v[j])
                    elif attribute(ins, B_STRIDES + AXES - 1) == 0:
                        c = v[0]
                        for j in range(n):
                            row[j] = f(u[j], c)
                    else:
                        for j in range(n):
                            row[j] = f(u[j], v[j])

    return forward


def _make_row(g: Function) -> Function:
    """``dx (+)= dy * g(x, z)`` for one run of elements; an operand of one element is broadcast.

    dx is read even where it is overwritten: a loop that reads it in some cases only would not be vectorised.
    """

    def row(x: Any, z: Any, dy: Any, dx: Any, moves: bool, other_moves: bool, add: bool) -> None:
        if not moves:
            total = 0.0
            for j in range(dy.size):
                total += dy[j] * g(x[0], z[j])
            dx[0] += total
        elif not other_moves:
            for j in range(dy.size):
                d, old = dy[j] * g(x[j], z[0]), dx[j]
                dx[j] = old + d if add else d
        else:
            for j in range(dy.size):
                d, old = dy[j] * g(x[j], z[j]), dx[j]
                dx[j] = old + d if add else d

    return Function(row)


def _make_backward(da: Function, db: Function, reads: bool) -> Any:
    def swapped(b: Any, a: Any) -> Any:
        return db(a, b)

    a_row, b_row = _make_row(da), _make_row(Function(swapped))

    # First the gradient of a, then that of b: in x * x both are one tensor. x is the operand whose gradient it is, z
    # the other; where the derivatives read neither, dy stands in for them.
    def backward(mem: Any, ins: Any, step: Any) -> None:
        dy, n = vec(mem, ins, 0), attribute(ins, AXES - 1)
        for k in range(2):
            if present(ins, 1 + k):
                x, z, dx, add = dy, dy, vec(mem, ins, 1 + k), accumulates(ins, 1 + k)
                if reads:
                    x, z = vec(mem, ins, 3 + k), vec(mem, ins, 4 - k)
                own, other, start = (1 + k) * AXES, (2 - k) * AXES, 0
                moves, other_moves = attribute(ins, own + AXES - 1) == 1, attribute(ins, other + AXES - 1) == 1
                if not add and dx.size != dy.size:
                    dx[:] = 0.0
                    add = True
                for i0 in range(attribute(ins, 0)):
                    for i1 in range(attribute(ins, 1)):
                        for i2 in range(attribute(ins, 2)):
                            at = _start(ins, own, i0, i1, i2)
                            u, v, d = x[at:], z[_start(ins, other, i0, i1, i2) :], dy[start : start + n]
                            if k == 0:
                                a_row(u, v, d, dx[at:], moves, other_moves, add)
                            else:
                                b_row(u, v, d, dx[at:], moves, other_moves, add)
                            start += n

    return backward


_EXTENTS = "a[a] b[b] y[y]; n0 n1 n2 n3 a0 a1 a2 a3 b0 b1 b2 b3"


def _within(sizes: Mapping[str, int]) -> bool:
    """True if the last axis moves along an operand, and each operand's last element lies in it; where an operand is
    absent, the gradient stands in for it."""
    lengths = [sizes[f"n{k}"] for k in range(AXES)]
    if prod(lengths) != sizes["y"]:
        return False
    strides = {x: [sizes[f"{x}{k}"] for k in range(AXES)] for x in "ab"}
    moves = [strides[x][-1] for x in "ab"]
    return sizes["y"] == 0 or (
        max(moves) == 1 and all(spanned(lengths, strides[x]) <= sizes.get(x, sizes["y"]) for x in "ab")
    )


def _infer(a: Tensor, b: Tensor) -> tuple[Spec, ...]:
    return (Spec(collapse(a.shape, b.shape)[0]),)


def _encode(a: Tensor, b: Tensor) -> tuple[int, ...]:
    return collapse(a.shape, b.shape)[1]


def binary(
    name: str,
    f: Callable[..., Any],
    da: Callable[..., Any],
    db: Callable[..., Any],
    *,
    reads: bool = True,
    linear: bool = False,
    kinds: str = "fi",
) -> Op:
    """Make and register a broadcasting op of two tensors.

    Parameters
    ----------
    f, da, db
        Scalar functions of (a, b): the value, and its derivatives by a and by b.
    reads
        True if the derivatives depend on a or b.
    linear
        True if the op is linear in a, for a given b.
    kinds
        What f computes exactly: see :class:`nbnet.engine.graph.op.Op`.
    """
    forward = Kernel(_make_forward(scalar(f, name)), f"{name}_forward")
    backward = Kernel(_make_backward(scalar(da, f"{name}_da"), scalar(db, f"{name}_db"), reads), f"{name}_backward")
    return register(
        Op(name, forward, ("a", "b"), infer=_infer, backward=backward, encode=_encode, role="elementwise",
           gradient=("dy", "da", "db", *(["a", "b"] if reads else [])), linear=linear, extents=_EXTENTS,
           within=_within, kinds=kinds)
    )  # fmt: skip


def _of_operands(op: Op, declaration: Callable[P, Any], of_booleans: str | None = None) -> Callable[P, Tensor]:
    """The function of two operands that applies an op, as a function without a body declares it.

    Two booleans may have an op of their own, or be refused with the name of the function to use.
    """

    def body(a: Any, b: Any) -> Tensor:
        a, b = (tensors if "f" in op.kinds else _exact)(a, b)
        if "f" not in op.kinds and "f" in (a.dtype.kind, b.dtype.kind):
            raise TypeError(f"{op.name}: expected integers or booleans, got {a.dtype} and {b.dtype}")
        if a.dtype == b.dtype == BOOL and of_booleans:
            if of_booleans not in registry:
                raise TypeError(f"{op.name}: expected numbers, got two tensors of booleans; use {of_booleans}")
            return apply(registry[of_booleans], a, b)
        return apply(op, a, b)

    return implement(
        declaration,
        body,
        "Tensors, arrays or numbers whose shapes broadcast; numbers and lists take the dtype of the tensor beside "
        "them.",
        raises="ValueError\n    If the shapes do not broadcast.",
    )


def _exact(*values: Any) -> tuple[Tensor, ...]:
    return tuple(exact_tensor(value) for value in values)


def binary_function(
    f: Callable[..., Any], da: Callable[..., Any], db: Callable[..., Any], of_booleans: str | None = None, **facts: Any
) -> Callable[[Callable[P, Any]], Callable[P, Tensor]]:
    """Decorator: turn a body-less function, which gives the name, signature and docstring, into the op
    ``f(a, b)``; see :func:`binary`. Of two booleans, it applies the op named ``of_booleans``, if there is one."""
    return lambda declaration: _of_operands(binary(declaration.__name__, f, da, db, **facts), declaration, of_booleans)


def _without_gradient(
    f: Callable[..., Any], kinds: str, result: np.dtype[Any] | None = None
) -> Callable[[Callable[P, Any]], Callable[P, Tensor]]:
    """Decorator: turn a body-less function, which gives the name, signature and docstring, into the op ``f(a, b)``
    without a gradient, whose results are of a dtype: by default that of the operands."""

    def make(declaration: Callable[P, Any]) -> Callable[P, Tensor]:
        name, boolean = declaration.__name__, result == BOOL
        forward = Kernel(_make_forward(scalar(f, name), bytevec if boolean else vec), f"{name}_forward")
        op = Op(name, forward, ("a", "b"), encode=_encode, stops_gradient=True, role="elementwise", kinds=kinds,
                infer=lambda a, b: (Spec(collapse(a.shape, b.shape)[0], result),), within=_within,
                extents=_EXTENTS.replace("y[", "y:?[") if boolean else _EXTENTS)  # fmt: skip
        return _of_operands(register(op), declaration)

    return make


def comparison(f: Callable[..., Any]) -> Callable[[Callable[P, Any]], Callable[P, Tensor]]:
    """Decorator: turn a body-less function, which gives the name, signature and docstring, into the op
    ``f(a, b)``, whose results are booleans."""
    return _without_gradient(f, "fib", BOOL)


@binary_function(
    lambda a, b: a + b, lambda a, b: 1.0, lambda a, b: 1.0, reads=False, linear=True, of_booleans="bitwise_or"
)
def add(x1: Any, x2: Any) -> Any:
    """``x1 + x2``, element by element.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.add([[1.0], [2.0]], [10.0, 20.0]).numpy()
    array([[11., 21.],
           [12., 22.]], dtype=float32)
    """


@binary_function(
    lambda a, b: a - b, lambda a, b: 1.0, lambda a, b: -1.0, reads=False, linear=True, of_booleans="logical_xor"
)
def subtract(x1: Any, x2: Any) -> Any:
    """``x1 - x2``, element by element.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.subtract([[1.0], [2.0]], [10.0, 20.0]).numpy()
    array([[ -9., -19.],
           [ -8., -18.]], dtype=float32)
    """


@binary_function(lambda a, b: a * b, lambda a, b: b, lambda a, b: a, linear=True, of_booleans="bitwise_and")
def multiply(x1: Any, x2: Any) -> Any:
    """``x1 * x2``, element by element.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.multiply([[1.0], [2.0]], [10.0, 20.0]).numpy()
    array([[10., 20.],
           [20., 40.]], dtype=float32)
    """


@binary_function(lambda a, b: a / b, lambda a, b: 1.0 / b, lambda a, b: -a / (b * b), linear=True, kinds="f")
def divide(x1: Any, x2: Any) -> Any:
    """``x1 / x2``, element by element; a division by 0 gives inf or NaN.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.divide([1.0, 3.0], 2.0).numpy()
    array([0.5, 1.5], dtype=float32)
    """


@binary_function(
    lambda a, b: a if a > b or a != a else b,
    lambda a, b: 1.0 if a > b else (0.5 if a == b else 0.0),
    lambda a, b: 1.0 if b > a else (0.5 if a == b else 0.0),
    kinds="fib",
)
def maximum(x1: Any, x2: Any) -> Any:
    """The larger of x1 and x2, element by element. NaN wins; where both are equal, each gets half of the gradient.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.maximum([-1.0, 2.0], 0.0).numpy()
    array([0., 2.], dtype=float32)
    """


@binary_function(
    lambda a, b: a if a < b or a != a else b,
    lambda a, b: 1.0 if a < b else (0.5 if a == b else 0.0),
    lambda a, b: 1.0 if b < a else (0.5 if a == b else 0.0),
    kinds="fib",
)
def minimum(x1: Any, x2: Any) -> Any:
    """The smaller of x1 and x2, element by element. NaN wins; where both are equal, each gets half of the gradient.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.minimum([-1.0, 2.0], 0.0).numpy()
    array([-1.,  0.], dtype=float32)
    """


POWER = binary(
    "power",
    lambda x, p: power_of(x, p),
    lambda x, p: 0.0 if p == 0.0 else p * power_of(x, p - 1.0),
    lambda x, p: power_of(x, p) * log(x) if x > 0.0 else 0.0,
    kinds="f",
)


@device
def _power_of_integers(x: Any, p: Any) -> Any:
    """x^p by squares; wraps around. It is 0 for a negative p, but for an x of 1 or -1."""
    y, base, left = np.int64(1), np.int64(x), p if p >= 0 else -p
    while left > 0:
        if left & 1:
            y = y * base
        base = base * base
        left = left >> 1
    return y if p >= 0 or x == 1 or x == -1 else np.int64(0)


def _is_whole(x: Any) -> bool:
    return isinstance(x, Tensor) and x.dtype.kind != "f"


def power(x1: Any, x2: Any) -> Tensor:
    """``x1 ** x2``, element by element; NaN where x1 is negative and x2 is not an integer.

    Parameters
    ----------
    x1, x2
        Tensors, arrays or numbers whose shapes broadcast. The gradient flows to both; that of x2 is taken as 0 where
        ``x1 <= 0``.

    Raises
    ------
    ValueError
        If the shapes do not broadcast.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.power([2.0, 3.0], 3).numpy()
    array([ 8., 27.], dtype=float32)
    """
    if isinstance(x2, (int, float)) and x2 in (0.5, 2) and not (isinstance(x2, float) and _is_whole(x1)):
        return (square if x2 == 2 else sqrt)(tensor(x1))
    x1, x2 = tensors(x1, x2)
    whole = "f" not in (x1.dtype.kind, x2.dtype.kind)
    return power_of_integers(x1, x2) if whole else apply(POWER, x1, x2)


@_without_gradient(_power_of_integers, "i")
def power_of_integers(x1: Any, x2: Any) -> Any:
    """``x1 ** x2`` of integers, element by element; it wraps around beyond 63 bits.

    Examples
    --------
    >>> import nbnet as nb
    >>> (nb.ops.convert_to_tensor([2, -3]) ** 3).numpy()
    array([  8, -27])
    """


@precise
def _remainder(a: Any, b: Any) -> Any:
    r = np.fmod(a, b)
    return r + b if r != 0.0 and (r < 0.0) != (b < 0.0) else r


@_remainder.variant("int64")
def _remainder_of_integers(a: Any, b: Any) -> Any:
    return a % b if b != 0 else 0


@precise
def _quotient(a: Any, b: Any) -> Any:
    if b == 0.0:
        return a / b
    r = np.fmod(a, b)
    q = (a - r) / b
    return np.floor((q - 1.0 if r != 0.0 and (r < 0.0) != (b < 0.0) else q) + 0.5)


@_quotient.variant("int64")
def _quotient_of_integers(a: Any, b: Any) -> Any:
    return a // b if b != 0 else 0


@binary_function(_remainder, lambda a, b: 1.0, lambda a, b: -_quotient(a, b))
def mod(x1: Any, x2: Any) -> Any:
    """The remainder of x1 after division by x2, with the sign of x2.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.mod([5.0, -1.0], 3.0).numpy()
    array([2., 2.], dtype=float32)
    """


@_without_gradient(_quotient, "fi")
def floor_divide(x1: Any, x2: Any) -> Any:
    """``x1 / x2`` rounded down; no gradient flows. Integers divided by 0 are 0.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.floor_divide([5.0, -1.0], 3.0).numpy()
    array([ 1., -1.], dtype=float32)
    """


@_without_gradient(lambda a, b: a & b, "ib")
def bitwise_and(x: Any, y: Any) -> Any:
    """``x & y`` of integers or booleans, bit by bit.

    Examples
    --------
    >>> import nbnet as nb
    >>> (nb.ops.convert_to_tensor([6, 3]) & 2).numpy()
    array([2, 2])
    """


@_without_gradient(lambda a, b: a | b, "ib")
def bitwise_or(x: Any, y: Any) -> Any:
    """``x | y`` of integers or booleans, bit by bit.

    Examples
    --------
    >>> import nbnet as nb
    >>> (nb.ops.convert_to_tensor([6, 3]) | 1).numpy()
    array([7, 3])
    """


@_without_gradient(lambda a, b: a ^ b, "ib")
def bitwise_xor(x: Any, y: Any) -> Any:
    """``x ^ y`` of integers or booleans, bit by bit.

    Examples
    --------
    >>> import nbnet as nb
    >>> (nb.ops.convert_to_tensor([6, 3]) ^ 1).numpy()
    array([7, 2])
    """


def bitwise_not(x: Any) -> Tensor:
    """``~x`` of integers, ``-x - 1``; of booleans, the other one.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.bitwise_not(nb.ops.convert_to_tensor([True, False])).numpy()
    array([False,  True])
    """
    x = exact_tensor(x)
    return bitwise_xor(x, True if x.dtype == BOOL else -1)
