"""Hash functions of strings whose values never change: FarmHash and SipHash, as TensorFlow and Keras have them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

_MASK = (1 << 64) - 1
_K0, _K1, _K2 = 0xC3A5C85C97CB3127, 0xB492B66FBE98F273, 0x9AE16A3B2F90404F


def _rotated(x: int, left: int) -> int:
    x &= _MASK
    return (x << left | x >> (64 - left)) & _MASK


def _shifted(x: int) -> int:
    x &= _MASK
    return x ^ x >> 47


def _of_two(u: int, v: int, factor: int) -> int:
    """Return a hash of two words."""
    a = _shifted((u ^ v) * factor)
    return _shifted((v ^ a) * factor) * factor & _MASK


def fingerprint(content: bytes) -> int:
    """Return FarmHash's 64-bit fingerprint of bytes (its function ``Fingerprint64``).

    Examples
    --------
    >>> from nbnet.base.hashes import fingerprint
    >>> fingerprint(b"A") % 3, fingerprint(b"B") % 3, fingerprint(b"E") % 3
    (1, 0, 2)
    """
    n = len(content)

    def word(at: int, size: int = 8) -> int:
        at += n if at < 0 else 0
        return int.from_bytes(content[at : at + size], "little")

    factor = _K2 + 2 * n
    if n == 0:
        return _K2
    if n < 4:
        y, z = content[0] + (content[n >> 1] << 8), n + (content[-1] << 2)
        return _shifted(y * _K2 ^ z * _K0) * _K2 & _MASK
    if n < 8:
        return _of_two(n + (word(0, 4) << 3), word(-4, 4), factor)
    if n <= 16:
        a, b = word(0) + _K2 & _MASK, word(-8)
        c, d = _rotated(b, 27) * factor + a, (_rotated(a, 39) + b) * factor
        return _of_two(c & _MASK, d & _MASK, factor)
    if n <= 64:
        return _middle(word, n, factor)
    return _long(word, n)


def _middle(word: Callable[..., int], n: int, factor: int) -> int:
    """Return the fingerprint of 17 to 64 bytes."""
    short = n <= 32
    a, b, c, d = word(0) * (_K1 if short else _K2), word(8), word(-8) * factor, word(-16) * _K2
    y = _rotated(a + b, 21) + _rotated(c, 34) + d & _MASK
    z = _of_two(y, a + _rotated(b + _K2, 46) + c & _MASK, factor)
    if short:
        return z
    e, f, g, h = word(16) * factor, word(24), (y + word(-32)) * factor, (z + word(-24)) * factor
    first = _rotated(e + f, 21) + _rotated(g, 34) + h & _MASK
    return _of_two(first, e + _rotated(f + a, 46) + g & _MASK, factor)


def _long(word: Callable[..., int], n: int) -> int:
    """Return the fingerprint of more than 64 bytes: two pairs of words and three single ones go over blocks of 64."""

    def weak(at: int, a: int, b: int) -> tuple[int, int]:
        first, second, third, last = (word(at + 8 * k) for k in range(4))
        a += first
        b = _rotated(b + a + last, 43)
        c = a
        a += second + third
        return a + last & _MASK, b + _rotated(a, 20) + c & _MASK

    def mixed(at: int, x: int, y: int, z: int, v: Any, w: Any, factor: int, nine: int) -> tuple[Any, ...]:
        x = _rotated(x + y + v[0] + word(at + 8), 27) * factor ^ w[1] * nine
        y = _rotated(y + v[1] + word(at + 48), 22) * factor + v[0] * nine + word(at + 40)
        z = _rotated(z + w[0], 31) * factor & _MASK
        v, w = weak(at, v[1] * factor, x + w[0]), weak(at + 32, z + w[1], y + word(at + 16))
        return z, y & _MASK, x & _MASK, v, w

    seed = 81
    y = seed * _K1 + 113 & _MASK
    z, v, w = _shifted(y * _K2 + 113) * _K2 & _MASK, (0, 0), (0, 0)
    x = seed * _K2 + word(0) & _MASK
    end = (n - 1) // 64 * 64
    for at in range(0, end, 64):
        x, y, z, v, w = mixed(at, x, y, z, v, w, _K1, 1)
    factor = _K1 + ((z & 0xFF) << 1)
    w = (w[0] + (n - 1 & 63), w[1])
    v = (v[0] + w[0], v[1])
    w = (w[0] + v[0], w[1])
    x, y, z, v, w = mixed(n - 64, x, y, z, v, w, factor, 9)
    first = _of_two(v[0], w[0], factor) + _shifted(y) * _K0 + z
    return _of_two(first & _MASK, _of_two(v[1], w[1], factor) + x & _MASK, factor)


def keyed_hash(content: bytes, first: int, second: int) -> int:
    """Return SipHash-2-4 of bytes, with a key of two words.

    Examples
    --------
    >>> from nbnet.base.hashes import keyed_hash
    >>> keyed_hash(b"A", 133, 137) % 3, keyed_hash(b"B", 133, 137) % 3
    (1, 2)
    """
    first, second = first & _MASK, second & _MASK
    v = [
        first ^ 0x736F6D6570736575,
        second ^ 0x646F72616E646F6D,
        first ^ 0x6C7967656E657261,
        second ^ 0x7465646279746573,
    ]

    def rounds(number: int) -> None:
        for _ in range(number):
            for a, b, left in ((0, 1, 13), (2, 3, 16)):
                v[a] = v[a] + v[b] & _MASK
                v[b] = _rotated(v[b], left) ^ v[a]
            v[0] = _rotated(v[0], 32)
            for a, b, left in ((2, 1, 17), (0, 3, 21)):
                v[a] = v[a] + v[b] & _MASK
                v[b] = _rotated(v[b], left) ^ v[a]
            v[2] = _rotated(v[2], 32)

    padded = content + bytes(7 - len(content) % 8) + bytes([len(content) & 0xFF])
    for at in range(0, len(padded), 8):
        word = int.from_bytes(padded[at : at + 8], "little")
        v[3] ^= word
        rounds(2)
        v[0] ^= word
    v[2] ^= 0xFF
    rounds(4)
    return v[0] ^ v[1] ^ v[2] ^ v[3]


def joined_hash(parts: Iterable[int]) -> int:
    """Return one hash of several, as TensorFlow combines them."""
    found, factor = 0xDECAFCAFFE, 0xC6A4A7935BD1E995
    for part in parts:
        found = (found ^ factor ^ _shifted(part * factor) * factor & _MASK) * factor
        found = _shifted(_shifted(found) * factor)
    return found


def hashed(values: Array, bins: int, salt: Sequence[int] | None = None) -> Array:
    """Return the numbers of the bins that strings, or integers as strings, are hashed to.

    Examples
    --------
    >>> import numpy as np
    >>> from nbnet.base.hashes import hashed
    >>> hashed(np.array(["A", "B", "E"]), 3), hashed(np.arange(3), 3)
    (array([1, 0, 2]), array([1, 0, 1]))
    """
    found, where = np.unique(values, return_inverse=True)
    texts = [str(value).lower() for value in found.tolist()] if found.dtype.kind == "b" else map(str, found.tolist())
    numbers = [fingerprint(t.encode()) if salt is None else keyed_hash(t.encode(), *salt) for t in texts]
    return np.array([number % bins for number in numbers], np.int64)[where].reshape(values.shape)
