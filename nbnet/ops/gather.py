"""Rows and columns of a tensor by number: take_rows and embedding, take_columns and put_columns."""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from nbnet.engine.graph.op import BOOL, INT, Op, Spec, register
from nbnet.engine.graph.parameter import Parameter
from nbnet.engine.graph.tensor import Tensor, apply, tensor, tensors
from nbnet.engine.jit.linker import Function, Kernel, device, kernel
from nbnet.engine.kernels.abi import accumulates, attribute, intvec, mat, vec
from nbnet.ops.constants import arange

# ---- rows ----------------------------------------------------------------------------------------------------
# Attributes: the number of rows of x, or of a table, and the elements in one. Row numbers that have a value are checked
# before they get here; any other that is out of range reads as NaN and gets no gradient.


@device
def _from_end(number: Any, n: Any) -> Any:
    return number + n if number < 0 else number


@device
def _exact(number: Any, n: Any) -> Any:
    return number


@device
def _rounded(number: Any, n: Any) -> Any:
    # Numbers that stand for no integer, NaN and infinities among them, are -1.
    return np.int64(number + 0.5) if number > -0.5 and number < 9007199254740992.0 else np.int64(-1)


def _rows_op(name: str, inputs: tuple[str, str], view: Any, index: Function, **fields: Any) -> Op:
    def forward(mem: Any, ins: Any, step: Any) -> None:
        x, rows, y = vec(mem, ins, 0), view(mem, ins, 1), vec(mem, ins, 2)
        n, width = attribute(ins, 0), attribute(ins, 1)
        for i in range(rows.size):
            k, into = index(rows[i], n), y[i * width : i * width + width]
            if k >= 0 and k < n:
                row = x[k * width : k * width + width]
                for j in range(width):
                    into[j] = row[j]
            else:
                into[:] = np.nan

    def backward(mem: Any, ins: Any, step: Any) -> None:
        rows, dy, dx = view(mem, ins, 0), vec(mem, ins, 1), vec(mem, ins, 2)
        n, width = attribute(ins, 0), attribute(ins, 1)
        if not accumulates(ins, 2):
            dx[:] = 0.0
        for i in range(rows.size):
            k = index(rows[i], n)
            if k >= 0 and k < n:
                row, into = dy[i * width : i * width + width], dx[k * width : k * width + width]
                for j in range(width):
                    into[j] += row[j]

    x, rows = inputs
    return register(
        Op(name, Kernel(forward, f"{name}_forward"), inputs, backward=Kernel(backward, f"{name}_backward"),
           gradient=(rows, "dy", f"d{x}"), encode=lambda x, rows: (x.shape[0], prod(x.shape[1:])), role="lookup",
           linear=True, extents=f"{x}[n*width] {rows}{'' if view is vec else ':i8'}[r] y[r*width]; n width", **fields)
    )  # fmt: skip


def _infer_take(x: Tensor, rows: Tensor) -> tuple[Spec, ...]:
    if rows.dtype != INT:
        raise TypeError(f"take: row numbers are int64, got a tensor of {rows.dtype}")
    if not x.shape:
        raise ValueError("rows: a tensor without axes has no rows")
    return (Spec((*rows.shape, *x.shape[1:])),)


def _infer_embedding(w: Tensor, ids: Tensor) -> tuple[Spec, ...]:
    if w.ndim != 2:
        raise ValueError(f"embedding: expected a table (rows, units), got shape {w.shape}")
    return (Spec((*ids.shape, w.shape[1])),)


TAKE = _rows_op("take", ("x", "rows"), intvec, _from_end, infer=_infer_take, integers=("rows",), moves_values=True)
#: The same for an x that is no parameter: its rows may be those of the batch.
TAKE_BATCH = register(replace(TAKE, name="take_batch", role="move", whole_batch=True))
EMBEDDING = _rows_op("embedding", ("w", "ids"), intvec, _exact, infer=_infer_embedding, integers=("ids",))
EMBEDDING_FLOAT = _rows_op("embedding_float", ("w", "ids"), vec, _rounded, infer=_infer_embedding)
#: The same where numbers out of range are no error: they read as NaN.
ROWS_OR_NAN = register(replace(EMBEDDING, name="rows_or_nan", role="other"))
ROWS_OR_NAN_FLOAT = register(replace(EMBEDDING_FLOAT, name="rows_or_nan_float", role="other"))


