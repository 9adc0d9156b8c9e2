"""``y[i_a, i_b, ...] = x[i_0, i_1, ...]``: the axes in another order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod
from typing import Any

from nbnet.core.abi import accumulates, attribute, device, kernel, vec
from nbnet.core.graph import Tensor
from nbnet.core.op import Op, Spec, register
from nbnet.core.tape import apply

#: Most axes a tensor may have. Attributes: lengths of y's axes, then x's strides along them.
AXES = 6


@device
def _start(ins: Any, row: Any) -> Any:
    """Where in x the elements of a row of y begin."""
    at = 0
    for axis in range(AXES - 2, -1, -1):
        n = attribute(ins, axis)
        at += row % n * attribute(ins, AXES + axis)
        row //= n
    return at


@kernel
def permute_forward(mem: Any, ins: Any, step: Any) -> None:
    x, y, n, stride = vec(mem, ins, 0), vec(mem, ins, 1), attribute(ins, AXES - 1), attribute(ins, 2 * AXES - 1)
    for row in range(y.size // max(n, 1)):
        source, into = x[_start(ins, row) :], y[row * n : row * n + n]
        for j in range(n):
            into[j] = source[j * stride]


@kernel
def permute_backward(mem: Any, ins: Any, step: Any) -> None:
    dy, dx, n, stride = vec(mem, ins, 0), vec(mem, ins, 1), attribute(ins, AXES - 1), attribute(ins, 2 * AXES - 1)
    add = accumulates(ins, 1)
    for row in range(dy.size // max(n, 1)):
        part, into = dy[row * n : row * n + n], dx[_start(ins, row) :]
        for j in range(n):
            into[j * stride] = into[j * stride] + part[j] if add else part[j]


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
