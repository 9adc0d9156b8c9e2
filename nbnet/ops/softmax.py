"""``softmax(x) = exp(x) / sum(exp(x))`` and its logarithm, over the last axis."""

from __future__ import annotations

from typing import Any

from nbnet.core.abi import accumulates, device, kernel, mat, scratch, vec
from nbnet.core.graph import Tensor
from nbnet.core.math import exp, log
from nbnet.core.op import Op, register
from nbnet.core.short_rows import WIDE, by_width
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
def largest_at(x: Any) -> Any:
    """Index of the largest element, the first of equals."""
    top, at = largest(x), x.size
    for j in range(x.size):
        at = min(at, j if x[j] == top else x.size)
    return at if at < x.size else 0


@by_width
@device
def _shift_short(width: Any, x: Any, y: Any, tops: Any) -> None:
    for i in range(tops.size):
        top = x[i * width]
        for j in range(1, width):
            top = max(top, x[i * width + j])
        tops[i] = top
        for j in range(width):
            y[i * width + j] = x[i * width + j] - top


@by_width
@device
def _normalize_short(width: Any, y: Any, totals: Any) -> None:
    for i in range(totals.size):
        total = y[i * width]
        for j in range(1, width):
            total += y[i * width + j]
        totals[i] = total
        for j in range(width):
            y[i * width + j] *= 1.0 / total


@device
def _shift(width: Any, x: Any, y: Any, tops: Any) -> None:
    """Subtract its largest element from each row."""
    if width < WIDE:
        _shift_short(width, x, y, tops)
    else:
        for i in range(tops.size):
            row, out = x[i * width : (i + 1) * width], y[i * width : (i + 1) * width]
            top = largest(row)
            tops[i] = top
            for j in range(width):
                out[j] = row[j] - top


@device
def _normalize(width: Any, y: Any, totals: Any) -> None:
    """Divide each row by its sum."""
    if width < WIDE:
        _normalize_short(width, y, totals)
    else:
        for i in range(totals.size):
            row, total = y[i * width : (i + 1) * width], 0.0
            for j in range(width):
                total += row[j]
            totals[i] = total
            share = 1.0 / total
            for j in range(width):
                row[j] *= share


@device
def softmax_rows(mem: Any, n: Any, width: Any, x: Any, y: Any, norms: Any) -> None:
    """Write softmax of each row of x (n * width,) to y, stable for any finite x, and the logarithm of the row's sum of
    exponentials to ``norms``, if that is not empty.

    The exponentials are one loop over many rows: these are often too short to fill a vector register.
    """
    room = scratch(mem)
    most = room.size // 2
    for first in range(0, n, most):
        rows = min(most, n - first)
        low, high, tops, totals = first * width, (first + rows) * width, room[:rows], room[most : most + rows]
        part = y[low:high]
        _shift(width, x[low:high], part, tops)
        for k in range(part.size):
            part[k] = exp(part[k])
        _normalize(width, part, totals)
        if norms.size > 0:
            into = norms[first : first + rows]
            for i in range(rows):
                into[i] = tops[i] + log(totals[i])


@kernel
def softmax_forward(mem: Any, ins: Any, step: Any) -> None:
    shape, y = mat(mem, ins, 0).shape, vec(mem, ins, 1)
    softmax_rows(mem, shape[0], shape[1], vec(mem, ins, 0), y, y[:0])


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
