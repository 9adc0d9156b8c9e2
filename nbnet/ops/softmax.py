"""``softmax(x) = exp(x) / sum(exp(x))`` and its logarithm, over the last axis."""

from __future__ import annotations

from typing import Any

from nbnet.core.abi import accumulates, device, kernel, mat, vec
from nbnet.core.graph import Tensor
from nbnet.core.math import exp, log
from nbnet.core.op import Op, register
from nbnet.core.tape import apply, tensor


@device
def largest(x: Any) -> Any:
    """The largest element of a vector. Four at a time, for comparisons in a row wait for each other."""
    a, b, c, d = x[0], x[0], x[0], x[0]
    whole = x.size // 4
    for k in range(whole):
        a, b, c, d = max(a, x[4 * k]), max(b, x[4 * k + 1]), max(c, x[4 * k + 2]), max(d, x[4 * k + 3])
    for j in range(4 * whole, x.size):
        a = max(a, x[j])
    return max(max(a, b), max(c, d))


@device
def softmax_rows(x: Any, y: Any, flat: Any) -> None:
    """Write softmax of each row of x to y, stable for any finite x; ``flat`` is y as a vector.

    The exponentials are one loop over the whole matrix: rows are often too short to fill a vector register.
    """
    for i in range(x.shape[0]):
        top = largest(x[i])
        for j in range(x.shape[1]):
            y[i, j] = x[i, j] - top
    for k in range(flat.size):
        flat[k] = exp(flat[k])
    for i in range(x.shape[0]):
        total = 0.0
        for j in range(x.shape[1]):
            total += y[i, j]
        share = 1.0 / total
        for j in range(x.shape[1]):
            y[i, j] *= share


@device
def log_norms(x: Any, p: Any, norms: Any) -> None:
    """Write the logarithm of each row's sum of exponentials; p is softmax(x): its largest element is 1 / sum(exp(x -
    largest))."""
    for i in range(x.shape[0]):
        norms[i] = largest(p[i])
    for i in range(x.shape[0]):
        norms[i] = -log(norms[i])
    for i in range(x.shape[0]):
        norms[i] += largest(x[i])


@kernel
def softmax_forward(mem: Any, ins: Any, step: Any) -> None:
    softmax_rows(mat(mem, ins, 0), mat(mem, ins, 1), vec(mem, ins, 1))


@kernel
def softmax_backward(mem: Any, ins: Any, step: Any) -> None:
    y, dy, dx = mat(mem, ins, 0), mat(mem, ins, 1), mat(mem, ins, 2)
    add = accumulates(ins, 2)
    for i in range(y.shape[0]):
        inner = 0.0
        for j in range(y.shape[1]):
            inner += y[i, j] * dy[i, j]
        for j in range(y.shape[1]):
            d = y[i, j] * (dy[i, j] - inner)
            dx[i, j] = dx[i, j] + d if add else d


@kernel
def log_softmax_forward(mem: Any, ins: Any, step: Any) -> None:
    x, y = mat(mem, ins, 0), mat(mem, ins, 1)
    for i in range(x.shape[0]):
        top, total = largest(x[i]), 0.0
        for j in range(x.shape[1]):
            total += exp(x[i, j] - top)
        norm = top + log(total)
        for j in range(x.shape[1]):
            y[i, j] = x[i, j] - norm


@kernel
def log_softmax_backward(mem: Any, ins: Any, step: Any) -> None:
    y, dy, dx = mat(mem, ins, 0), mat(mem, ins, 1), mat(mem, ins, 2)
    add = accumulates(ins, 2)
    for i in range(y.shape[0]):
        total = 0.0
        for j in range(y.shape[1]):
            total += dy[i, j]
        for j in range(y.shape[1]):
            d = dy[i, j] - exp(y[i, j]) * total
            dx[i, j] = dx[i, j] + d if add else d


SOFTMAX = register(Op("softmax", softmax_forward, ("x",), backward=softmax_backward, gradient=("y", "dy", "dx")))
LOG_SOFTMAX = register(
    Op("log_softmax", log_softmax_forward, ("x",), backward=log_softmax_backward, gradient=("y", "dy", "dx"))
)


def last_axis(x: Tensor, axis: int) -> Tensor:
    """The tensor itself, if ``axis`` is its last one: rows are what kernels work on."""
    if axis not in (-1, x.ndim - 1) or not x.shape:
        raise ValueError(f"axis: only the last axis of a tensor is offered, got axis {axis} of shape {x.shape}")
    return x


def softmax(x: Any, axis: int = -1) -> Tensor:
    """``exp(x) / sum(exp(x))`` over the last axis.

    Parameters
    ----------
    x
        (..., classes)
    axis
        The last one.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.softmax([[1e4, 1e4]]).numpy()
    array([[0.5, 0.5]], dtype=float32)
    """
    return apply(SOFTMAX, last_axis(tensor(x), axis))  # type: ignore[no-any-return]


def log_softmax(x: Any, axis: int = -1) -> Tensor:
    """``x - log(sum(exp(x)))`` over the last axis.

    Parameters
    ----------
    x
        (..., classes)
    axis
        The last one.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.log_softmax([[0.0, 0.0]]).numpy().round(4)
    array([[-0.6931, -0.6931]], dtype=float32)
    """
    return apply(LOG_SOFTMAX, last_axis(tensor(x), axis))  # type: ignore[no-any-return]
