"""``y[j, i] = x[i, j]``; for more axes than two see ``permute.py``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nbnet.core.abi import accumulates, device, kernel, mat
from nbnet.core.graph import Tensor
from nbnet.core.op import Op, Spec, register
from nbnet.core.tape import apply, tensor
from nbnet.ops.permute import permute

#: Side of the squares that are turned one by one: two of them fit in the innermost cache.
TILE = 16


@device
def _turn(x: Any, y: Any, add: bool) -> None:
    rows, columns = y.shape
    for i0 in range(0, rows, TILE):
        for j0 in range(0, columns, TILE):
            for i in range(i0, min(i0 + TILE, rows)):
                for j in range(j0, min(j0 + TILE, columns)):
                    y[i, j] = y[i, j] + x[j, i] if add else x[j, i]


@kernel
def transpose_forward(mem: Any, ins: Any, step: Any) -> None:
    _turn(mat(mem, ins, 0), mat(mem, ins, 1), False)


@kernel
def transpose_backward(mem: Any, ins: Any, step: Any) -> None:
    _turn(mat(mem, ins, 0), mat(mem, ins, 1), accumulates(ins, 1))


def _infer(x: Tensor) -> tuple[Spec, ...]:
    if x.ndim != 2:
        raise ValueError(f"transpose: wants a matrix, got shape {x.shape}")
    return (Spec((x.shape[1], x.shape[0])),)


TRANSPOSE = register(
    Op(
        "transpose",
        transpose_forward,
        ("x",),
        infer=_infer,
        backward=transpose_backward,
        gradient=("dy", "dx"),
        whole_batch=True,
    )
)


def transpose(x: Any, axes: Sequence[int] | None = None) -> Tensor:
    """The axes of a tensor in another order.

    Parameters
    ----------
    x
        Tensor or array of at most 6 axes.
    axes
        For each axis of the result, which axis of x it is; None for the reverse order.

    Raises
    ------
    ValueError
        If axes do not name each axis once.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.transpose([[1.0, 2.0]]).numpy()
    array([[1.],
           [2.]], dtype=float32)
    """
    x = tensor(x)
    if x.ndim == 2 and (axes is None or tuple(axes) == (1, 0)):
        return apply(TRANSPOSE, x)  # type: ignore[no-any-return]
    return permute(x, range(x.ndim)[::-1] if axes is None else axes) if x.shape else x
