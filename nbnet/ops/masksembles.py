"""Masksembles: fixed masks that the rows of a batch (deal_masks), or the steps (take_turn), use in turn."""

from __future__ import annotations

from math import prod
from typing import Any

from nbnet.engine.graph.op import Op, Spec, register
from nbnet.engine.graph.tensor import Tensor, apply, tensor, tensors
from nbnet.engine.kernels.abi import accumulates, attribute, device, first_row, kernel, mat, vec


@device
def _multiply(x: Any, masks: Any, y: Any, first: Any, rows: Any, add: Any) -> None:
    """y = x * mask of the sample, or added to it; ``rows``: rows of the matrix x in a sample."""
    for i in range(x.shape[0]):
        m = (first + i // rows) % masks.shape[0]
        for j in range(x.shape[1]):
            v = x[i, j] * masks[m, j]
            y[i, j] = y[i, j] + v if add else v


@kernel
def deal_masks_forward(mem: Any, ins: Any, step: Any) -> None:
    _multiply(mat(mem, ins, 0), mat(mem, ins, 1), mat(mem, ins, 2), first_row(ins), attribute(ins, 0), False)


@kernel
def deal_masks_backward(mem: Any, ins: Any, step: Any) -> None:
    masks, dy, dx = mat(mem, ins, 0), mat(mem, ins, 1), mat(mem, ins, 2)
    _multiply(dy, masks, dx, first_row(ins), attribute(ins, 0), accumulates(ins, 2))


def _deal_masks_infer(x: Tensor, masks: Tensor) -> tuple[Spec, ...]:
    if x.ndim < 2 or masks.ndim != 2 or masks.shape[1] != x.shape[-1] or not masks.shape[0]:
        raise ValueError(f"deal_masks: expected x (batch, ..., c) and masks (n, c), got {x.shape} and {masks.shape}")
    return (Spec(x.shape),)


DEAL_MASKS = register(
    Op("deal_masks", deal_masks_forward, ("x", "masks"), infer=_deal_masks_infer, backward=deal_masks_backward,
       gradient=("masks", "dy", "dx"), encode=lambda x, masks: (prod(x.shape[1:-1]),),
       extents="x[r,c] masks[k,c] y[r,c]; rows",
       within=lambda sizes: sizes["k"] > 0 and (sizes["rows"] > 0 or sizes["r"] == 0))
)  # fmt: skip


def deal_masks(x: Any, masks: Any) -> Tensor:
    """Multiply row r of a batch by mask r modulo their number.

    Parameters
    ----------
    x
        (batch, ..., c)
    masks
        (n, c); no gradient flows to them.

    Raises
    ------
    ValueError
        If shapes do not fit.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.deal_masks([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], [[1.0, 0.0], [0.0, 1.0]]).numpy()
    array([[1., 0.],
           [0., 4.],
           [5., 0.]], dtype=float32)
    """
    return apply(DEAL_MASKS, *tensors(x, masks))


@kernel
def take_turn_forward(mem: Any, ins: Any, step: Any) -> None:
    table, y = mat(mem, ins, 0), vec(mem, ins, 1)
    row = step % table.shape[0]
    for j in range(y.size):
        y[j] = table[row, j]


def _take_turn_infer(table: Tensor) -> tuple[Spec, ...]:
    if table.ndim != 2 or not table.shape[0]:
        raise ValueError(f"take_turn: expected a table (n, c) with a row or more, got shape {table.shape}")
    return (Spec(table.shape[1:]),)


#: It draws nothing; ``random`` has the step's number passed to it in eager calls too.
TAKE_TURN = register(Op("take_turn", take_turn_forward, ("table",), infer=_take_turn_infer, random=True,
                        extents="table[n,c] y[c]", within=lambda sizes: sizes["n"] > 0))  # fmt: skip


def take_turn(table: Any, *, key: int = 0) -> Tensor:
    """Row ``step % n`` of a table of n rows.

    Parameters
    ----------
    table
        (n, c); no gradient flows to it.
    key
        One that counts its draws (that of a layer) says which step it is, where neither a program nor a tape does.

    Raises
    ------
    ValueError
        If it is not a table.

    Examples
    --------
    >>> import nbnet as nb
    >>> with nb.Tape(step=5):
    ...     y = nb.ops.take_turn([[1.0, 2.0], [3.0, 4.0]])
    >>> y.numpy()
    array([3., 4.], dtype=float32)
    """
    return apply(TAKE_TURN, tensor(table), key=key)
