"""What every metric is: a value for each sample, averaged over an epoch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np

from nbnet import data
from nbnet.core.graph import Tensor
from nbnet.core.tape import paused, tensor
from nbnet.losses.loss import Loss


class Metric(ABC):
    """A mean over samples.

    Parameters
    ----------
    name
        Its name in :class:`nbnet.History`.
    """

    name: str
    #: Whether targets are class labels.
    sparse: ClassVar[bool] = False

    def __init__(self, name: str | None = None) -> None:
        if name is not None:
            self.name = name

    @abstractmethod
    def values(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """One value for each sample: shape ``y_pred.shape[:-1]``."""

    def __call__(self, y_true: Any, y_pred: Any) -> float:
        """The metric of some samples."""
        y_pred = tensor(y_pred)
        n, shape = y_pred.shape[0], y_pred.shape[1:]
        if self.sparse:
            array = data.as_labels(y_true, "y_true", n, shape[-1])
            target = Tensor(array.shape, array.dtype, array)
        else:
            target = tensor(data.as_dense_targets(y_true, "y_true", n, shape, y_pred.dtype), y_pred.dtype)
        with paused():
            return float(np.mean(self.values(target, y_pred).numpy(), dtype=np.float64))

    def __repr__(self) -> str:
        return f"{type(self).__name__}(name={self.name!r})"


class MeanLoss(Metric):
    """A loss, watched and not minimised.

    Parameters
    ----------
    loss
        What to watch.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.metrics.MeanLoss(nb.losses.MeanSquaredError())([[0.0]], [[2.0]])
    4.0
    """

    def __init__(self, loss: Loss, name: str | None = None) -> None:
        super().__init__(name or loss.name)
        self.loss = loss
        self.sparse = loss.sparse  # type: ignore[misc]

    def values(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return self.loss.losses(y_true, y_pred)
