"""``y[i_a, i_b, ...] = x[i_0, i_1, ...]``: the axes in another order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from nbnet.core.abi import accumulates, attribute, device, kernel, vec
from nbnet.core.graph import Tensor
from nbnet.core.op import Op, Spec, register
from nbnet.core.tape import apply

#: Most axes a tensor may have. Attributes: lengths of y's axes, then x's strides along them.
AXES = 6
#: Side of the squares that are turned one by one where x is not read along rows: two fit in the innermost cache.
TILE = 16


@device
def _second(ins: Any) -> Any:
    """The axis of y that is walked together with its last: along which neighbours in x lie, if not along the last."""
    found = AXES - 2
    if attribute(ins, 2 * AXES - 1) != 1:
        for axis in range(AXES - 1):
            if attribute(ins, AXES + axis) == 1 and attribute(ins, axis) > 1:
                found = axis
    return found


@device
def _stride(ins: Any, axis: Any) -> Any:
    """That of y along an axis."""
    stride = 1
    for k in range(axis + 1, AXES):
        stride *= attribute(ins, k)
    return stride


@device
def _corner(ins: Any, number: Any, second: Any) -> Any:
    """Where in x and in y the matrix of this number begins: one for each index of the axes that it does not have."""
    at_x, at_y, stride = 0, 0, attribute(ins, AXES - 1)
    for axis in range(AXES - 2, -1, -1):
        n = attribute(ins, axis)
        if axis != second:
            at_x += number % n * attribute(ins, AXES + axis)
            at_y += number % n * stride
            number //= n
        stride *= n
    return at_x, at_y


# Indices that have no sign are not asked whether they count from the end.


@device
def lay(x: Any, down: Any, right: Any, y: Any, rows: Any, columns: Any, stride: Any) -> None:
    """``y[i * stride + j] = x[i * down + j * right]``"""
    if right == 1:
        for i in range(rows):
            row, into = x[i * down : i * down + columns], y[i * stride : i * stride + columns]
            for j in range(columns):
                into[j] = row[j]
    else:
        for i0 in range(0, rows, TILE):
            for j0 in range(0, columns, TILE):
                for i in range(i0, min(i0 + TILE, rows)):
                    for j in range(j0, min(j0 + TILE, columns)):
                        y[np.uint64(i * stride + j)] = x[np.uint64(i * down + j * right)]


@device
def lay_back(dy: Any, stride: Any, dx: Any, down: Any, right: Any, rows: Any, columns: Any, add: bool) -> None:
    """``dx[i * down + j * right] (+)= dy[i * stride + j]``"""
    if right == 1:
        for i in range(rows):
            row, into = dy[i * stride : i * stride + columns], dx[i * down : i * down + columns]
            for j in range(columns):
                into[j] = into[j] + row[j] if add else row[j]
    else:
        for j0 in range(0, columns, TILE):
            for i0 in range(0, rows, TILE):
                for j in range(j0, min(j0 + TILE, columns)):
                    for i in range(i0, min(i0 + TILE, rows)):
                        at, d = np.uint64(i * down + j * right), dy[np.uint64(i * stride + j)]
                        dx[at] = dx[at] + d if add else d


@kernel
def permute_forward(mem: Any, ins: Any, step: Any) -> None:
    x, y, columns, right = vec(mem, ins, 0), vec(mem, ins, 1), attribute(ins, AXES - 1), attribute(ins, 2 * AXES - 1)
    second = _second(ins)
    rows, down, stride = attribute(ins, second), attribute(ins, AXES + second), _stride(ins, second)
    for number in range(y.size // max(rows * columns, 1)):
        at_x, at_y = _corner(ins, number, second)
        lay(x[at_x:], down, right, y[at_y:], rows, columns, stride)


@kernel
def permute_backward(mem: Any, ins: Any, step: Any) -> None:
    dy, dx, columns, right = vec(mem, ins, 0), vec(mem, ins, 1), attribute(ins, AXES - 1), attribute(ins, 2 * AXES - 1)
    second, add = _second(ins), accumulates(ins, 1)
    rows, down, stride = attribute(ins, second), attribute(ins, AXES + second), _stride(ins, second)
    for number in range(dy.size // max(rows * columns, 1)):
        at_x, at_y = _corner(ins, number, second)
        lay_back(dy[at_y:], stride, dx[at_x:], down, right, rows, columns, add)


def _infer(x: Tensor, axes: Sequence[int]) -> tuple[Spec, ...]:
    return (Spec(tuple(x.shape[a] for a in axes)),)


def _encode(x: Tensor, axes: Sequence[int]) -> tuple[int, ...]:
    spare = AXES - x.ndim
    return *[1] * spare, *(x.shape[a] for a in axes), *[0] * spare, *(prod(x.shape[a + 1 :]) for a in axes)


PERMUTE = register(
    Op(
        "permute",
        permute_forward,
        ("x",),
        infer=_infer,
        backward=permute_backward,
        gradient=("dy", "dx"),
        encode=_encode,
    )
)
#: The same where the first axis moves: rows of y are not rows of x.
PERMUTE_BATCH = register(replace(PERMUTE, name="permute_batch", whole_batch=True))


def permute(x: Tensor, axes: Sequence[int]) -> Tensor:
    """x with its axes in the order ``axes``; what :func:`nbnet.ops.transpose` is given axes for."""
    wanted = tuple(axes)
    if len(wanted) != x.ndim or sorted(a % x.ndim for a in wanted if -x.ndim <= a < x.ndim) != list(range(x.ndim)):
        raise ValueError(f"axes: wants each axis of a tensor of shape {x.shape} once, got {axes!r}")
    if x.ndim > AXES:
        raise ValueError(f"axes: a tensor of at most {AXES} axes can be transposed, got shape {x.shape}")
    order = tuple(a % x.ndim for a in wanted)
    return apply(PERMUTE if order[0] == 0 else PERMUTE_BATCH, x, axes=order)  # type: ignore[no-any-return]
