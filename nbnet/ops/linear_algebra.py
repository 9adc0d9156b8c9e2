"""Linear algebra: inverses, determinants, systems of equations, factorisations.

Gradients flow through ``inv``, ``solve``, ``det``, ``cholesky`` and what is made of them. The other factorisations are
NumPy's: their arguments have to be known, and gradients are refused.
"""

from __future__ import annotations

import builtins
import math
from dataclasses import replace
from operator import index
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbnet.engine.graph.op import Op, Spec, register
from nbnet.engine.graph.tensor import Tensor, apply, apply_many, tensor, tensors
from nbnet.engine.kernels.abi import accumulates, attribute, device, kernel, vec
from nbnet.ops.broadcast import add, multiply
from nbnet.ops.convert import tensor_of
from nbnet.ops.diagonals import tril, triu
from nbnet.ops.elementwise import documents, exp
from nbnet.ops.matmul import matmul
from nbnet.ops.reshape import expand_dims, squeeze, swapaxes

# ---- the inverse and the determinant -------------------------------------------------------------------------


@device
def _size(x: Any) -> Any:
    return -x if x < 0.0 else x


# Gauss-Jordan elimination with the largest pivot of each column. The attribute is n; matrices follow each other. ``w``
# has the rows that are left.
@kernel
def inverse_forward(mem: Any, ins: Any, step: Any) -> None:
    x, y, sign, logarithm = vec(mem, ins, 0), vec(mem, ins, 1), vec(mem, ins, 2), vec(mem, ins, 3)
    w, n = vec(mem, ins, 4), attribute(ins, 0)
    for m in range(sign.size):
        a, b = w[m * n * n : (m + 1) * n * n], y[m * n * n : (m + 1) * n * n]
        for i in range(n * n):
            a[i] = x[m * n * n + i]
            b[i] = 0.0
        for i in range(n):
            b[i * n + i] = 1.0
        s, total = 1.0, 0.0
        for k in range(n):
            best = k
            for i in range(k + 1, n):
                best = i if _size(a[i * n + k]) > _size(a[best * n + k]) else best
            if best != k:
                s = -s
                for j in range(n):
                    a[k * n + j], a[best * n + j] = a[best * n + j], a[k * n + j]
                    b[k * n + j], b[best * n + j] = b[best * n + j], b[k * n + j]
            pivot = a[k * n + k]
            if pivot == 0.0:
                s, total = 0.0, -math.inf
                b[:] = np.nan
                break
            s = -s if pivot < 0.0 else s
            total += np.log(_size(pivot))
            for j in range(n):
                a[k * n + j] /= pivot
                b[k * n + j] /= pivot
            for i in range(n):
                factor = a[i * n + k]
                if i != k:
                    for j in range(n):
                        a[i * n + j] -= factor * a[k * n + j]
                        b[i * n + j] -= factor * b[k * n + j]
        sign[m], logarithm[m] = s, total


@kernel
def inverse_backward(mem: Any, ins: Any, step: Any) -> None:
    # -y' dy y' + y' dl, where y' is the transpose of the inverse y; t = dy y'.
    y, dy, dl, dx, t = vec(mem, ins, 0), vec(mem, ins, 1), vec(mem, ins, 2), vec(mem, ins, 3), vec(mem, ins, 4)
    n, add = attribute(ins, 0), accumulates(ins, 3)
    for m in range(dl.size):
        start = m * n * n
        for i in range(n):
            for j in range(n):
                total = 0.0
                for k in range(n):
                    total += dy[start + i * n + k] * y[start + j * n + k]
                t[start + i * n + j] = total
        for i in range(n):
            for j in range(n):
                total = dl[m] * y[start + j * n + i]
                for k in range(n):
                    total -= y[start + k * n + i] * t[start + k * n + j]
                at = start + i * n + j
                dx[at] = dx[at] + total if add else total


