"""``y[..., j] = x[..., columns[j]]``: some of the units."""

from __future__ import annotations

from typing import Any

from nbnet.core.abi import accumulates, intvec, kernel, mat
from nbnet.core.graph import Tensor
from nbnet.core.op import INT, Op, Spec, register
from nbnet.core.tape import apply


@kernel
def take_columns_forward(mem: Any, ins: Any, step: Any) -> None:
    x, columns, y = mat(mem, ins, 0), intvec(mem, ins, 1), mat(mem, ins, 2)
    for i in range(y.shape[0]):
        row, into = x[i], y[i]
        for j in range(columns.size):
            into[j] = row[columns[j]]


@kernel
def take_columns_backward(mem: Any, ins: Any, step: Any) -> None:
    columns, dy, dx = intvec(mem, ins, 0), mat(mem, ins, 1), mat(mem, ins, 2)
    for i in range(dx.shape[0]):
        row, into = dy[i], dx[i]
        if not accumulates(ins, 2):
            for j in range(into.size):
                into[j] = 0.0
        for j in range(columns.size):
            into[columns[j]] += row[j]


def _infer(x: Tensor, columns: Tensor) -> tuple[Spec, ...]:
    if columns.dtype != INT or columns.ndim != 1 or not x.shape:
        raise ValueError(f"take_columns: wants int64 columns (k,) of x (..., n), got {columns.shape} and {x.shape}")
    return (Spec((*x.shape[:-1], columns.size)),)


TAKE_COLUMNS = register(
    Op(
        "take_columns",
        take_columns_forward,
        ("x", "columns"),
        infer=_infer,
        backward=take_columns_backward,
        gradient=("columns", "dy", "dx"),
        integers=("columns",),
    )
)


def take_columns(x: Tensor, columns: Tensor) -> Tensor:
    """The units of a tensor that have these numbers, without the copies of :func:`nbnet.ops.take`.

    Parameters
    ----------
    x
        (..., n)
    columns
        int64 (k,), each from 0 to n - 1: they are not checked.

    Examples
    --------
    >>> import numpy as np
    >>> import nbnet as nb
    >>> from nbnet.ops.take_columns import take_columns
    >>> take_columns(nb.tensor([[1.0, 2.0, 3.0]]), nb.Tensor((2,), "int64", np.array([2, 0]))).numpy()
    array([[3., 1.]], dtype=float32)
    """
    return apply(TAKE_COLUMNS, x, columns)  # type: ignore[no-any-return]
