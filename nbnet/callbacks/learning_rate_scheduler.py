"""A learning rate for each epoch."""

from __future__ import annotations

from collections.abc import Callable

from nbnet.callbacks.callback import Callback, Logs


class LearningRateScheduler(Callback):
    """Sets the learning rate at the start of each epoch.

    Parameters
    ----------
    schedule
        ``schedule(epoch, learning_rate)`` returns the new one.
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
        if isinstance(rate, bool) or not isinstance(rate, (int, float)):
            raise TypeError(f"schedule: wants a function that returns a number, it returned {rate!r}")
        optimizer.learning_rate = rate
        if self.verbose:
            print(f"Epoch {epoch + 1}: learning rate {rate:.4g}")
