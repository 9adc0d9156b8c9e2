"""``y[i] = w[ids[i]]``: rows of a table by number, where numbers come as integers or as floats."""

from __future__ import annotations

from typing import Any

import numpy as np

from nbnet.core.abi import Function, Kernel, accumulates, attribute, device, intvec, vec
from nbnet.core.graph import Tensor
from nbnet.core.op import INT, Op, Spec, register
from nbnet.core.tape import apply, tensor, tensors

# Numbers that have a value are checked before they get here. One that is out of range all the same is not read: its
# row is NaN, so that it is seen, and it gets no gradient.


@device
def _exact(number: Any) -> Any:
    return number


@device
def _rounded(number: Any) -> Any:
    # What no integer stands for, NaN and infinities among it, is -1.
    return np.int64(number + 0.5) if number > -0.5 and number < 9007199254740992.0 else np.int64(-1)


def _make(view: Any, index: Function) -> tuple[Any, Any]:
    def forward(mem: Any, ins: Any, step: Any) -> None:
        w, ids, y = vec(mem, ins, 0), view(mem, ins, 1), vec(mem, ins, 2)
        n, width = attribute(ins, 0), attribute(ins, 1)
        for i in range(ids.size):
            k, into = index(ids[i]), y[i * width : i * width + width]
            if k >= 0 and k < n:
                row = w[k * width : k * width + width]
                for j in range(width):
                    into[j] = row[j]
            else:
                into[:] = np.nan

    def backward(mem: Any, ins: Any, step: Any) -> None:
        ids, dy, dw = view(mem, ins, 0), vec(mem, ins, 1), vec(mem, ins, 2)
        n, width = attribute(ins, 0), attribute(ins, 1)
        if not accumulates(ins, 2):
            dw[:] = 0.0
        for i in range(ids.size):
            k = index(ids[i])
            if k >= 0 and k < n:
                row, into = dy[i * width : i * width + width], dw[k * width : k * width + width]
                for j in range(width):
                    into[j] += row[j]

    return forward, backward


def _infer(w: Tensor, ids: Tensor) -> tuple[Spec, ...]:
    if w.ndim != 2:
        raise ValueError(f"embedding: wants a table (rows, units), got shape {w.shape}")
    return (Spec((*ids.shape, w.shape[1])),)


def _op(name: str, view: Any, index: Function, integers: tuple[str, ...] = ()) -> Op:
    forward, backward = _make(view, index)
    return register(
        Op(
            name,
            Kernel(forward, f"{name}_forward"),
            ("w", "ids"),
            infer=_infer,
            backward=Kernel(backward, f"{name}_backward"),
            gradient=("ids", "dy", "dw"),
            encode=lambda w, ids: w.shape,
            integers=integers,
        )
    )


EMBEDDING = _op("embedding", intvec, _exact, integers=("ids",))
EMBEDDING_FLOAT = _op("embedding_float", vec, _rounded)


def check_ids(ids: Any, rows: int) -> None:
    """Refuse numbers that are none of a table of so many rows."""
    values = np.asarray(ids)
    whole = values.dtype.kind in "iub" or bool(np.all(np.isfinite(values)) and np.all(values == np.rint(values)))
    if not whole:
        raise ValueError("ids: wants whole numbers")
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
        return apply(EMBEDDING, w, ids)  # type: ignore[no-any-return]
    if ids.dtype == np.float32 and rows > 1 << 24:
        raise ValueError(f"ids: float32 tells apart integers up to 2**24, the table has {rows} rows; wants int64")
    return apply(EMBEDDING_FLOAT, *tensors(w, ids))  # type: ignore[no-any-return]
