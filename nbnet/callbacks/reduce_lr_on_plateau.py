"""Learn slower when a number no longer improves."""

from __future__ import annotations

from nbnet.callbacks.callback import Logs
from nbnet.callbacks.monitor import Monitor


class ReduceLROnPlateau(Monitor):
    """Multiplies the learning rate when a monitored number has not improved for some epochs.

    Each epoch's learning rate appears in logs as ``learning_rate``.

    Parameters
    ----------
    monitor, mode, min_delta
        What to watch, and what counts as an improvement.
    factor
        In (0, 1): what the learning rate is multiplied by.
    patience
        Epochs without improvement before that happens.
    verbose
        1 prints a line when it happens.
    cooldown
        Epochs to wait afterwards before watching again.
    min_lr
        The learning rate goes no lower.

    Raises
    ------
    ValueError
        If factor is not in (0, 1).

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.callbacks.ReduceLROnPlateau(monitor="loss", factor=0.5, patience=3).factor
    0.5
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: int = 0,
        mode: str = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
    ) -> None:
        super().__init__(monitor, mode, min_delta)
        if not 0 < factor < 1:
            raise ValueError(f"factor: wants a number between 0 and 1, got {factor!r}")
        self.factor, self.patience, self.verbose = float(factor), int(patience), verbose
        self.cooldown, self.min_lr = int(cooldown), float(min_lr)
        self.wait = self.cooling = 0

    def on_train_begin(self, logs: Logs = None) -> None:
        self.wait = self.cooling = 0
        self.best = float("nan")

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        if logs is not None:
            assert self.model.optimizer is not None
            logs["learning_rate"] = float(self.model.optimizer.learning_rate)
        value = self.value(logs)
        if value is None:
            return
        if self.cooling > 0:
            self.cooling -= 1
            self.wait = 0
        if self.is_better(value, self.best):
            self.best, self.wait = value, 0
        elif self.cooling == 0:
            self.wait += 1
            if self.wait >= self.patience:
                self._reduce(epoch)

    def _reduce(self, epoch: int) -> None:
        optimizer = self.model.optimizer
        assert optimizer is not None
        before = float(optimizer.learning_rate)
        if before > self.min_lr:
            optimizer.learning_rate = max(before * self.factor, self.min_lr)
            self.cooling, self.wait = self.cooldown, 0
            if self.verbose:
                print(f"Epoch {epoch + 1}: learning rate reduced to {optimizer.learning_rate:.4g}")
