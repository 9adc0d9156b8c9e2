"""``y[j, i] = x[i, j]``; for more axes than two see ``permute.py``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nbnet.core.abi import accumulates, kernel, mat, vec
from nbnet.core.graph import Tensor
from nbnet.core.op import Op, Spec, register
from nbnet.core.tape import apply, tensor
from nbnet.ops.permute import lay, lay_back, permute


@kernel
def transpose_forward(mem: Any, ins: Any, step: Any) -> None:
    rows, columns = mat(mem, ins, 1).shape
    lay(vec(mem, ins, 0), 1, rows, vec(mem, ins, 1), rows, columns, columns)


@kernel
def transpose_backward(mem: Any, ins: Any, step: Any) -> None:
    rows, columns = mat(mem, ins, 0).shape
    lay_back(vec(mem, ins, 0), columns, vec(mem, ins, 1), 1, rows, rows, columns, accumulates(ins, 1))


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
