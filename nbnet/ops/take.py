"""``y[i] = x[rows[i]]``: rows of a tensor by number."""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from nbnet.core.abi import accumulates, attribute, intvec, kernel, vec
from nbnet.core.graph import Tensor
from nbnet.core.op import INT, Op, Spec, register
from nbnet.core.parameter import Parameter
from nbnet.core.tape import apply, tensor

# Attributes: the number of rows of x and the elements in one. Row numbers that have a value are checked before they
# get here; one that is out of range all the same reads as NaN and gets no gradient.


@kernel
def take_forward(mem: Any, ins: Any, step: Any) -> None:
    x, rows, y = vec(mem, ins, 0), intvec(mem, ins, 1), vec(mem, ins, 2)
    n, inner = attribute(ins, 0), attribute(ins, 1)
    for i in range(rows.size):
        r = rows[i] + n if rows[i] < 0 else rows[i]
        into = y[i * inner : i * inner + inner]
        if r >= 0 and r < n:
            row = x[r * inner : r * inner + inner]
            for j in range(inner):
                into[j] = row[j]
        else:
            into[:] = np.nan


@kernel
def take_backward(mem: Any, ins: Any, step: Any) -> None:
    rows, dy, dx = intvec(mem, ins, 0), vec(mem, ins, 1), vec(mem, ins, 2)
    n, inner = attribute(ins, 0), attribute(ins, 1)
    if not accumulates(ins, 2):
        dx[:] = 0.0
    for i in range(rows.size):
        r = rows[i] + n if rows[i] < 0 else rows[i]
        if r >= 0 and r < n:
            row, into = dy[i * inner : i * inner + inner], dx[r * inner : r * inner + inner]
            for j in range(inner):
                into[j] += row[j]


def _infer(x: Tensor, rows: Tensor) -> tuple[Spec, ...]:
    if rows.dtype != INT:
        raise TypeError(f"take: row numbers are int64, got a tensor of {rows.dtype}")
    if not x.shape:
        raise ValueError("rows: a tensor without axes has no rows")
    return (Spec((*rows.shape, *x.shape[1:])),)


TAKE = register(
    Op(
        "take",
        take_forward,
        ("x", "rows"),
        infer=_infer,
        backward=take_backward,
        gradient=("rows", "dy", "dx"),
        encode=lambda x, rows: (x.shape[0], prod(x.shape[1:])),
        integers=("rows",),
    )
)
#: The same for an x that is no parameter: its rows may be those of the batch.
TAKE_BATCH = register(replace(TAKE, name="take_batch", whole_batch=True))


def _numbers(rows: Any, n: int) -> Tensor:
    """Row numbers as an int64 tensor, checked against the number of rows where they have a value."""
    if isinstance(rows, Tensor):
        if rows.dtype != INT:
            raise TypeError(f"rows: row numbers are int64, got a tensor of {rows.dtype}")
        values, made = rows.data, rows
    else:
        if isinstance(rows, slice):
            rows = np.arange(*rows.indices(n))
        elif rows is None or rows is Ellipsis or isinstance(rows, tuple):
            raise TypeError(
                f"rows: wants an integer, a slice, or a list or array of integers or booleans, got {rows!r}"
            )
        array = np.asarray(rows)
        if array.dtype == np.bool_ and array.ndim:
            if array.shape != (n,):
                raise IndexError(f"rows: a mask of shape {array.shape} does not select from {n} rows")
            array = np.flatnonzero(array)
        elif array.size == 0 and array.dtype.kind == "f" and isinstance(rows, list):
            array = array.astype(INT)
        elif array.dtype.kind not in "iu":
            raise TypeError(f"rows: row numbers are integers, got {array.dtype}")
        values = np.array(array, INT, order="C")
        made = Tensor(values.shape, INT, values)
    if values is not None and values.size and not (-n <= values.min() and values.max() < n):
        wrong = values[(values < -n) | (values >= n)].reshape(-1)[0]
        raise IndexError(f"rows: {wrong} is out of range for {n} rows")
    return made


def take_rows(x: Any, rows: Any) -> Tensor:
    """Rows of a tensor.

    Parameters
    ----------
    x
        (n, ...)
    rows
        An integer, a slice, a list or array of integers of any shape, a mask of n booleans, or an int64 tensor.
        Negative numbers count from the last row. A row may be taken several times: its gradient is the sum.

    Returns
    -------
    Tensor of shape ``rows.shape + x.shape[1:]``.

    Raises
    ------
    IndexError
        If a number is out of range.
    TypeError
        If rows are no integers.

    Examples
    --------
    >>> from nbnet.ops.take import take_rows
    >>> take_rows([[1.0, 2.0], [3.0, 4.0]], [1, -1, 0]).numpy()
    array([[3., 4.],
           [3., 4.],
           [1., 2.]], dtype=float32)
    """
    x = tensor(x)
    if not x.shape:
        raise ValueError("rows: a tensor without axes has no rows")
    return apply(TAKE if isinstance(x, Parameter) else TAKE_BATCH, x, _numbers(rows, x.shape[0]))  # type: ignore[no-any-return]
