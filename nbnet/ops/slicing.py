"""Slicing and joining along an axis: cut, split, unstack, concatenate, stack and the like."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from dataclasses import replace
from math import prod
from operator import index as _index
from typing import Any

import numpy as np

from nbnet.base.loading_budget import count_steps, reserve
from nbnet.engine.graph.op import Op, Spec, register
from nbnet.engine.graph.tensor import Tensor, apply, tensor, tensors
from nbnet.engine.kernels.abi import accumulates, attribute, kernel, present, vec
from nbnet.engine.kernels.layout import MAX_OPERANDS
from nbnet.ops.reshape import checked_axis, expand_dims, reshape, squeeze


# x is seen as (outer, n, inner) and y as (outer, count, inner); the attributes are n, count, start and inner.
@kernel
def cut_forward(mem: Any, ins: Any, step: Any) -> None:
    x, y = vec(mem, ins, 0), vec(mem, ins, 1)
    n, count, start, inner = attribute(ins, 0), attribute(ins, 1), attribute(ins, 2), attribute(ins, 3)
    outer = y.size // (count * inner) if y.size else 0
    for o in range(outer):
        part, into = x[(o * n + start) * inner :], y[o * count * inner :]
        for j in range(count * inner):
            into[j] = part[j]


@kernel
def cut_backward(mem: Any, ins: Any, step: Any) -> None:
    dy, dx = vec(mem, ins, 0), vec(mem, ins, 1)
    n, count, start, inner = attribute(ins, 0), attribute(ins, 1), attribute(ins, 2), attribute(ins, 3)
    if not accumulates(ins, 1):
        dx[:] = 0.0
    outer = dy.size // (count * inner) if dy.size else 0
    for o in range(outer):
        part, d = dx[(o * n + start) * inner :], dy[o * count * inner :]
        for j in range(count * inner):
            part[j] += d[j]


def _cut_infer(x: Tensor, axis: int, start: int, count: int) -> tuple[Spec, ...]:
    if not 0 <= start <= start + count <= x.shape[axis]:
        raise ValueError(f"cut: {start} to {start + count} is no part of axis {axis} of shape {x.shape}")
    return (Spec((*x.shape[:axis], count, *x.shape[axis + 1 :])),)


def _cut_encode(x: Tensor, axis: int, start: int, count: int) -> tuple[int, ...]:
    return x.shape[axis], count, start, prod(x.shape[axis + 1 :])


CUT = register(
    Op("cut", cut_forward, ("x",), infer=_cut_infer, encode=_cut_encode, backward=cut_backward, gradient=("dy", "dx"),
       role="move", linear=True, moves_values=True,
       extents="x[outer*n*inner] y[outer*count*inner]; n count start inner",
       within=lambda sizes: sizes["start"] + sizes["count"] <= sizes["n"])
)  # fmt: skip
#: The same along the first axis, which is the batch's.
CUT_BATCH = register(replace(CUT, name="cut_batch", whole_batch=True))


def cut(x: Tensor, axis: int, start: int, count: int) -> Tensor:
    """``x[..., start : start + count, ...]`` along an axis, within its bounds.

    Examples
    --------
    >>> import nbnet as nb
    >>> from nbnet.ops.slicing import cut
    >>> cut(nb.tensor([[1.0, 2.0, 3.0]]), 1, 1, 2).numpy()
    array([[2., 3.]], dtype=float32)
    """
    if (start, count) == (0, x.shape[axis]):
        return x
    return apply(CUT if axis else CUT_BATCH, x, axis=axis, start=start, count=count)


# y is seen as (outer, n, inner) and x as (outer, count, inner); the attributes are those of cut.
@kernel
def widen_forward(mem: Any, ins: Any, step: Any) -> None:
    x, y = vec(mem, ins, 0), vec(mem, ins, 1)
    n, count, start, inner = attribute(ins, 0), attribute(ins, 1), attribute(ins, 2), attribute(ins, 3)
    y[:] = 0.0
    outer = x.size // (count * inner) if x.size else 0
    for o in range(outer):
        into, part = y[(o * n + start) * inner :], x[o * count * inner :]
        for j in range(count * inner):
            into[j] = part[j]


@kernel
def widen_backward(mem: Any, ins: Any, step: Any) -> None:
    dy, dx, add = vec(mem, ins, 0), vec(mem, ins, 1), accumulates(ins, 1)
    n, count, start, inner = attribute(ins, 0), attribute(ins, 1), attribute(ins, 2), attribute(ins, 3)
    outer = dx.size // (count * inner) if dx.size else 0
    for o in range(outer):
        d, into = dy[(o * n + start) * inner :], dx[o * count * inner :]
        for j in range(count * inner):
            into[j] = into[j] + d[j] if add else d[j]


def _widen_infer(x: Tensor, axis: int, before: int, after: int) -> tuple[Spec, ...]:
    if not 0 < axis < x.ndim or before < 0 or after < 0:
        raise ValueError(f"widen: zeros {before} before and {after} after axis {axis} do not fit shape {x.shape}")
    return (Spec((*x.shape[:axis], before + x.shape[axis] + after, *x.shape[axis + 1 :])),)


def _widen_encode(x: Tensor, axis: int, before: int, after: int) -> tuple[int, ...]:
    return before + x.shape[axis] + after, x.shape[axis], before, prod(x.shape[axis + 1 :])


WIDEN = register(
    Op("widen", widen_forward, ("x",), infer=_widen_infer, encode=_widen_encode, backward=widen_backward,
       gradient=("dy", "dx"), role="move", linear=True,
       extents="x[outer*count*inner] y[outer*n*inner]; n count start inner",
       within=lambda sizes: sizes["start"] + sizes["count"] <= sizes["n"])
)  # fmt: skip


def widen(x: Tensor, axis: int, before: int, after: int) -> Tensor:
    """``x`` with zeros before and after its elements along an axis that is not the first.

    Examples
    --------
    >>> import nbnet as nb
    >>> from nbnet.ops.slicing import widen
    >>> widen(nb.tensor([[1.0, 2.0]]), 1, 1, 2).numpy()
    array([[0., 1., 2., 0., 0.]], dtype=float32)
    """
    if before == after == 0:
        return x
    reserve(before + after, "pad")
    return apply(WIDEN, x, axis=axis, before=before, after=after)


# The number of inputs and the number of outer blocks are attributes: one pair of kernels serves any number of tensors.


@kernel
def concatenate_forward(mem: Any, ins: Any, step: Any) -> None:
    count, outer = attribute(ins, 0), attribute(ins, 1)
    y = vec(mem, ins, count)
    stride, start = y.size // max(outer, 1), 0
    for k in range(count):
        x = vec(mem, ins, k)
        n = x.size // max(outer, 1)
        for o in range(outer):
            part, into = x[o * n : o * n + n], y[o * stride + start : o * stride + start + n]
            for j in range(n):
                into[j] = part[j]
        start += n


@kernel
def concatenate_backward(mem: Any, ins: Any, step: Any) -> None:
    count, outer, dy = attribute(ins, 0), attribute(ins, 1), vec(mem, ins, 0)
    stride, start = dy.size // max(outer, 1), 0
    for k in range(count):
        n = attribute(ins, 2 + k)
        if present(ins, 1 + k):
            dx, add = vec(mem, ins, 1 + k), accumulates(ins, 1 + k)
            for o in range(outer):
                part, into = dy[o * stride + start : o * stride + start + n], dx[o * n : o * n + n]
                for j in range(n):
                    into[j] = into[j] + part[j] if add else part[j]
        start += n


def _concatenate_infer(*xs: Tensor, axis: int) -> tuple[Spec, ...]:
    first = xs[0]
    for x in xs[1:]:
        if x.ndim != first.ndim or any(
            n != m for k, (n, m) in enumerate(zip(x.shape, first.shape, strict=True)) if k != axis
        ):
            raise ValueError(f"concatenate: shapes {first.shape} and {x.shape} differ elsewhere than in axis {axis}")
    return (Spec((*first.shape[:axis], sum(x.shape[axis] for x in xs), *first.shape[axis + 1 :])),)


def _concatenate_encode(*xs: Tensor, axis: int) -> tuple[int, ...]:
    outer = prod(xs[0].shape[:axis])
    return (len(xs), outer, *(x.size // max(outer, 1) for x in xs))


@functools.cache
def concatenate_op(count: int, batch: bool) -> Op:
    """The op that joins ``count`` tensors; ``batch``: along the first axis, the batch's."""
    names = tuple(f"x{k}" for k in range(count))
    return Op(
        "concatenate_batch" if batch else "concatenate", concatenate_forward, names, infer=_concatenate_infer,
        backward=concatenate_backward, gradient=("dy", *(f"d{name}" for name in names)), encode=_concatenate_encode,
        role="move", linear=True, whole_batch=batch, kinds="fib",
        extents=f"{' '.join(f'x{k}[outer*n{k}]' for k in range(count))} y[outer*n]; count outer "
                f"{' '.join(f'n{k}' for k in range(count))}",
        within=lambda sizes: sizes["count"] == count and (
            sizes["outer"] == 0 or sum(sizes[f"n{k}"] for k in range(count)) == sizes["n"]),
    )  # fmt: skip


