"""``y = x``, in another shape."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import replace
from math import prod
from typing import Any

from nbnet.core.abi import accumulates, in_place, kernel, vec
from nbnet.core.graph import Tensor
from nbnet.core.op import Op, Shape, Spec, register
from nbnet.core.tape import apply, tensor


@kernel
def reshape_forward(mem: Any, ins: Any, step: Any) -> None:
    x, y = vec(mem, ins, 0), vec(mem, ins, 1)
    if not in_place(ins, 0, 1):
        for i in range(y.size):
            y[i] = x[i]


@kernel
def reshape_backward(mem: Any, ins: Any, step: Any) -> None:
    dy, dx = vec(mem, ins, 0), vec(mem, ins, 1)
    if accumulates(ins, 1):
        for i in range(dx.size):
            dx[i] += dy[i]
    elif not in_place(ins, 0, 1):
        for i in range(dx.size):
            dx[i] = dy[i]


def _infer(x: Tensor, shape: Shape) -> tuple[Spec, ...]:
    if prod(shape) != x.size:
        raise ValueError(f"reshape: shape {x.shape} holds {x.size} elements, {shape} would hold {prod(shape)}")
    return (Spec(shape),)


RESHAPE = register(
    Op(
        "reshape",
        reshape_forward,
        ("x",),
        infer=_infer,
        backward=reshape_backward,
        gradient=("dy", "dx"),
        reuse={"y": "x", "dx": "dy"},
    )
)
#: The same where the first axis changes: rows of y are not rows of x.
RESHAPE_BATCH = register(replace(RESHAPE, name="reshape_batch", whole_batch=True))


def reshape(x: Any, shape: int | Sequence[int]) -> Tensor:
    """The elements of x, in the same order, in another shape.

    Parameters
    ----------
    x
        Tensor or array.
    shape
        The new shape; one -1 stands for what is left.

    Raises
    ------
    ValueError
        If the numbers of elements differ.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.reshape([[1.0, 2.0], [3.0, 4.0]], (-1,)).numpy()
    array([1., 2., 3., 4.], dtype=float32)
    """
    x = tensor(x)
    wanted = tuple(operator.index(n) for n in (shape if isinstance(shape, Sequence) else (shape,)))
    if wanted.count(-1) > 1 or min(wanted, default=0) < -1:
        raise ValueError(f"shape: wants lengths from 0 and at most one -1, got {wanted}")
    known = prod(n for n in wanted if n != -1)
    left = x.size // known if known else 0
    new = tuple(left if n == -1 else n for n in wanted)
    return apply(RESHAPE if new[:1] == x.shape[:1] else RESHAPE_BATCH, x, shape=new)  # type: ignore[no-any-return]
