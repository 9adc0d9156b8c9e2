"""``y = gamma * (x - mean) / sqrt(variance + epsilon) + beta``, channel by channel: batch normalisation in training.

Mean and variance are those of the batch; the gradient flows through them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nbnet.core.abi import accumulates, attribute, device, doublevec, kernel, present, vec
from nbnet.core.graph import Tensor
from nbnet.core.op import DOUBLE, Op, Spec, register
from nbnet.core.tape import apply, effect, tensor, tensors
from nbnet.ops.channels import channel_axis, channels_of, correlate, encode, normalise, scale_and_shift, spread, store


@device
def _deviations(x: Any, shift: Any, ins: Any, squared: bool, total: Any) -> None:
    """Add up ``x - shift`` over each channel, or its square.

    total: float64 (channels,)
    """
    outer, channels, inner = attribute(ins, 0), attribute(ins, 1), attribute(ins, 2)
    for k in range(channels):
        total[k] = 0
    if inner == 1:
        for o in range(outer):
            row = x[o * channels : o * channels + channels]
            for k in range(channels):
                d = row[k] - shift[k]
                total[k] += np.float64(d * d if squared else d)
    else:
        for o in range(outer):
            for k in range(channels):
                part, s, start = np.float64(0), shift[k], (o * channels + k) * inner
                row = x[start : start + inner]
                for j in range(inner):
                    d = row[j] - s
                    part += np.float64(d * d if squared else d)
                total[k] += part


@kernel
def batch_norm_forward(mem: Any, ins: Any, step: Any) -> None:
    x, gamma, beta, epsilon = vec(mem, ins, 0), vec(mem, ins, 1), vec(mem, ins, 2), vec(mem, ins, 3)[0]
    y, mean, variance, rate, total = (vec(mem, ins, 4), vec(mem, ins, 5), vec(mem, ins, 6), vec(mem, ins, 7),
    doublevec(mem, ins, 8))  # fmt: skip
    n = np.float64(attribute(ins, 0) * attribute(ins, 2))
    mean[:] = 0.0
    _deviations(x, mean, ins, False, total)
    for k in range(mean.size):
        mean[k] = total[k] / n
    _deviations(x, mean, ins, True, total)
    for k in range(mean.size):
        variance[k] = total[k] / n
        rate[k] = 1.0 / np.sqrt(variance[k] + epsilon)
    normalise(x, mean, rate, gamma, beta, ins, y)


@kernel
def batch_norm_backward(mem: Any, ins: Any, step: Any) -> None:
    x, gamma, mean, rate = vec(mem, ins, 0), vec(mem, ins, 1), vec(mem, ins, 2), vec(mem, ins, 3)
    dy, dmean, dvariance = vec(mem, ins, 4), vec(mem, ins, 5), vec(mem, ins, 6)
    dx, dgamma, dbeta = vec(mem, ins, 7), vec(mem, ins, 8), vec(mem, ins, 9)
    totals, factors, m = doublevec(mem, ins, 10), vec(mem, ins, 11), gamma.size
    plain, crossed, real = totals[:m], totals[m:], gamma.dtype.type
    a, b, c = factors[:m], factors[m : 2 * m], factors[2 * m :]
    n = np.float64(attribute(ins, 0) * attribute(ins, 2))
    correlate(x, mean, dy, ins, plain, crossed)
    if present(ins, 7):
        for k in range(m):
            a[k] = gamma[k] * rate[k]
            b[k] = (2.0 * dvariance[k] - a[k] * rate[k] * rate[k] * real(crossed[k])) / real(n)
            c[k] = (dmean[k] - a[k] * real(plain[k])) / real(n)
        spread(x, mean, dy, a, b, c, ins, dx, accumulates(ins, 7))
    if present(ins, 8):
        for k in range(m):
            crossed[k] *= rate[k]
        store(dgamma, crossed, accumulates(ins, 8))
    if present(ins, 9):
        store(dbeta, plain, accumulates(ins, 9))


@kernel
def moving_average(mem: Any, ins: Any, step: Any) -> None:
    average, value, momentum = vec(mem, ins, 0), vec(mem, ins, 1), vec(mem, ins, 2)[0]
    for k in range(average.size):
        average[k] = average[k] * momentum + value[k] * (1.0 - momentum)


def _infer(x: Tensor, gamma: Tensor, beta: Tensor, epsilon: Tensor, axis: int) -> tuple[Spec, ...]:
    n = channels_of(x, axis, gamma, beta)
    one = Spec((n,))
    return Spec(x.shape), one, one, one, Spec((n,), DOUBLE), Spec((2, n), DOUBLE), Spec((3, n))


BATCH_NORM = register(
    Op(
        "batch_norm",
        batch_norm_forward,
        ("x", "gamma", "beta", "epsilon"),
        infer=_infer,
        outputs=("y", "mean", "variance"),
        saves=("rate", "total"),
        backward=batch_norm_backward,
        gradient=("x", "gamma", "mean", "rate", "dy", "dmean", "dvariance", "dx", "dgamma", "dbeta", "totals",
                  "factors"),
        work=("totals", "factors"),
        encode=encode,
        whole_batch=True,
    )
)  # fmt: skip


def batch_norm(
    x: Any, gamma: Any = None, beta: Any = None, epsilon: Any = 1e-3, axis: int = -1
) -> tuple[Tensor, Tensor, Tensor]:
    """``gamma * (x - mean) / sqrt(variance + epsilon) + beta`` with mean and variance of the batch.

    Parameters
    ----------
    x
        (batch, ..., channels, ...)
    gamma, beta
        (channels,); without them gamma is 1 and beta 0.
    epsilon
        Added to the variance: a number, or a one-element tensor.
    axis
        Of the channels; not the batch's.

    Returns
    -------
    The result, and mean and variance of each channel; the variance is divided by the number of elements.

    References
    ----------
    S. Ioffe, C. Szegedy: Batch normalization: accelerating deep network training by reducing internal covariate shift.
    ICML (2015), algorithm 1.

    Examples
    --------
    >>> import nbnet as nb
    >>> y, mean, variance = nb.ops.batch_norm([[1.0], [5.0]], [1.0], [0.0], epsilon=0.0)
    >>> y.numpy().ravel(), mean.numpy(), variance.numpy()
    (array([-1.,  1.], dtype=float32), array([3.], dtype=float32), array([4.], dtype=float32))
    """
    x = tensor(x)
    axis = channel_axis(x, axis)
    operands = tensors(x, *scale_and_shift(x, axis, gamma, beta), epsilon)
    return apply(BATCH_NORM, *operands, axis=axis)  # type: ignore[no-any-return]


def move_average(average: Tensor, value: Tensor, momentum: float) -> None:
    """``average = average * momentum + value * (1 - momentum)``, now or in every step of a program."""
    effect(moving_average, average, value, tensors(average, momentum)[1])
