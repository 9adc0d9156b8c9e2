"""What happened during training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(repr=False)
class History:
    """What ``fit`` returns: the losses and metrics of every epoch.

    Parameters
    ----------
    params : dict
        What ``fit`` was asked for: ``epochs``, ``steps``, ``verbose`` ...
    epoch : list of int
        Number of each epoch that ended, from 0.
    history : dict of lists
        For each name (``"loss"``, ``"accuracy"``, ``"val_loss"`` ...) its value after each epoch.

    Examples
    --------
    >>> from nbnet.history import History
    >>> h = History(params={"epochs": 2})
    >>> h.append(0, {"loss": 0.5, "val_loss": 0.75})
    >>> h.append(1, {"loss": 0.25, "val_loss": 0.5})
    >>> h.history["loss"], h.epoch
    ([0.5, 0.25], [0, 1])
    >>> h
    <History of 2 epochs: loss=0.25, val_loss=0.5>
    """

    params: dict[str, Any] = field(default_factory=dict)
    epoch: list[int] = field(default_factory=list)
    history: dict[str, list[Any]] = field(default_factory=dict)

    def append(self, epoch: int, logs: Mapping[str, Any]) -> None:
        """Add what is known at the end of an epoch.

        Parameters
        ----------
        epoch : int
        logs : dict of float
            Or of arrays: those of a metric with a score for each class become lists.
        """
        self.epoch.append(epoch)
        for name, value in logs.items():
            self.history.setdefault(name, []).append(np.asarray(value).tolist() if np.ndim(value) else float(value))

    def __repr__(self) -> str:
        last = ", ".join(
            f"{name}={values[-1] if isinstance(values[-1], list) else format(values[-1], '.4g')}"
            for name, values in self.history.items()
        )
        count = f"{len(self.epoch)} epoch{'' if len(self.epoch) == 1 else 's'}"
        return f"<History of {count}: {last}>" if last else f"<History of {count}>"
