"""``y = x * keep / (1 - rate)``, where keep is a smooth mask through which gradients reach the rate."""

from __future__ import annotations

from typing import Any

from nbnet.core.abi import accumulates, attribute, device, first_row, kernel, present, seed, vec
from nbnet.core.graph import Tensor
from nbnet.core.math import exp, log, sigmoid
from nbnet.core.op import Op, Spec, register
from nbnet.core.tape import apply, node_name, tensors
from nbnet.core.variates import fill_uniform
from nbnet.ops.dropout import per_sample
from nbnet.ops.given import given_noise
from nbnet.ranges import ABOVE_ZERO


@device
def _multiply(x: Any, noise: Any, logit: Any, temperature: Any, y: Any, keep: Any) -> None:
    """noise: uniform numbers"""
    scale, sharpness = 1.0 + exp(logit), 1.0 / temperature  # scale is 1 / (1 - rate)
    for i in range(y.size):
        keep[i] = sigmoid(-(logit + (log(noise[i]) - log(1.0 - noise[i]))) * sharpness)
        y[i] = x[i] * (keep[i] * scale)


@kernel
def concrete_dropout_forward(mem: Any, ins: Any, step: Any) -> None:
    logit, temperature, noise = vec(mem, ins, 1)[0], vec(mem, ins, 2)[0], vec(mem, ins, 4)
    fill_uniform(noise, first_row(ins) * attribute(ins, 0), seed(ins), step)
    _multiply(vec(mem, ins, 0), noise, logit, temperature, vec(mem, ins, 3), vec(mem, ins, 5))


@kernel
def concrete_given_forward(mem: Any, ins: Any, step: Any) -> None:
    logit, temperature = vec(mem, ins, 2)[0], vec(mem, ins, 3)[0]
    _multiply(vec(mem, ins, 0), vec(mem, ins, 1), logit, temperature, vec(mem, ins, 4), vec(mem, ins, 5))


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


def _infer(x: Tensor, logit: Tensor, temperature: Tensor) -> tuple[Spec, ...]:
    if logit.size != 1 or temperature.size != 1:
        raise ValueError(f"concrete_dropout: wants one logit and one temperature, got {logit!r}, {temperature!r}")
    return Spec(x.shape), Spec(x.shape), Spec(x.shape)


_GRADIENT = ("x", "logit", "temperature", "keep", "dy", "dx", "dlogit")
CONCRETE_DROPOUT = register(
    Op(
        "concrete_dropout",
        concrete_dropout_forward,
        ("x", "logit", "temperature"),
        saves=("noise", "keep"),
        infer=_infer,
        backward=concrete_dropout_backward,
        gradient=_GRADIENT,
        encode=per_sample,
        noise="noise",
        random=True,
    )
)
CONCRETE_GIVEN = register(
    Op(
        "concrete_given",
        concrete_given_forward,
        ("x", "noise", "logit", "temperature"),
        saves=("keep",),
        infer=lambda x, noise, logit, temperature: _infer(x, logit, temperature)[:2],
        backward=concrete_dropout_backward,
        gradient=_GRADIENT,
        noise="noise",
    )
)


def concrete_dropout(x: Any, logit: Any, temperature: Any = 0.1, *, key: int | None = None) -> Tensor:
    """Dropout with a mask between 0 and 1, so that the rate can be learned.

    ``keep = sigmoid(-(logit + log(u / (1 - u))) / temperature)`` with uniform u, which tends to a mask of zeros and
    ones as the temperature falls.

    Parameters
    ----------
    x
        Tensor or array of any shape; the first axis is the batch.
    logit
        ``log(rate / (1 - rate))``: a number or a one-element tensor, to which gradients flow.
    temperature
        Above 0.
    key
        64-bit key of the random numbers; by default a new one for each call.

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
    given = given_noise(name, x)
    if given is not None:
        return apply(CONCRETE_GIVEN, x, given, logit, temperature, name=name)  # type: ignore[no-any-return]
    return apply(CONCRETE_DROPOUT, x, logit, temperature, key=key, name=name)  # type: ignore[no-any-return]
