"""A learning rate for each epoch."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from nbnet.callbacks.callback import Callback, Logs


class LearningRateScheduler(Callback):
    """Sets the learning rate at the start of each epoch.

    Parameters
    ----------
    schedule
        ``schedule(epoch, learning_rate)`` returns the new one, which appears in logs as ``learning_rate``.
    verbose
        1 prints it.

    Examples
    --------
    >>> import nbnet as nb
    >>> slower = nb.callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.9)
    """

    def __init__(self, schedule: Callable[[int, float], float], verbose: int = 0) -> None:
        super().__init__()
        self.schedule, self.verbose = schedule, verbose

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        optimizer = self.model.optimizer
        assert optimizer is not None
        rate = self.schedule(epoch, float(optimizer.learning_rate))
        # One computed with nbnet.ops is a tensor, one computed with NumPy may be an array.
        number = np.asarray(rate)
        if number.dtype.kind not in "fiu" or number.size != 1:
            raise TypeError(f"schedule: wants a function that returns a number, it returned {rate!r}")
        optimizer.learning_rate = number.item()
        if self.verbose:
            print(f"Epoch {epoch + 1}: learning rate {number.item():.4g}")

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        if logs is not None:
            assert self.model.optimizer is not None
            logs["learning_rate"] = float(self.model.optimizer.learning_rate)
