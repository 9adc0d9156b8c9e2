"""Uniform and normal numbers inside kernels, from the words that masks are made from.

An element's value is a pure function of (key, step, number of the element in the whole batch), however the batch is
cut. Elements come in chunks of 256, from 64 counters: word w of counter l belongs to element 64 w + l.

References
----------
G. E. P. Box, M. E. Muller: A note on the generation of random normal deviates. Annals of Mathematical Statistics 29
(1958).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nbnet.engine.jit.linker import precise
from nbnet.engine.kernels.abi import Function
from nbnet.engine.kernels.math import log
from nbnet.engine.kernels.philox import ROUNDS, philox

LANES = 64
CHUNK = 4 * LANES
_LOW = np.uint64(0xFFFFFFFF)
_32, _9, _1 = np.uint64(32), np.uint64(9), np.uint64(1)


@precise
def sin_turns(a: Any) -> Any:
    """sin(2 pi a) for -1/4 <= a <= 1/4. Error <= 4 ulp."""
    return np.sin(6.283185307179586 * a)


@sin_turns.variant("float32")
def _sin_turns(a: Any) -> Any:
    z = a * a  # minimax fit of the relative error: 2.8e-8, which is the rounding of 2 pi
    p = 40.062466
    p = p * z - 76.62533
    p = p * z + 81.604645
    p = p * z - 41.34172
    return a * (p * z + 6.2831855)


@precise
def uniform_of(word: Any, real: Any) -> Any:
    """One of the 2^23 midpoints of (0, 1): neither end, and ``1 - u`` is exact."""
    return (real(np.int32(word >> _9)) + 0.5) * 1.1920928955078125e-07


@precise
def _uniforms(w0: Any, w1: Any, w2: Any, w3: Any, real: Any) -> Any:
    return uniform_of(w0, real), uniform_of(w1, real), uniform_of(w2, real), uniform_of(w3, real)


@precise
def normals_of(w0: Any, w1: Any, real: Any) -> Any:
    """Two independent standard normal numbers, of magnitude up to 6.7."""
    # 31 bits, which fit into a signed integer: only their conversion is a vector instruction everywhere.
    u, a = (real(np.int32(w0 >> _1)) + 0.5) * 4.656612873077393e-10, real(np.int32(w1 >> _1)) * 4.656612873077393e-10
    radius, turn = np.sqrt(-2.0 * log(u)), abs(a - 0.5)
    sine = sin_turns(turn if turn < 0.25 else 0.5 - turn)
    return radius * sin_turns(0.25 - turn), radius * (sine if a < 0.5 else -sine)


@precise
def _normals(w0: Any, w1: Any, w2: Any, w3: Any, real: Any) -> Any:
    n0, n1 = normals_of(w0, w1, real)
    n2, n3 = normals_of(w2, w3, real)
    return n0, n1, n2, n3


def make_fill(draw: Function) -> Function:
    """A device function ``fill(out, start, key, step)``, which draws elements ``start ... start + n - 1`` of the batch.

    ``draw`` is a device function of four words and the dtype, that gives four numbers.
    """

    @precise
    def four(lane: Any, key: Any, step: Any, chunk: Any, real: Any) -> Any:
        s, c = np.uint64(step), np.uint64(chunk) * np.uint64(LANES) + np.uint64(lane)
        w0, w1, w2, w3 = philox(c & _LOW, c >> _32, s & _LOW, s >> _32, key & _LOW, key >> _32, ROUNDS)
        return draw(w0, w1, w2, w3, real)

    @precise
    def whole(out: Any, key: Any, step: Any, chunk: Any) -> None:
        real = out.dtype.type
        for lane in range(LANES):
            v0, v1, v2, v3 = four(lane, key, step, chunk, real)
            out[lane] = v0
            out[LANES + lane] = v1
            out[2 * LANES + lane] = v2
            out[3 * LANES + lane] = v3

    @precise
    def part(out: Any, lane: Any, word: Any, key: Any, step: Any, chunk: Any) -> None:
        """Elements from a lane on that are made from one of the words."""
        real = out.dtype.type
        for i in range(out.size):
            v0, v1, v2, v3 = four(lane + i, key, step, chunk, real)
            low, high = v1 if word == 1 else v0, v3 if word == 3 else v2
            out[i] = low if word < 2 else high

    @precise
    def fill(out: Any, start: Any, key: Any, step: Any) -> None:
        end = start + out.size
        for chunk in range(start // CHUNK, (end + CHUNK - 1) // CHUNK):
            first = chunk * CHUNK - start
            if first >= 0 and first + CHUNK <= out.size:
                whole(out[first : first + CHUNK], key, step, chunk)
            else:
                for word in range(4):
                    begin = first + word * LANES
                    low, high = max(begin, 0), min(begin + LANES, out.size)
                    if low < high:
                        part(out[low:high], low - begin, word, key, step, chunk)

    return fill


#: ``fill_uniform(out, start, key, step)``: numbers in (0, 1).
fill_uniform = make_fill(_uniforms)
#: ``fill_normal(out, start, key, step)``: standard normal numbers.
fill_normal = make_fill(_normals)
