"""Which rows an epoch sees, and in which order."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nbnet import random
from nbnet.core.feed import Shuffler
from nbnet.core.graph import Call
from nbnet.data import part_of_pass, warn_short
from nbnet.models.position import Position


class Orders:
    """The orders of rows in epochs.

    Parameters
    ----------
    n
        Number of rows.
    size
        Rows of a batch.
    shuffle
        Whether each pass over the rows has an order of its own, which the position's key decides.
    position
        Where the training stands: an epoch that was interrupted goes on there.
    steps
        Batches of an epoch; the next one goes on behind them. None: an epoch is a pass.

    Attributes
    ----------
    order : ndarray of int64, (n,)
        Of the rows in the pass that the epoch belongs to.

    Examples
    --------
    >>> from nbnet.models.orders import Orders
    >>> from nbnet.models.position import Position
    >>> orders = Orders(8, 2, False, Position(), steps=2)
    >>> [orders.epoch(number) for number in range(3)]
    [slice(0, 4, None), slice(4, 8, None), slice(0, 4, None)]
    """

    def __init__(self, n: int, size: int, shuffle: bool, position: Position, steps: int | None = None) -> None:
        self._shuffler, self.position = Shuffler(n) if shuffle else None, position
        self.order: NDArray[np.int64] = np.arange(n) if self._shuffler is None else self._shuffler.order
        self._n, self._size, self._steps = n, size, steps

    @property
    def whole(self) -> bool:
        """Whether each epoch is a pass over all rows."""
        return self._steps is None

    def calls(self, epochs: Sequence[int]) -> list[Call]:
        """What puts the rows in the order of epoch ``epochs[k]`` in step k; for epochs that are passes."""
        if self._shuffler is None:
            return []
        key = self.position.key
        assert key is not None
        return self._shuffler.calls([random.derive(key, number) for number in epochs])

    def epoch(self, number: int) -> slice:
        """Put the rows in the order of an epoch; returns which of them it sees. Warns if they are too few."""
        turn, start, stop = part_of_pass(number, -(-self._n // self._size), self._steps)
        if self._shuffler is not None:
            assert self.position.key is not None
            self._shuffler(random.derive(self.position.key, turn))
        if self._steps is not None and stop - start < self._steps:
            warn_short(stop - start, self._steps)
        return slice((start + self.position.batch) * self._size, min(stop * self._size, self._n))
