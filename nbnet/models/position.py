"""How far the training of a model has come."""

from __future__ import annotations

from dataclasses import dataclass

from nbnet import random


@dataclass
class Position:
    """Where a training stands: enough to go on as if it had not been interrupted.

    Parameters
    ----------
    key
        What the orders of rows are drawn from; None if there was no training.
    epoch
        Epochs that are done.
    batch
        Batches of the next one that are done.

    Examples
    --------
    >>> from nbnet.models.position import Position
    >>> position = Position(key=7, epoch=2)
    >>> position.begin(2)  # goes on
    >>> position.key
    7
    """

    key: int | None = None
    epoch: int = 0
    batch: int = 0

    def begin(self, initial_epoch: int) -> None:
        """Begin a training, or go on with the last one if it ended before ``initial_epoch``."""
        if self.key is None or initial_epoch == 0 or initial_epoch != self.epoch:
            self.key, self.batch = random.next_key(), 0
        self.epoch = initial_epoch

    def move(self, key: int | None, epoch: int, batch: int) -> None:
        """Go on from elsewhere; a training that has begun follows."""
        self.key, self.epoch, self.batch = key, epoch, batch

    def reach(self, epoch: int) -> None:
        """So many epochs are done, or more."""
        self.epoch, self.batch = max(self.epoch, epoch), 0
