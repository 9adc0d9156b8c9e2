"""``y = x * mask / (1 - rate)`` with a mask that is shared along axes."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

from nbnet.core.abi import accumulates, attribute, bytevec, device, first_row, kernel, seed, vec
from nbnet.core.graph import Tensor
from nbnet.core.op import BYTE, Op, Spec, register
from nbnet.core.philox import fill_mask
from nbnet.ops.rate import keep_scale

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


@device
def spread_shared(x: Any, mask: Any, scale: Any, y: Any, ins: Any, add: Any) -> None:
    """The same along all four axes."""
    width, last, at = attribute(ins, 4), attribute(ins, 8), 0
    for i in range(attribute(ins, 1)):
        for j in range(attribute(ins, 2)):
            for k in range(attribute(ins, 3)):
                spread(x[at : at + width], mask[shared_start(ins, i, j, k) :], scale, y[at : at + width], last, add)
                at += width


@kernel
def shared_forward(mem: Any, ins: Any, step: Any) -> None:
    x, rate, y, mask = vec(mem, ins, 0), vec(mem, ins, 1)[0], vec(mem, ins, 2), bytevec(mem, ins, 3)
    fill_mask(mask, first_row(ins) * attribute(ins, 0), seed(ins), step, rate)
    spread_shared(x, mask, keep_scale(rate), y, ins, False)


@kernel
def shared_backward(mem: Any, ins: Any, step: Any) -> None:
    mask, rate, dy, dx = bytevec(mem, ins, 0), vec(mem, ins, 1)[0], vec(mem, ins, 2), vec(mem, ins, 3)
    spread_shared(dy, mask, keep_scale(rate), dx, ins, accumulates(ins, 3))


def infer_shared(x: Tensor, rate: Tensor, noise_shape: tuple[int, ...], whole: bool = False) -> tuple[Spec, ...]:
    """The result, and its mask."""
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
        infer=infer_shared,
        backward=shared_backward,
        gradient=("mask", "rate", "dy", "dx"),
        encode=lambda x, rate, noise_shape, whole=False: encode_shared(x, noise_shape, whole),
        mask="mask",
        random=True,
    )
)


def check_noise_shape(noise_shape: Sequence[int | None], shape: Sequence[int | None]) -> None:
    """ValueError if a noise shape does not fit a tensor of ``shape``, where None is a size not known yet."""
    sizes = tuple(noise_shape)
    if len(sizes) != len(shape) or any(
        n not in (None, 1, size) for n, size in zip(sizes, shape, strict=True) if size is not None
    ):
        raise ValueError(
            f"noise_shape: {sizes} does not fit an input of shape {tuple(shape)}: each entry is 1, None or that size"
        )
    if len(sizes) > 4:
        raise ValueError(f"noise_shape: at most 4 axes, got {sizes}")


def complete_noise_shape(noise_shape: Sequence[int | None], shape: Sequence[int]) -> tuple[int, ...]:
    """A noise shape with its None entries filled in; ValueError if it does not fit a tensor of ``shape``."""
    check_noise_shape(noise_shape, shape)
    return tuple(size if n is None else int(n) for n, size in zip(noise_shape, shape, strict=True))
