"""What happened during training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nbnet import curves, markup


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
    masks : sequence of nbnet.masks.StepMasks
        With ``fit(record_masks=k)`` the dropout masks of the last k steps, the oldest first.

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
    masks: Sequence[Any] = ()

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
            several = type(value) is not float and np.ndim(value)
            self.history.setdefault(name, []).append(np.asarray(value).tolist() if several else float(value))

    def plot(self, metrics: str | Sequence[str] | None = None, ax: Any = None) -> Any:
        """Draw the curves with matplotlib.

        Parameters
        ----------
        metrics : str or list of str, optional
            Which of them; by default all that are single numbers. With a metric goes that of validation.
        ax : matplotlib axes, or as many as there are panels, optional
            Where to draw; by default a new figure with one panel for each metric.

        Returns
        -------
        The axes, or an array of them.

        Raises
        ------
        ImportError
            If matplotlib is missing.
        ValueError
            If the history has no such metric, or there are more or less axes than panels.

        Examples
        --------
        >>> from nbnet.history import History
        >>> h = History(epoch=[0, 1], history={"loss": [0.5, 0.25], "val_loss": [0.75, 0.5]})
        >>> h.plot("loss").get_title()  # doctest: +SKIP
        'loss'
        """
        wanted = self._panels(metrics)
        if ax is None:
            try:
                from matplotlib import pyplot
            except ImportError as error:
                raise ImportError("History.plot wants matplotlib: pip install 'nbnet[plot]'") from error
            count = max(len(wanted), 1)
            _, ax = pyplot.subplots(1, count, figsize=(4.5 * count, 3.2), layout="constrained")
        axes = list(np.ravel(np.asarray(ax, object)))
        if len(axes) not in (1, len(wanted)):
            raise ValueError(f"ax: wants one, or {len(wanted)} for {', '.join(wanted)}; got {len(axes)}")
        shared = len(axes) < len(wanted)
        for (title, names), into in zip(wanted.items(), axes * len(wanted) if shared else axes, strict=False):
            for name in names:
                into.plot([epoch + 1 for epoch in self.epoch], self.history[name], label=name)
            into.set_title("" if shared else title)
            into.set_xlabel("epoch")
            into.legend()
        return ax

    def _panels(self, metrics: str | Sequence[str] | None) -> dict[str, list[str]]:
        """The names that belong in one panel, for the metrics that are wanted."""
        panels = curves.panels(self.history)
        if metrics is None:
            return panels
        found = {}
        for name in [metrics] if isinstance(metrics, str) else metrics:
            if name in panels:
                found[name] = panels[name]
            elif name in self.history and curves.is_curve(self.history[name]):
                found[name] = [name]
            else:
                raise ValueError(f"metrics: the history has no curve {name!r}; it has {', '.join(panels) or 'none'}")
        return found

    def _repr_html_(self) -> str:
        drawn = [
            curves.panel(title, self.epoch, {name: self.history[name] for name in names})
            for title, names in self._panels(None).items()
        ]
        last = [["", *self.history], ["last epoch", *(_shown(values[-1]) for values in self.history.values())]]
        numbers = markup.table(last, range(1, 1 + len(self.history))) if self.history else ""
        return markup.element("div", markup.element("div", repr(self).strip("<>").split(":")[0]), *drawn, numbers)

    def __repr__(self) -> str:
        last = ", ".join(f"{name}={_shown(values[-1])}" for name, values in self.history.items())
        count = f"{len(self.epoch)} epoch{'' if len(self.epoch) == 1 else 's'}"
        return f"<History of {count}: {last}>" if last else f"<History of {count}>"


def _shown(value: Any) -> str:
    return str(value) if isinstance(value, list) else format(value, ".4g")
