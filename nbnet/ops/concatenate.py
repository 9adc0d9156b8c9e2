"""``y = [x0, x1, ...]`` along an axis."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from math import prod
from typing import Any

from nbnet.core.abi import accumulates, attribute, kernel, present, vec
from nbnet.core.graph import Tensor
from nbnet.core.layout import MAX_OPERANDS
from nbnet.core.op import Op, Spec
from nbnet.core.tape import apply, tensors
from nbnet.ops.axes import checked_axis

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


def _infer(*xs: Tensor, axis: int) -> tuple[Spec, ...]:
    first = xs[0]
    for x in xs[1:]:
        if x.dtype != first.dtype:
            raise TypeError(f"concatenate: wants tensors of one float dtype, got {first.dtype} and {x.dtype}")
        if x.ndim != first.ndim or any(
            n != m for k, (n, m) in enumerate(zip(x.shape, first.shape, strict=True)) if k != axis
        ):
            raise ValueError(f"concatenate: shapes {first.shape} and {x.shape} differ elsewhere than in axis {axis}")
    return (Spec((*first.shape[:axis], sum(x.shape[axis] for x in xs), *first.shape[axis + 1 :])),)


def _encode(*xs: Tensor, axis: int) -> tuple[int, ...]:
    outer = prod(xs[0].shape[:axis])
    return (len(xs), outer, *(x.size // max(outer, 1) for x in xs))


@functools.cache
def concatenate_op(count: int, batch: bool) -> Op:
    """The op that joins ``count`` tensors; ``batch``: along the first axis, so that rows of y are not rows of the
    inputs."""
    names = tuple(f"x{k}" for k in range(count))
    return Op(
        "concatenate_batch" if batch else "concatenate",
        concatenate_forward,
        names,
        infer=_infer,
        backward=concatenate_backward,
        gradient=("dy", *(f"d{name}" for name in names)),
        encode=_encode,
        whole_batch=batch,
    )


def concatenate(xs: Sequence[Any], axis: int = 0) -> Tensor:
    """Tensors joined along an axis.

    Parameters
    ----------
    xs
        Tensors or arrays, equal in shape but for that axis.
    axis
        Where they are joined; negative ones count from the last.

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
        raise ValueError("concatenate: wants at least one tensor")
    axis = checked_axis(axis, joined[0].ndim)
    limit = MAX_OPERANDS - 1
    while True:
        groups = [joined[k : k + limit] for k in range(0, len(joined), limit)]
        joined = [apply(concatenate_op(len(group), axis == 0), *group, axis=axis) for group in groups]
        if len(joined) == 1:
            return joined[0]
