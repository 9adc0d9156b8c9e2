"""Callbacks that watch one entry of the logs: early stopping, and reducing the learning rate."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbnet import ops
from nbnet.base.console import show
from nbnet.base.json_record import fields
from nbnet.base.validation import Interval
from nbnet.callbacks.callback import EPOCH_HOOKS, Callback, Logs


class Monitor(Callback):
    """Base class of callbacks that watch one entry of the logs.

    A subclass may override :meth:`get_monitor_value`, what is watched, and ``_is_improvement(value, reference)``, if a
    value is better than another, which is None at first.
    """

    LARGER = ("acc", "auc", "precision", "recall", "f1", "fbeta", "r2", "top_k", "true_", "iou", "cosine_similarity")

    def __init__(self, monitor: str = "val_loss", mode: str = "auto", min_delta: float = 0.0) -> None:
        super().__init__()
        if mode not in ("auto", "min", "max"):
            warnings.warn(f"mode: expected 'auto', 'min' or 'max', got {mode!r}; 'auto' is taken", stacklevel=3)
            mode = "auto"
        self.monitor, self.mode, self.min_delta = monitor, mode, abs(float(min_delta))
        name = monitor.removeprefix("val_")
        self.larger = mode == "max" or (mode == "auto" and any(part in name for part in self.LARGER))
        #: The best value so far.
        self.best: float | None = None

    @property
    def monitor_op(self) -> Callable[..., Any]:
        """The comparison of a better value with a worse one."""
        return ops.greater if self.larger else ops.less

    def get_state(self) -> dict[str, Any]:
        # As text, for it may be infinite; NaN stands for none.
        return {"best": repr(float("nan" if self.best is None else self.best))}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Continue with a state of :meth:`get_state`; raise ValueError if it is another's."""
        self._set_state(state)

    def _set_state(self, state: Mapping[str, Any], *counters: str) -> None:
        """Set the best value, and attributes that are integers from 0."""
        found = fields(dict(state), {"best": str, **dict.fromkeys(counters, int)}, "state")
        for name in counters:
            if found[name] < 0:
                raise ValueError(f"state.{name}: expected an integer from 0, got {found[name]}")
        best = float(found["best"])
        self.best = None if math.isnan(best) else best
        vars(self).update({name: found[name] for name in counters})

    def _is_improvement(self, value: float, reference: float | None) -> bool:
        """True if a value improves on another; any number improves on None and NaN."""
        if reference is None or math.isnan(reference):
            return not math.isnan(value)
        return value > reference + self.min_delta if self.larger else value < reference - self.min_delta

    def get_monitor_value(self, logs: Logs) -> float | None:
        """Return the watched number; None, with a warning, if the logs lack it; ValueError if they never have it."""
        value = None if logs is None else logs.get(self.monitor)
        if value is not None and np.ndim(value) == 0:
            return float(value)
        name = self.monitor.removeprefix("val_")
        if value is None and self.mode == "auto" and name != "loss" and name not in (logs or ()):
            raise ValueError(
                f"monitor: expected an entry of the logs, {list(logs or ())}, got {self.monitor!r}, which is none and "
                "may be better when larger or smaller; name another one, or a mode"
            )
        found = f"have no {self.monitor!r}, only {', '.join(logs or ())}"
        if value is not None:
            found = f"have several numbers for {self.monitor!r}"
        warnings.warn(f"{type(self).__name__}: the logs {found}", stacklevel=3)
        return None


