"""``y = x[..., start:stop, ...]``: a run of elements along one axis."""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import Any

from nbnet.core.abi import accumulates, attribute, kernel, vec
from nbnet.core.graph import Tensor
from nbnet.core.op import Op, Spec, register
from nbnet.core.tape import apply


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


def _infer(x: Tensor, axis: int, start: int, count: int) -> tuple[Spec, ...]:
    return (Spec((*x.shape[:axis], count, *x.shape[axis + 1 :])),)


def _encode(x: Tensor, axis: int, start: int, count: int) -> tuple[int, ...]:
    return x.shape[axis], count, start, prod(x.shape[axis + 1 :])


CUT = register(
    Op("cut", cut_forward, ("x",), infer=_infer, encode=_encode, backward=cut_backward, gradient=("dy", "dx"))
)
#: The same along the first axis, which is the batch's.
CUT_BATCH = register(replace(CUT, name="cut_batch", whole_batch=True))


def cut(x: Tensor, axis: int, start: int, count: int) -> Tensor:
    """``count`` elements along an axis, from ``start`` on; both fit the axis.

    Examples
    --------
    >>> import nbnet as nb
    >>> from nbnet.ops.cut import cut
    >>> cut(nb.tensor([[1.0, 2.0, 3.0]]), 1, 1, 2).numpy()
    array([[2., 3.]], dtype=float32)
    """
    if (start, count) == (0, x.shape[axis]):
        return x
    return apply(CUT if axis else CUT_BATCH, x, axis=axis, start=start, count=count)  # type: ignore[no-any-return]
