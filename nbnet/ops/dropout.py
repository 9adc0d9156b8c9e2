"""``y = x * mask / (1 - rate)``, each element of the mask kept with probability ``1 - rate``."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from numbers import Real
from typing import Any

import numpy as np

from nbnet.core.abi import accumulates, attribute, bytevec, device, first_row, kernel, seed, vec
from nbnet.core.graph import Tensor
from nbnet.core.op import BYTE, Op, Spec, register
from nbnet.core.philox import fill_mask
from nbnet.core.tape import apply, node_name, tensor, tensors
from nbnet.ops.given import given_mask


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


# ---- a mask that is shared along axes ------------------------------------------------------------------------
# Attributes: elements of the mask a sample has (0: the whole batch shares one), then sizes of four axes of x and the
# mask's strides along them, 0 where it is shared.


@device
def shared_start(ins: Any, i: Any, j: Any, k: Any) -> Any:
    """Number of the mask's element for the first element along the last axis."""
    return i * attribute(ins, 5) + j * attribute(ins, 6) + k * attribute(ins, 7)


@device
def spread(x: Any, mask: Any, scale: Any, y: Any, last: Any, add: Any) -> None:
    """``y = x * mask * scale``, or added to it, along the last axis; last: 0 if the axis shares the mask's first
    element. Two loops, for one with a stride that is known at run time alone takes three times as long."""
    real = x.dtype.type
    if last:
        for e in range(y.size):
            v = x[e] * (scale * real(mask[e]))
            y[e] = y[e] + v if add else v
    else:
        s = scale * real(mask[0])
        for e in range(y.size):
            y[e] = y[e] + x[e] * s if add else x[e] * s


@kernel
def shared_forward(mem: Any, ins: Any, step: Any) -> None:
    x, rate, y, mask = vec(mem, ins, 0), vec(mem, ins, 1)[0], vec(mem, ins, 2), bytevec(mem, ins, 3)
    fill_mask(mask, first_row(ins) * attribute(ins, 0), seed(ins), step, rate)
    scale, width, last, at = keep_scale(rate), attribute(ins, 4), attribute(ins, 8), 0
    for i in range(attribute(ins, 1)):
        for j in range(attribute(ins, 2)):
            for k in range(attribute(ins, 3)):
                spread(x[at : at + width], mask[shared_start(ins, i, j, k) :], scale, y[at : at + width], last, False)
                at += width


@kernel
def shared_backward(mem: Any, ins: Any, step: Any) -> None:
    mask, rate, dy, dx = bytevec(mem, ins, 0), vec(mem, ins, 1)[0], vec(mem, ins, 2), vec(mem, ins, 3)
    scale, width, last, add, at = keep_scale(rate), attribute(ins, 4), attribute(ins, 8), accumulates(ins, 3), 0
    for i in range(attribute(ins, 1)):
        for j in range(attribute(ins, 2)):
            for k in range(attribute(ins, 3)):
                spread(dy[at : at + width], mask[shared_start(ins, i, j, k) :], scale, dx[at : at + width], last, add)
                at += width


def _infer_shared(x: Tensor, rate: Tensor, noise_shape: tuple[int, ...], whole: bool = False) -> tuple[Spec, ...]:
    return Spec(x.shape), Spec(noise_shape, BYTE)


def spans_batch(noise_shape: Sequence[int | None] | None) -> bool:
    """Whether all rows of a batch share a mask. A batch of one row, or a slice of one, does not tell by its shape."""
    return bool(noise_shape) and noise_shape[0] == 1  # type: ignore[index]


def encode_shared(x: Tensor, noise_shape: tuple[int, ...], whole: bool) -> tuple[int, ...]:
    """The attributes of an op whose mask has this shape.

    Parameters
    ----------
    whole
        Whether all rows of the batch share it.
    """
    sizes = [*[1] * (4 - x.ndim), *x.shape]
    noise = [*[1] * (4 - x.ndim), *noise_shape]
    strides = [prod(noise[a + 1 :]) if noise[a] > 1 else 0 for a in range(4)]
    return (0 if whole else prod(noise_shape[1:]), *sizes, *strides)


