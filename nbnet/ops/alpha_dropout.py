"""``y = a * (x * mask + alpha' * (1 - mask)) + b``, which keeps mean 0 and variance 1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nbnet.core.abi import accumulates, attribute, bytevec, device, first_row, kernel, seed, vec
from nbnet.core.graph import Tensor
from nbnet.core.jit import precise
from nbnet.core.op import Op, register
from nbnet.core.philox import fill_mask
from nbnet.core.tape import apply, node_name, tensor
from nbnet.ops.dropout_shared import (
    complete_noise_shape,
    encode_shared,
    infer_shared,
    shared_start,
    spans_batch,
    spread_shared,
)
from nbnet.ops.given import given_mask
from nbnet.ops.rate import as_rate

#: What SELU tends to for large negative numbers, -scale * alpha.
ALPHA = -1.7580993408473766


@device
def _slope(rate: Any) -> Any:
    """a = ((1 - rate) (1 + rate alpha'^2))^(-1/2); 1 if nothing is dropped, to the last bit; 0 if everything is."""
    if rate >= 1:
        return 0.0 * rate
    return 1.0 / np.sqrt((1.0 - rate) * (1.0 + rate * ALPHA * ALPHA)) if rate > 0 else 1.0 + rate


@precise
def _value(x: Any, kept: Any, slope: Any, shift: Any, low: Any) -> Any:
    """Exact where nothing is dropped: the sums are never regrouped."""
    return kept * (slope * x + shift) + (1.0 - kept) * low


# Attributes are those of dropout with a shared mask.


@device
def _transform(x: Any, mask: Any, rate: Any, y: Any, ins: Any) -> None:
    """What is dropped becomes a alpha' + b, where b = -a alpha' rate."""
    slope, real, width = _slope(rate), x.dtype.type, attribute(ins, 4)
    low, shift, at = slope * ALPHA * (1.0 - rate), -slope * ALPHA * rate, 0
    for i in range(attribute(ins, 1)):
        for j in range(attribute(ins, 2)):
            for k in range(attribute(ins, 3)):
                m, xs, ys = mask[shared_start(ins, i, j, k) :], x[at : at + width], y[at : at + width]
                if attribute(ins, 8):
                    for e in range(ys.size):
                        ys[e] = _value(xs[e], real(m[e]), slope, shift, low)
                else:
                    kept = real(m[0])
                    for e in range(ys.size):
                        ys[e] = _value(xs[e], kept, slope, shift, low)
                at += width


@kernel
def alpha_dropout_forward(mem: Any, ins: Any, step: Any) -> None:
    rate, mask = vec(mem, ins, 1)[0], bytevec(mem, ins, 3)
    fill_mask(mask, first_row(ins) * attribute(ins, 0), seed(ins), step, rate)
    _transform(vec(mem, ins, 0), mask, rate, vec(mem, ins, 2), ins)


@kernel
def alpha_masked_forward(mem: Any, ins: Any, step: Any) -> None:
    _transform(vec(mem, ins, 0), bytevec(mem, ins, 1), vec(mem, ins, 2)[0], vec(mem, ins, 3), ins)


@kernel
def alpha_dropout_backward(mem: Any, ins: Any, step: Any) -> None:
    mask, rate, dy, dx = bytevec(mem, ins, 0), vec(mem, ins, 1)[0], vec(mem, ins, 2), vec(mem, ins, 3)
    spread_shared(dy, mask, _slope(rate), dx, ins, accumulates(ins, 3))


def _encode(x: Tensor, noise_shape: tuple[int, ...], whole: bool = False) -> tuple[int, ...]:
    """A mask that nothing shares is flat, however many axes there are."""
    if noise_shape == x.shape and not whole:
        return (x.size // max(x.shape[0], 1) if x.shape else 1, 1, 1, 1, x.size, 0, 0, 0, 1)
    return encode_shared(x, noise_shape, whole)


ALPHA_DROPOUT = register(
    Op(
        "alpha_dropout",
        alpha_dropout_forward,
        ("x", "rate"),
        saves=("mask",),
        infer=infer_shared,
        backward=alpha_dropout_backward,
        gradient=("mask", "rate", "dy", "dx"),
        encode=lambda x, rate, noise_shape, whole=False: _encode(x, noise_shape, whole),
        mask="mask",
        random=True,
    )
)
ALPHA_MASKED = register(
    Op(
        "alpha_masked",
        alpha_masked_forward,
        ("x", "mask", "rate"),
        backward=alpha_dropout_backward,
        gradient=("mask", "rate", "dy", "dx"),
        encode=lambda x, mask, rate: _encode(x, x.shape),
        mask="mask",
    )
)


def alpha_dropout(
    x: Any, rate: Any, noise_shape: Sequence[int | None] | None = None, *, key: int | None = None
) -> Tensor:
    """Set elements to the negative limit of SELU with probability ``rate``, then scale and shift all of them so that
    mean 0 and variance 1 are kept.

    Parameters
    ----------
    x
        Tensor or array of any shape; the first axis is the batch.
    rate
        Probability to DROP, in [0, 1]: a number, or a one-element tensor. 0 is the identity, 1 gives zeros.
    noise_shape
        Shape of the mask: 1 where all units along an axis share their fate, None for the size of x.
    key
        64-bit key of the random numbers; by default a new one for each call.

    Raises
    ------
    ValueError
        If the rate lies outside [0, 1], noise_shape does not fit, or a mask that the tape injects has another shape.

    References
    ----------
    G. Klambauer, T. Unterthiner, A. Mayr, S. Hochreiter: Self-normalizing neural networks. NIPS (2017), section 2.

    Examples
    --------
    >>> import nbnet as nb
    >>> with nb.Tape(masks={"alpha_dropout": [[True, False]]}):
    ...     y = nb.ops.alpha_dropout([[0.0, 0.0]], rate=0.5)
    >>> y.numpy().round(3)
    array([[ 0.779, -0.779]], dtype=float32)
    """
    x = tensor(x)
    rate, name = as_rate(x, rate), node_name("alpha_dropout")
    noise = x.shape if noise_shape is None else complete_noise_shape(noise_shape, x.shape)
    given = given_mask(name, x.shape, noise)
    if given is not None:
        return apply(ALPHA_MASKED, x, given, rate, name=name)  # type: ignore[no-any-return]
    whole = spans_batch(noise_shape)
    return apply(ALPHA_DROPOUT, x, rate, key=key, name=name, noise_shape=noise, whole=whole)  # type: ignore[no-any-return]
