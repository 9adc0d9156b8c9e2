"""``softmax(x) = exp(x) / sum(exp(x))`` and its logarithm, over the last axis."""

from __future__ import annotations

from typing import Any

from nbnet.core.abi import accumulates, device, kernel, mat, scratch, vec
from nbnet.core.graph import Tensor
from nbnet.core.math import exp, log
from nbnet.core.op import Op, register
from nbnet.core.tape import apply, tensor

#: Rows shorter than this are worked on column by column: their loops would end as soon as they began.
NARROW = 5


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
def largest_at(x: Any) -> Any:
    """Index of the largest element, the first of equals."""
    top, at = largest(x), x.size
    for j in range(x.size):
        at = min(at, j if x[j] == top else x.size)
    return at if at < x.size else 0


@device
def _shift(x: Any, y: Any, tops: Any) -> None:
    """Subtract its largest element from each row."""
    if x.shape[1] < NARROW:
        for i in range(x.shape[0]):
            tops[i] = x[i, 0]
        for j in range(1, x.shape[1]):
            for i in range(x.shape[0]):
                tops[i] = max(tops[i], x[i, j])
        for j in range(x.shape[1]):
            for i in range(x.shape[0]):
                y[i, j] = x[i, j] - tops[i]
    else:
        for i in range(x.shape[0]):
            tops[i] = largest(x[i])
            for j in range(x.shape[1]):
                y[i, j] = x[i, j] - tops[i]


@device
def _normalize(y: Any, totals: Any) -> None:
    """Divide each row by its sum."""
    if y.shape[1] < NARROW:
        for i in range(y.shape[0]):
            totals[i] = y[i, 0]
        for j in range(1, y.shape[1]):
            for i in range(y.shape[0]):
                totals[i] += y[i, j]
        for j in range(y.shape[1]):
            for i in range(y.shape[0]):
                y[i, j] *= 1.0 / totals[i]
    else:
        for i in range(y.shape[0]):
            total = 0.0
            for j in range(y.shape[1]):
                total += y[i, j]
            totals[i], share = total, 1.0 / total
            for j in range(y.shape[1]):
                y[i, j] *= share


@device
def softmax_rows(mem: Any, x: Any, y: Any, flat: Any, norms: Any) -> None:
    """Write softmax of each row of x to y, stable for any finite x, and the logarithm of the row's sum of exponentials
    to ``norms``, if that is not empty; ``flat`` is y as a vector.

    The exponentials are one loop over many rows: these are often too short to fill a vector register.
    """
    room, width = scratch(mem), x.shape[1]
    most = room.size // 2
    for first in range(0, x.shape[0], most):
        rows = min(most, x.shape[0] - first)
        tops, totals, out = room[:rows], room[most : most + rows], y[first : first + rows]
        _shift(x[first : first + rows], out, tops)
        part = flat[first * width : (first + rows) * width]
        for k in range(part.size):
            part[k] = exp(part[k])
        _normalize(out, totals)
        if norms.size > 0:
            into = norms[first : first + rows]
            for i in range(rows):
                into[i] = tops[i] + log(totals[i])


@kernel
def softmax_forward(mem: Any, ins: Any, step: Any) -> None:
    y = vec(mem, ins, 1)
    softmax_rows(mem, mat(mem, ins, 0), mat(mem, ins, 1), y, y[:0])


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
            d, old = dy[i, j] - exp(y[i, j]) * total, dx[i, j]
            dx[i, j] = old + d if add else d


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
