"""Masks of one bit a unit, written by programs and read in Python.

512 elements of a mask become 64 bytes: element ``64 b + i`` is bit b of byte i. So the kernel reads eight lines of
bytes side by side, which fills the vector registers, where eight neighbours in one byte would not. What is left at the
end becomes a shorter block of the same kind.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbnet.core.abi import bytemat, bytevec, device, intvec, kernel
from nbnet.core.graph import Call, Tensor
from nbnet.core.op import BYTE

Array = NDArray[Any]

#: Bytes of a block, and elements in it.
WIDTH = 64
BLOCK = 8 * WIDTH


def packed_size(elements: int) -> int:
    """Bytes that so many elements take."""
    return -(-elements // 8)


@device
def _pack_block(mask: Any, out: Any) -> None:
    """mask: uint8 (BLOCK,) of 0 and 1; out: uint8 (WIDTH,)"""
    for i in range(WIDTH):
        low = mask[i] + 2 * mask[64 + i] + 4 * mask[128 + i] + 8 * mask[192 + i]
        high = 16 * mask[256 + i] + 32 * mask[320 + i] + 64 * mask[384 + i] + 128 * mask[448 + i]
        out[i] = low + high


@device
def _pack_rest(mask: Any, out: Any) -> None:
    """The same for a mask of fewer elements and its bytes."""
    width = out.size
    for i in range(width):
        out[i] = mask[i]
    for bit in range(1, 8):
        line = mask[min(bit * width, mask.size) : min((bit + 1) * width, mask.size)]
        for i in range(line.size):
            out[i] += line[i] << bit


@kernel
def record_mask(mem: Any, ins: Any, step: Any) -> None:
    """Pack a mask into the line of a ring that is the step's."""
    mask, ring = bytevec(mem, ins, 0), bytemat(mem, ins, 1)
    line, full = ring[step % ring.shape[0]], mask.size // BLOCK
    for block in range(full):
        _pack_block(mask[block * BLOCK : (block + 1) * BLOCK], line[block * WIDTH : (block + 1) * WIDTH])
    _pack_rest(mask[full * BLOCK :], line[full * WIDTH :])


@kernel
def record_step(mem: Any, ins: Any, step: Any) -> None:
    """Note which step a line of the rings belongs to."""
    steps = intvec(mem, ins, 0)
    steps[step % steps.size] = step


def record_call(mask: Tensor, ring: Array, dtype: Any) -> Call:
    """Keep a mask of a program in a ring, uint8 (steps, bytes)."""
    into = Tensor(ring.shape, BYTE, ring, name="recorded")
    return Call(record_mask, (mask, into), (1,), 1 << 1, 0, (), "record", np.dtype(dtype))


def step_call(steps: Array, dtype: Any) -> Call:
    """Keep the numbers of the steps in a ring, int64 (steps,)."""
    into = Tensor(steps.shape, steps.dtype, steps, name="steps")
    return Call(record_step, (into,), (0,), 1, 0, (), "record", np.dtype(dtype))


def unpack(packed: Array, elements: int) -> NDArray[np.bool]:
    """The elements of a mask, flat.

    Parameters
    ----------
    packed
        uint8 (packed_size(elements),), as :func:`record_mask` writes it.

    Examples
    --------
    >>> import numpy as np
    >>> from nbnet.masks.bits import unpack
    >>> unpack(np.array([0b101, 0b11], np.uint8), 10).astype(int)
    array([1, 1, 0, 1, 1, 0, 0, 0, 0, 0])
    """
    full = elements // BLOCK
    parts = [packed[: full * WIDTH].reshape(full, WIDTH), packed[full * WIDTH :][None]]
    bits = [np.unpackbits(part[..., None], axis=2, bitorder="little").transpose(0, 2, 1).reshape(-1) for part in parts]
    return np.concatenate(bits)[:elements].astype(bool)