def _numbers(rows: Any, n: int) -> Tensor:
    """Row numbers as an int64 tensor, checked against the number of rows where they have a value."""
    if isinstance(rows, Tensor) and rows.dtype == BOOL and rows.data is not None:
        rows = rows.data
    if isinstance(rows, Tensor):
        if rows.dtype == BOOL:
            raise TypeError("rows: in a model, a mask selects an unknown number of rows; use nbnet.ops.where")
        if rows.dtype != INT:
            raise TypeError(f"rows: row numbers are int64, got a tensor of {rows.dtype}")
        values, made = rows.data, rows
    else:
        if isinstance(rows, slice):
            rows = arange(*rows.indices(n), "take")
        elif rows is None or rows is Ellipsis or isinstance(rows, tuple):
            raise TypeError(
                f"rows: expected an integer, a slice, or a list or array of integers or booleans, got {rows!r}"
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
        if array.dtype == np.uint64 and array.max(initial=0) >= 1 << 63:  # It would become negative.
            raise IndexError(f"rows: {array.max()} is out of range for {n} rows")
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
    >>> from nbnet.ops.index import take_rows
    >>> take_rows([[1.0, 2.0], [3.0, 4.0]], [1, -1, 0]).numpy()
    array([[3., 4.],
           [3., 4.],
           [1., 2.]], dtype=float32)
    """
    x = tensor(x)
    if not x.shape:
        raise ValueError("rows: a tensor without axes has no rows")
    return apply(TAKE if isinstance(x, Parameter) else TAKE_BATCH, x, _numbers(rows, x.shape[0]))


def check_ids(ids: Any, rows: int) -> None:
    """Raise ValueError unless all numbers are rows of a table of ``rows`` rows."""
    values = np.asarray(ids)
    whole = values.dtype.kind in "iub" or bool(np.all(np.isfinite(values)) and np.all(values == np.rint(values)))
    if not whole:
        raise ValueError("ids: expected whole numbers")
    if values.size and not (values.min() >= 0 and values.max() < rows):
        wrong = values[(values < 0) | (values >= rows)].reshape(-1)[0]
        raise ValueError(f"ids: {wrong:.0f} is out of range for a table of {rows} rows, 0 to {rows - 1}")


def embedding(ids: Any, table: Any) -> Tensor:
    """Rows of a table. A row may be taken several times: its gradient is the sum.

    Parameters
    ----------
    ids
        Whole numbers from 0: integers, an int64 tensor, or a float tensor (float32 holds each integer up to 2**24).
    table
        (rows, units)

    Returns
    -------
    Tensor of shape ``ids.shape + (units,)``. In a program, where numbers are not known beforehand, one that is out of
    range gives NaN.

    Raises
    ------
    ValueError
        If a number is known and out of range, or the table has more rows than a float tensor can tell apart.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.embedding([[1, 0, 1]], [[0.0, 0.5], [1.0, 1.5]]).numpy()
    array([[[1. , 1.5],
            [0. , 0.5],
            [1. , 1.5]]], dtype=float32)
    """
    w = tensor(table)
    rows = w.shape[0] if w.shape else 0
    if not isinstance(ids, Tensor):
        check_ids(ids, rows)
        values = np.array(ids, INT, order="C")
        ids = Tensor(values.shape, INT, values)
    elif ids.data is not None:
        check_ids(ids.data, rows)
    if ids.dtype == INT:
        return apply(EMBEDDING, w, ids)
    if ids.dtype == np.float32 and rows > 1 << 24:
        raise ValueError(f"ids: float32 tells apart integers up to 2**24, the table has {rows} rows; use int64")
    return apply(EMBEDDING_FLOAT, *tensors(w, ids))


def rows_or_nan(ids: Tensor, table: Any) -> Tensor:
    """Rows of a table, and NaN for numbers that are out of range.

    Examples
    --------
    >>> import nbnet as nb
    >>> from nbnet.ops.gather import rows_or_nan
    >>> rows_or_nan(nb.tensor([1.0, 2.0]), [[1.0], [2.0]]).numpy().ravel()
    array([ 2., nan], dtype=float32)
    """
    return apply(ROWS_OR_NAN if ids.dtype == INT else ROWS_OR_NAN_FLOAT, tensor(table), ids)


# ---- columns -------------------------------------------------------------------------------------------------


# Numbers are checked where they are known. If any is out of range all the same, the result is NaN and no gradient
# flows.


@device
def _are_columns(columns: Any, n: Any) -> Any:
    """True if all numbers are those of n columns."""
    wrong = 0
    for j in range(columns.size):
        wrong += 1 if columns[j] < 0 or columns[j] >= n else 0
    return wrong == 0


@kernel
def take_columns_forward(mem: Any, ins: Any, step: Any) -> None:
    x, columns, y = mat(mem, ins, 0), intvec(mem, ins, 1), mat(mem, ins, 2)
    if not _are_columns(columns, x.shape[1]):
        vec(mem, ins, 2)[:] = np.nan
        return
    for i in range(y.shape[0]):
        row, into = x[i], y[i]
        for j in range(columns.size):
            into[j] = row[columns[j]]


@kernel
def take_columns_backward(mem: Any, ins: Any, step: Any) -> None:
    columns, dy, dx = intvec(mem, ins, 0), mat(mem, ins, 1), mat(mem, ins, 2)
    known = columns.size if _are_columns(columns, dx.shape[1]) else 0
    for i in range(dx.shape[0]):
        row, into = dy[i], dx[i]
        if not accumulates(ins, 2):
            for j in range(into.size):
                into[j] = 0.0
        for j in range(known):
            into[columns[j]] += row[j]


def _check_columns(columns: Tensor, n: int) -> None:
    """Raise ValueError unless all numbers that are known are those of n columns."""
    # As unsigned integers, negative numbers are large: one pass finds both kinds.
    if columns.data is not None and columns.size and columns.data.view(np.uint64).max() >= n:
        wrong = next(k for k in columns.data.tolist() if not 0 <= k < n)
        raise ValueError(f"columns: {wrong} is out of range for {n} units, 0 to {n - 1}")


def _infer_take_columns(x: Tensor, columns: Tensor) -> tuple[Spec, ...]:
    if columns.dtype != INT or columns.ndim != 1 or not x.shape:
        raise ValueError(f"take_columns: expected int64 columns (k,) of x (..., n), got {columns.shape} and {x.shape}")
    _check_columns(columns, x.shape[-1])
    return (Spec((*x.shape[:-1], columns.size)),)


TAKE_COLUMNS = register(
    Op("take_columns", take_columns_forward, ("x", "columns"), infer=_infer_take_columns,
       backward=take_columns_backward, gradient=("columns", "dy", "dx"), role="move", linear=True,
       integers=("columns",), extents="x[r,n] columns:i8[k] y[r,k]")
)  # fmt: skip


def take_columns(x: Tensor, columns: Tensor) -> Tensor:
    """``y[..., j] = x[..., columns[j]]``: the units of these numbers, without the copies of :func:`nbnet.ops.take`.

    Parameters
    ----------
    x
        (..., n)
    columns
        int64 (k,), each from 0 to n - 1. In a program, where numbers may not be known beforehand, one that is out of
        range makes the result NaN.

    Raises
    ------
    ValueError
        If shapes do not fit, or a number is known and out of range.

    Examples
    --------
    >>> import numpy as np
    >>> import nbnet as nb
    >>> from nbnet.ops.gather import take_columns
    >>> take_columns(nb.tensor([[1.0, 2.0, 3.0]]), nb.Tensor((2,), "int64", np.array([2, 0]))).numpy()
    array([[3., 1.]], dtype=float32)
    """
    return apply(TAKE_COLUMNS, x, columns)


@kernel
def put_columns_forward(mem: Any, ins: Any, step: Any) -> None:
    x, columns, y = mat(mem, ins, 0), intvec(mem, ins, 1), mat(mem, ins, 2)
    if not _are_columns(columns, y.shape[1]):
        vec(mem, ins, 2)[:] = np.nan
        return
    for i in range(y.shape[0]):
        row, into = x[i], y[i]
        for j in range(into.size):
            into[j] = 0.0
        for j in range(columns.size):
            into[columns[j]] = row[j]


@kernel
def put_columns_backward(mem: Any, ins: Any, step: Any) -> None:
    columns, dy, dx, add = intvec(mem, ins, 0), mat(mem, ins, 1), mat(mem, ins, 2), accumulates(ins, 2)
    if not _are_columns(columns, dy.shape[1]):
        if not add:
            vec(mem, ins, 2)[:] = 0.0
        return
    for i in range(dx.shape[0]):
        row, into = dy[i], dx[i]
        for j in range(columns.size):
            into[j] = into[j] + row[columns[j]] if add else row[columns[j]]


def _infer_put_columns(x: Tensor, columns: Tensor, size: int) -> tuple[Spec, ...]:
    if columns.dtype != INT or columns.shape != x.shape[-1:] or columns.size > size:
        raise ValueError(
            f"put_columns: expected int64 columns (k,) of {size} for x (..., k), got {columns.shape} and {x.shape}"
        )
    _check_columns(columns, size)
    return (Spec((*x.shape[:-1], size)),)


PUT_COLUMNS = register(
    Op("put_columns", put_columns_forward, ("x", "columns"), infer=_infer_put_columns,
       backward=put_columns_backward, gradient=("columns", "dy", "dx"), role="move", linear=True,
       integers=("columns",), extents="x[r,k] columns:i8[k] y[r,n]")
)  # fmt: skip


def put_columns(x: Tensor, columns: Tensor, size: int) -> Tensor:
    """``y[..., columns[j]] = x[..., j]``, zeros elsewhere: the inverse of :func:`take_columns`.

    Parameters
    ----------
    x
        (..., k)
    columns
        int64 (k,), different numbers from 0 to size - 1. In a program, where numbers may not be known beforehand, one
        that is out of range makes the result NaN.
    size
        Number of units of the result.

    Raises
    ------
    ValueError
        If shapes do not fit, or a number is known and out of range.

    Examples
    --------
    >>> import numpy as np
    >>> import nbnet as nb
    >>> from nbnet.ops.gather import put_columns
    >>> put_columns(nb.tensor([[1.0, 2.0]]), nb.Tensor((2,), "int64", np.array([2, 0])), 4).numpy()
    array([[2., 0., 1., 0.]], dtype=float32)
    """
    return apply(PUT_COLUMNS, x, columns, size=size)
