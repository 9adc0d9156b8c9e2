"""Callbacks that change the learning rate, or the weights, from epoch to epoch."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from nbnet.base.console import show
from nbnet.base.json_record import fields
from nbnet.callbacks.callback import Callback, Logs
from nbnet.optimizers import Optimizer


class LearningRateScheduler(Callback):
    """Sets the learning rate at the start of each epoch.

    Parameters
    ----------
    schedule : callable
        ``schedule(epoch, learning_rate)``, or ``schedule(epoch)``, returns the new rate, which appears in logs as
        ``learning_rate``.
    verbose : int
        1 prints the rate.

    Examples
    --------
    >>> import nbnet as nb
    >>> slower = nb.callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.9)
    """

    def __init__(self, schedule: Callable[..., float], verbose: int = 0) -> None:
        super().__init__()
        self.schedule, self.verbose = schedule, verbose
        self._takes_rate = _takes(schedule, 2)
        self._epoch, self._resumed = -1, -1

    def get_state(self) -> dict[str, Any]:
        return {"epoch": self._epoch}

    def set_state(self, state: Mapping[str, Any]) -> None:
        self._resumed = fields(dict(state), {"epoch": int}, "state")["epoch"]

    def on_train_begin(self, logs: Logs = None) -> None:
        self._epoch = self._resumed = -1

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        self._epoch = epoch
        if epoch == self._resumed:  # inside of which a resumed training continues, with the rate that was set then
            return
        before = float(self._optimizer.learning_rate)
        rate = self.schedule(epoch, before) if self._takes_rate else self.schedule(epoch)
        # A rate computed with nbnet.ops is a tensor, one computed with NumPy may be an array.
        number = np.asarray(rate)
        if number.dtype.kind not in "fiu" or number.size != 1:
            raise TypeError(f"schedule: expected a function that returns a number, it returned {rate!r}")
        self._optimizer.learning_rate = number.item()
        if self.verbose:
            show(f"Epoch {epoch + 1}: learning rate {number.item():.4g}")

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        if logs is not None:
            logs["learning_rate"] = float(self._optimizer.learning_rate)


def _takes(function: Callable[..., Any], count: int) -> bool:
    """Return True if a function takes so many arguments; also if its signature is not known."""
    try:
        inspect.signature(function).bind(*[None] * count)
    except ValueError:
        return True
    except TypeError:
        return False
    return True


class SwapEMAWeights(Callback):
    """Puts the moving averages of weights, kept by an optimizer with ``use_ema=True``, into the model for evaluation.

    Parameters
    ----------
    swap_on_epoch : bool
        If True, the averages are also in the model at the end of each epoch, for later callbacks in the list, such as
        :class:`nbnet.callbacks.ModelCheckpoint`.

    Raises
    ------
    ValueError
        In training, if the optimizer keeps no averages.

    Examples
    --------
    >>> import numpy as np
    >>> import nbnet as nb
    >>> model = nb.Sequential([nb.Input((1,)), nb.layers.Dense(1)])
    >>> model.compile(nb.optimizers.SGD(0.1, use_ema=True), "mse")
    >>> x, y = np.ones((8, 1)), np.ones(8)
    >>> swap = nb.callbacks.SwapEMAWeights()
    >>> history = model.fit(x, y, epochs=2, validation_data=(x, y), callbacks=[swap], verbose=0)
    """

    def __init__(self, swap_on_epoch: bool = False) -> None:
        super().__init__()
        self.swap_on_epoch = bool(swap_on_epoch)

    def _put(self, averages: bool) -> None:
        """Put the averages, or the weights themselves, into the model."""
        optimizer = self._averaging_optimizer()
        if averages != optimizer.swapped and optimizer.block is not None:
            optimizer.swap_averages()

    def _averaging_optimizer(self) -> Optimizer:
        optimizer = self.model.optimizer
        if optimizer is None or not optimizer.use_ema:
            raise ValueError("SwapEMAWeights: the optimizer keeps no averages; make it with use_ema=True")
        return optimizer

    def on_train_begin(self, logs: Logs = None) -> None:
        self._averaging_optimizer()

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        self._put(False)

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        if self.swap_on_epoch:
            self._put(True)

    def on_test_begin(self, logs: Logs = None) -> None:
        self._put(True)

    def on_test_end(self, logs: Logs = None) -> None:
        self._put(False)

    def on_predict_begin(self, logs: Logs = None) -> None:
        self._put(True)

    def on_predict_end(self, logs: Logs = None) -> None:
        self._put(False)
