"""``sparsemax(x) = max(x - tau, 0)`` over the last axis, where tau makes the sum 1."""

from __future__ import annotations

from typing import Any

from nbnet.core.abi import accumulates, kernel, mat
from nbnet.core.graph import Tensor
from nbnet.core.op import Op, register
from nbnet.core.tape import apply, tensor
from nbnet.ops.softmax import largest, last_axis


@kernel
def sparsemax_forward(mem: Any, ins: Any, step: Any) -> None:
    # tau rises from below to its value: the mean of what is above it, less a share of 1, until nothing falls below any
    # more. What is subtracted first keeps large numbers exact.
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
    Op("sparsemax", sparsemax_forward, ("x",), backward=sparsemax_backward, gradient=("y", "dy", "dx"))
)


def sparsemax(x: Any, axis: int = -1) -> Tensor:
    """The point of the probability simplex that is nearest to ``x``, over the last axis: a softmax with zeros.

    Parameters
    ----------
    x
        (..., classes)
    axis
        The last one.

    References
    ----------
    A. F. T. Martins, R. F. Astudillo: From softmax to sparsemax. ICML (2016).

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.sparsemax([[1.0, 1.5, -3.0]]).numpy()
    array([[0.25, 0.75, 0.  ]], dtype=float32)
    """
    return apply(SPARSEMAX, last_axis(tensor(x), axis))  # type: ignore[no-any-return]