def concatenate(xs: Sequence[Any], axis: int | None = 0) -> Tensor:
    """Tensors joined along an axis.

    Parameters
    ----------
    xs
        Tensors or arrays, equal in shape but for that axis.
    axis
        The axis; negative ones count from the last. None joins the elements of all.

    Raises
    ------
    ValueError
        If there is no tensor, the shapes differ elsewhere, or the axis is out of range.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.concatenate([[[1.0], [2.0]], [[3.0], [4.0]]], axis=-1).numpy()
    array([[1., 3.],
           [2., 4.]], dtype=float32)
    """
    joined = list(tensors(*xs))
    if not joined:
        raise ValueError("concatenate: expected at least one tensor")
    if axis is None:
        joined, axis = [reshape(part, (-1,)) for part in joined], 0
    axis = checked_axis(axis, joined[0].ndim)
    limit = MAX_OPERANDS - 1
    while True:
        groups = [joined[k : k + limit] for k in range(0, len(joined), limit)]
        joined = [apply(concatenate_op(len(group), axis == 0), *group, axis=axis) for group in groups]
        if len(joined) == 1:
            return joined[0]


def stack(x: Sequence[Any], axis: int = 0) -> Tensor:
    """Tensors of one shape joined along a new axis.

    Raises
    ------
    ValueError
        If the shapes differ, or there is no tensor.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.stack([[1.0, 2.0], [3.0, 4.0]], axis=1).numpy()
    array([[1., 3.],
           [2., 4.]], dtype=float32)
    """
    return concatenate([expand_dims(part, axis) for part in tensors(*x)], axis)