def _of_matrices(op: Op) -> tuple[Op, Op]:
    """An op of matrices along a batch; and of one matrix, whose first axis may be the batch's."""
    return register(op), register(replace(op, name=f"{op.name}_of_one", whole_batch=True))


INVERSE = _of_matrices(
    Op("inverse", inverse_forward, ("x",), outputs=("y", "sign", "logarithm"), saves=("w",),
       infer=lambda x: (Spec(x.shape), Spec(x.shape[:-2]), Spec(x.shape[:-2]), Spec(x.shape), Spec(x.shape)),
       backward=inverse_backward, gradient=("y", "dy", "dlogarithm", "dx", "t"), work=("t",),
       encode=lambda x: (x.shape[-1],),
       extents="x[m*n*n] y[m*n*n] sign[m] logarithm[m] w[m*n*n] t[m*n*n]; n")
)  # fmt: skip


_documents_squares = documents(
    first="x\n    (..., n, n): tensor or array.", raises="ValueError\n    If the matrices are not square."
)
_documents_known = documents(
    first="x\n    (..., n, m): tensor or array, known; no gradient flows.",
    raises="TypeError\n    If a model computes x, or gradients would flow.",
)


def _squares(x: Any, name: str = "x") -> Tensor:
    made = tensor(x)
    if made.ndim < 2 or made.shape[-1] != made.shape[-2]:
        raise ValueError(f"{name}: expected square matrices (..., n, n), got shape {made.shape}")
    return made


