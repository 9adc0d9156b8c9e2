"""Functions along an axis: softmax, log_softmax, sparsemax and glu."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nbnet.engine.graph.op import Op, Spec, register
from nbnet.engine.graph.tensor import Tensor, apply, tensor
from nbnet.engine.kernels.abi import WIDE, accumulates, device, kernel, mat, scratch, specialize_width, vec
from nbnet.engine.kernels.math import exp, log, sigmoid
from nbnet.ops.elementwise import documents
from nbnet.ops.reshape import Axis, checked_axis, moveaxis, reshape


@device
def largest(x: Any) -> Any:
    """The largest element of a vector. Four at a time, as each comparison of a chain waits for the one before."""
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


@specialize_width
@device
def _shift_short(width: Any, x: Any, y: Any, tops: Any) -> None:
    for i in range(tops.size):
        top = x[i * width]
        for j in range(1, width):
            top = max(top, x[i * width + j])
        tops[i] = top
        for j in range(width):
            y[i * width + j] = x[i * width + j] - top


@specialize_width
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


documents_rows = documents(
    first="x\n    Tensor or array with at least one axis.\naxis\n    The axis, several as one, or None for all; "
    "negative ones count from the last.",
    raises="ValueError\n    If the axis is out of range, or has no elements.",
)


_ROWS = "x[r,c] y[r,c]"


def along_axis(op: Op, x: Tensor, axis: Axis) -> Tensor:
    """Apply an op of rows along any axis, or several as one: they are moved to the end, and back."""
    if axis == -1 and x.shape and x.shape[-1]:
        return apply(op, x)
    if axis is None:
        return reshape(along_axis(op, reshape(x, (1, -1)), -1), x.shape)
    if isinstance(axis, Sequence):
        axes = [checked_axis(k, x.ndim) for k in axis]
        ends = list(range(-len(axes), 0))
        moved = moveaxis(x, axes, ends)
        rows = reshape(moved, (*moved.shape[: x.ndim - len(axes)], -1))
        return moveaxis(reshape(along_axis(op, rows, -1), moved.shape), ends, axes)
    at = checked_axis(axis, x.ndim)
    if not x.shape[at]:
        raise ValueError(f"axis: expected at least one element along axis {axis}, got shape {x.shape}")
    return moveaxis(apply(op, moveaxis(x, at, -1)), -1, at)


@device
def softmax_rows(mem: Any, n: Any, width: Any, x: Any, y: Any, norms: Any) -> None:
    """Write the softmax of each row of x (n * width,) to y, stable for any finite x, and the logarithm of the row's sum
    of exponentials to ``norms``, if that is not empty.

    The exponentials are one loop over many rows, as rows are often too short to fill a vector register.
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


SOFTMAX = register(
    Op(
        "softmax",
        softmax_forward,
        ("x",),
        backward=softmax_backward,
        gradient=("y", "dy", "dx"),
        extents=_ROWS,
        within=lambda sizes: sizes["c"] > 0,
    )
)


@documents_rows
def softmax(x: Any, axis: Axis = -1) -> Tensor:
    """``exp(x) / sum(exp(x))`` along an axis.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.softmax([[1e4, 1e4]]).numpy()
    array([[0.5, 0.5]], dtype=float32)
    """
    return along_axis(SOFTMAX, tensor(x), axis)


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


LOG_SOFTMAX = register(
    Op("log_softmax", log_softmax_forward, ("x",), backward=log_softmax_backward,
       gradient=("y", "dy", "dx"), extents=_ROWS, within=lambda sizes: sizes["c"] > 0)
)  # fmt: skip


@documents_rows
def log_softmax(x: Any, axis: Axis = -1) -> Tensor:
    """``x - log(sum(exp(x)))`` along an axis.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.log_softmax([[0.0, 0.0]]).numpy().round(4)
    array([[-0.6931, -0.6931]], dtype=float32)
    """
    return along_axis(LOG_SOFTMAX, tensor(x), axis)


