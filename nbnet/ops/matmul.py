"""Matrix and vector products: matmul, dot, outer."""

from __future__ import annotations

from typing import Any

from nbnet.engine.gemm.dispatch import matmul as _matmul
from nbnet.engine.graph.op import Op, Spec, register
from nbnet.engine.graph.tensor import Tensor, apply, tensors
from nbnet.engine.kernels.abi import accumulates, kernel, mat, present
from nbnet.ops.broadcast import multiply
from nbnet.ops.reduction import sum
from nbnet.ops.reshape import expand_dims, ravel


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
        raise ValueError(f"matmul: expected a (..., n) and b (n, m), got {a.shape} and {b.shape}")
    if a.dtype != b.dtype:
        raise TypeError(f"matmul: expected two tensors of one float dtype, got {a.dtype} and {b.dtype}")
    return (Spec((*a.shape[:-1], b.shape[1])),)


MATMUL = register(
    Op("matmul", matmul_forward, ("a", "b"), infer=_infer, backward=matmul_backward,
       gradient=("a", "b", "dy", "da", "db"), role="product", linear=True, extents="a[n,k] b[k,m] y[n,m]")
)  # fmt: skip


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
        If the shapes do not fit, or b is not a matrix.

    Notes
    -----
    If most of a large a is zero, products with zeros are skipped; then zero times infinity adds nothing, not NaN.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.matmul([[1.0, 2.0]], [[1.0], [10.0]]).numpy()
    array([[21.]], dtype=float32)
    """
    return apply(MATMUL, *tensors(a, b))


def dot(x1: Any, x2: Any) -> Tensor:
    """The product of two vectors, of two matrices, or of a tensor and a number.

    Raises
    ------
    ValueError
        If the shapes do not fit.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.dot([1.0, 2.0], [3.0, 4.0]).item()
    11.0
    """
    x1, x2 = tensors(x1, x2)
    if not x1.shape or not x2.shape:
        return multiply(x1, x2)
    if x2.ndim == 1:
        if x1.shape[-1] != x2.shape[0]:
            raise ValueError(f"dot: expected last axes of one length, got {x1.shape} and {x2.shape}")
        return sum(multiply(x1, x2), -1)
    return matmul(x1, x2)


def outer(x1: Any, x2: Any) -> Tensor:
    """Each element of one vector times each of the other; other shapes are flattened.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.outer([1.0, 2.0], [3.0, 4.0]).numpy()
    array([[3., 4.],
           [6., 8.]], dtype=float32)
    """
    x1, x2 = tensors(x1, x2)
    return multiply(expand_dims(ravel(x1), 1), ravel(x2))
