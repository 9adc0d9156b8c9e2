"""Stop when a number no longer improves."""

from __future__ import annotations

from typing import Any

from nbnet.callbacks.callback import Logs
from nbnet.callbacks.monitor import Monitor


class EarlyStopping(Monitor):
    """Stops training when a monitored number has not improved for some epochs.

    Parameters
    ----------
    monitor, min_delta, mode
        What to watch, and what counts as an improvement.
    patience
        Epochs without improvement after which training stops.
    verbose
        1 prints a line when it stops.
    baseline
        The number has to beat this at first.
    restore_best_weights
        Whether the model ends with the weights of its best epoch.
    start_from_epoch
        Epochs to wait before watching.

    Attributes
    ----------
    stopped_epoch, best_epoch
        Numbers from 0.

    Examples
    --------
    >>> import numpy as np
    >>> import nbnet as nb
    >>> model = nb.Sequential([nb.Input((1,)), nb.layers.Dense(1, kernel_initializer="zeros")])
    >>> model.compile("sgd", "mse")
    >>> stop = nb.callbacks.EarlyStopping(monitor="loss", patience=2)
    >>> history = model.fit(np.zeros((8, 1)), np.zeros(8), epochs=50, callbacks=[stop])
    >>> len(history.epoch)
    3
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0.0,
        patience: int = 0,
        verbose: int = 0,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = False,
        start_from_epoch: int = 0,
    ) -> None:
        super().__init__(monitor, mode, min_delta)
        self.patience, self.verbose, self.baseline = int(patience), verbose, baseline
        self.restore_best_weights, self.start_from_epoch = bool(restore_best_weights), int(start_from_epoch)
        self.stopped_epoch = self.best_epoch = 0
        self.wait = 0
        self._weights: Any = None

    def on_train_begin(self, logs: Logs = None) -> None:
        self.wait = self.stopped_epoch = self.best_epoch = 0
        self.best, self._weights = float("nan"), None

    def spare_epochs(self) -> int:
        """As many as must pass before it could stop; none where it has to remember the weights of the best."""
        own = type(self).on_epoch_end is not EarlyStopping.on_epoch_end
        return super().spare_epochs() if own or self.restore_best_weights else max(self.patience - self.wait - 1, 0)

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        value = self.value(logs)
        if value is None or epoch < self.start_from_epoch:
            return
        if self.restore_best_weights and self._weights is None:
            self._weights, self.best_epoch = self.model.get_weights(), epoch
        self.wait += 1
        if self.is_better(value, self.best):
            self.best, self.best_epoch = value, epoch
            if self.restore_best_weights:
                self._weights = self.model.get_weights()
            if self.baseline is None or self.is_better(value, self.baseline):
                self.wait = 0
        if self.wait >= self.patience and epoch > 0:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def on_train_end(self, logs: Logs = None) -> None:
        if self.stopped_epoch and self.verbose:
            print(f"Epoch {self.stopped_epoch + 1}: early stopping, best epoch {self.best_epoch + 1}")
        if self._weights is not None:
            self.model.set_weights(self._weights)
