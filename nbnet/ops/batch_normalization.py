"""``y = gamma * (x - mean) / sqrt(variance + epsilon) + beta``, channel by channel, with mean and variance that are
given: batch normalisation in inference.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nbnet.core.abi import accumulates, doublevec, kernel, present, vec
from nbnet.core.graph import Tensor
from nbnet.core.op import DOUBLE, Op, Spec, register
from nbnet.core.tape import apply, tensor, tensors
from nbnet.ops.channels import channel_axis, channels_of, correlate, encode, normalise, scale_and_shift, spread, store


@kernel
def batch_norm_fixed_forward(mem: Any, ins: Any, step: Any) -> None:
    x, gamma, beta, mean, variance, epsilon = (vec(mem, ins, 0), vec(mem, ins, 1), vec(mem, ins, 2), vec(mem, ins, 3),
    vec(mem, ins, 4), vec(mem, ins, 5)[0])  # fmt: skip
    y, rate = vec(mem, ins, 6), vec(mem, ins, 7)
    for k in range(rate.size):
        rate[k] = 1.0 / np.sqrt(variance[k] + epsilon)
    normalise(x, mean, rate, gamma, beta, ins, y)


@kernel
def batch_norm_fixed_backward(mem: Any, ins: Any, step: Any) -> None:
    x, gamma, mean, rate, dy = (vec(mem, ins, 0), vec(mem, ins, 1), vec(mem, ins, 2), vec(mem, ins, 3),
    vec(mem, ins, 4))  # fmt: skip
    dx, dgamma, dbeta = vec(mem, ins, 5), vec(mem, ins, 6), vec(mem, ins, 7)
    totals, factors, m = doublevec(mem, ins, 8), vec(mem, ins, 9), gamma.size
    plain, crossed = totals[:m], totals[m:]
    if present(ins, 5):
        a, zero = factors[:m], factors[m:]
        for k in range(m):
            a[k], zero[k] = gamma[k] * rate[k], 0.0
        spread(x, mean, dy, a, zero, zero, ins, dx, accumulates(ins, 5))
    if present(ins, 6) or present(ins, 7):
        correlate(x, mean, dy, ins, plain, crossed)
    if present(ins, 6):
        for k in range(m):
            crossed[k] *= rate[k]
        store(dgamma, crossed, accumulates(ins, 6))
    if present(ins, 7):
        store(dbeta, plain, accumulates(ins, 7))


def _infer(
    x: Tensor, gamma: Tensor, beta: Tensor, mean: Tensor, variance: Tensor, epsilon: Tensor, axis: int
) -> tuple[Spec, ...]:
    n = channels_of(x, axis, gamma, beta, mean, variance)
    return Spec(x.shape), Spec((n,)), Spec((2, n), DOUBLE), Spec((2, n))


BATCH_NORM_FIXED = register(
    Op(
        "batch_norm_fixed",
        batch_norm_fixed_forward,
        ("x", "gamma", "beta", "mean", "variance", "epsilon"),
        infer=_infer,
        saves=("rate",),
        backward=batch_norm_fixed_backward,
        gradient=("x", "gamma", "mean", "rate", "dy", "dx", "dgamma", "dbeta", "totals", "factors"),
        work=("totals", "factors"),
        encode=encode,
    )
)


def batch_normalization(
    x: Any,
    mean: Any,
    variance: Any,
    axis: int,
    offset: Any = None,
    scale: Any = None,
    epsilon: Any = 1e-3,
) -> Tensor:
    """``scale * (x - mean) / sqrt(variance + epsilon) + offset`` with mean and variance that are given.

    Parameters
    ----------
    x
        (batch, ..., channels, ...)
    mean, variance, offset, scale
        (channels,); without them offset is 0 and scale 1. Mean and variance get no gradient.
    axis
        Of the channels; not the batch's.
    epsilon
        Added to the variance: a number, or a one-element tensor.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.batch_normalization([[1.0], [5.0]], [3.0], [4.0], -1, epsilon=0.0).numpy().ravel()
    array([-1.,  1.], dtype=float32)
    """
    x = tensor(x)
    axis = channel_axis(x, axis)
    operands = tensors(x, *scale_and_shift(x, axis, scale, offset), mean, variance, epsilon)
    return apply(BATCH_NORM_FIXED, *operands, axis=axis)  # type: ignore[no-any-return]
