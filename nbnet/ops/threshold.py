"""Thresholds and shrinkage: functions that treat numbers on either side of a threshold differently."""

from __future__ import annotations

from typing import Any

import numpy as np

from nbnet.engine.graph.op import Op, register
from nbnet.engine.graph.tensor import Tensor, apply, tensor, tensors
from nbnet.engine.jit.linker import device, kernel
from nbnet.engine.kernels.abi import accumulates, vec
from nbnet.engine.kernels.math import tanh as tanh_of
from nbnet.ops.elementwise import documents, documents_x, elementwise, from_zero, unary

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
    Op("rectify", rectify_forward, ("x", "p"), backward=rectify_backward, gradient=("x", "p", "dy", "dx"),
       role="elementwise", extents="x[n] p[5] y[n]")
)  # fmt: skip


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
    return apply(RECTIFY, *tensors(tensor(x), [threshold, slope, offset, low, high]))


@documents_x
def threshold(x: Any, threshold: float, default_value: float) -> Tensor:
    """``x`` where it is above a threshold, else ``default_value``.

    Parameters
    ----------
    threshold, default_value
        Numbers. They get no gradient.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.threshold([-2.0, 0.5, 2.0], 1.0, -1.0).numpy()
    array([-1., -1.,  2.], dtype=float32)
    """
    return rectify(x, threshold, offset=default_value)


@device
def _tanh_shrink_derivative(x: Any, a: Any) -> Any:
    t = tanh_of(x)
    return t * t


@unary(lambda x, a: x - tanh_of(x), _tanh_shrink_derivative)
def tanh_shrink(x: Any) -> Any:
    """``x - tanh(x)``, element by element.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.tanh_shrink([-1.0, 0.0, 1.0]).numpy().round(4)
    array([-0.2384,  0.    ,  0.2384], dtype=float32)
    """


SOFT_SHRINK = elementwise(
    "soft_shrink",
    lambda x, a: x - (-a if x < -a else (a if x > a else x)),
    lambda y, a: 0.0 if y == 0.0 else 1.0,
    keeps="y",
    parameter="threshold",
    sign_only=True,
)


_documents_threshold = documents(
    first="x\n    Tensor or array of any shape.\n"
    "threshold\n    A number from 0, or a one-element tensor. It gets no gradient.",
    raises="ValueError\n    If the threshold is negative.",
)


@_documents_threshold
def soft_shrink(x: Any, threshold: Any = 0.5) -> Tensor:
    """``x`` moved towards 0 by a threshold; 0 where its absolute value is at most the threshold.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.soft_shrink([-0.75, 0.25, 2.0]).numpy()
    array([-0.25,  0.  ,  1.5 ], dtype=float32)
    """
    return apply(SOFT_SHRINK.op, *tensors(tensor(x), from_zero(threshold, "threshold")))


HARD_SHRINK = elementwise(
    "hard_shrink",
    lambda x, a: 0.0 if abs(x) <= a else x,
    lambda y, a: 0.0 if y == 0.0 else 1.0,
    keeps="y",
    parameter="threshold",
    sign_only=True,
)


@_documents_threshold
def hard_shrink(x: Any, threshold: Any = 0.5) -> Tensor:
    """``x`` where its absolute value is above a threshold, else 0; the derivative at the jumps is 0.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.hard_shrink([-0.75, 0.25, 2.0]).numpy()
    array([-0.75,  0.  ,  2.  ], dtype=float32)
    """
    return apply(HARD_SHRINK.op, *tensors(tensor(x), from_zero(threshold, "threshold")))
