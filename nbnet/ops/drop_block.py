"""DropBlock: ``y = x * mask * elements / kept``, where the mask drops squares of images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from nbnet.base.validation import check_int
from nbnet.engine.graph.op import BYTE, Op, Spec, register
from nbnet.engine.graph.tensor import Tensor, apply, node_name, tensor
from nbnet.engine.kernels.abi import accumulates, attribute, bytemat, bytevec, device, kernel, vec
from nbnet.ops.dropout import as_rate, documents_noise, draw_mask, injected_mask, spread

# Attributes: elements of a sample's mask, height, width, size of a block, channels of x that share an element of the
# mask: all or 1.


@device
def _gamma(rate: Any, height: Any, width: Any, block: Any) -> Any:
    """The probability of a seed, equation 1 of the paper; 1 at rate 1, which drops everything."""
    places = (height - block + 1) * (width - block + 1)
    gamma = rate * (height * width) / (block * block * places)
    return min(gamma, 1.0) if rate < 1 else rate


@device
def _drop_blocks(seeds: Any, mask: Any, height: Any, width: Any, block: Any) -> None:
    """Zero the squares of a sample's mask whose upper left corners are seeds. Both are (height * width, channels)."""
    for i in range(height - block + 1):
        for j in range(width - block + 1):
            for c in range(mask.shape[1]):
                if seeds[i * width + j, c] == 0:
                    for k in range(block):
                        first = (i + k) * width + j
                        for p in range(first, first + block):
                            mask[p, c] = 0


@device
def _scale(x: Any, mask: Any, scale: Any, y: Any, channels: Any) -> None:
    """Multiply each sample by its mask and by elements / kept. All are flat."""
    real, size = x.dtype.type, mask.size // max(scale.size, 1)
    for n in range(scale.size):
        m, kept = mask[n * size : (n + 1) * size], np.int64(0)
        for i in range(m.size):
            kept += np.int64(m[i])
        scale[n] = real(size) / real(kept) if kept > 0 else real(0)
    _multiply(x, mask, scale, y, channels, False)


@device
def _multiply(x: Any, mask: Any, scale: Any, y: Any, channels: Any, add: Any) -> None:
    """y = x * mask * scale, or added to it; ``channels`` neighbours share an element of the mask."""
    size = mask.size // max(scale.size, 1)
    for n in range(scale.size):
        if channels == 1:
            low, high = n * size, (n + 1) * size
            spread(x[low:high], mask[low:high], scale[n], y[low:high], 1, add)
        else:
            for p in range(n * size, (n + 1) * size):
                low, high = p * channels, (p + 1) * channels
                spread(x[low:high], mask[p:], scale[n], y[low:high], 0, add)


@kernel
def drop_block_forward(mem: Any, ins: Any, step: Any) -> None:
    rate, mask, seeds, scale = vec(mem, ins, 1)[0], bytemat(mem, ins, 3), bytemat(mem, ins, 4), vec(mem, ins, 5)
    height, width, block, flat = attribute(ins, 1), attribute(ins, 2), attribute(ins, 3), bytevec(mem, ins, 3)
    if not accumulates(ins, 3):
        points, gamma = height * width, _gamma(rate, height, width, block)
        draw_mask(bytevec(mem, ins, 4), ins, 4, step, gamma)
        for i in range(flat.size):
            flat[i] = 1
        for n in range(scale.size):
            low, high = n * points, (n + 1) * points
            _drop_blocks(seeds[low:high], mask[low:high], height, width, block)
    _scale(vec(mem, ins, 0), flat, scale, vec(mem, ins, 2), attribute(ins, 4))


@kernel
def drop_block_backward(mem: Any, ins: Any, step: Any) -> None:
    mask, scale, add = bytevec(mem, ins, 0), vec(mem, ins, 1), accumulates(ins, 3)
    _multiply(vec(mem, ins, 2), mask, scale, vec(mem, ins, 3), attribute(ins, 4), add)


def _mask_shape(x: Tensor, shared: bool) -> tuple[int, ...]:
    return (*x.shape[:-1], 1) if shared else x.shape


def _infer(x: Tensor, rate: Tensor, block_size: int, shared: bool) -> tuple[Spec, ...]:
    mask = Spec(_mask_shape(x, shared), BYTE)
    return Spec(x.shape), mask, mask, Spec(x.shape[:1])


def _encode(x: Tensor, rate: Tensor, block_size: int, shared: bool) -> tuple[int, ...]:
    height, width, channels = _mask_shape(x, shared)[1:]
    return height * width * channels, height, width, block_size, x.shape[3] // max(channels, 1)


def _within(sizes: Mapping[str, int]) -> bool:
    height, width, block, points = sizes["height"], sizes["width"], sizes["block"], sizes["points"]
    return (
        points == sizes["samples"] * height * width
        and points * sizes["c"] * sizes["channels"] == sizes["x"]
        and 0 < block <= min(height, width)
    )


DROP_BLOCK = register(
    Op("drop_block", drop_block_forward, ("x", "drop_rate"), saves=("mask", "seeds", "scale"), infer=_infer,
       backward=drop_block_backward, gradient=("mask", "scale", "dy", "dx"), encode=_encode, mask="mask", random=True,
       role="noise", extents="x[x] drop_rate[1] y[x] mask:u1[points,c] seeds:u1[points,c] scale[samples]; "
       "_ height width block channels", within=_within, partial=("seeds",))
)  # fmt: skip


@documents_noise
def drop_block(x: Any, rate: Any, block_size: int, shared: bool = False, *, key: int | None = None) -> Tensor:
    """Set squares of images to 0 and multiply the rest of each image by elements / elements kept.

    Parameters
    ----------
    x
        Tensor or array (batch, height, width, channels).
    rate
        Share of the elements to DROP, approximately: a number in [0, 1], or a one-element tensor. 0 is the identity, 1
        gives zeros.
    block_size
        Height and width of a square, at most those of the image.
    shared
        If True, the channels of an image share one mask.

    Raises
    ------
    ValueError
        If the rate lies outside [0, 1], x is no batch of images, or a block is larger than they are.

    References
    ----------
    G. Ghiasi, T.-Y. Lin, Q. V. Le: DropBlock: a regularization method for convolutional networks. NeurIPS (2018),
    algorithm 1.

    Examples
    --------
    >>> import numpy as np
    >>> import nbnet as nb
    >>> with nb.Tape(step=1) as tape:
    ...     y = nb.ops.drop_block(np.ones((1, 4, 4, 1)), rate=0.5, block_size=2, key=1)
    >>> y.numpy().mean().round(4).item()
    1.0
    """
    x, size = tensor(x), check_int(block_size, "block_size")
    if x.ndim != 4 or size > min(x.shape[1:3]):
        raise ValueError(
            f"drop_block: expected (batch, height, width, channels) with at least {size} x {size} points, got {x.shape}"
        )
    rate, name = as_rate(x, rate), node_name("drop_block")
    injected = injected_mask(name, _mask_shape(x, shared))
    return apply(DROP_BLOCK, x, rate, key=key, name=name, injected=injected, block_size=size, shared=bool(shared))
