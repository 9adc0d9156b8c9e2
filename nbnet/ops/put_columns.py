"""``y[..., columns[j]] = x[..., j]``, 0 elsewhere: units put among others."""

from __future__ import annotations

from typing import Any

from nbnet.core.abi import accumulates, intvec, kernel, mat
from nbnet.core.graph import Tensor
from nbnet.core.op import INT, Op, Spec, register
from nbnet.core.tape import apply


@kernel
def put_columns_forward(mem: Any, ins: Any, step: Any) -> None:
    x, columns, y = mat(mem, ins, 0), intvec(mem, ins, 1), mat(mem, ins, 2)
    for i in range(y.shape[0]):
        row, into = x[i], y[i]
        for j in range(into.size):
            into[j] = 0.0
        for j in range(columns.size):
            into[columns[j]] = row[j]


@kernel
def put_columns_backward(mem: Any, ins: Any, step: Any) -> None:
    columns, dy, dx, add = intvec(mem, ins, 0), mat(mem, ins, 1), mat(mem, ins, 2), accumulates(ins, 2)
    for i in range(dx.shape[0]):
        row, into = dy[i], dx[i]
        for j in range(columns.size):
            into[j] = into[j] + row[columns[j]] if add else row[columns[j]]


def _infer(x: Tensor, columns: Tensor, size: int) -> tuple[Spec, ...]:
    if columns.dtype != INT or columns.shape != x.shape[-1:] or columns.size > size:
        raise ValueError(
            f"put_columns: wants int64 columns (k,) of {size} for x (..., k), got {columns.shape} and {x.shape}"
        )
    return (Spec((*x.shape[:-1], size)),)


PUT_COLUMNS = register(
    Op(
        "put_columns",
        put_columns_forward,
        ("x", "columns"),
        infer=_infer,
        backward=put_columns_backward,
        gradient=("columns", "dy", "dx"),
        integers=("columns",),
    )
)


def put_columns(x: Tensor, columns: Tensor, size: int) -> Tensor:
    """The units of a tensor, put at these places among zeros: what :func:`take_columns` undoes.

    Parameters
    ----------
    x
        (..., k)
    columns
        int64 (k,), different numbers from 0 to size - 1: they are not checked.
    size
        Units of the result.

    Examples
    --------
    >>> import numpy as np
    >>> import nbnet as nb
    >>> from nbnet.ops.put_columns import put_columns
    >>> put_columns(nb.tensor([[1.0, 2.0]]), nb.Tensor((2,), "int64", np.array([2, 0])), 4).numpy()
    array([[2., 0., 1., 0.]], dtype=float32)
    """
    return apply(PUT_COLUMNS, x, columns, size=size)  # type: ignore[no-any-return]
