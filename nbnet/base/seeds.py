"""Sources of randomness outside kernels: 64-bit keys, and NumPy generators made from them.

There is no shared stream. Every user of random numbers takes a key of its own, and its numbers depend only on
that key.
"""

from __future__ import annotations

import operator
import os
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import SupportsIndex

import numpy as np

_MASK = 2**64 - 1
_GAMMA = 0x9E3779B97F4A7C15


class _Keys:
    """The base seed, and the numbers of keys and draws taken from it."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.from_entropy = True
        self.seed = secrets.randbits(64)
        self.taken = 0
        self.drawn = 0

    def after_fork(self) -> None:
        """A forked child must not wait for a lock its parent held, nor repeat its parent's entropy."""
        self.lock = threading.Lock()
        if self.from_entropy:
            self.seed = secrets.randbits(64)


_keys = _Keys()
#: Keys of the seed scope that the thread is in.
_scoped: ContextVar[_Keys | None] = ContextVar("keys", default=None)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_keys.after_fork)


def _source() -> _Keys:
    return _scoped.get() or _keys


@contextmanager
def seed_scope(seed: SupportsIndex) -> Iterator[None]:
    """Inside, everything random in this thread depends on a seed of its own; outside nothing changes.

    Threads that train models side by side are thus repeatable, whatever the others do.

    Parameters
    ----------
    seed : int
        0 to 2**64 - 1.

    Raises
    ------
    TypeError, ValueError
        As :func:`set_random_seed`.

    Examples
    --------
    >>> from nbnet.base.seeds import next_key, seed_scope
    >>> with seed_scope(1):
    ...     first = next_key()
    >>> with seed_scope(1):
    ...     next_key() == first
    True
    """
    before = _scoped.set(_Keys())
    try:
        set_random_seed(seed)
        yield
    finally:
        _scoped.reset(before)


def set_random_seed(seed: SupportsIndex) -> None:
    """Make everything random in nbnet repeatable from here: initial weights, dropout masks, the order of rows.

    Without it, each process starts from the operating system's entropy. NumPy's and Python's own generators are not
    touched.

    Parameters
    ----------
    seed : int
        0 to 2**64 - 1.

    Raises
    ------
    TypeError
        If ``seed`` is not an integer.
    ValueError
        If it is out of range.

    Examples
    --------
    >>> from nbnet.base.seeds import next_key, set_random_seed
    >>> set_random_seed(1)
    >>> first = next_key()
    >>> set_random_seed(1)
    >>> next_key() == first
    True
    """
    number = as_integer(seed, "seed")
    if not 0 <= number <= _MASK:
        raise ValueError(f"seed: expected an integer from 0 to 2**64 - 1, got {number}")
    keys = _source()
    with keys.lock:
        keys.from_entropy, keys.seed, keys.taken, keys.drawn = False, number, 0, 0


def get_state() -> tuple[int, int, int]:
    """The base seed and the numbers of keys and draws taken from it, for :func:`set_state`.

    Examples
    --------
    >>> from nbnet.base.seeds import get_state, next_key, set_state
    >>> state = get_state()
    >>> first = next_key()
    >>> set_state(*state)
    >>> next_key() == first
    True
    """
    keys = _source()
    with keys.lock:
        return keys.seed, keys.taken, keys.drawn


def set_state(seed: int, taken: int, drawn: int) -> None:
    """Continue from the state that :func:`get_state` returned, in this process or another."""
    keys = _source()
    with keys.lock:
        keys.seed, keys.taken, keys.drawn = seed, taken, drawn


def next_key() -> int:
    """A fresh 64-bit key: a pure function of the seed and of the number of keys taken since it was set.

    Examples
    --------
    >>> from nbnet.base.seeds import next_key
    >>> next_key() != next_key()
    True
    """
    keys = _source()
    with keys.lock:
        keys.taken += 1
        return derive(keys.seed, keys.taken)


def next_draw() -> int:
    """A step number for random ops outside compiled training, used once: above 2**40, which no training reaches.

    Examples
    --------
    >>> from nbnet.base.seeds import next_draw
    >>> next_draw() >= 2**40
    True
    """
    keys = _source()
    with keys.lock:
        keys.drawn += 1
        return (1 << 40) + keys.drawn


def derive(*integers: SupportsIndex) -> int:
    """A 64-bit key that depends on every integer and on their order (SplitMix64's finaliser, chained).

    Parameters
    ----------
    *integers : int
        Taken modulo 2**64; at least one.

    References
    ----------
    G. L. Steele, D. Lea, C. H. Flood: Fast splittable pseudorandom number generators. OOPSLA 2014.

    Examples
    --------
    >>> from nbnet.base.seeds import derive
    >>> hex(derive(0))
    '0xe220a8397b1dcdaf'
    >>> derive(1, 2) == derive(2, 1)
    False
    """
    if not integers:
        raise TypeError("derive: expected at least one integer, got none")
    key = 0
    for integer in integers:
        key = _mix((key + _GAMMA + as_integer(integer, "integers")) & _MASK)
    return key


def _mix(z: int) -> int:
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    return z ^ (z >> 31)


def generator(key: int) -> np.random.Generator:
    """A NumPy generator (Philox) whose draws depend only on the key.

    Parameters
    ----------
    key : int
        0 to 2**128 - 1; see :func:`next_key` and :func:`derive`.

    Examples
    --------
    >>> from nbnet.base.seeds import generator
    >>> bool(generator(7).random() == generator(7).random())
    True
    """
    return np.random.Generator(np.random.Philox(key=key))


def as_integer(value: SupportsIndex, name: str) -> int:
    """An int from a Python or NumPy integer.

    Raises
    ------
    TypeError
        If ``value`` is not an integer; the message names it ``name``.

    Examples
    --------
    >>> from nbnet.base.seeds import as_integer
    >>> as_integer(3.0, "seed")
    Traceback (most recent call last):
        ...
    TypeError: seed: expected an integer, got 3.0
    """
    try:
        return operator.index(value)
    except TypeError:
        raise TypeError(f"{name}: expected an integer, got {value!r}") from None
