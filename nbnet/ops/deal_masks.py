"""``y = x * masks[row % n]``: rows of the batch are dealt to fixed masks in turn."""

from __future__ import annotations

from math import prod
from typing import Any

from nbnet.core.abi import accumulates, attribute, device, first_row, kernel, mat
from nbnet.core.graph import Tensor
from nbnet.core.op import Op, Spec, register
from nbnet.core.tape import apply, tensors


@device
def _multiply(x: Any, masks: Any, y: Any, first: Any, rows: Any, add: Any) -> None:
    """rows: of the matrix x, in a sample"""
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


def _infer(x: Tensor, masks: Tensor) -> tuple[Spec, ...]:
    if x.ndim < 2 or masks.ndim != 2 or masks.shape[1] != x.shape[-1] or not masks.shape[0]:
        raise ValueError(f"deal_masks: wants x (batch, ..., c) and masks (n, c), got {x.shape} and {masks.shape}")
    return (Spec(x.shape),)


DEAL_MASKS = register(
    Op(
        "deal_masks",
        deal_masks_forward,
        ("x", "masks"),
        infer=_infer,
        backward=deal_masks_backward,
        gradient=("masks", "dy", "dx"),
        encode=lambda x, masks: (prod(x.shape[1:-1]),),
    )
)


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
    return apply(DEAL_MASKS, *tensors(x, masks))  # type: ignore[no-any-return]