def hstack(xs: Sequence[Any]) -> Tensor:
    """Tensors joined along the second axis, vectors along the first.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.hstack([[[1.0], [2.0]], [[3.0], [4.0]]]).numpy()
    array([[1., 3.],
           [2., 4.]], dtype=float32)
    """
    parts = tensors(*xs)
    return concatenate(parts, 0 if parts and parts[0].ndim == 1 else 1)


def vstack(xs: Sequence[Any]) -> Tensor:
    """Tensors joined along the first axis, vectors as rows.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.vstack([[1.0, 2.0], [3.0, 4.0]]).numpy()
    array([[1., 2.],
           [3., 4.]], dtype=float32)
    """
    return concatenate([expand_dims(part, 0) if part.ndim == 1 else part for part in tensors(*xs)], 0)


def split(x: Any, indices_or_sections: int | Sequence[int], axis: int = 0) -> list[Tensor]:
    """Parts of ``x`` along an axis.

    Parameters
    ----------
    x
        Tensor or array.
    indices_or_sections
        Number of equal parts, or the starts of all parts after the first.
    axis
        The axis.

    Raises
    ------
    ValueError
        If the parts would not be equal, or the axis is out of range.

    Examples
    --------
    >>> import nbnet as nb
    >>> [part.numpy().tolist() for part in nb.ops.split([1.0, 2.0, 3.0], [1])]
    [[1.0], [2.0, 3.0]]
    """
    x = tensor(x)
    axis = checked_axis(axis, x.ndim)
    n = x.shape[axis]
    if isinstance(indices_or_sections, (Sequence, np.ndarray, Tensor)):
        bounds = [min(max(k + n if k < 0 else k, 0), n) for k in map(int, np.asarray(indices_or_sections))]
    else:
        parts = _index(indices_or_sections)
        if parts < 1 or n % parts:
            raise ValueError(f"indices_or_sections: {n} elements cannot be cut in {parts} equal parts")
        count_steps(parts, "split")
        bounds = list(range(n // parts, n, n // parts)) if n else []
    edges = [0, *bounds, n]
    return [cut(x, axis, a, max(b - a, 0)) for a, b in itertools.pairwise(edges)]


def unstack(x: Any, num: int | None = None, axis: int = 0) -> list[Tensor]:
    """The elements of ``x`` along an axis, without that axis.

    Parameters
    ----------
    x
        Tensor or array.
    num
        Their expected number; None for no check.
    axis
        The axis.

    Examples
    --------
    >>> import nbnet as nb
    >>> [part.numpy().tolist() for part in nb.ops.unstack([[1.0, 2.0], [3.0, 4.0]], axis=1)]
    [[1.0, 3.0], [2.0, 4.0]]
    """
    x = tensor(x)
    axis = checked_axis(axis, x.ndim)
    if num is not None and num != x.shape[axis]:
        raise ValueError(f"num: axis {axis} has {x.shape[axis]} parts, got {num}")
    return [squeeze(part, axis) for part in split(x, x.shape[axis], axis)] if x.shape[axis] else []
