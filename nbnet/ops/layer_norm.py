"""``y = gamma * (x - mean) / sqrt(variance + epsilon) + beta``, mean and variance over the last axes of each row."""

from __future__ import annotations

from typing import Any

import numpy as np

from nbnet.core.abi import accumulates, kernel, present, vec
from nbnet.core.graph import Tensor
from nbnet.core.op import Op, Spec, register
from nbnet.core.tape import apply, tensor, tensors


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


def _infer(x: Tensor, gamma: Tensor, beta: Tensor, epsilon: Tensor) -> tuple[Spec, ...]:
    axes = gamma.ndim
    if not 0 < axes < x.ndim or gamma.shape != x.shape[-axes:] or beta.shape != gamma.shape:
        raise ValueError(
            f"layer_norm: wants gamma and beta of the shape of x's last axes, got {x.shape}, {gamma.shape} and "
            f"{beta.shape}"
        )
    row = Spec(x.shape[:-axes])
    return Spec(x.shape), row, row


LAYER_NORM = register(
    Op(
        "layer_norm",
        layer_norm_forward,
        ("x", "gamma", "beta", "epsilon"),
        infer=_infer,
        saves=("mean", "rate"),
        backward=layer_norm_backward,
        gradient=("x", "gamma", "mean", "rate", "dy", "dx", "dgamma", "dbeta"),
    )
)


def layer_norm(x: Any, gamma: Any, beta: Any, epsilon: Any = 1e-3) -> Tensor:
    """``gamma * (x - mean) / sqrt(variance + epsilon) + beta`` over the last axes.

    Parameters
    ----------
    x
        (batch, ..., features)
    gamma, beta
        Of the shape of x's last axes, one or more: those are normalised together.
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
    return apply(LAYER_NORM, *tensors(tensor(x), gamma, beta, epsilon))  # type: ignore[no-any-return]
