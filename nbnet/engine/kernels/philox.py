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

from nbnet.engine.kernels.abi import device, halves, scratch_bytes, scratch_words

_LOW = np.uint64(0xFFFFFFFF)
_HIGH, _SHORT = np.uint64(0x80000000), np.uint64(0xFFFF)
_32, _16 = np.uint64(32), np.uint64(16)
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


# Elements are drawn in chunks, 16 bits for each: a loop over counters writes words, one over elements compares their
# halves. Both vectorise however narrow the layer is.
CHUNK = 256
COUNTERS = CHUNK // 8


@device
def _fill_chunk(mask: Any, key: Any, step: Any, chunk: Any, limit: Any, words: Any) -> None:
    """mask: uint8 (CHUNK,); words: uint64 (2 * COUNTERS,), to work in."""
    s, number = np.uint64(step), np.uint64(chunk)
    s0, s1, k0, k1 = s & _LOW, s >> _32, key & _LOW, key >> _32
    for lane in range(COUNTERS):
        c = number * np.uint64(COUNTERS) + np.uint64(lane)
        w0, w1, w2, w3 = philox(c & _LOW, c >> _32, s0, s1, k0, k1, ROUNDS)
        words[lane] = w0 | (w1 << _32)
        words[COUNTERS + lane] = w2 | (w3 << _32)
    # 32 bits of the limit in 16: it is rounded up as often as the others say. (No step has the bit that is set here.)
    chance, _, _, _ = philox(number & _LOW, number >> _32, s0, s1 | _HIGH, k0, k1, ROUNDS)
    rounded = (limit + (chance & _SHORT)) >> _16
    drawn, least = halves(words), np.uint16(rounded)
    if rounded > _SHORT:
        for i in range(CHUNK):
            mask[i] = 0
    else:
        for i in range(CHUNK):
            mask[i] = drawn[i] >= least


@device
def fill_mask(mask: Any, start: Any, key: Any, step: Any, rate: Any) -> None:
    """Draw a mask, 1 = kept.

    An element's fate is a pure function of (key, step, number of the element in the whole batch, counted row by row),
    however the batch is cut. Over the steps it is dropped at the rate to 2^-32; in one step a chunk of 256 elements
    shares a rate that is a multiple of 2^-16.

    mask: uint8 (n,), the elements ``start ... start + n - 1`` of the batch's mask
    """
    limit, end, spare, words = threshold(rate), start + mask.size, scratch_bytes(), scratch_words()
    for chunk in range(start // CHUNK, (end + CHUNK - 1) // CHUNK):
        first = chunk * CHUNK - start
        if first >= 0 and first + CHUNK <= mask.size:
            _fill_chunk(mask[first : first + CHUNK], key, step, chunk, limit, words)
        else:
            _fill_chunk(spare, key, step, chunk, limit, words)
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
