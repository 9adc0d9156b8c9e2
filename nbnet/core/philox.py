"""Counter-based random numbers inside kernels: Philox4x32, seven rounds.

Seven is the least number of rounds that passes every test of BigCrush (table 2 of the paper). Ten, its choice where
nothing else is known, would take half as long again, and masks are the third most expensive thing in a small step.

References
----------
J. K. Salmon, M. A. Moraes, R. O. Dror, D. E. Shaw: Parallel random numbers: as easy as 1, 2, 3. SC11 (2011), section
3.3.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nbnet.core.abi import device, scratch_bytes

_LOW = np.uint64(0xFFFFFFFF)
_32 = np.uint64(32)
_M0, _M1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_W0, _W1 = np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)


#: Rounds that masks are drawn with.
ROUNDS = 7


@device
def philox(c0: Any, c1: Any, c2: Any, c3: Any, k0: Any, k1: Any, rounds: Any) -> Any:
    """Four 32-bit words for a 128-bit counter and a 64-bit key, all as 32-bit numbers in uint64.

    64-bit arithmetic throughout: Numba would widen uint32 silently, and this way Python computes the same.
    """
    for _ in range(rounds):
        p0, p1 = _M0 * c0, _M1 * c2
        c0, c1, c2, c3 = (p1 >> _32) ^ c1 ^ k0, p1 & _LOW, (p0 >> _32) ^ c3 ^ k1, p0 & _LOW
        k0, k1 = (k0 + _W0) & _LOW, (k1 + _W1) & _LOW
    return c0, c1, c2, c3


@device
def threshold(rate: Any) -> Any:
    """Words below this are dropped: ``rate`` times 2**32, so that rate 0 keeps and rate 1 drops everything."""
    return np.uint64(np.float64(rate) * np.float64(4294967296.0))


# Elements are drawn in chunks of 256: 64 counters, four words each, word w of counter l for element 64 w + l. A loop
# of 64 with
# contiguous stores vectorises however narrow the layer is.
LANES = 64
CHUNK = 4 * LANES


@device
def _fill_chunk(mask: Any, key: Any, step: Any, chunk: Any, limit: Any) -> None:
    """mask: uint8 (CHUNK,)"""
    s, base = np.uint64(step), np.uint64(chunk) * np.uint64(LANES)
    s0, s1, k0, k1 = s & _LOW, s >> _32, key & _LOW, key >> _32
    for lane in range(LANES):
        c = base + np.uint64(lane)
        w0, w1, w2, w3 = philox(c & _LOW, c >> _32, s0, s1, k0, k1, ROUNDS)
        mask[lane] = w0 >= limit
        mask[LANES + lane] = w1 >= limit
        mask[2 * LANES + lane] = w2 >= limit
        mask[3 * LANES + lane] = w3 >= limit


@device
def fill_mask(mask: Any, start: Any, key: Any, step: Any, rate: Any) -> None:
    """Draw a mask, 1 = kept.

    An element's fate is a pure function of (key, step, number of the element in the whole batch, counted row by row),
    however the batch is cut.

    mask: uint8 (n,), the elements ``start ... start + n - 1`` of the batch's mask
    """
    limit, end, spare = threshold(rate), start + mask.size, scratch_bytes()
    for chunk in range(start // CHUNK, (end + CHUNK - 1) // CHUNK):
        first = chunk * CHUNK - start
        if first >= 0 and first + CHUNK <= mask.size:
            _fill_chunk(mask[first : first + CHUNK], key, step, chunk, limit)
        else:
            _fill_chunk(spare, key, step, chunk, limit)
            low, high = max(first, 0), min(first + CHUNK, mask.size)
            part, source = mask[low:high], spare[low - first : high - first]
            for i in range(part.size):
                part[i] = source[i]


@device
def count_kept(mask: Any) -> Any:
    """Number of units that a mask of bytes keeps."""
    kept: Any = 0
    for i in range(mask.size):
        kept += np.int64(mask[i])
    return kept
