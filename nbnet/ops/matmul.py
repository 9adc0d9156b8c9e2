"""``y = a @ b``."""

from __future__ import annotations

from typing import Any

from nbnet.core.abi import accumulates, kernel, mat, present
from nbnet.core.abi import matmul as _matmul
from nbnet.core.graph import Tensor
from nbnet.core.op import Op, Spec, register
from nbnet.core.tape import apply, tensors


@kernel
def matmul_forward(mem: Any, ins: Any, step: Any) -> None:
    a, b, y = mat(mem, ins, 0), mat(mem, ins, 1), mat(mem, ins, 2)
    _matmul(a, False, b, False, y, False)


@kernel
def matmul_backward(mem: Any, ins: Any, step: Any) -> None:
    a, b, dy, da, db = mat(mem, ins, 0), mat(mem, ins, 1), mat(mem, ins, 2), mat(mem, ins, 3), mat(mem, ins, 4)
    if present(ins, 3):
        _matmul(dy, False, b, True, da, accumulates(ins, 3))
    if present(ins, 4):
        _matmul(a, True, dy, False, db, accumulates(ins, 4))


def _infer(a: Tensor, b: Tensor) -> tuple[Spec, ...]:
    if not a.shape or b.ndim != 2 or a.shape[-1] != b.shape[0]:
        raise ValueError(f"matmul: wants a (..., n) and b (n, m), got {a.shape} and {b.shape}")
    if a.dtype != b.dtype:
        raise TypeError(f"matmul: wants two tensors of one float dtype, got {a.dtype} and {b.dtype}")
    return (Spec((*a.shape[:-1], b.shape[1])),)


MATMUL = register(
    Op(
        "matmul",
        matmul_forward,
        ("a", "b"),
        infer=_infer,
        backward=matmul_backward,
        gradient=("a", "b", "dy", "da", "db"),
        multiplies=True,
    )
)


def matmul(a: Any, b: Any) -> Tensor:
    """``a @ b``: each row of a times the matrix b.

    Parameters
    ----------
    a
        (..., n): all axes but the last are rows.
    b
        (n, m)

    Raises
    ------
    ValueError
        If the shapes do not fit, or b is no matrix.

    Notes
    -----
    Where most of a large a is zero, products with zeros are left out; then zero times infinity is nothing, not NaN.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.matmul([[1.0, 2.0]], [[1.0], [10.0]]).numpy()
    array([[21.]], dtype=float32)
    """
    return apply(MATMUL, *tensors(a, b))  # type: ignore[no-any-return]
