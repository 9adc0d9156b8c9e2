"""Element-wise ops of two tensors with NumPy's broadcasting: ``y = f(a, b)``, made from scalar functions."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from nbnet.core.abi import Function, Kernel, accumulates, attribute, device, present, vec
from nbnet.core.graph import Tensor
from nbnet.core.op import Op, Shape, Spec, register

#: Axes a kernel walks, after neighbours with one pattern of broadcasting are joined.
AXES = 4
# Attributes: lengths of the axes, strides of a, strides of b; in elements, and 0 where the operand is broadcast.
A_STRIDES, B_STRIDES = AXES, 2 * AXES


@functools.lru_cache(1024)
def collapse(a: Shape, b: Shape) -> tuple[Shape, tuple[int, ...]]:
    """The shape two shapes broadcast to, and the attributes that tell kernels how to walk it.

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
    axes: list[list[int]] = []  # length, whether a moves along it, whether b does
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
    """Where the row (i0, i1, i2) begins in an operand."""
    return i0 * attribute(ins, strides) + i1 * attribute(ins, strides + 1) + i2 * attribute(ins, strides + 2)


def _make_forward(f: Function) -> Any:
    def forward(mem: Any, ins: Any, step: Any) -> None:
        a, b, y = vec(mem, ins, 0), vec(mem, ins, 1), vec(mem, ins, 2)
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

    What is to be added to is read even if it is then overwritten: a loop that reads in some cases only would not be
    vectorised.
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


def _infer(a: Tensor, b: Tensor) -> tuple[Spec, ...]:
    if a.dtype != b.dtype:
        raise TypeError(f"wants two tensors of one float dtype, got {a.dtype} and {b.dtype}")
    return (Spec(collapse(a.shape, b.shape)[0]),)


def _encode(a: Tensor, b: Tensor) -> tuple[int, ...]:
    return collapse(a.shape, b.shape)[1]


def comparison(name: str, f: Function) -> Op:
    """Make and register a broadcasting op of two tensors through which no gradient flows.

    Parameters
    ----------
    f
        Device function of (a, b).
    """
    forward = Kernel(_make_forward(f), f"{name}_forward")
    return register(Op(name, forward, ("a", "b"), infer=_infer, encode=_encode, stops_gradient=True))


def binary(name: str, f: Function, da: Function, db: Function, *, reads: bool = True) -> Op:
    """Make and register a broadcasting op of two tensors.

    Parameters
    ----------
    f, da, db
        Device functions of (a, b): the value, and its derivatives by a and by b.
    reads
        Whether the derivatives depend on a or b at all.
    """
    return register(
        Op(
            name,
            Kernel(_make_forward(f), f"{name}_forward"),
            ("a", "b"),
            infer=_infer,
            backward=Kernel(_make_backward(da, db, reads), f"{name}_backward"),
            gradient=("dy", "da", "db", *(["a", "b"] if reads else [])),
            encode=_encode,
        )
    )
