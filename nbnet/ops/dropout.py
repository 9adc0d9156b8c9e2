"""``y = x * mask / (1 - rate)``, each element of the mask kept with probability ``1 - rate``."""

from __future__ import annotations

from math import prod
from typing import Any

from nbnet.core.abi import accumulates, attribute, bytevec, device, first_row, kernel, seed, vec
from nbnet.core.graph import Tensor
from nbnet.core.op import BYTE, Op, Spec, register
from nbnet.core.philox import fill_mask
from nbnet.core.tape import apply, node_name, recorder, tensor, tensors


@device
def keep_scale(rate: Any) -> Any:
    """What kept units are multiplied by."""
    return 1.0 / (1.0 - rate) if rate < 1 else 0.0 * rate


@kernel
def dropout_forward(mem: Any, ins: Any, step: Any) -> None:
    x, rate, y, mask = vec(mem, ins, 0), vec(mem, ins, 1)[0], vec(mem, ins, 2), bytevec(mem, ins, 3)
    fill_mask(mask, first_row(ins) * attribute(ins, 0), seed(ins), step, rate)
    scale, real = keep_scale(rate), x.dtype.type
    for i in range(x.size):
        y[i] = x[i] * (scale * real(mask[i]))


@kernel
def dropout_backward(mem: Any, ins: Any, step: Any) -> None:
    mask, rate, dy, dx = bytevec(mem, ins, 0), vec(mem, ins, 1)[0], vec(mem, ins, 2), vec(mem, ins, 3)
    scale, add, real = keep_scale(rate), accumulates(ins, 3), dx.dtype.type
    for i in range(dx.size):
        d = dy[i] * (scale * real(mask[i]))
        dx[i] = dx[i] + d if add else d


@kernel
def masked_forward(mem: Any, ins: Any, step: Any) -> None:
    x, mask, rate, y = vec(mem, ins, 0), bytevec(mem, ins, 1), vec(mem, ins, 2)[0], vec(mem, ins, 3)
    scale, real = keep_scale(rate), x.dtype.type
    for i in range(x.size):
        y[i] = x[i] * (scale * real(mask[i]))


def per_sample(x: Tensor, *rest: Any) -> tuple[int, ...]:
    """Elements of a sample: with the number of a slice's first row they say where its mask begins."""
    return (prod(x.shape[1:]),)


DROPOUT = register(
    Op(
        "dropout",
        dropout_forward,
        ("x", "rate"),
        saves=("mask",),
        infer=lambda x, rate: (Spec(x.shape), Spec(x.shape, BYTE)),
        backward=dropout_backward,
        gradient=("mask", "rate", "dy", "dx"),
        reuse={"y": "x", "dx": "dy"},
        encode=per_sample,
        mask="mask",
        random=True,
    )
)
MASKED = register(
    Op(
        "masked",
        masked_forward,
        ("x", "mask", "rate"),
        backward=dropout_backward,
        gradient=("mask", "rate", "dy", "dx"),
        reuse={"y": "x", "dx": "dy"},
        mask="mask",
    )
)


def check_rate(rate: Any) -> float:
    """A dropout rate as a float in [0, 1]; anything else is a ValueError."""
    try:
        value = float(rate)
    except (TypeError, ValueError):
        value = float("nan")
    if isinstance(rate, bool) or not 0 <= value <= 1:
        raise ValueError(f"rate: the probability to drop a unit lies in [0, 1], got {rate!r}")
    return value


def dropout(x: Any, rate: Any, *, key: int | None = None) -> Tensor:
    """Set elements to 0 with probability ``rate`` and multiply the others by ``1 / (1 - rate)``.

    Parameters
    ----------
    x
        Tensor or array of any shape; the first axis is the batch.
    rate
        Probability to DROP, in [0, 1] (papers often give the probability to keep): a number, or a one-element tensor that may change
        between steps. 0 is the identity, 1 gives zeros.
    key
        64-bit key of the random numbers; by default a new one for each call.

    Raises
    ------
    ValueError
        If the rate lies outside [0, 1], or a mask that the tape injects has another shape.

    References
    ----------
    N. Srivastava et al.: Dropout: a simple way to prevent neural networks from overfitting. JMLR 15 (2014), section 4.

    Examples
    --------
    >>> import nbnet as nb
    >>> with nb.Tape(masks={"dropout": [[True, False, True]]}) as tape:
    ...     y = nb.ops.dropout([[1.0, 2.0, 3.0]], rate=0.5)
    >>> y.numpy()
    array([[2., 0., 6.]], dtype=float32)
    """
    x = tensor(x)
    rate = rate if isinstance(rate, Tensor) else tensors(x, check_rate(rate))[1]
    name, active = node_name("dropout"), recorder()
    given = None if active is None else active.given_mask(name)
    if given is None:
        return apply(DROPOUT, x, rate, key=key, name=name)  # type: ignore[no-any-return]
    if given.shape != x.shape or given.dtype.kind not in "bui":
        raise ValueError(f"masks[{name!r}]: wants bool of shape {x.shape}, got {given.dtype} of shape {given.shape}")
    mask = Tensor(x.shape, BYTE, (given != 0).astype(BYTE), name=f"{name}.mask")
    return apply(MASKED, x, mask, rate, name=name)  # type: ignore[no-any-return]
