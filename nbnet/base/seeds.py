"""Sources of randomness outside kernels: 64-bit keys, and NumPy generators made from them.

There is no shared stream. Every user of random numbers takes a key of its own, and its numbers depend only on
that key. Keys come from the seed scope that the thread is in, else from the seed of the process.

Nothing here takes a lock: a signal handler may draw while the code that it interrupts draws.
"""

from __future__ import annotations

import itertools
import operator
import os
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple, Self, SupportsIndex

import numpy as np

_MASK = 2**64 - 1
_GAMMA = 0x9E3779B97F4A7C15
_END = 2**62


class Counter:
    """Counts calls. Each number is given out once, whichever threads and signal handlers ask for it.

    Copies and pickles continue from the same number.

    Parameters
    ----------
    count
        Number of calls so far.

    Examples
    --------
    >>> from nbnet.base.seeds import Counter
    >>> counter = Counter()
    >>> counter.next(), counter.next(), counter.count
    (1, 2, 2)
    """

    __slots__ = ("_numbers", "next")

    def __init__(self, count: int = 0) -> None:
        if not 0 <= count < _END - 1:
            raise ValueError(f"count: expected an integer from 0 to 2**62 - 2, got {count}")
        # One call into C takes the next number, and nothing runs in between; another reads how many are left.
        self._numbers = iter(range(count + 1, _END))
        self.next = self._numbers.__next__

    @property
    def count(self) -> int:
        """The number that was given out last, 0 before the first."""
        return _END - 1 - operator.length_hint(self._numbers)

    def skip(self, count: int) -> int:
        """Take several numbers; return the one before them."""
        taken = list(itertools.islice(self._numbers, count))
        return taken[0] - 1

    def __reduce__(self) -> tuple[type[Counter], tuple[int]]:
        return Counter, (self.count,)


class CountedKey(int):
    """A key that counts the draws made with it outside compiled programs, as Keras's ``SeedGenerator`` does.

    The numbers drawn depend on the key and on how many draws were made with it, and on nothing else. Copies and pickles
    continue to count.

    Attributes
    ----------
    draws : Counter
        Of the draws so far.
    """

    draws: Counter

    def __new__(cls, key: int, draws: int = 0) -> Self:
        self = super().__new__(cls, key)
        self.draws = Counter(draws)
        return self

    def __reduce__(self) -> tuple[type[CountedKey], tuple[int, int]]:
        return CountedKey, (int(self), self.draws.count)

    def next_step(self) -> int:
        """The number of the next step to draw for: above 2**40, which no training reaches."""
        return (1 << 40) + self.draws.next()


#: Numbers the moments at which seeds were set and keys were taken.
_moments = Counter()


class _Seed(NamedTuple):
    """A seed, the numbers of keys and draws taken since it was set, and the moment when it was."""

    number: int
    taken: Counter
    drawn: Counter
    moment: int

    @classmethod
    def of(cls, number: int) -> _Seed:
        return cls(number, Counter(), Counter(), _moments.next())


class _Source:
    """Where keys come from: the process, or a scope of one thread. The seed is replaced as a whole."""

    def __init__(self, seed: _Seed, from_entropy: bool = False) -> None:
        self.seed, self.from_entropy, self.thread = seed, from_entropy, threading.get_ident()


_process = _Source(_Seed.of(secrets.randbits(64)), from_entropy=True)
#: The scope that the thread is in.
_scope: ContextVar[_Source | None] = ContextVar("seeds", default=None)


def _after_fork() -> None:
    """A forked child must not repeat its parent's entropy."""
    if _process.from_entropy:
        _process.seed = _Seed.of(secrets.randbits(64))


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _seed() -> _Seed:
    """The seed that keys of this thread are made from."""
    return (_scope.get() or _process).seed


class Reserve:
    """Keys that were set aside for later: those that this thread would take next.

    Examples
    --------
    >>> from nbnet.base.seeds import Reserve, next_key, seed_scope
    >>> with seed_scope(1):
    ...     first = next_key()
    >>> with seed_scope(1):
    ...     reserve = Reserve()
    ...     other = next_key()
    ...     with reserve.scope():
    ...         later = next_key()
    >>> later == first, other == first
    (True, False)
    """

    #: More than one model takes.
    SIZE = 1024

    def __init__(self) -> None:
        seed = _seed()
        self._seed = _Seed(seed.number, Counter(seed.taken.skip(self.SIZE)), Counter(), _moments.next())

    @contextmanager
    def scope(self) -> Iterator[None]:
        """Inside, this thread takes these keys."""
        before = _scope.set(_Source(self._seed))
        try:
            yield
        finally:
            _scope.reset(before)


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
    before = _scope.set(_Source(_Seed.of(_checked(seed))))
    try:
        yield
    finally:
        _scope.reset(before)


