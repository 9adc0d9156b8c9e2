"""What batch normalisation does with a tensor, channel by channel."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from nbnet.core.abi import attribute, device
from nbnet.core.graph import Tensor

# x is seen as (outer, channels, inner); attributes: outer, channels, inner. Usually channels are the last axis and
# inner is 1: then loops run along the channels, else along the inner axis. Sums are float64 whatever x is.


@device
def normalise(x: Any, mean: Any, rate: Any, gamma: Any, beta: Any, ins: Any, y: Any) -> None:
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


def channels_of(x: Tensor, axis: int, *values: Tensor) -> int:
    """Number of channels; each of the values has to be one for each of them."""
    channels = x.shape[axis]
    wrong = [v.shape for v in values if v.shape != (channels,)]
    if wrong:
        raise ValueError(f"batch_norm: wants one value for each of {channels} channels, got shapes {wrong}")
    return channels


def encode(x: Tensor, *rest: Tensor, axis: int) -> tuple[int, ...]:
    """The attributes: outer, channels, inner."""
    return prod(x.shape[:axis]), x.shape[axis], prod(x.shape[axis + 1 :])


def channel_axis(x: Tensor, axis: int) -> int:
    """The axis of the channels, counted from the first; the batch's is none."""
    if not -x.ndim <= axis < x.ndim or axis % x.ndim == 0:
        raise ValueError(f"axis: {axis} is no axis of channels in a tensor of shape {x.shape}")
    return axis % x.ndim


def scale_and_shift(x: Tensor, axis: int, gamma: Any, beta: Any) -> tuple[Any, Any]:
    """Gamma and beta; 1 and 0 where there are none."""
    n = x.shape[axis]
    return np.ones(n, x.dtype) if gamma is None else gamma, np.zeros(n, x.dtype) if beta is None else beta