class EarlyStopping(Monitor):
    """Stops training when a monitored number has not improved for some epochs.

    Parameters
    ----------
    monitor : str
        Entry of the logs to watch.
    min_delta : float
        Smallest difference that counts as an improvement.
    mode : {"auto", "min", "max"}
        Direction of improvement; ``"auto"`` decides by the name: accuracies and the like are better when larger.
    patience : int
        Number of epochs without improvement after which training stops.
    verbose : int
        1 prints a line when training stops.
    baseline : float, optional
        An improvement counts only if the number is also better than this.
    restore_best_weights : bool
        If True, the model ends with the weights of its best epoch.
    start_from_epoch : int
        Number of epochs to wait before watching.

    Attributes
    ----------
    stopped_epoch, best_epoch : int
        Numbers of epochs, from 0.
    best : float or None
        The best value so far.
    best_weights : list of ndarray or None
        With restore_best_weights, the weights of the best epoch.

    Raises
    ------
    ValueError
        In training, if mode is ``"auto"`` and the logs have no such entry, nor one of training.

    Examples
    --------
    >>> import numpy as np
    >>> import nbnet as nb
    >>> model = nb.Sequential([nb.Input((1,)), nb.layers.Dense(1, kernel_initializer="zeros")])
    >>> model.compile("sgd", "mse")
    >>> stop = nb.callbacks.EarlyStopping(monitor="loss", patience=2)
    >>> history = model.fit(np.zeros((8, 1)), np.zeros(8), epochs=50, callbacks=[stop], verbose=0)
    >>> len(history.epoch)
    3
    """

    _COUNTERS = ("wait", "stopped_epoch", "best_epoch")

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
        self.best_weights: list[NDArray[Any]] | None = None

    def get_state(self) -> dict[str, Any]:
        weights = {f"weight_{i}": weight for i, weight in enumerate(self.best_weights or [])}
        return super().get_state() | {name: getattr(self, name) for name in self._COUNTERS} | weights

    def set_state(self, state: Mapping[str, Any]) -> None:
        weights = [value for value in state.values() if isinstance(value, np.ndarray)]
        rest = {name: value for name, value in state.items() if not isinstance(value, np.ndarray)}
        shapes = [weight.shape for weight in weights]
        if weights and shapes != [weight.shape for weight in self.model.weights]:
            raise ValueError(f"state: expected the shapes of the model's weights, got {shapes}")
        self._set_state(rest, *self._COUNTERS)
        self.best_weights = weights if weights and self.restore_best_weights else None
        if self.stopped_epoch and self.wait >= self.patience:
            self.model.stop_training = True

    def on_train_begin(self, logs: Logs = None) -> None:
        self.wait = self.stopped_epoch = self.best_epoch = 0
        self.best, self.best_weights = None, None

    def spare_epochs(self) -> int:
        """The epochs before it could stop; none where it has to keep the weights of the best epoch."""
        own = self._defines((*EPOCH_HOOKS, "get_monitor_value", "_is_improvement"), EarlyStopping)
        return 0 if own or self.restore_best_weights else max(self.patience - self.wait - 1, 0)

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        value = self.get_monitor_value(logs)
        if value is None or epoch < self.start_from_epoch:
            return
        if self.restore_best_weights and self.best_weights is None:
            self.best_weights, self.best_epoch = self.model.get_weights(), epoch
        self.wait += 1
        if self._is_improvement(value, self.best):
            self.best, self.best_epoch = value, epoch
            if self.restore_best_weights:
                self.best_weights = self.model.get_weights()
            if self.baseline is None or self._is_improvement(value, self.baseline):
                self.wait = 0
        elif self.wait >= self.patience and epoch > 0:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def on_train_end(self, logs: Logs = None) -> None:
        if self.stopped_epoch and self.verbose:
            show(f"Epoch {self.stopped_epoch + 1}: early stopping, best epoch {self.best_epoch + 1}")
        if self.best_weights is not None:
            if self.verbose:
                show(f"Restoring the weights of the best epoch: {self.best_epoch + 1}")
            self.model.set_weights(self.best_weights)


class ReduceLROnPlateau(Monitor):
    """Reduces the learning rate when a monitored number has not improved for some epochs.

    The learning rate of each epoch appears in logs as ``learning_rate``.

    Parameters
    ----------
    monitor, mode, min_delta
        See :class:`EarlyStopping`.
    factor : float
        In (0, 1): factor of a reduction.
    patience : int
        Number of epochs without improvement before a reduction.
    verbose : int
        1 prints a line for each reduction.
    cooldown : int
        Number of epochs to wait after a reduction before watching again.
    min_lr : float
        Smallest learning rate.

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
        factor = Interval(0, 1, above=True, below=True).check(factor, "factor")
        self.factor, self.patience, self.verbose = factor, int(patience), verbose
        self.cooldown, self.min_lr = int(cooldown), float(min_lr)
        self.wait = self.cooldown_counter = 0

    def get_state(self) -> dict[str, Any]:
        return super().get_state() | {"wait": self.wait, "cooldown_counter": self.cooldown_counter}

    def set_state(self, state: Mapping[str, Any]) -> None:
        self._set_state(state, "wait", "cooldown_counter")

    def on_train_begin(self, logs: Logs = None) -> None:
        self.wait = self.cooldown_counter = 0
        self.best = None

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        if logs is not None:
            logs["learning_rate"] = float(self._optimizer.learning_rate)
        value = self.get_monitor_value(logs)
        if value is None:
            return
        if self.in_cooldown():
            self.cooldown_counter -= 1
            self.wait = 0
        if self._is_improvement(value, self.best):
            self.best, self.wait = value, 0
        elif not self.in_cooldown():
            self.wait += 1
            if self.wait >= self.patience:
                self._reduce(epoch)

    def in_cooldown(self) -> bool:
        """Return True for an epoch in which nothing is watched, after a reduction."""
        return self.cooldown_counter > 0

    def _reduce(self, epoch: int) -> None:
        before = float(self._optimizer.learning_rate)
        if before > self.min_lr:
            self._optimizer.learning_rate = max(before * self.factor, self.min_lr)
            self.cooldown_counter, self.wait = self.cooldown, 0
            if self.verbose:
                show(f"Epoch {epoch + 1}: learning rate reduced to {self._optimizer.learning_rate:.4g}")
