"""Epochs as scikit-learn's networks are trained: its orders of rows, its rules for stopping."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning

from nbnet.callbacks import CallbackList
from nbnet.core.blas import single_thread
from nbnet.core.feed import line_call
from nbnet.core.graph import Call
from nbnet.estimators.stopping import Progress, Rates
from nbnet.models import Model
from nbnet.models.bursts import Bursts
from nbnet.models.intake import Rows
from nbnet.models.loop import Epochs
from nbnet.models.orders import Orders
from nbnet.models.position import Position

Array = NDArray[Any]


class Drawn(Orders):
    """The order of rows in each epoch, drawn as ``sklearn.utils.shuffle`` draws it.

    Parameters
    ----------
    n, size
        Numbers of rows, of all and of a batch.
    rng
        None: rows stay in their order.

    Attributes
    ----------
    order : ndarray of int64, (n,)
    """

    def __init__(self, n: int, size: int, rng: np.random.RandomState | None) -> None:
        super().__init__(n, size, False, Position())
        self._rng = rng

    def epoch(self, number: int) -> slice:
        """Put the rows in the order of the next epoch; it sees them all."""
        if self._rng is not None:
            self.order[:] = self._next(self.order)
        self.position.batch = 0
        return super().epoch(number)

    def calls(self, epochs: Sequence[int]) -> list[Call]:
        """What puts the rows in the order of each of the next epochs."""
        if self._rng is None:
            return []
        lines, order = np.empty((len(epochs), len(self.order)), np.int64), self.order
        for line in lines:
            line[:] = order = self._next(order)
        return [line_call(self.order, lines)]

    def _next(self, order: Array) -> Array:
        drawn = np.arange(len(order))
        assert self._rng is not None
        self._rng.shuffle(drawn)
        return order[drawn]


@dataclass
class Training:
    """A training of a compiled network.

    Attributes
    ----------
    rows
        What to train on.
    batch_size, max_iter, tol, patience, verbose
        As the estimator has them.
    orders
        Those of the rows.
    progress
        What is known so far; kept up to date.
    rates
        The learning rate; None if the optimizer sees to it.
    validate
        Score and loss of validation; None if there are no rows for it.
    callbacks
        nbnet's; called as in :meth:`nbnet.Model.fit`.
    once
        Whether to stop after an epoch, whatever happened: ``partial_fit``.
    constant
        What reported losses are larger by.
    """

    model: Model
    rows: Rows
    batch_size: int
    max_iter: int
    tol: float
    patience: float
    verbose: bool
    orders: Orders
    progress: Progress
    rates: Rates | None = None
    validate: Callable[[], tuple[float, float]] | None = None
    callbacks: Any = None
    once: bool = False
    constant: float = 0.0

    def run(self, seen: int) -> tuple[int, int]:
        """Train.

        Parameters
        ----------
        seen
            Rows that were seen before.

        Returns
        -------
        Epochs of this training, and rows seen since the first.
        """
        n, model, done = len(self.rows), self.model, 0
        steps = -(-n // self.batch_size)
        calls = CallbackList(self.callbacks, model, verbose=int(self.verbose), epochs=self.max_iter, steps=steps)
        with model._alone(), single_thread:
            epochs = Epochs(model, self.rows, self.batch_size, self.orders, calls, None)
            bursts = Bursts.of(epochs) if self.validate is None and not self.once else None
            model.stop_training = False
            calls.call("on_train_begin", None)
            logs: dict[str, Any] | None = None
            try:
                while done < self.max_iter:
                    calls.call("on_epoch_begin", done, None)
                    if bursts is not None:
                        bursts.run(done, min(self.max_iter, done + 1 + min(self._spare(), calls.spare_epochs())))
                    logs = epochs.run(done)
                    done, seen = done + 1, seen + n
                    self.orders.position.reach(done)
                    stop = self._end_epoch(done, seen, logs, calls)
                    if stop or self.once:
                        break
                    if done == self.max_iter:
                        _warn_unfinished(self.max_iter)
            except KeyboardInterrupt:
                warnings.warn("Training interrupted by user.", stacklevel=5)
            assert model.optimizer is not None
            model.optimizer.finalize_variable_values()
            calls.call("on_train_end", logs)
        if self.progress.early and self.progress.weights is not None:
            model.set_weights(self.progress.weights)
        return done, seen

    def _spare(self) -> int:
        """Epochs that may be trained before anything depends on how this one ends."""
        if self.rates is not None and self.rates.policy == "invscaling":
            return 0
        return int(min(self.patience - self.progress.unchanged, self.max_iter))

    def _end_epoch(self, done: int, seen: int, logs: dict[str, Any], calls: CallbackList) -> bool:
        """Take note of an epoch; returns whether it was the last."""
        progress, loss = self.progress, logs["loss"] + self.constant
        logs["loss"] = loss
        progress.add_loss(loss, self.tol)
        self._say(f"Iteration {done}, loss = {loss:.8f}")
        if self.validate is not None:
            score, validation_loss = self.validate()
            logs |= {"val_loss": validation_loss, "val_score": score}
            self._say(f"Validation score: {score:f}")
            if progress.add_score(score, validation_loss, self.tol) and progress.early:
                progress.weights = self.model.get_weights()
        if self.rates is not None:
            self.rates.end_epoch(seen)
        calls.call("on_epoch_end", done - 1, logs)
        return self.model.stop_training or self._has_converged()

    def _has_converged(self) -> bool:
        reason = self.progress.reason(self.tol, self.patience)
        if not reason:
            return False
        if lowered := "" if self.rates is None else self.rates.lower():
            self._say(reason + lowered)
            self.progress.unchanged = 0
            return False
        self._say(reason + (" Stopping." if self.rates is None else self.rates.farewell))
        return True

    def _say(self, text: str) -> None:
        if self.verbose:
            print(text)


def _warn_unfinished(max_iter: int) -> None:
    warnings.warn(
        f"Stochastic Optimizer: Maximum iterations ({max_iter}) reached and the optimization hasn't converged yet.",
        ConvergenceWarning,
        stacklevel=5,
    )
