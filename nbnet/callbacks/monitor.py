"""Callbacks that watch one number."""

from __future__ import annotations

import math
import warnings

from nbnet.callbacks.callback import Callback, Logs


class Monitor(Callback):
    """Watches one entry of the logs and knows when it is better.

    Parameters
    ----------
    monitor
        Name of the entry.
    mode
        ``"min"``, ``"max"``, or ``"auto"``: from the name, accuracies and the like are better when larger.
    min_delta
        What counts as better has to be better by so much.

    Raises
    ------
    ValueError
        If mode is none of these.
    """

    LARGER = ("acc", "auc", "precision", "recall", "f1", "fbeta", "r2", "top_k", "true_", "iou", "cosine_similarity")

    def __init__(self, monitor: str = "val_loss", mode: str = "auto", min_delta: float = 0.0) -> None:
        super().__init__()
        if mode not in ("auto", "min", "max"):
            raise ValueError(f"mode: wants 'auto', 'min' or 'max', got {mode!r}")
        self.monitor, self.mode, self.min_delta = monitor, mode, abs(float(min_delta))
        name = monitor.removeprefix("val_")
        self.larger = mode == "max" or (mode == "auto" and any(part in name for part in self.LARGER))
        self.best = math.nan

    def is_better(self, value: float, than: float) -> bool:
        """Whether a value improves on another; anything improves on NaN."""
        if math.isnan(than):
            return not math.isnan(value)
        return value > than + self.min_delta if self.larger else value < than - self.min_delta

    def value(self, logs: Logs) -> float | None:
        """The watched number; None, with a warning, if the logs lack it."""
        if logs is not None and self.monitor in logs:
            return float(logs[self.monitor])
        known = ", ".join(logs or ())
        warnings.warn(f"{type(self).__name__}: the logs have no {self.monitor!r}, only {known}", stacklevel=3)
        return None
