"""``y = min(max(x, low), high)`` where ``x > threshold``, else ``slope x + offset``: relu with all its arguments, and
threshold."""

from __future__ import annotations

from typing import Any

import numpy as np

from nbnet.core.abi import accumulates, kernel, vec
from nbnet.core.graph import Tensor
from nbnet.core.op import Op, register
from nbnet.core.tape import apply, tensor, tensors

# The parameters are one vector: threshold, slope, offset, low, high.


@kernel
def rectify_forward(mem: Any, ins: Any, step: Any) -> None:
    x, p, y = vec(mem, ins, 0), vec(mem, ins, 1), vec(mem, ins, 2)
    threshold, slope, offset, low, high = p[0], p[1], p[2], p[3], p[4]
    for i in range(y.size):
        v = x[i]
        w = low if v < low else (high if v > high else v)
        y[i] = slope * v + offset if v <= threshold else w


@kernel
def rectify_backward(mem: Any, ins: Any, step: Any) -> None:
    x, p, dy, dx = vec(mem, ins, 0), vec(mem, ins, 1), vec(mem, ins, 2), vec(mem, ins, 3)
    threshold, slope, low, high, add = p[0], p[1], p[3], p[4], accumulates(ins, 3)
    for i in range(dx.size):
        v = x[i]
        inside = 1.0 if v > low and v < high else 0.0
        d = dy[i] * (slope if v <= threshold else inside)
        dx[i] = dx[i] + d if add else d


RECTIFY = register(
    Op("rectify", rectify_forward, ("x", "p"), backward=rectify_backward, gradient=("x", "p", "dy", "dx"))
)


def rectify(
    x: Any, threshold: float, slope: float = 0.0, offset: float = 0.0, low: float = -np.inf, high: float = np.inf
) -> Tensor:
    """``x``, cut off at ``low`` and ``high``, where it is above a threshold, else ``slope * x + offset``.

    Parameters
    ----------
    x
        Tensor or array of any shape.
    threshold, slope, offset, low, high
        Numbers. They get no gradient.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.rectify([-2.0, 2.0, 9.0], 1.0, slope=0.5, high=6.0).numpy()
    array([-1.,  2.,  6.], dtype=float32)
    """
    return apply(RECTIFY, *tensors(tensor(x), [threshold, slope, offset, low, high]))  # type: ignore[no-any-return]