DROPOUT_SHARED = register(
    Op(
        "dropout_shared",
        shared_forward,
        ("x", "rate"),
        saves=("mask",),
        infer=_infer_shared,
        backward=shared_backward,
        gradient=("mask", "rate", "dy", "dx"),
        encode=lambda x, rate, noise_shape, whole=False: encode_shared(x, noise_shape, whole),
        mask="mask",
        random=True,
    )
)


# ---- a mask for each group of rows ---------------------------------------------------------------------------
# Each group draws with a key of its own, so that a program may compute the groups one by one.


def group_key(key: int, group: int) -> int:
    """The key that a group of rows draws with."""
    return (key + group) % (1 << 64)


@device
def grouped(x: Any, mask: Any, rows: Any, groups: Any, scale: Any, y: Any, add: Any) -> None:
    """``y = x * mask * scale``, or added to it; each row has the mask of its group."""
    width = x.size // rows
    for q in range(groups):
        for i in range(rows * q // groups, rows * (q + 1) // groups):
            low, high = i * width, (i + 1) * width
            spread(x[low:high], mask[q * width : (q + 1) * width], scale, y[low:high], 1, add)


@kernel
def grouped_forward(mem: Any, ins: Any, step: Any) -> None:
    x, rate, y, mask = vec(mem, ins, 0), vec(mem, ins, 1)[0], vec(mem, ins, 2), bytevec(mem, ins, 3)
    rows, groups = attribute(ins, 0), attribute(ins, 1)
    width = mask.size // groups
    for q in range(groups):
        fill_mask(mask[q * width : (q + 1) * width], 0, seed(ins) + np.uint64(q), step, rate)
    grouped(x, mask, rows, groups, keep_scale(rate), y, False)


@kernel
def grouped_backward(mem: Any, ins: Any, step: Any) -> None:
    mask, rate, dy, dx = bytevec(mem, ins, 0), vec(mem, ins, 1)[0], vec(mem, ins, 2), vec(mem, ins, 3)
    grouped(dy, mask, attribute(ins, 0), attribute(ins, 1), keep_scale(rate), dx, accumulates(ins, 3))


DROPOUT_GROUPED = register(
    Op(
        "dropout_grouped",
        grouped_forward,
        ("x", "rate"),
        saves=("mask",),
        infer=_infer_shared,
        backward=grouped_backward,
        gradient=("mask", "rate", "dy", "dx"),
        encode=lambda x, rate, noise_shape: (x.shape[0], noise_shape[0]),
        mask="mask",
        random=True,
        whole_batch=True,
    )
)


def complete_noise_shape(noise_shape: Sequence[int | None], shape: Sequence[int]) -> tuple[int, ...]:
    """A noise shape with its None entries filled in; ValueError if it does not fit a tensor of ``shape``."""
    sizes = tuple(noise_shape)
    if len(sizes) != len(shape) or any(n not in (None, 1, size) for n, size in zip(sizes, shape, strict=False)):
        raise ValueError(
            f"noise_shape: {sizes} does not fit an input of shape {tuple(shape)}: each entry is 1, None or that size"
        )
    if len(sizes) > 4:
        raise ValueError(f"noise_shape: at most 4 axes, got {sizes}")
    return tuple(size if n is None else int(n) for n, size in zip(sizes, shape, strict=True))


def check_rate(rate: Any, below: bool = False) -> float:
    """A dropout rate as a float in [0, 1], or ``below`` 1; anything else is a ValueError."""
    number = rate.item() if isinstance(rate, np.ndarray) and rate.shape == () else rate
    if isinstance(number, Real) and not isinstance(number, bool):
        found = float(number)
        if 0 <= found <= 1 and not (below and found == 1):
            return found
    bounds = "[0, 1)" if below else "[0, 1]"
    raise ValueError(f"rate: the probability to drop a unit lies in {bounds}, got {rate!r}")


def as_rate(x: Tensor, rate: Any, below: bool = False) -> Tensor:
    """A rate as a one-element tensor of x's dtype: checked if it is a number, as it is if it is such a tensor."""
    if not isinstance(rate, Tensor):
        return tensors(x, check_rate(rate, below))[1]
    if rate.size != 1:
        raise ValueError(f"rate: wants a number or a tensor of one element, got one of shape {rate.shape}")
    return rate


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
        If the rate lies outside [0, 1], there are more groups than rows, or a mask that the tape injects has another
        shape.

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
        if noise_shape is not None or groups > x.shape[0]:
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
