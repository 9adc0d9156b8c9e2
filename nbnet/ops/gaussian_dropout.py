"""``y = x * (1 + sqrt(rate / (1 - rate)) * n)`` with standard normal numbers n."""

from __future__ import annotations

from typing import Any

import numpy as np

from nbnet.core.abi import accumulates, attribute, device, first_row, kernel, seed, vec
from nbnet.core.graph import Tensor
from nbnet.core.op import Op, Spec, register
from nbnet.core.tape import apply, node_name, tensor
from nbnet.core.variates import fill_normal
from nbnet.ops.dropout import per_sample
from nbnet.ops.given import given_noise
from nbnet.ops.rate import as_rate


@device
def _deviation(rate: Any) -> Any:
    """The standard deviation of what dropout multiplies by."""
    return np.sqrt(rate / (1.0 - rate))


@kernel
def gaussian_dropout_forward(mem: Any, ins: Any, step: Any) -> None:
    x, rate, y, noise = vec(mem, ins, 0), vec(mem, ins, 1)[0], vec(mem, ins, 2), vec(mem, ins, 3)
    fill_normal(noise, first_row(ins) * attribute(ins, 0), seed(ins), step)
    s = _deviation(rate)
    for i in range(x.size):
        y[i] = x[i] * (1.0 + s * noise[i])


@kernel
def gaussian_dropout_given_forward(mem: Any, ins: Any, step: Any) -> None:
    x, noise, rate, y = vec(mem, ins, 0), vec(mem, ins, 1), vec(mem, ins, 2)[0], vec(mem, ins, 3)
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
    Op(
        "gaussian_dropout",
        gaussian_dropout_forward,
        ("x", "rate"),
        saves=("noise",),
        infer=lambda x, rate: (Spec(x.shape), Spec(x.shape)),
        backward=gaussian_dropout_backward,
        gradient=("noise", "rate", "dy", "dx"),
        encode=per_sample,
        noise="noise",
        random=True,
    )
)
GAUSSIAN_DROPOUT_GIVEN = register(
    Op(
        "gaussian_dropout_given",
        gaussian_dropout_given_forward,
        ("x", "noise", "rate"),
        backward=gaussian_dropout_backward,
        gradient=("noise", "rate", "dy", "dx"),
        noise="noise",
    )
)


def gaussian_dropout(x: Any, rate: Any, *, key: int | None = None) -> Tensor:
    """Multiply by independent normal numbers of mean 1 and variance ``rate / (1 - rate)``, as much as dropout has.

    Parameters
    ----------
    x
        Tensor or array of any shape; the first axis is the batch.
    rate
        In [0, 1): a number, or a one-element tensor that may change between steps. 0 is the identity.
    key
        64-bit key of the random numbers; by default a new one for each call.

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
    given = given_noise(name, x)
    if given is not None:
        return apply(GAUSSIAN_DROPOUT_GIVEN, x, given, rate, name=name)  # type: ignore[no-any-return]
    return apply(GAUSSIAN_DROPOUT, x, rate, key=key, name=name)  # type: ignore[no-any-return]
