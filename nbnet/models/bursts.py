"""Several epochs in one compiled call, where nobody in Python has to see each of them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nbnet import data
from nbnet.core import feed
from nbnet.core.graph import Call, Tensor
from nbnet.core.relay import Relay
from nbnet.models.loop import Epochs, Evaluation, Part
from nbnet.models.running import CALL_SECONDS

if TYPE_CHECKING:
    from nbnet.models.orders import Orders

Array = NDArray[Any]

#: Epochs of a call: fewer than these would cost more than they save; more want memory for their sums.
FEWEST, MOST = 3, 256


class Bursts:
    """Epochs of training, each with its evaluation, that are run before they are asked for.

    ``epochs.run`` and ``evaluation`` then return what was found. Nothing else differs: not a bit of the weights.

    Parameters
    ----------
    epochs, evaluation
        Those of one model; without evaluation None.
    frequency
        After which epochs to evaluate: ``validation_freq``.

    Examples
    --------
    >>> import nbnet as nb
    >>> model = nb.Sequential([nb.Input((1,)), nb.layers.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> history = model.fit([[1.0], [2.0]], [1.0, 2.0], epochs=100, verbose=0)  # some twenty calls
    >>> len(history.epoch)
    100
    """

    def __init__(self, epochs: Epochs, evaluation: Evaluation | None, frequency: Any) -> None:
        self._epochs, self._evaluation, self._frequency = epochs, evaluation, frequency
        self._timed: tuple[list[Part], float] = [], 0.0

    @classmethod
    def of(cls, epochs: Any, evaluation: Any = None, frequency: Any = 1) -> Bursts | None:
        """None if Python has to see every epoch, or batch."""
        if not isinstance(epochs, Epochs) or not epochs.plain:
            return None
        if evaluation is not None and not (isinstance(evaluation, Evaluation) and evaluation.plain):
            return None
        return cls(epochs, evaluation, frequency)

    def run(self, first: int, last: int) -> None:
        """Train for epochs from ``first`` on, for as many as fit into a call, and not for epoch ``last``."""
        epochs, evaluation = self._epochs, self._evaluation
        position = epochs.orders.position
        if last - first < FEWEST or first in epochs.known or position.batch:
            return
        train = epochs.parts()
        evaluate = [] if evaluation is None else evaluation.parts()
        seconds = self._seconds(train, evaluate)
        count = min(last - first, MOST, int(CALL_SECONDS / seconds)) if seconds else 0
        steps = sum(part.steps for part in train)
        optimizer = epochs.model.optimizer
        assert optimizer is not None
        if count >= FEWEST:
            count = min(count, optimizer.look_ahead(optimizer.iterations, count * steps) // steps)
        if count < FEWEST:
            return
        wanted = np.array([data.validates(epoch, self._frequency) for epoch in range(first, first + count)])
        began = time.perf_counter()
        logs = _run(train, evaluate, epochs.orders, range(first, first + count), wanted, optimizer.iterations)
        self._timed = [*train, *evaluate], (time.perf_counter() - began) / count
        optimizer.iterations += count * steps
        position.reach(first + count)
        epochs.known.update(enumerate(epochs.logs(logs[: len(train)]), first))
        if evaluation is not None:
            evaluation.known.extend(evaluation.logs([log[wanted] for log in logs[len(train) :]]))

    def _seconds(self, train: list[Part], evaluate: list[Part]) -> float:
        """How long an epoch takes; 0 if that is not known."""
        parts, (known, seconds) = [*train, *evaluate], self._timed
        if parts != known:
            times = [part.batch.seconds * part.steps for part in parts]
            seconds = sum(times) if all(times) else 0.0
        return seconds


def _run(
    train: Sequence[Part], evaluate: Sequence[Part], orders: Orders, epochs: range, validated: Array, step: int
) -> list[Array]:
    """Train and evaluate; returns for each part what its program summed up in each epoch.

    In turn come the order of the rows, the parts of the training, their sums, those of the evaluation, their sums.
    """
    n, m, parts = len(epochs), len(train), [*train, *evaluate]
    logs = [np.zeros((n, *part.batch.sums.shape)) for part in parts]
    for part in parts:
        part.batch.sums.fill(0)
        part.batch.cursor[0] = part.start
    closing = [_closing(part, log) for part, log in zip(parts, logs, strict=True)]
    relay = Relay([part.batch.linked for part in parts], [orders.calls(epochs), closing[:m], closing[m:]])
    order, sums, found, turn = len(parts), len(parts) + 1, len(parts) + 2, np.arange(n)
    legs = np.zeros((n, len(parts) + 3, 3), np.int64)
    legs[:, :, 0], legs[:, :, 1], legs[:, :, 2] = [order, *range(m), sums, *range(m, order), found], 1, turn[:, None]
    each, done = sum(part.steps for part in train), 0
    for k, part in enumerate(train, 1):
        legs[:, k, 1], legs[:, k, 2] = part.steps, step + done + turn * each
        done += part.steps
    for k, part in enumerate(evaluate, m + 2):
        legs[:, k, 1], legs[:, k, 2] = np.where(validated, part.steps, 0), 0
    relay.run(legs.reshape(-1, 3))
    return logs


def _closing(part: Part, log: Array) -> Call:
    """Write the sums of an epoch to its line of a log, and begin anew."""
    batch = part.batch
    sums, lines, cursor = (Tensor(a.shape, a.dtype, a) for a in (batch.sums, log, batch.cursor))
    return feed.close_call(sums, lines, cursor, part.start, batch.linked.program.dtype)