def _inverse(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    y, sign, logarithm = apply_many(INVERSE[x.ndim == 2], x)
    return y, sign, logarithm


@_documents_squares
def inv(x: Any) -> Tensor:
    """The inverse of matrices; where there is none, numbers that are not finite.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.inv([[2.0, 0.0], [0.0, 4.0]]).numpy()
    array([[0.5 , 0.  ],
           [0.  , 0.25]], dtype=float32)
    """
    return _inverse(_squares(x))[0]


@_documents_squares
def slogdet(x: Any) -> tuple[Tensor, Tensor]:
    """The sign of the determinant of matrices, and the logarithm of its magnitude.

    Parameters
    ----------
    x
        (..., n, n): tensor or array. No gradient flows to the sign.

    Examples
    --------
    >>> import nbnet as nb
    >>> sign, logarithm = nb.ops.slogdet([[0.0, 2.0], [4.0, 0.0]])
    >>> f"{sign.item():.0f} {logarithm.item():.4f}"
    '-1 2.0794'
    """
    return _inverse(_squares(x))[1:]


@_documents_squares
def logdet(x: Any) -> Tensor:
    """The logarithm of the magnitude of the determinant of matrices.

    Examples
    --------
    >>> import nbnet as nb
    >>> f"{nb.ops.logdet([[2.0, 0.0], [0.0, 4.0]]).item():.4f}"
    '2.0794'
    """
    return slogdet(x)[1]


@_documents_squares
def det(x: Any) -> Tensor:
    """The determinant of matrices.

    Parameters
    ----------
    x
        (..., n, n): tensor or array. Where the determinant is 0, gradients are not finite.

    Examples
    --------
    >>> import nbnet as nb
    >>> f"{nb.ops.det([[2.0, 0.0], [0.0, 4.0]]).item():.4f}"
    '8.0000'
    """
    sign, logarithm = slogdet(x)
    return multiply(sign, exp(logarithm))


def solve(a: Any, b: Any) -> Tensor:
    """The solution y of the equations ``a @ y = b``.

    Parameters
    ----------
    a
        (..., n, n): tensor or array.
    b
        (..., n, k), or (..., n) with one axis less than a.

    Raises
    ------
    ValueError
        If shapes do not fit.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.solve([[2.0, 0.0], [0.0, 4.0]], [2.0, 2.0]).numpy()
    array([1. , 0.5], dtype=float32)
    """
    x, y = tensors(a, b)
    return _times(inv(_squares(x, "a")), y)


def _times(inverse: Tensor, b: Tensor) -> Tensor:
    if b.ndim == inverse.ndim - 1:
        return squeeze(matmul(inverse, expand_dims(b, -1)), -1)
    return matmul(inverse, b)


def solve_triangular(a: Any, b: Any, lower: bool = False) -> Tensor:
    """The solution y of the equations ``a @ y = b`` for triangular matrices.

    Parameters
    ----------
    a
        (..., n, n): tensor or array, of which one triangle is read.
    b
        (..., n, k), or (..., n) with one axis less than a.
    lower
        True for the lower triangle.

    Raises
    ------
    ValueError
        If shapes do not fit.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.solve_triangular([[2.0, 9.0], [2.0, 4.0]], [2.0, 6.0], lower=True).numpy()
    array([1., 1.], dtype=float32)
    """
    x, y = tensors(a, b)
    return _times(inv((tril if lower else triu)(_squares(x, "a"))), y)


@_documents_squares
def matrix_power(x: Any, n: int) -> Tensor:
    """Matrices multiplied by themselves, n times; of a negative n, the inverses.

    Parameters
    ----------
    n
        The exponent: an integer.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.matrix_power([[1.0, 1.0], [0.0, 1.0]], 3).numpy()
    array([[1., 3.],
           [0., 1.]], dtype=float32)
    """
    base, left = _squares(x), index(n)
    if left < 0:
        base, left = inv(base), -left
    found = add(multiply(base, 0.0), np.eye(base.shape[-1], dtype=base.dtype)) if not left else None
    # The bits of the exponent, from the lowest.
    while left:
        if left & 1:
            found = base if found is None else matmul(found, base)
        left >>= 1
        base = matmul(base, base) if left else base
    assert found is not None
    return found


# ---- Cholesky ------------------------------------------------------------------------------------------------


# The mean of each matrix and its transpose is taken; NaN where it is not positive definite. The attribute is n.
@kernel
def cholesky_forward(mem: Any, ins: Any, step: Any) -> None:
    x, y, n = vec(mem, ins, 0), vec(mem, ins, 1), attribute(ins, 0)
    for m in range(x.size // (n * n) if n > 0 else 0):
        a, b = x[m * n * n : (m + 1) * n * n], y[m * n * n : (m + 1) * n * n]
        b[:] = 0.0
        for j in range(n):
            for i in range(j, n):
                total = 0.5 * (a[i * n + j] + a[j * n + i])
                for k in range(j):
                    total -= b[i * n + k] * b[j * n + k]
                if i == j:
                    b[i * n + j] = np.sqrt(total) if total > 0.0 else np.nan
                else:
                    b[i * n + j] = total / b[j * n + j]


@kernel
def cholesky_backward(mem: Any, ins: Any, step: Any) -> None:
    # With the inverse r of y, and p the lower triangle of y' dy, its diagonal halved: dx is the symmetric part of
    # r' p r (I. Murray, 2016). t = p r.
    y, dy, dx, r, t = vec(mem, ins, 0), vec(mem, ins, 1), vec(mem, ins, 2), vec(mem, ins, 3), vec(mem, ins, 4)
    n, add = attribute(ins, 0), accumulates(ins, 2)
    for m in range(y.size // (n * n) if n > 0 else 0):
        low, high = m * n * n, (m + 1) * n * n
        b, d, c, q, u = y[low:high], dy[low:high], dx[low:high], r[low:high], t[low:high]
        for i in range(n):
            for j in range(n):
                total = 1.0 if i == j else 0.0
                for k in range(i):
                    total -= b[i * n + k] * q[k * n + j]
                q[i * n + j] = total / b[i * n + i]
        for i in range(n):
            for j in range(n):
                u[i * n + j] = 0.0
            for k in range(i + 1):
                total = 0.0
                for row in range(i, n):
                    total += b[row * n + i] * d[row * n + k]
                total = 0.5 * total if i == k else total
                for j in range(n):
                    u[i * n + j] += total * q[k * n + j]
        for i in range(n):
            for j in range(n):
                total = 0.0
                for k in range(n):
                    total += 0.5 * (q[k * n + i] * u[k * n + j] + q[k * n + j] * u[k * n + i])
                c[i * n + j] = c[i * n + j] + total if add else total


CHOLESKY = _of_matrices(
    Op("cholesky", cholesky_forward, ("x",), infer=lambda x: (Spec(x.shape),) * 3, backward=cholesky_backward,
       gradient=("y", "dy", "dx", "r", "t"), work=("r", "t"), encode=lambda x: (x.shape[-1],),
       extents="x[m*n*n] y[m*n*n] r[m*n*n] t[m*n*n]; n")
)  # fmt: skip


@_documents_squares
def cholesky(x: Any, upper: bool = False) -> Tensor:
    """The triangular matrices L for which x is ``L @ L'``.

    Parameters
    ----------
    x
        (..., n, n): symmetric positive definite matrices. Of others, the mean with the transpose is taken. In a
        program, the result is NaN where there is none.
    upper
        If True, the transpose of L is returned.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.cholesky([[4.0, 2.0], [2.0, 2.0]]).numpy()
    array([[2., 0.],
           [1., 1.]], dtype=float32)
    """
    made = _squares(x)
    y = apply(CHOLESKY[made.ndim == 2], made)
    if y.data is not None and made.data is not None and np.isnan(y.data).any() and not np.isnan(made.data).any():
        raise ValueError("x: expected positive definite matrices")
    return swapaxes(y, -1, -2) if upper else y


@_documents_squares
def cholesky_inverse(x: Any, upper: bool = False) -> Tensor:
    """The inverse of the matrices whose Cholesky factors are given.

    Parameters
    ----------
    x
        (..., n, n): triangular matrices L.
    upper
        True if they are the transpose of L.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.cholesky_inverse([[2.0, 0.0], [0.0, 1.0]]).numpy()
    array([[0.25, 0.  ],
           [0.  , 1.  ]], dtype=float32)
    """
    made = _squares(x)
    inverse = inv(swapaxes(triu(made), -1, -2) if upper else tril(made))
    return matmul(swapaxes(inverse, -1, -2), inverse)


# ---- NumPy's factorisations ----------------------------------------------------------------------------------


def known_matrices(x: Any, op: str) -> NDArray[Any]:
    """The value of matrices that no gradient flows through."""
    made = tensor(x)
    if made.data is None or made.requires_grad:
        raise TypeError(
            f"{op}: expected matrices that are known and that no gradient flows through; apply it to an array outside "
            "of the model, or to nbnet.ops.stop_gradient of a tensor"
        )
    if made.ndim < 2:
        raise ValueError(f"{op}: expected matrices (..., n, m), got shape {made.shape}")
    return made.data


@_documents_known
def svd(x: Any, full_matrices: bool = True, compute_uv: bool = True) -> Any:
    """Singular values: ``x = u @ diag(s) @ v``.

    Parameters
    ----------
    full_matrices
        If True, u and v are square.
    compute_uv
        If False, only s is returned.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.svd([[3.0, 0.0], [0.0, 4.0]], compute_uv=False).numpy()
    array([4., 3.], dtype=float32)
    """
    found: Any = np.linalg.svd(known_matrices(x, "svd"), full_matrices, bool(compute_uv))  # type: ignore[call-overload]
    return tuple(tensor_of(part) for part in found) if compute_uv else tensor_of(found)


@_documents_known
def qr(x: Any, mode: str = "reduced") -> tuple[Tensor, Tensor]:
    """Orthogonal and triangular factors: ``x = q @ r``.

    Parameters
    ----------
    mode : {"reduced", "complete"}
        ``"complete"`` for a square q.

    Raises
    ------
    ValueError
        If mode is anything else.

    Examples
    --------
    >>> import nbnet as nb
    >>> [part.shape for part in nb.ops.qr(nb.ops.ones((3, 2)))]
    [(3, 2), (2, 2)]
    """
    if mode not in ("reduced", "complete"):
        raise ValueError(f"mode: expected 'reduced' or 'complete', got {mode!r}")
    q, r = np.linalg.qr(known_matrices(x, "qr"), "complete" if mode == "complete" else "reduced")
    return tensor_of(q), tensor_of(r)


@_documents_known
def eigh(x: Any) -> tuple[Tensor, Tensor]:
    """Eigenvalues in ascending order, and eigenvectors, of symmetric matrices.

    Parameters
    ----------
    x
        (..., n, n): tensor or array, known; no gradient flows.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.eigh([[3.0, 0.0], [0.0, 4.0]])[0].numpy()
    array([3., 4.], dtype=float32)
    """
    values, vectors = np.linalg.eigh(known_matrices(_squares(x), "eigh"))
    return tensor_of(values), tensor_of(vectors)


@_documents_known
def pinv(x: Any, rcond: float | None = None) -> Tensor:
    """The pseudo-inverse of matrices.

    Parameters
    ----------
    rcond
        Singular values up to this part of the largest count as 0; None for the precision of the dtype.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.pinv([[2.0, 0.0]]).numpy()
    array([[0.5],
           [0. ]], dtype=float32)
    """
    values = known_matrices(x, "pinv")
    limit = 10 * builtins.max(values.shape[-2:]) * np.finfo(values.dtype).eps if rcond is None else rcond
    return tensor_of(np.linalg.pinv(values, limit))


@_documents_known
def matrix_rank(x: Any, tol: float | None = None) -> Tensor:
    """The number of singular values of matrices above a limit, int64.

    Parameters
    ----------
    tol
        The limit; None for the precision of the dtype.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.matrix_rank([[1.0, 1.0], [2.0, 2.0]]).item()
    1
    """
    return tensor_of(np.linalg.matrix_rank(known_matrices(x, "matrix_rank"), tol))


def lstsq(a: Any, b: Any, rcond: float | None = None) -> Tensor:
    """The y for which ``a @ y`` is nearest to b in the sense of least squares.

    Parameters
    ----------
    a
        (n, m): tensor or array, known; no gradient flows.
    b
        (n,) or (n, k)
    rcond
        Singular values up to this part of the largest count as 0; None for the precision of the dtype.

    Raises
    ------
    TypeError
        If a model computes them, or gradients would flow.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.lstsq([[1.0], [1.0]], [[1.0], [3.0]]).numpy()
    array([[2.]], dtype=float32)
    """
    x, y = tensors(a, b)
    right = expand_dims(y, 1) if y.ndim == 1 else y
    found = tensor_of(np.linalg.lstsq(known_matrices(x, "lstsq"), known_matrices(right, "lstsq"), rcond)[0])
    return squeeze(found, 1) if y.ndim == 1 else found


@_documents_known
def lu_factor(x: Any) -> tuple[Tensor, Tensor]:
    """Triangular factors of matrices in one matrix, and the rows exchanged at each step, int64.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.lu_factor([[2.0, 0.0], [4.0, 1.0]])[1].numpy()
    array([1, 1])
    """
    from scipy.linalg import lu_factor as factor

    values = known_matrices(x, "lu_factor")
    found = [factor(matrix) for matrix in values.reshape(-1, *values.shape[-2:])]
    factors, pivots = (np.array([pair[k] for pair in found]) for k in (0, 1))
    order = pivots.reshape(*values.shape[:-2], builtins.min(values.shape[-2:]))
    return tensor_of(factors.reshape(values.shape).astype(values.dtype)), tensor_of(order)
