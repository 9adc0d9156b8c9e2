"""A progress bar for loops of one's own, with Keras's interface."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from nbnet.base.validation import check_int
from nbnet.callbacks.progress import Progress


class Progbar:
    """A progress bar for a training loop of one's own.

    Parameters
    ----------
    target : int or None
        Number of steps; None if it is not known.
    width : int
        Accepted as in Keras; the bar takes the room beside the numbers.
    verbose : {1, 2, 0}
        See :class:`nbnet.callbacks.progress.Progress`.
    interval : float
        Accepted as in Keras; the bar is drawn ten times a second at most.
    stateful_metrics, stateless_metrics : iterable of str, optional
        Names of the values that are shown as they are, or of those that are averaged over steps; one of the two.
        By default all are averaged.
    unit_name : str
        Accepted as in Keras.

    Raises
    ------
    ValueError
        If both kinds of names are given.

    Examples
    --------
    >>> from nbnet.utils import Progbar
    >>> bar = Progbar(2, verbose=2)
    >>> bar.update(1, [("loss", 1.0)])
    >>> bar.add(1, [("loss", 0.5)])
    2/2 - ... - .../step - loss: 0.7500
    """

    def __init__(
        self,
        target: int | None,
        width: int = 20,
        verbose: int = 1,
        interval: float = 0.05,
        stateful_metrics: Iterable[str] | None = None,
        stateless_metrics: Iterable[str] | None = None,
        unit_name: str = "step",
    ) -> None:
        if stateful_metrics is not None and stateless_metrics is not None:
            raise ValueError(
                "stateless_metrics: expected None, as there are stateful_metrics: name one of the two kinds"
            )
        self.target = None if target is None else check_int(target, "target", least=0)
        self._stateful = set(stateful_metrics or ())
        self._stateless = None if stateless_metrics is None else set(stateless_metrics)
        self._progress = Progress(verbose, None, self.target)
        self._done, self._begun, self._ended = 0, False, False
        self._sums: dict[str, tuple[float, float]] = {}

    def update(
        self, current: int, values: Iterable[tuple[str, Any]] | None = None, finalize: bool | None = None
    ) -> None:
        """Show that ``current`` steps are done, with values of the last of them.

        Parameters
        ----------
        current : int
            Number of steps so far.
        values : iterable of (name, float)
            Values of the steps since the last call; of a list of numbers, the mean.
        finalize : bool, optional
            If True, end the line; by default, when ``target`` steps are done.
        """
        if self._ended:
            return
        if not self._begun:
            self._begun = True
            self._progress.begin_epoch(0)
        steps = max(current - self._done, 1)
        for name, given in values or ():
            value = float(np.mean(given))
            total, count = self._sums.get(name, (0.0, 0.0))
            averaged = name not in self._stateful if self._stateless is None else name in self._stateless
            self._sums[name] = (total + value * steps, count + steps) if averaged else (value, 1)
        self._done = current
        logs = {name: total / count for name, (total, count) in self._sums.items()}
        self._progress.update(current, logs)
        if finalize or (finalize is None and self.target is not None and current >= self.target):
            self._ended = True
            self._progress.end_epoch(logs)

    def add(self, n: int, values: Iterable[tuple[str, Any]] | None = None) -> None:
        """Show that ``n`` further steps are done, with their values."""
        self.update(self._done + n, values)
