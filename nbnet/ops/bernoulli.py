"""``y = x * mask``, where each element has a probability of its own to be kept."""

from __future__ import annotations

from typing import Any

from nbnet.core.abi import accumulates, attribute, bytevec, first_row, kernel, seed, vec
from nbnet.core.graph import Tensor
from nbnet.core.op import BYTE, Op, Spec, register
from nbnet.core.tape import apply, node_name, tensors
from nbnet.core.variates import fill_uniform
from nbnet.ops.dropout import per_sample
from nbnet.ops.given import given_mask


@kernel
def bernoulli_forward(mem: Any, ins: Any, step: Any) -> None:
    x, keep, y, mask = vec(mem, ins, 0), vec(mem, ins, 1), vec(mem, ins, 2), bytevec(mem, ins, 3)
    real = x.dtype.type
    fill_uniform(y, first_row(ins) * attribute(ins, 0), seed(ins), step)
    for i in range(y.size):
        mask[i] = y[i] < keep[i]
    for i in range(y.size):
        y[i] = x[i] * real(mask[i])


@kernel
def bernoulli_given_forward(mem: Any, ins: Any, step: Any) -> None:
    x, mask, y = vec(mem, ins, 0), bytevec(mem, ins, 1), vec(mem, ins, 2)
    real = x.dtype.type
    for i in range(y.size):
        y[i] = x[i] * real(mask[i])


@kernel
def bernoulli_backward(mem: Any, ins: Any, step: Any) -> None:
    mask, dy, dx = bytevec(mem, ins, 0), vec(mem, ins, 1), vec(mem, ins, 2)
    add, real = accumulates(ins, 2), dx.dtype.type
    for i in range(dx.size):
        d = dy[i] * real(mask[i])
        dx[i] = dx[i] + d if add else d


def _infer(x: Tensor, keep: Tensor) -> tuple[Spec, ...]:
    if keep.shape != x.shape:
        raise ValueError(f"keep: wants a probability for each element of shape {x.shape}, got shape {keep.shape}")
    return Spec(x.shape), Spec(x.shape, BYTE)


BERNOULLI = register(
    Op(
        "bernoulli",
        bernoulli_forward,
        ("x", "keep"),
        saves=("mask",),
        infer=_infer,
        backward=bernoulli_backward,
        gradient=("mask", "dy", "dx"),
        encode=per_sample,
        mask="mask",
        random=True,
    )
)
BERNOULLI_GIVEN = register(
    Op(
        "bernoulli_given",
        bernoulli_given_forward,
        ("x", "mask"),
        backward=bernoulli_backward,
        gradient=("mask", "dy", "dx"),
        mask="mask",
    )
)


def bernoulli(x: Any, keep: Any, *, key: int | None = None) -> Tensor:
    """Set each element to 0 unless it is kept, with a probability of its own; what is kept stays as it is.

    Parameters
    ----------
    x
        Tensor or array of any shape; the first axis is the batch.
    keep
        Probabilities to KEEP, of the shape of x. No gradient flows to them.
    key
        64-bit key of the random numbers; by default a new one for each call.

    Raises
    ------
    ValueError
        If shapes differ.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.bernoulli([[1.0, 2.0]], [[1.0, 0.0]]).numpy()
    array([[1., 0.]], dtype=float32)
    """
    x, keep = tensors(x, keep)
    name = node_name("bernoulli")
    given = given_mask(name, x.shape)
    if given is not None:
        return apply(BERNOULLI_GIVEN, x, given, name=name)  # type: ignore[no-any-return]
    return apply(BERNOULLI, x, keep, key=key, name=name)  # type: ignore[no-any-return]