def set_random_seed(seed: SupportsIndex) -> None:
    """Make everything random in nbnet repeatable from here: initial weights, dropout masks, the order of rows.

    In the main thread it sets the seed of the process; in another thread the seed of that thread, until it ends.
    Without it, each process starts from the operating system's entropy, and threads take keys from the seed of the
    process. Layers that exist keep their keys, and continue to count their draws. NumPy's and Python's own generators
    are not touched.

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
    _set(_Seed.of(_checked(seed)))


def _checked(seed: SupportsIndex) -> int:
    number = as_integer(seed, "seed")
    if not 0 <= number <= _MASK:
        raise ValueError(f"seed: expected an integer from 0 to 2**64 - 1, got {number}")
    return number


def _set(seed: _Seed) -> None:
    """Set the seed of the scope that this thread has made; else, in the main thread, that of the process, and in
    another one a seed of its own."""
    scope = _scope.get()
    if scope is not None and scope.thread == threading.get_ident():
        scope.seed = seed
    elif scope is None and threading.current_thread() is threading.main_thread():
        _process.seed, _process.from_entropy = seed, False
    else:
        _scope.set(_Source(seed))


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
    seed = _seed()
    return seed.number, seed.taken.count, seed.drawn.count


def set_state(seed: int, taken: int, drawn: int) -> None:
    """Continue from the state that :func:`get_state` returned, in this process or another; :func:`seeded_since` does
    not take it for a new seed."""
    _set(_Seed(seed, Counter(taken), Counter(drawn), _seed().moment))


def moment() -> int:
    """Number of this moment, for :func:`seeded_since`."""
    return _moments.next()


def seeded_since(moment: int) -> bool:
    """True if the seed that keys of this thread are made from was set after a moment.

    Examples
    --------
    >>> from nbnet.base.seeds import moment, seed_scope, seeded_since
    >>> before = moment()
    >>> with seed_scope(1):
    ...     seeded_since(before), seeded_since(moment())
    (True, False)
    """
    return _seed().moment > moment


def first_key() -> int | None:
    """The key that :func:`next_key` would return, if none was taken since the seed was set; else None.

    Examples
    --------
    >>> from nbnet.base.seeds import first_key, next_key, seed_scope
    >>> with seed_scope(1):
    ...     first_key() == next_key(), first_key()
    (True, None)
    """
    seed = _seed()
    return None if seed.taken.count else derive(seed.number, 1)


def peek_key() -> int:
    """The key that :func:`next_key` would return."""
    seed = _seed()
    return derive(seed.number, seed.taken.count + 1)


class DrawCounter:
    """Numbers for draws: 1, 2, 3 ...; after a seed is set in this thread, numbers that depend on it and begin anew.

    Copies and pickles continue from the same number.

    Attributes
    ----------
    seed : int or None
        The last seed that was set before a draw; None if there was none.

    Examples
    --------
    >>> from nbnet.base.seeds import DrawCounter, seed_scope
    >>> draws = DrawCounter()
    >>> draws.next(), draws.next()
    (1, 2)
    >>> with seed_scope(1):
    ...     first = draws.next()
    >>> with seed_scope(2):
    ...     other = draws.next()
    >>> with seed_scope(1):
    ...     draws.next() == first, first == other
    (True, False)
    """

    def __init__(self, count: int = 0, seed: int | None = None) -> None:
        self.seed = seed
        self._counter, self._moment = Counter(count), moment()

    @property
    def count(self) -> int:
        """Number of draws since the seed was set, or since the beginning."""
        return self._counter.count

    def next(self) -> int:
        """The number of the next draw."""
        if seeded_since(self._moment):
            self.seed, self._counter, self._moment = _seed().number, Counter(), moment()
        number = self._counter.next()
        return number if self.seed is None else derive(self.seed, number)

    @property
    def state(self) -> tuple[int, int | None]:
        """The arguments of a counter that continues here, in this process or another."""
        return (0, _seed().number) if seeded_since(self._moment) else (self.count, self.seed)

    def __reduce__(self) -> tuple[type[DrawCounter], tuple[int, int | None]]:
        return DrawCounter, self.state


def from_entropy() -> bool:
    """True if no seed was set for the keys of this thread."""
    return (_scope.get() or _process).from_entropy


def is_scoped() -> bool:
    """True if keys of this thread come from a seed of its own."""
    return _scope.get() is not None


def next_key() -> int:
    """A fresh 64-bit key: a pure function of the seed and of the number of keys taken since it was set.

    Examples
    --------
    >>> from nbnet.base.seeds import next_key
    >>> next_key() != next_key()
    True
    """
    seed = _seed()
    return derive(seed.number, seed.taken.next())


def next_draw() -> int:
    """A step number for random ops without a key, outside compiled programs: above 2**40, which no training reaches.

    Examples
    --------
    >>> from nbnet.base.seeds import next_draw
    >>> next_draw() >= 2**40
    True
    """
    return (1 << 40) + _seed().drawn.next()


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
