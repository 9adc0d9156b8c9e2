"""``y = gamma * (x - mean) / sqrt(variance + epsilon) + beta``, channel by channel: batch normalisation.

In training, mean and variance are those of the batch; the gradient flows through them. In inference they are given.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from nbnet.core.abi import accumulates, attribute, device, doublevec, kernel, present, vec
from nbnet.core.graph import Tensor
from nbnet.core.op import DOUBLE, Op, Spec, register
from nbnet.core.tape import apply, effect, tensor, tensors

# x is seen as (outer, channels, inner); attributes: outer, channels, inner. Usually channels are the last axis and
# inner is 1: then loops run along the channels, else along the inner axis. Sums are float64 whatever x is.


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
                for j in range(start, start + inner):
                    d = x[j] - s
                    part += np.float64(d * d if squared else d)
                total[k] += part


@device
def _normalise(x: Any, mean: Any, rate: Any, gamma: Any, beta: Any, ins: Any, y: Any) -> None:
    """``y = (x - mean) * rate * gamma + beta``"""
    outer, channels, inner = attribute(ins, 0), attribute(ins, 1), attribute(ins, 2)
    if inner == 1:
        for o in range(outer):
            row, into = x[o * channels : o * channels + channels], y[o * channels : o * channels + channels]
            for k in range(channels):
                into[k] = (row[k] - mean[k]) * (rate[k] * gamma[k]) + beta[k]
    else:
        for o in range(outer):
            for k in range(channels):
                m, s, b, start = mean[k], rate[k] * gamma[k], beta[k], (o * channels + k) * inner
                for j in range(start, start + inner):
                    y[j] = (x[j] - m) * s + b


@device
def _correlate(x: Any, mean: Any, dy: Any, ins: Any, plain: Any, crossed: Any) -> None:
    """Sums over each channel of dy, and of dy * (x - mean).

    plain, crossed: float64 (channels,)
    """
    outer, channels, inner = attribute(ins, 0), attribute(ins, 1), attribute(ins, 2)
    for k in range(channels):
        plain[k] = 0
        crossed[k] = 0
    if inner == 1:
        for o in range(outer):
            row, d = x[o * channels : o * channels + channels], dy[o * channels : o * channels + channels]
            for k in range(channels):
                plain[k] += np.float64(d[k])
                crossed[k] += np.float64(d[k] * (row[k] - mean[k]))
    else:
        for o in range(outer):
            for k in range(channels):
                total, product, m, start = np.float64(0), np.float64(0), mean[k], (o * channels + k) * inner
                for j in range(start, start + inner):
                    total += np.float64(dy[j])
                    product += np.float64(dy[j] * (x[j] - m))
                plain[k] += total
                crossed[k] += product


@device
def _spread(x: Any, mean: Any, dy: Any, a: Any, b: Any, c: Any, ins: Any, dx: Any, add: bool) -> None:
    """``dx (+)= a * dy + b * (x - mean) + c``"""
    outer, channels, inner = attribute(ins, 0), attribute(ins, 1), attribute(ins, 2)
    if inner == 1:
        for o in range(outer):
            start, end = o * channels, o * channels + channels
            row, d, into = x[start:end], dy[start:end], dx[start:end]
            for k in range(channels):
                v = a[k] * d[k] + b[k] * (row[k] - mean[k]) + c[k]
                into[k] = into[k] + v if add else v
    else:
        for o in range(outer):
            for k in range(channels):
                u, v, w, m, start = a[k], b[k], c[k], mean[k], (o * channels + k) * inner
                for j in range(start, start + inner):
                    d = u * dy[j] + v * (x[j] - m) + w
                    dx[j] = dx[j] + d if add else d


@device
def _store(into: Any, value: Any, add: bool) -> None:
    for k in range(into.size):
        into[k] = into[k] + value[k] if add else value[k]


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
    _normalise(x, mean, rate, gamma, beta, ins, y)


@kernel
def batch_norm_backward(mem: Any, ins: Any, step: Any) -> None:
    x, gamma, mean, rate = vec(mem, ins, 0), vec(mem, ins, 1), vec(mem, ins, 2), vec(mem, ins, 3)
    dy, dmean, dvariance = vec(mem, ins, 4), vec(mem, ins, 5), vec(mem, ins, 6)
    dx, dgamma, dbeta = vec(mem, ins, 7), vec(mem, ins, 8), vec(mem, ins, 9)
    totals, factors, m = doublevec(mem, ins, 10), vec(mem, ins, 11), gamma.size
    plain, crossed, real = totals[:m], totals[m:], gamma.dtype.type
    a, b, c = factors[:m], factors[m : 2 * m], factors[2 * m :]
    n = np.float64(attribute(ins, 0) * attribute(ins, 2))
    _correlate(x, mean, dy, ins, plain, crossed)
    if present(ins, 7):
        for k in range(m):
            a[k] = gamma[k] * rate[k]
            b[k] = (2.0 * dvariance[k] - a[k] * rate[k] * rate[k] * real(crossed[k])) / real(n)
            c[k] = (dmean[k] - a[k] * real(plain[k])) / real(n)
        _spread(x, mean, dy, a, b, c, ins, dx, accumulates(ins, 7))
    if present(ins, 8):
        for k in range(m):
            crossed[k] *= rate[k]
        _store(dgamma, crossed, accumulates(ins, 8))
    if present(ins, 9):
        _store(dbeta, plain, accumulates(ins, 9))


@kernel
def batch_norm_fixed_forward(mem: Any, ins: Any, step: Any) -> None:
    x, gamma, beta, mean, variance, epsilon = (vec(mem, ins, 0), vec(mem, ins, 1), vec(mem, ins, 2), vec(mem, ins, 3),
    vec(mem, ins, 4), vec(mem, ins, 5)[0])  # fmt: skip
    y, rate = vec(mem, ins, 6), vec(mem, ins, 7)
    for k in range(rate.size):
        rate[k] = 1.0 / np.sqrt(variance[k] + epsilon)
    _normalise(x, mean, rate, gamma, beta, ins, y)


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
        _spread(x, mean, dy, a, zero, zero, ins, dx, accumulates(ins, 5))
    if present(ins, 6) or present(ins, 7):
        _correlate(x, mean, dy, ins, plain, crossed)
    if present(ins, 6):
        for k in range(m):
            crossed[k] *= rate[k]
        _store(dgamma, crossed, accumulates(ins, 6))
    if present(ins, 7):
        _store(dbeta, plain, accumulates(ins, 7))


@kernel
def moving_average(mem: Any, ins: Any, step: Any) -> None:
    average, value, momentum = vec(mem, ins, 0), vec(mem, ins, 1), vec(mem, ins, 2)[0]
    for k in range(average.size):
        average[k] = average[k] * momentum + value[k] * (1.0 - momentum)


def _check(x: Tensor, axis: int, *values: Tensor) -> int:
    """Number of channels."""
    channels = x.shape[axis]
    wrong = [v.shape for v in values if v.shape != (channels,)]
    if wrong:
        raise ValueError(f"batch_norm: wants one value for each of {channels} channels, got shapes {wrong}")
    return channels


def _infer(x: Tensor, gamma: Tensor, beta: Tensor, epsilon: Tensor, axis: int) -> tuple[Spec, ...]:
    n = _check(x, axis, gamma, beta)
    one = Spec((n,))
    return Spec(x.shape), one, one, one, Spec((n,), DOUBLE), Spec((2, n), DOUBLE), Spec((3, n))


def _infer_fixed(
    x: Tensor, gamma: Tensor, beta: Tensor, mean: Tensor, variance: Tensor, epsilon: Tensor, axis: int
) -> tuple[Spec, ...]:
    n = _check(x, axis, gamma, beta, mean, variance)
    return Spec(x.shape), Spec((n,)), Spec((2, n), DOUBLE), Spec((2, n))


def _encode(x: Tensor, *rest: Tensor, axis: int) -> tuple[int, ...]:
    return prod(x.shape[:axis]), x.shape[axis], prod(x.shape[axis + 1 :])


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
        encode=_encode,
        whole_batch=True,
    )
)  # fmt: skip
BATCH_NORM_FIXED = register(
    Op(
        "batch_norm_fixed",
        batch_norm_fixed_forward,
        ("x", "gamma", "beta", "mean", "variance", "epsilon"),
        infer=_infer_fixed,
        saves=("rate",),
        backward=batch_norm_fixed_backward,
        gradient=("x", "gamma", "mean", "rate", "dy", "dx", "dgamma", "dbeta", "totals", "factors"),
        work=("totals", "factors"),
        encode=_encode,
    )
)


def _axis(x: Tensor, axis: int) -> int:
    if not -x.ndim <= axis < x.ndim or axis % x.ndim == 0:
        raise ValueError(f"axis: {axis} is no axis of channels in a tensor of shape {x.shape}")
    return axis % x.ndim


def _trained(x: Tensor, axis: int, gamma: Any, beta: Any) -> tuple[Any, Any]:
    n = x.shape[axis]
    return np.ones(n, x.dtype) if gamma is None else gamma, np.zeros(n, x.dtype) if beta is None else beta


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
    axis = _axis(x, axis)
    operands = tensors(x, *_trained(x, axis, gamma, beta), epsilon)
    return apply(BATCH_NORM, *operands, axis=axis)  # type: ignore[no-any-return]


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
    axis = _axis(x, axis)
    operands = tensors(x, *_trained(x, axis, scale, offset), mean, variance, epsilon)
    return apply(BATCH_NORM_FIXED, *operands, axis=axis)  # type: ignore[no-any-return]


def move_average(average: Tensor, value: Tensor, momentum: float) -> None:
    """``average = average * momentum + value * (1 - momentum)``, now or in every step of a program."""
    effect(moving_average, average, value, tensors(average, momentum)[1])
