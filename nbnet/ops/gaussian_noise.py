"""``y = x + stddev * n`` with standard normal numbers n."""

from __future__ import annotations

from typing import Any

from nbnet.core.abi import accumulates, attribute, device, first_row, kernel, present, seed, vec
from nbnet.core.graph import Tensor
from nbnet.core.op import Op, Spec, register
from nbnet.core.tape import apply, node_name, tensors
from nbnet.core.variates import fill_normal
from nbnet.ops.dropout import per_sample
from nbnet.ops.given import given_noise
from nbnet.ranges import FROM_ZERO


@device
def _add(x: Any, stddev: Any, noise: Any, y: Any) -> None:
    """The standard deviation is one number, or one for each element."""
    if stddev.size == x.size:
        for i in range(x.size):
            y[i] = x[i] + stddev[i] * noise[i]
    else:
        s = stddev[0]
        for i in range(x.size):
            y[i] = x[i] + s * noise[i]


@kernel
def gaussian_noise_forward(mem: Any, ins: Any, step: Any) -> None:
    noise = vec(mem, ins, 3)
    fill_normal(noise, first_row(ins) * attribute(ins, 0), seed(ins), step)
    _add(vec(mem, ins, 0), vec(mem, ins, 1), noise, vec(mem, ins, 2))


@kernel
def gaussian_noise_given_forward(mem: Any, ins: Any, step: Any) -> None:
    _add(vec(mem, ins, 0), vec(mem, ins, 2), vec(mem, ins, 1), vec(mem, ins, 3))


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
        raise ValueError(f"stddev: wants one number or shape {x.shape}, got shape {stddev.shape}")
    return Spec(x.shape), Spec(x.shape)


GAUSSIAN_NOISE = register(
    Op(
        "gaussian_noise",
        gaussian_noise_forward,
        ("x", "stddev"),
        saves=("noise",),
        infer=_infer,
        backward=gaussian_noise_backward,
        gradient=("noise", "dy", "dx", "dstddev"),
        encode=per_sample,
        noise="noise",
        random=True,
    )
)
GAUSSIAN_NOISE_GIVEN = register(
    Op(
        "gaussian_noise_given",
        gaussian_noise_given_forward,
        ("x", "noise", "stddev"),
        infer=lambda x, noise, stddev: _infer(x, stddev)[:1],
        backward=gaussian_noise_backward,
        gradient=("noise", "dy", "dx", "dstddev"),
        noise="noise",
    )
)


def gaussian_noise(x: Any, stddev: Any, *, key: int | None = None) -> Tensor:
    """Add independent normal numbers of mean 0.

    Parameters
    ----------
    x
        Tensor or array of any shape; the first axis is the batch.
    stddev
        Their standard deviation: a number from 0, or a tensor of one element or of the shape of x. Gradients flow to
        it, with the numbers drawn held fixed.
    key
        64-bit key of the random numbers; by default a new one for each call.

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
    given = given_noise(name, x)
    if given is not None:
        return apply(GAUSSIAN_NOISE_GIVEN, x, given, stddev, name=name)  # type: ignore[no-any-return]
    return apply(GAUSSIAN_NOISE, x, stddev, key=key, name=name)  # type: ignore[no-any-return]
