"""``y = x * mask / (1 - rate)``, each element of the mask kept with probability ``1 - rate``."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

from nbnet.core.abi import accumulates, attribute, bytevec, first_row, kernel, seed, vec
from nbnet.core.graph import Tensor
from nbnet.core.op import BYTE, Op, Spec, register
from nbnet.core.philox import fill_mask
from nbnet.core.tape import apply, node_name, tensor
from nbnet.ops.dropout_grouped import DROPOUT_GROUPED
from nbnet.ops.dropout_shared import DROPOUT_SHARED, complete_noise_shape, spans_batch
from nbnet.ops.given import given_mask
from nbnet.ops.rate import as_rate, keep_scale
from nbnet.ranges import count


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
        mask="mask",
    )
)


def dropout(
    x: Any,
    rate: Any,
    noise_shape: Sequence[int | None] | None = None,
    *,
    key: int | None = None,
    groups: int | None = None,
) -> Tensor:
    """Set elements to 0 with probability ``rate`` and multiply the others by ``1 / (1 - rate)``.

    Parameters
    ----------
    x
        Tensor or array of any shape; the first axis is the batch.
    rate
        Probability to DROP, in [0, 1] (papers often give the probability to keep): a number, or a one-element tensor
        that may change between steps. 0 is the identity, 1 gives zeros.
    noise_shape
        Shape of the mask: 1 where all units along an axis share their fate, None for the size of x.
    key
        64-bit key of the random numbers; by default a new one for each call.
    groups
        Rows are cut into so many even groups of neighbours, each of which shares a mask; instead of noise_shape.

    Raises
    ------
    ValueError
        If the rate lies outside [0, 1], there are no groups or more than rows, or a mask that the tape injects has
        another shape.

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
    rate = as_rate(x, rate)
    name = node_name("dropout")
    if groups is not None:
        if noise_shape is not None or count(groups, "groups") > x.shape[0]:
            raise ValueError(
                f"groups: wants at most {x.shape[0]}, the number of rows, and no noise_shape; got {groups}"
            )
        noise = (groups, *x.shape[1:])
    else:
        noise = x.shape if noise_shape is None else complete_noise_shape(noise_shape, x.shape)
    given = given_mask(name, x.shape, noise)
    if given is not None:
        return apply(MASKED, x, given, rate, name=name)  # type: ignore[no-any-return]
    if groups is not None:
        return apply(DROPOUT_GROUPED, x, rate, key=key, name=name, noise_shape=noise)  # type: ignore[no-any-return]
    whole = spans_batch(noise_shape)
    if noise == x.shape and not whole:
        return apply(DROPOUT, x, rate, key=key, name=name)  # type: ignore[no-any-return]
    return apply(DROPOUT_SHARED, x, rate, key=key, name=name, noise_shape=noise, whole=whole)  # type: ignore[no-any-return]
