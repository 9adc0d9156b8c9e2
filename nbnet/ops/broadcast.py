"""Element-wise ops of two tensors with NumPy's broadcasting, made from scalar functions: ``y = f(a, b)`` and its two derivatives."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from nbnet.core.abi import Function, Kernel, accumulates, attribute, device, present, vec
from nbnet.core.graph import Tensor
from nbnet.core.op import Op, Shape, Spec, register

#: Axes a kernel walks, after neighbours with one pattern of broadcasting are joined.
AXES = 4
# Attributes: the lengths of the axes, then the strides of a, then those of b, in elements; 0 where the operand is broadcast.
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
    ((8, 4, 3), (1, 1, 32, 3, 0, 0, 3, 1, 0, 0, 0, 1))
    """
    try:
        shape = np.broadcast_shapes(a, b)
    except ValueError:
        raise ValueError(f"shapes {a} and {b} do not broadcast: aligned from the right, two axes are equal or one of them is 1") from None
    padded = [(1,) * (len(shape) - len(s)) + s for s in (a, b)]
    axes: list[list[int]] = []  # length, whether a moves along it, whether b does
    for n, *own in zip(shape, *padded, strict=True):
        moves = [int(m == n) for m in own]
        if axes and axes[-1][1:] == moves:
            axes[-1][0] *= n
        elif n != 1:
            axes.append([n, *moves])
    if len(axes) > AXES:
        raise ValueError(f"shapes {a} and {b} alternate between broadcast and other axes: more than {AXES} runs; reshape or transpose them first")
    axes = [[1, 1, 1]] * (AXES - len(axes)) + axes
    strides = []
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


def _make_gradient(g: Function, own: int, other: int) -> Function:
    """``dx (+)= dy * g(x, z)``, summed over the axes along which x is broadcast; ``own`` and ``other`` say where the strides of x and z stand."""

    def gradient(ins: Any, x: Any, z: Any, dy: Any, dx: Any, add: bool) -> None:
        if not add and dx.size != dy.size:
            dx[:] = 0.0
            add = True
        n, start = attribute(ins, AXES - 1), 0
        for i0 in range(attribute(ins, 0)):
            for i1 in range(attribute(ins, 1)):
                for i2 in range(attribute(ins, 2)):
                    at = _start(ins, own, i0, i1, i2)
                    u, v, into = x[at:], z[_start(ins, other, i0, i1, i2) :], dx[at:]
                    row = dy[start : start + n]
                    start += n
                    if attribute(ins, own + AXES - 1) == 0:
                        c, total = u[0], 0.0
                        for j in range(n):
                            total += row[j] * g(c, v[j])
                        into[0] += total
                    elif attribute(ins, other + AXES - 1) == 0:
                        c = v[0]
                        for j in range(n):
                            into[j] = into[j] + row[j] * g(u[j], c) if add else row[j] * g(u[j], c)
                    else:
                        for j in range(n):
                            into[j] = into[j] + row[j] * g(u[j], v[j]) if add else row[j] * g(u[j], v[j])

    return Function(gradient)


def _make_backward(da: Function, db: Function, reads: bool) -> Any:
    def swapped(b: Any, a: Any) -> Any:
        return db(a, b)

    to_a, to_b = _make_gradient(da, A_STRIDES, B_STRIDES), _make_gradient(Function(swapped), B_STRIDES, A_STRIDES)

    # One gradient after the other: in x * x both are one tensor. Where the derivatives read no operand, dy stands in for them.
    def backward(mem: Any, ins: Any, step: Any) -> None:
        dy = vec(mem, ins, 0)
        a, b = dy, dy
        if reads:
            a, b = vec(mem, ins, 3), vec(mem, ins, 4)
        if present(ins, 1):
            to_a(ins, a, b, dy, vec(mem, ins, 1), accumulates(ins, 1))
        if present(ins, 2):
            to_b(ins, b, a, dy, vec(mem, ins, 2), accumulates(ins, 2))

    return backward


def _infer(a: Tensor, b: Tensor) -> tuple[Spec, ...]:
    if a.dtype != b.dtype:
        raise TypeError(f"wants two tensors of one float dtype, got {a.dtype} and {b.dtype}")
    return (Spec(collapse(a.shape, b.shape)[0]),)


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
            encode=lambda a, b: collapse(a.shape, b.shape)[1],
        )
    )
