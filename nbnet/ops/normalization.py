"""Normalization: batch_norm and batch_normalization, channel by channel, and layer_norm over the last axes."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from nbnet.engine.graph.op import DOUBLE, Op, Spec, register
from nbnet.engine.graph.tape import effect
from nbnet.engine.graph.tensor import Tensor, apply, apply_many, tensor, tensors
from nbnet.engine.kernels.abi import accumulates, attribute, device, doublevec, kernel, present, vec
from nbnet.ops.broadcast import add, divide, multiply, subtract
from nbnet.ops.constants import full, zeros
from nbnet.ops.elementwise import sqrt
from nbnet.ops.reshape import reshape


# x is seen as (outer, channels, inner); attributes: outer, channels, inner. Usually channels are the last axis and
# inner is 1: then loops run along the channels, else along the inner axis. Sums are float64 whatever x is.
@device
def normalize(x: Any, mean: Any, rate: Any, gamma: Any, beta: Any, ins: Any, y: Any) -> None:
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
                row, into = x[start : start + inner], y[start : start + inner]
                for j in range(inner):
                    into[j] = (row[j] - m) * s + b


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


@device
def correlate(x: Any, mean: Any, dy: Any, ins: Any, plain: Any, crossed: Any) -> None:
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
                row, d = x[start : start + inner], dy[start : start + inner]
                for j in range(inner):
                    total += np.float64(d[j])
                    product += np.float64(d[j] * (row[j] - m))
                plain[k] += total
                crossed[k] += product


@device
def spread(x: Any, mean: Any, dy: Any, a: Any, b: Any, c: Any, ins: Any, dx: Any, add: bool) -> None:
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
                row, d, into = x[start : start + inner], dy[start : start + inner], dx[start : start + inner]
                for j in range(inner):
                    e = u * d[j] + v * (row[j] - m) + w
                    into[j] = into[j] + e if add else e


@device
def store(into: Any, value: Any, add: bool) -> None:
    for k in range(into.size):
        into[k] = into[k] + value[k] if add else value[k]


def channels_of(x: Tensor, axis: int, epsilon: Tensor, *values: Tensor) -> int:
    """Return the number of channels; raise ValueError unless each of ``values`` has one number for each channel."""
    channels = x.shape[axis]
    wrong = [v.shape for v in values if v.shape != (channels,)]
    if epsilon.size != 1:
        raise ValueError(f"epsilon: expected a number, or a tensor of one element, got shape {epsilon.shape}")
    if wrong:
        raise ValueError(f"batch_norm: expected one value for each of {channels} channels, got shapes {wrong}")
    return channels


def encode(x: Tensor, *rest: Tensor, axis: int) -> tuple[int, ...]:
    """The attributes: outer, channels, inner."""
    return prod(x.shape[:axis]), x.shape[axis], prod(x.shape[axis + 1 :])


def channel_axis(x: Tensor, axis: int) -> int:
    """Return the axis of the channels as a number from 0; raise ValueError for the batch's axis."""
    if not -x.ndim <= axis < x.ndim or axis % x.ndim == 0:
        raise ValueError(f"axis: {axis} is not an axis of channels in a tensor of shape {x.shape}")
    return axis % x.ndim


def scale_and_shift(x: Tensor, axis: int, gamma: Any, beta: Any) -> tuple[Any, Any]:
    """Gamma and beta, by default 1 and 0."""
    n = x.shape[axis]
    if gamma is None:
        gamma = full(n, 1, x.dtype, "batch_normalization")
    return gamma, zeros(n, x.dtype, "batch_normalization") if beta is None else beta


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
    normalize(x, mean, rate, gamma, beta, ins, y)


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


def _batch_norm_infer(x: Tensor, gamma: Tensor, beta: Tensor, epsilon: Tensor, axis: int) -> tuple[Spec, ...]:
    n = channels_of(x, axis, epsilon, gamma, beta)
    one = Spec((n,))
    return Spec(x.shape), one, one, one, Spec((n,), DOUBLE), Spec((2, n), DOUBLE), Spec((3, n))


_EXTENTS = (
    "x[outer*channels*inner] gamma[channels] beta[channels] epsilon[1] y[outer*channels*inner] mean[channels] "
    "variance[channels] rate[channels] totals:f8[2*channels]"
)

