"""Room for weights: a model that is loaded takes no more memory than its file has values for.

While a model is made from a configuration that came from outside, :func:`limited` bounds what its layers may ask for,
so that one number in a configuration cannot take all memory.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Values beyond the weights that layers may always hold, for constants.
SPARE = 1 << 20


class Room:
    """The shapes of the weights that a file holds, each to be taken once.

    Parameters
    ----------
    shapes
        Of all tensors that may be weights.
    """

    def __init__(self, shapes: Iterable[Sequence[int]]) -> None:
        self.left = Counter(tuple(shape) for shape in shapes)
        self.spare = SPARE + sum(prod(shape) * n for shape, n in self.left.items())

    def take(self, shape: tuple[int, ...], name: str) -> None:
        """Take a weight of this shape.

        Raises
        ------
        ValueError
            If there is none left.
        """
        if not self.left[shape]:
            raise ValueError(f"{name}: asks for a weight of shape {shape}, and the file has none of that shape left")
        self.left[shape] -= 1


_room: ContextVar[Room | None] = ContextVar("room", default=None)


@contextmanager
def limited(room: Room | None) -> Iterator[None]:
    """Inside, weights are taken from a room and start as zeros."""
    before = _room.set(room)
    try:
        yield
    finally:
        _room.reset(before)


def weight(shape: tuple[int, ...], dtype: Any, name: str) -> NDArray[Any] | None:
    """Zeros for a weight, if room is limited; None: let its initializer make it.

    Raises
    ------
    ValueError
        If there is no room for it.
    """
    room = _room.get()
    if room is None:
        return None
    room.take(shape, name)
    return np.zeros(shape, dtype)


def reserve(values: int, name: str) -> None:
    """To be called before constants are made whose number a configuration says.

    Raises
    ------
    ValueError
        If room is limited and that is more than there is.
    """
    room = _room.get()
    if room is not None and values > room.spare:
        raise ValueError(f"{name}: asks for {values} values, more than the file can have a use for")
