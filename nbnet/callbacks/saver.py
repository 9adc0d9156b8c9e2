"""Callbacks that save after epochs, or after so many batches."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from nbnet.callbacks.callback import Logs
from nbnet.callbacks.monitor import Monitor


class Saver(Monitor):
    """Calls :meth:`save` when it is time.

    Parameters
    ----------
    save_freq
        ``"epoch"``, or a number of batches; then every batch is a call of its own.
    monitor, mode
        See :class:`Monitor`.

    Raises
    ------
    ValueError
        If save_freq is neither.
    """

    def __init__(self, save_freq: Any = "epoch", monitor: str = "val_loss", mode: str = "auto") -> None:
        super().__init__(monitor, mode)
        if save_freq != "epoch" and (isinstance(save_freq, bool) or not isinstance(save_freq, int) or save_freq < 1):
            raise ValueError(f"save_freq: wants 'epoch' or a number of batches, an integer from 1; got {save_freq!r}")
        self.save_freq: int | None = None if save_freq == "epoch" else save_freq
        self._epoch = self._batches = 0

    @abstractmethod
    def save(self, epoch: int, batch: int | None, logs: Logs) -> None:
        """Save now.

        Parameters
        ----------
        epoch, batch
            Numbers from 0 of the epoch, and of the batch that was made last; None after an epoch.
        """

    def wants_batches(self, kind: str) -> bool:
        return kind == "train" and self.save_freq is not None

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        if self.save_freq is not None:
            self._batches += 1
            if self._batches >= self.save_freq:
                self._batches = 0
                self.save(self._epoch, batch, logs)

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        if self.save_freq is None:
            self.save(epoch, None, logs)
