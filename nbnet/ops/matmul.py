"""Matrix and vector products: matmul, dot, outer."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from nbnet.engine.gemm.dispatch import matmul as _matmul
from nbnet.engine.graph.op import Op, Spec, register
from nbnet.engine.graph.tensor import Tensor, apply, tensors
from nbnet.engine.kernels.abi import accumulates, attribute, kernel, mat, present
from nbnet.ops.broadcast import multiply
from nbnet.ops.reduction import sum
from nbnet.ops.reshape import broadcast_to, expand_dims, moveaxis, ravel, reshape, squeeze


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


# Attribute: the number of pairs of matrices, which follow each other in the rows of a, b and y.
@kernel
def matmul_pairs_forward(mem: Any, ins: Any, step: Any) -> None:
    a, b, y, count = mat(mem, ins, 0), mat(mem, ins, 1), mat(mem, ins, 2), attribute(ins, 0)
    n, k = y.shape[0] // max(count, 1), b.shape[0] // max(count, 1)
    for i in range(count):
        _matmul(a[i * n : i * n + n], False, b[i * k : i * k + k], False, y[i * n : i * n + n], False)


@kernel
def matmul_pairs_backward(mem: Any, ins: Any, step: Any) -> None:
    a, b, dy, da, db = mat(mem, ins, 0), mat(mem, ins, 1), mat(mem, ins, 2), mat(mem, ins, 3), mat(mem, ins, 4)
    count = attribute(ins, 0)
    n, k = a.shape[0] // max(count, 1), b.shape[0] // max(count, 1)
    for i in range(count):
        part = dy[i * n : i * n + n]
        if present(ins, 3):
            _matmul(part, False, b[i * k : i * k + k], True, da[i * n : i * n + n], accumulates(ins, 3))
        if present(ins, 4):
            _matmul(a[i * n : i * n + n], True, part, False, db[i * k : i * k + k], accumulates(ins, 4))


def _infer_pairs(a: Tensor, b: Tensor) -> tuple[Spec, ...]:
    if a.ndim < 3 or a.shape[:-2] != b.shape[:-2] or a.shape[-1] != b.shape[-2]:
        raise ValueError(f"matmul: expected a (..., n, k) and b (..., k, m), got {a.shape} and {b.shape}")
    return (Spec((*a.shape[:-1], b.shape[-1])),)


MATMUL_PAIRS = register(
    Op("matmul_pairs", matmul_pairs_forward, ("a", "b"), infer=_infer_pairs, backward=matmul_pairs_backward,
       gradient=("a", "b", "dy", "da", "db"), encode=lambda a, b: (prod(a.shape[:-2]),), linear=True,
       extents="a[count*n,k] b[count*k,m] y[count*n,m]; count")
)  # fmt: skip


def matmul(x1: Any, x2: Any) -> Tensor:
    """``x1 @ x2``: products of matrices, with NumPy's rules for vectors and for further axes.

    Parameters
    ----------
    x1
        (..., n, k), or a vector (k,).
    x2
        (..., k, m), or a vector (k,). Axes before the last two broadcast.

    Raises
    ------
    ValueError
        If the shapes do not fit, or one has no axes.

    Notes
    -----
    If most of a large x1 is zero, products with zeros are skipped; then zero times infinity adds nothing, not NaN.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.matmul([[1.0, 2.0]], [[1.0], [10.0]]).numpy()
    array([[21.]], dtype=float32)
    """
    a, b = tensors(x1, x2)
    if not a.shape or not b.shape or a.shape[-1] != b.shape[0 if b.ndim == 1 else -2]:
        raise ValueError(f"matmul: expected x1 (..., n, k) and x2 (..., k, m), got {a.shape} and {b.shape}")
    if b.ndim == 2:
        return apply(MATMUL, a, b)
    if b.ndim == 1:
        return reshape(apply(MATMUL, a, expand_dims(b, 1)), a.shape[:-1])
    if a.ndim == 1:
        return squeeze(matmul(expand_dims(a, 0), b), -2)
    try:
        batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    except ValueError:
        raise ValueError(f"matmul: axes before the last two of {a.shape} and {b.shape} do not broadcast") from None
    return apply(MATMUL_PAIRS, *(broadcast_to(x, (*batch, *x.shape[-2:])) for x in (a, b)))


def dot(x1: Any, x2: Any) -> Tensor:
    """The sum of products over the last axis of x1 and the last axis but one of x2, the only one of a vector.

    Parameters
    ----------
    x1, x2
        Tensors or arrays; if one is a number, the result is the product with it.

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
    if x1.shape[-1] != x2.shape[0 if x2.ndim == 1 else -2]:
        raise ValueError(f"dot: expected x1 (..., k) and x2 (..., k, m) or (k,), got {x1.shape} and {x2.shape}")
    if x2.ndim == 1:
        return sum(multiply(x1, x2), -1)
    if x2.ndim == 2:
        return matmul(x1, x2)
    columns = moveaxis(x2, -2, 0)
    found = matmul(x1, reshape(columns, (columns.shape[0], -1)))
    return reshape(found, (*x1.shape[:-1], *columns.shape[1:]))


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
