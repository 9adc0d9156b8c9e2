"""Metrics that are no mean over samples: computed from the targets and predictions of an epoch."""

from __future__ import annotations

from typing import Any

import numpy as np

from nbnet.metrics.metric import Array, Metric


class EpochMetric(Metric):
    """A metric of an epoch as a whole; what :meth:`update_state` is given is kept until :meth:`reset_state`.

    Examples
    --------
    >>> import numpy as np
    >>> import nbnet as nb
    >>> class LargestError(nb.metrics.EpochMetric):
    ...     def compute(self, y_true, y_pred, sample_weight=None):
    ...         return np.abs(y_true - y_pred).max()
    >>> metric = LargestError()
    >>> metric.update_state([1.0, 2.0], [1.0, 2.5])
    >>> metric.update_state([3.0], [3.25])
    >>> float(metric.result())
    0.5
    """

    epoch_end = True

    def __init__(self, name: str | None = None) -> None:
        super().__init__(name)
        self._seen: list[tuple[Array, Array, Array]] = []

    def compute(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        raise NotImplementedError(f"{type(self).__name__} defines no compute")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        y_true, y_pred = np.array(y_true), np.array(y_pred)
        w = np.array(1.0 if sample_weight is None else sample_weight, np.float64)
        self._seen.append((y_true, y_pred, w if w.ndim else np.full(len(y_pred), w)))

    def result(self) -> Any:
        """The metric of all samples since the last reset; 0 of none."""
        if not self._seen:
            return 0.0
        return self.compute(*(np.concatenate(parts) for parts in zip(*self._seen, strict=True)))

    def reset_state(self) -> None:
        self._seen = []


def pairs(y_true: Any, y_pred: Any, sample_weight: Any = None) -> tuple[Array, Array, Array]:
    """Targets and predictions of one shape (n, ...), and as many weights."""
    y_true, y_pred = np.asarray(y_true, np.float64), np.asarray(y_pred, np.float64)
    if y_true.ndim == y_pred.ndim + 1 and y_true.shape[-1] == 1:
        y_true = y_true[..., 0]
    if y_pred.ndim == y_true.ndim + 1 and y_pred.shape[-1] == 1:
        y_pred = y_pred[..., 0]
    if y_true.shape != y_pred.shape:
        raise ValueError(f"y_true: predictions have shape {y_pred.shape}, so targets must have; got {y_true.shape}")
    w: Array = np.ones(()) if sample_weight is None else np.asarray(sample_weight, np.float64)
    if w.ndim == y_true.ndim + 1 and w.shape[-1] == 1:
        w = w[..., 0]
    w = w.reshape(*w.shape, *[1] * (y_true.ndim - w.ndim))
    return y_true, y_pred, np.broadcast_to(w, y_true.shape)