BATCH_NORM = register(
    Op("batch_norm", batch_norm_forward, ("x", "gamma", "beta", "epsilon"), infer=_batch_norm_infer,
       outputs=("y", "mean", "variance"), saves=("rate", "total"), backward=batch_norm_backward,
       gradient=("x", "gamma", "mean", "rate", "dy", "dmean", "dvariance", "dx", "dgamma", "dbeta", "totals",
                 "factors"), role="normalization", work=("totals", "factors"), encode=encode, whole_batch=True,
       extents=f"{_EXTENTS} total:f8[channels] factors[3*channels]; outer channels inner")
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
        Axis of the channels; not the batch's.

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
    y, mean, variance = apply_many(BATCH_NORM, *operands, axis=axis)
    return y, mean, variance


@kernel(extents="average[n] value[n] momentum[1]")
def moving_average(mem: Any, ins: Any, step: Any) -> None:
    average, value, momentum = vec(mem, ins, 0), vec(mem, ins, 1), vec(mem, ins, 2)[0]
    for k in range(average.size):
        average[k] = average[k] * momentum + value[k] * (1.0 - momentum)


def move_average(average: Tensor, value: Tensor, momentum: float) -> None:
    """``average = average * momentum + value * (1 - momentum)``, now or in every step of a program."""
    if average.shape != value.shape:
        raise ValueError(f"batch_norm: the layer keeps averages of shape {average.shape}, got values of {value.shape}")
    effect(moving_average, average, value, tensors(average, momentum)[1])


@kernel
def batch_norm_fixed_forward(mem: Any, ins: Any, step: Any) -> None:
    x, gamma, beta, mean, variance, epsilon = (vec(mem, ins, 0), vec(mem, ins, 1), vec(mem, ins, 2), vec(mem, ins, 3),
    vec(mem, ins, 4), vec(mem, ins, 5)[0])  # fmt: skip
    y, rate = vec(mem, ins, 6), vec(mem, ins, 7)
    for k in range(rate.size):
        rate[k] = 1.0 / np.sqrt(variance[k] + epsilon)
    normalize(x, mean, rate, gamma, beta, ins, y)


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


def _batch_normalization_infer(
    x: Tensor, gamma: Tensor, beta: Tensor, mean: Tensor, variance: Tensor, epsilon: Tensor, axis: int
) -> tuple[Spec, ...]:
    n = channels_of(x, axis, epsilon, gamma, beta, mean, variance)
    return Spec(x.shape), Spec((n,)), Spec((2, n), DOUBLE), Spec((2, n))


BATCH_NORM_FIXED = register(
    Op("batch_norm_fixed", batch_norm_fixed_forward, ("x", "gamma", "beta", "mean", "variance", "epsilon"),
       infer=_batch_normalization_infer, saves=("rate",), backward=batch_norm_fixed_backward,
       gradient=("x", "gamma", "mean", "rate", "dy", "dx", "dgamma", "dbeta", "totals", "factors"),
       role="normalization", linear=True, work=("totals", "factors"), encode=encode,
       extents=f"{_EXTENTS} factors[2*channels]; outer channels inner")
)  # fmt: skip


def batch_normalization(
    x: Any, mean: Any, variance: Any, axis: int, offset: Any = None, scale: Any = None, epsilon: Any = 1e-3
) -> Tensor:
    """``scale * (x - mean) / sqrt(variance + epsilon) + offset`` with given mean and variance.

    Parameters
    ----------
    x
        (batch, ..., channels, ...)
    mean, variance, offset, scale
        (channels,); without them offset is 0 and scale 1.
    axis
        Axis of the channels; not the batch's.
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
    if any(v.requires_grad for v in operands[3:]):
        return _normalized(operands, axis)
    return apply(BATCH_NORM_FIXED, *operands, axis=axis)


def _normalized(operands: Sequence[Tensor], axis: int) -> Tensor:
    """The same where gradients flow to mean and variance, made of other ops."""
    x, *values, epsilon = operands
    channels_of(x, axis, epsilon, *values)
    shape = tuple(n if k == axis else 1 for k, n in enumerate(x.shape))
    gamma, beta, mean, variance = (reshape(v, shape) for v in values)
    rate = divide(gamma, sqrt(add(variance, reshape(epsilon, ()))))
    return add(multiply(subtract(x, mean), rate), beta)


@kernel
def layer_norm_forward(mem: Any, ins: Any, step: Any) -> None:
    x, gamma, beta, epsilon = vec(mem, ins, 0), vec(mem, ins, 1), vec(mem, ins, 2), vec(mem, ins, 3)[0]
    y, mean, rate, n = vec(mem, ins, 4), vec(mem, ins, 5), vec(mem, ins, 6), gamma.size
    share = 1.0 / x.dtype.type(n)
    for i in range(mean.size):
        row, into = x[i * n : i * n + n], y[i * n : i * n + n]
        total = 0.0
        for j in range(n):
            total += row[j]
        m, spread = total * share, 0.0
        for j in range(n):
            spread += (row[j] - m) * (row[j] - m)
        r = 1.0 / np.sqrt(spread * share + epsilon)
        for j in range(n):
            into[j] = (row[j] - m) * r * gamma[j] + beta[j]
        mean[i], rate[i] = m, r


@kernel
def layer_norm_backward(mem: Any, ins: Any, step: Any) -> None:
    x, gamma, mean, rate, dy = (vec(mem, ins, 0), vec(mem, ins, 1), vec(mem, ins, 2), vec(mem, ins, 3),
    vec(mem, ins, 4))  # fmt: skip
    dx, dgamma, dbeta, n = vec(mem, ins, 5), vec(mem, ins, 6), vec(mem, ins, 7), gamma.size
    share, add = 1.0 / x.dtype.type(n), accumulates(ins, 5)
    if present(ins, 6) and not accumulates(ins, 6):
        dgamma[:] = 0.0
    if present(ins, 7) and not accumulates(ins, 7):
        dbeta[:] = 0.0
    for i in range(mean.size):
        row, d, m, r = x[i * n : i * n + n], dy[i * n : i * n + n], mean[i], rate[i]
        if present(ins, 6):
            for j in range(n):
                dgamma[j] += d[j] * ((row[j] - m) * r)
        if present(ins, 7):
            for j in range(n):
                dbeta[j] += d[j]
        if present(ins, 5):
            into = dx[i * n : i * n + n]
            plain, crossed = 0.0, 0.0
            for j in range(n):
                plain += d[j] * gamma[j]
                crossed += d[j] * gamma[j] * (row[j] - m)
            b, c = crossed * share * r * r, plain * share
            for j in range(n):
                v, old = r * (d[j] * gamma[j] - b * (row[j] - m) - c), into[j]
                into[j] = old + v if add else v


def _layer_norm_infer(x: Tensor, gamma: Tensor, beta: Tensor, epsilon: Tensor) -> tuple[Spec, ...]:
    axes = gamma.ndim
    if not 0 < axes < x.ndim or gamma.shape != x.shape[-axes:] or beta.shape != gamma.shape:
        raise ValueError(
            f"layer_norm: expected gamma and beta of the shape of x's last axes, got {x.shape}, {gamma.shape} and "
            f"{beta.shape}"
        )
    if epsilon.size != 1:
        raise ValueError(f"epsilon: expected a number, or a tensor of one element, got shape {epsilon.shape}")
    row = Spec(x.shape[:-axes])
    return Spec(x.shape), row, row


LAYER_NORM = register(
    Op("layer_norm", layer_norm_forward, ("x", "gamma", "beta", "epsilon"), infer=_layer_norm_infer,
       saves=("mean", "rate"), backward=layer_norm_backward,
       gradient=("x", "gamma", "mean", "rate", "dy", "dx", "dgamma", "dbeta"), role="normalization",
       extents="x[n*k] gamma[k] beta[k] epsilon[1] y[n*k] mean[n] rate[n]")
)  # fmt: skip


def layer_norm(x: Any, gamma: Any, beta: Any, epsilon: Any = 1e-3) -> Tensor:
    """``gamma * (x - mean) / sqrt(variance + epsilon) + beta`` over the last axes.

    Parameters
    ----------
    x
        (batch, ..., features)
    gamma, beta
        Scale and shift, of the shape of x's last axes, one or more: these are normalized together.
    epsilon
        Added to the variance: a number, or a one-element tensor.

    Raises
    ------
    ValueError
        If the shapes do not fit.

    References
    ----------
    J. L. Ba, J. R. Kiros, G. E. Hinton: Layer normalization. arXiv:1607.06450 (2016), section 3.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.layer_norm([[1.0, 5.0], [0.0, 2.0]], [1.0, 1.0], [0.0, 0.0], epsilon=0.0).numpy()
    array([[-1.,  1.],
           [-1.,  1.]], dtype=float32)
    """
    return apply(LAYER_NORM, *tensors(tensor(x), gamma, beta, epsilon))
