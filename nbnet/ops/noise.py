"""Gaussian noise, added (``y = x + stddev * n``) or multiplied (``y = x * (1 + stddev * n)``, Gaussian dropout), and
concrete dropout, ``y = x * keep / (1 - rate)`` with a smooth mask through which gradients reach the rate.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nbnet.base.validation import ABOVE_ZERO, FROM_ZERO
from nbnet.engine.graph.op import Op, Spec, register
from nbnet.engine.graph.tensor import Tensor, apply, node_name, tensor, tensors
from nbnet.engine.kernels.abi import accumulates, attribute, device, first_row, kernel, present, seed, vec
from nbnet.engine.kernels.math import exp, log, sigmoid
from nbnet.engine.kernels.random import fill_normal, fill_uniform
from nbnet.ops.dropout import as_rate, documents_noise, injected_noise, per_sample


@device
def draw_normal(noise: Any, ins: Any, k: Any, step: Any) -> None:
    """Draw operand k, a standard normal number for each element, unless it was injected."""
    if not accumulates(ins, k):
        fill_normal(noise, first_row(ins) * attribute(ins, 0), seed(ins), step)


# The standard deviation is one number, or one for each element.


@kernel
def gaussian_noise_forward(mem: Any, ins: Any, step: Any) -> None:
    x, stddev, y, noise = vec(mem, ins, 0), vec(mem, ins, 1), vec(mem, ins, 2), vec(mem, ins, 3)
    draw_normal(noise, ins, 3, step)
    if stddev.size == x.size:
        for i in range(x.size):
            y[i] = x[i] + stddev[i] * noise[i]
    else:
        s = stddev[0]
        for i in range(x.size):
            y[i] = x[i] + s * noise[i]


@kernel
def gaussian_noise_backward(mem: Any, ins: Any, step: Any) -> None:
    noise, dy, dx, ds = vec(mem, ins, 0), vec(mem, ins, 1), vec(mem, ins, 2), vec(mem, ins, 3)
    if present(ins, 2):
        add = accumulates(ins, 2)
        for i in range(dy.size):
            dx[i] = dx[i] + dy[i] if add else dy[i]
    if present(ins, 3):
        add = accumulates(ins, 3)
        if ds.size == dy.size:
            for i in range(dy.size):
                d = dy[i] * noise[i]
                ds[i] = ds[i] + d if add else d
        else:
            total = 0.0
            for i in range(dy.size):
                total += dy[i] * noise[i]
            ds[0] = ds[0] + total if add else total


def _infer(x: Tensor, stddev: Tensor) -> tuple[Spec, ...]:
    if stddev.size != 1 and stddev.shape != x.shape:
        raise ValueError(f"stddev: expected one number or shape {x.shape}, got shape {stddev.shape}")
    return Spec(x.shape), Spec(x.shape)


GAUSSIAN_NOISE = register(
    Op("gaussian_noise", gaussian_noise_forward, ("x", "stddev"), saves=("noise",), infer=_infer,
       backward=gaussian_noise_backward, gradient=("noise", "dy", "dx", "dstddev"), encode=per_sample, noise="noise",
       random=True, role="noise", extents="x[n] stddev[s] y[n] noise[n]",
       within=lambda sizes: sizes.get("s", 1) in (1, sizes["n"]))
)  # fmt: skip


@documents_noise
def gaussian_noise(x: Any, stddev: Any, *, key: int | None = None) -> Tensor:
    """Add independent normal numbers of mean 0.

    Parameters
    ----------
    stddev
        Standard deviation: a number from 0, or a tensor of one element or of the shape of x. Gradients flow to
        it, with the numbers drawn held fixed.

    Raises
    ------
    ValueError
        If stddev is negative, not finite or has another shape, or numbers that the tape injects have another shape.

    Examples
    --------
    >>> import nbnet as nb
    >>> with nb.Tape(masks={"gaussian_noise": [[1.0, -2.0]]}):
    ...     y = nb.ops.gaussian_noise([[1.0, 1.0]], stddev=0.5)
    >>> y.numpy()
    array([[1.5, 0. ]], dtype=float32)
    """
    if not isinstance(stddev, Tensor):
        stddev = FROM_ZERO.check(stddev, "stddev")
    x, stddev = tensors(x, stddev)
    name = node_name("gaussian_noise")
    return apply(GAUSSIAN_NOISE, x, stddev, key=key, name=name, injected=injected_noise(name, x))


@device
def _deviation(rate: Any) -> Any:
    """The standard deviation of the factors of dropout."""
    return np.sqrt(rate / (1.0 - rate))


@kernel
def gaussian_dropout_forward(mem: Any, ins: Any, step: Any) -> None:
    x, rate, y, noise = vec(mem, ins, 0), vec(mem, ins, 1)[0], vec(mem, ins, 2), vec(mem, ins, 3)
    draw_normal(noise, ins, 3, step)
    s = _deviation(rate)
    for i in range(x.size):
        y[i] = x[i] * (1.0 + s * noise[i])


@kernel
def gaussian_dropout_backward(mem: Any, ins: Any, step: Any) -> None:
    noise, rate, dy, dx = vec(mem, ins, 0), vec(mem, ins, 1)[0], vec(mem, ins, 2), vec(mem, ins, 3)
    s, add = _deviation(rate), accumulates(ins, 3)
    for i in range(dx.size):
        d = dy[i] * (1.0 + s * noise[i])
        dx[i] = dx[i] + d if add else d


GAUSSIAN_DROPOUT = register(
    Op("gaussian_dropout", gaussian_dropout_forward, ("x", "rate"), saves=("noise",),
       infer=lambda x, rate: (Spec(x.shape), Spec(x.shape)), backward=gaussian_dropout_backward,
       gradient=("noise", "rate", "dy", "dx"), encode=per_sample, noise="noise", random=True, role="noise",
       extents="x[n] rate[1] y[n] noise[n]")
)  # fmt: skip


@documents_noise
def gaussian_dropout(x: Any, rate: Any, *, key: int | None = None) -> Tensor:
    """Multiply by independent normal numbers of mean 1 and variance ``rate / (1 - rate)``, the same as dropout's.

    Parameters
    ----------
    rate
        In [0, 1): a number, or a one-element tensor that may change between steps. 0 is the identity.

    Raises
    ------
    ValueError
        If the rate is out of range, or numbers that the tape injects have another shape.

    References
    ----------
    N. Srivastava et al.: Dropout: a simple way to prevent neural networks from overfitting. JMLR 15 (2014), section 10.

    Examples
    --------
    >>> import nbnet as nb
    >>> with nb.Tape(masks={"gaussian_dropout": [[1.0, -2.0]]}):
    ...     y = nb.ops.gaussian_dropout([[1.0, 3.0]], rate=0.5)
    >>> y.numpy()
    array([[ 2., -3.]], dtype=float32)
    """
    x = tensor(x)
    rate, name = as_rate(x, rate, below=True), node_name("gaussian_dropout")
    return apply(GAUSSIAN_DROPOUT, x, rate, key=key, name=name, injected=injected_noise(name, x))


@kernel
def concrete_dropout_forward(mem: Any, ins: Any, step: Any) -> None:
    x, logit, temperature = vec(mem, ins, 0), vec(mem, ins, 1)[0], vec(mem, ins, 2)[0]
    y, noise, keep = vec(mem, ins, 3), vec(mem, ins, 4), vec(mem, ins, 5)
    if not accumulates(ins, 4):
        fill_uniform(noise, first_row(ins) * attribute(ins, 0), seed(ins), step)
    scale, sharpness = 1.0 + exp(logit), 1.0 / temperature  # scale is 1 / (1 - rate)
    for i in range(y.size):
        keep[i] = sigmoid(-(logit + (log(noise[i]) - log(1.0 - noise[i]))) * sharpness)
        y[i] = x[i] * (keep[i] * scale)


@kernel
def concrete_dropout_backward(mem: Any, ins: Any, step: Any) -> None:
    """d keep / d logit is -keep (1 - keep) / temperature, that of 1 / (1 - rate) is e^logit."""
    x, logit, temperature, keep = vec(mem, ins, 0), vec(mem, ins, 1)[0], vec(mem, ins, 2)[0], vec(mem, ins, 3)
    dy, dx, dlogit = vec(mem, ins, 4), vec(mem, ins, 5), vec(mem, ins, 6)
    odds, sharpness = exp(logit), 1.0 / temperature
    scale = 1.0 + odds
    if present(ins, 5):
        add = accumulates(ins, 5)
        for i in range(dx.size):
            d = dy[i] * (keep[i] * scale)
            dx[i] = dx[i] + d if add else d
    if present(ins, 6):
        total = 0.0
        for i in range(dy.size):
            total += dy[i] * x[i] * (keep[i] * (odds - scale * (1.0 - keep[i]) * sharpness))
        dlogit[0] = dlogit[0] + total if accumulates(ins, 6) else total


def _infer_concrete(x: Tensor, logit: Tensor, temperature: Tensor) -> tuple[Spec, ...]:
    if logit.size != 1 or temperature.size != 1:
        raise ValueError(f"concrete_dropout: expected one logit and one temperature, got {logit!r}, {temperature!r}")
    return Spec(x.shape), Spec(x.shape), Spec(x.shape)


CONCRETE_DROPOUT = register(
    Op("concrete_dropout", concrete_dropout_forward, ("x", "logit", "temperature"), saves=("noise", "keep"),
       infer=_infer_concrete, backward=concrete_dropout_backward, encode=per_sample, noise="noise", random=True,
       role="noise", gradient=("x", "logit", "temperature", "keep", "dy", "dx", "dlogit"),
       extents="x[n] logit[1] temperature[1] y[n] noise[n] keep[n]")
)  # fmt: skip


@documents_noise
def concrete_dropout(x: Any, logit: Any, temperature: Any = 0.1, *, key: int | None = None) -> Tensor:
    """Dropout with a mask between 0 and 1, so that the rate can be learned.

    ``keep = sigmoid(-(logit + log(u / (1 - u))) / temperature)`` with uniform u, which tends to a mask of zeros and
    ones as the temperature falls.

    Parameters
    ----------
    logit
        ``log(rate / (1 - rate))``: a number or a one-element tensor, to which gradients flow.
    temperature
        Above 0.

    Raises
    ------
    ValueError
        If the temperature is out of range, logit has more than one element, or uniform numbers that the tape injects
        have another shape.

    References
    ----------
    Y. Gal, J. Hron, A. Kendall: Concrete dropout. NIPS (2017), equation 5.

    Examples
    --------
    >>> import nbnet as nb
    >>> with nb.Tape(masks={"concrete_dropout": [[0.5, 0.1]]}):
    ...     y = nb.ops.concrete_dropout([[1.0, 1.0]], logit=0.0)
    >>> y.numpy()
    array([[1., 2.]], dtype=float32)
    """
    if not isinstance(temperature, Tensor):
        temperature = ABOVE_ZERO.check(temperature, "temperature")
    x, logit, temperature = tensors(x, logit, temperature)
    name = node_name("concrete_dropout")
    injected = injected_noise(name, x)
    return apply(CONCRETE_DROPOUT, x, logit, temperature, key=key, name=name, injected=injected)