@kernel
def sparsemax_forward(mem: Any, ins: Any, step: Any) -> None:
    # tau rises from below to its value: the mean of the numbers above it, less a share of 1, until their count stays.
    # Subtracting the largest element first keeps large numbers exact.
    x, y = mat(mem, ins, 0), mat(mem, ins, 1)
    real = x.dtype.type
    for i in range(x.shape[0]):
        row, into = x[i], y[i]
        top, tau, before = largest(row), real(-1.0), real(-1.0)
        while True:
            # Counted in floats, which fill as many lanes of a vector as the sum.
            total, above = real(0.0), real(0.0)
            for j in range(row.size):
                v = row[j] - top
                total += v if v > tau else real(0.0)
                above += real(1.0) if v > tau else real(0.0)
            if above == before or above == real(0.0):
                break
            before, tau = above, (total - real(1.0)) / above
        for j in range(row.size):
            v = row[j] - top - tau
            into[j] = 0.0 if v < 0.0 else v


@kernel
def sparsemax_backward(mem: Any, ins: Any, step: Any) -> None:
    y, dy, dx = mat(mem, ins, 0), mat(mem, ins, 1), mat(mem, ins, 2)
    add = accumulates(ins, 2)
    for i in range(y.shape[0]):
        total, above = 0.0, 0.0
        for j in range(y.shape[1]):
            total += dy[i, j] if y[i, j] > 0.0 else 0.0
            above += 1.0 if y[i, j] > 0.0 else 0.0
        mean = total / above
        for j in range(y.shape[1]):
            d = dy[i, j] - mean if y[i, j] > 0.0 else 0.0
            dx[i, j] = dx[i, j] + d if add else d


SPARSEMAX = register(
    Op(
        "sparsemax",
        sparsemax_forward,
        ("x",),
        backward=sparsemax_backward,
        gradient=("y", "dy", "dx"),
        extents=_ROWS,
        within=lambda sizes: sizes["c"] > 0,
    )
)


@documents_rows
def sparsemax(x: Any, axis: Axis = -1) -> Tensor:
    """The point of the probability simplex that is nearest to ``x``, over the last axis: a softmax with zeros.

    References
    ----------
    A. F. T. Martins, R. F. Astudillo: From softmax to sparsemax. ICML (2016).

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.sparsemax([[1.0, 1.5, -3.0]]).numpy()
    array([[0.25, 0.75, 0.  ]], dtype=float32)
    """
    return along_axis(SPARSEMAX, tensor(x), axis)


@kernel
def glu_forward(mem: Any, ins: Any, step: Any) -> None:
    x, y = mat(mem, ins, 0), mat(mem, ins, 1)
    n = y.shape[1]
    for i in range(y.shape[0]):
        for j in range(n):
            y[i, j] = x[i, j] * sigmoid(x[i, n + j])


@kernel
def glu_backward(mem: Any, ins: Any, step: Any) -> None:
    x, dy, dx = mat(mem, ins, 0), mat(mem, ins, 1), mat(mem, ins, 2)
    n = dy.shape[1]
    for i in range(dy.shape[0]):
        a, b, d, da, db = x[i, :n], x[i, n:], dy[i], dx[i, :n], dx[i, n:]
        # Loops with a choice inside, between adding and writing, would not be vectorised.
        if accumulates(ins, 2):
            for j in range(n):
                s = sigmoid(b[j])
                da[j] += d[j] * s
                db[j] += d[j] * a[j] * s * (1.0 - s)
        else:
            for j in range(n):
                s = sigmoid(b[j])
                da[j] = d[j] * s
                db[j] = d[j] * a[j] * s * (1.0 - s)


def _infer(x: Tensor) -> tuple[Spec, ...]:
    if not x.shape or x.shape[-1] % 2:
        raise ValueError(f"glu: expected a last axis of even length, got shape {x.shape}")
    return (Spec((*x.shape[:-1], x.shape[-1] // 2)),)


GLU = register(
    Op("glu", glu_forward, ("x",), infer=_infer, backward=glu_backward, gradient=("x", "dy", "dx"),
       extents="x[r,2*c] y[r,c]")
)  # fmt: skip


def glu(x: Any, axis: int = -1) -> Tensor:
    """``a * sigmoid(b)``, where a is the first half of an axis and b the second.

    Parameters
    ----------
    x
        Tensor or array.
    axis
        The axis, of even length; negative ones count from the last.

    Returns
    -------
    Tensor, half as long along the axis.

    Raises
    ------
    ValueError
        If the axis is of odd length, or out of range.

    References
    ----------
    Y. N. Dauphin, A. Fan, M. Auli, D. Grangier: Language modeling with gated convolutional networks. ICML (2017).

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.glu([[2.0, 4.0, 0.0, -1e4]]).numpy()
    array([[1., 0.]], dtype=float32)
    """
    return along_axis(GLU, tensor(x), axis)
