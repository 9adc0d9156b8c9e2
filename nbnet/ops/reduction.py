"""Sums over axes, plain and divided by the number of summands: what ``sum`` and ``mean`` are made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod
from operator import index as _index
from typing import Any, NamedTuple

import numpy as np

from nbnet.core.abi import Kernel, accumulates, attribute, device, vec
from nbnet.core.graph import Tensor
from nbnet.core.op import Op, Shape, Spec, register
from nbnet.core.tape import apply

#: Numbers added in the tensor's own dtype before they join a float64 total: float32 sums stay accurate to the last
#: digits.
BLOCK = 1024


@device
def _total(x: Any) -> Any:
    """The sum of a vector."""
    total = np.float64(0)
    for start in range(0, x.size, BLOCK):
        part = 0.0
        block = x[start : start + BLOCK]
        for j in range(block.size):
            part += block[j]
        total += part
    return total


def _make_forward(mean: bool) -> Any:
    # x is seen as (outer, n, inner) and summed over n; the attributes are n, inner and outer.
    def forward(mem: Any, ins: Any, step: Any) -> None:
        x, y = vec(mem, ins, 0), vec(mem, ins, 1)
        n, inner = attribute(ins, 0), attribute(ins, 1)
        scale = 1.0
        if mean:
            scale = 1.0 / x.dtype.type(n)
        if inner == 1:
            for o in range(attribute(ins, 2)):
                y[o] = _total(x[o * n : o * n + n]) * scale
        else:
            for o in range(attribute(ins, 2)):
                row, block = y[o * inner : o * inner + inner], x[o * n * inner :]
                row[:] = 0.0
                for k in range(n):
                    part = block[k * inner : k * inner + inner]
                    for j in range(inner):
                        row[j] += part[j]
                for j in range(inner):
                    row[j] *= scale

    return forward


def _make_backward(mean: bool) -> Any:
    def backward(mem: Any, ins: Any, step: Any) -> None:
        dy, dx = vec(mem, ins, 0), vec(mem, ins, 1)
        n, inner, add = attribute(ins, 0), attribute(ins, 1), accumulates(ins, 1)
        scale = 1.0
        if mean:
            scale = 1.0 / dx.dtype.type(n)
        if inner == 1:
            for o in range(attribute(ins, 2)):
                d, into = dy[o] * scale, dx[o * n : o * n + n]
                for j in range(n):
                    into[j] = into[j] + d if add else d
        else:
            for o in range(attribute(ins, 2)):
                row, block = dy[o * inner : o * inner + inner], dx[o * n * inner :]
                for k in range(n):
                    into = block[k * inner : k * inner + inner]
                    for j in range(inner):
                        into[j] = into[j] + row[j] * scale if add else row[j] * scale

    return backward


class Reduction(NamedTuple):
    """Two ops with the same kernels: one for axes within a row of the batch, one for axes that include the batch's."""

    within: Op
    batch: Op


def reduction(name: str, mean: bool) -> Reduction:
    """Make and register the ops of a sum (or a mean) over a run of neighbouring axes."""
    op = Op(
        name,
        Kernel(_make_forward(mean), f"{name}_forward"),
        ("x",),
        infer=lambda x, shape, n, inner: (Spec(shape),),
        backward=Kernel(_make_backward(mean), f"{name}_backward"),
        gradient=("dy", "dx"),
        encode=lambda x, shape, n, inner: (n, inner, prod(shape) // max(inner, 1)),
    )
    return Reduction(register(op), register(replace(op, name=f"{name}_batch", whole_batch=True)))


def checked_axes(axis: int | Sequence[int] | None, ndim: int) -> tuple[int, ...]:
    """Axes as sorted numbers from 0; None stands for all of them."""
    if axis is None:
        return tuple(range(ndim))
    given = [_index(k) for k in (axis if isinstance(axis, Sequence) else (axis,))]
    if any(not -ndim <= k < ndim for k in given):
        raise ValueError(f"axis: {axis} is out of range for {ndim} axes")
    axes = sorted(k % ndim for k in given)
    if len(set(axes)) != len(axes):
        raise ValueError(f"axis: {axis} names an axis twice")
    return tuple(axes)


def reduce(ops: Reduction, x: Tensor, axis: int | Sequence[int] | None, keepdims: bool) -> Tensor:
    """Apply a reduction; axes that are no neighbours are reduced one run after the other, from the last."""
    axes = checked_axes(axis, x.ndim)
    runs: list[list[int]] = []
    for k in axes:
        if runs and runs[-1][-1] == k - 1:
            runs[-1].append(k)
        else:
            runs.append([k])
    runs = runs or [[]]
    final: Shape = tuple(1 if k in axes else n for k, n in enumerate(x.shape) if keepdims or k not in axes)
    for run in reversed(runs):
        n, inner = prod(x.shape[k] for k in run), prod(x.shape[run[-1] + 1 :] if run else ())
        shape = final if run is runs[0] else tuple(1 if k in run else m for k, m in enumerate(x.shape))
        x = apply(ops.batch if 0 in run else ops.within, x, shape=shape, n=n, inner=inner)
    return x
