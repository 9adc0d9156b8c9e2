"""Training and evaluation on one batch after the other, as they come."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from nbnet.core.tape import paused
from nbnet.data import Stream
from nbnet.models import stepping
from nbnet.models.intake import Rows
from nbnet.models.loop import Pass
from nbnet.models.position import Position
from nbnet.models.running import KEPT_PROGRAMS, sources_of
from nbnet.models.totals import Totals

if TYPE_CHECKING:
    from nbnet.callbacks.callback import CallbackList
    from nbnet.models.learner import Learner
    from nbnet.progress import Progress

Logs = dict[str, Any]
#: ``intake(x, y, sample_weight)``: a batch, checked.
Intake = Callable[[Any, Any, Any], Rows]


def checked(stream: Stream, epoch: int, intake: Intake, done: int = 0) -> Iterator[Rows]:
    """The batches of an epoch but those that are done; an error says which of them is at fault.

    Raises
    ------
    TypeError, ValueError
        If a batch does not fit the model.
    """
    for number, (x, y, w) in enumerate(stream.epoch(epoch)):
        if number < done:
            continue
        try:
            rows = intake(x, y, w)
        except (TypeError, ValueError) as error:
            where = f"batch {number}" if stream.name == "x" else f"{stream.name}, batch {number}"
            raise type(error)(f"{where}: {error}") from None
        yield rows


class Work(Protocol):
    """What is done with each batch."""

    def begin(self) -> None:
        """An epoch begins."""

    def step(self, rows: Rows) -> None:
        """Take a batch."""

    def means(self) -> Logs:
        """Losses and metrics so far."""
        ...

    def logs(self) -> Logs:
        """Losses and metrics of the epoch; none without batches."""
        ...


class Compiled:
    """Work of programs: ``kind`` is ``"train"`` or ``"evaluate"``. Batches of a kind share a pass."""

    def __init__(self, model: Learner, kind: str) -> None:
        self._model, self._kind = model, kind
        self._passes: dict[tuple[Any, ...], Pass] = {}
        self._totals: Totals | None = None

    def begin(self) -> None:
        self._totals = None

    def step(self, rows: Rows) -> None:
        made = self._pass(rows)
        if self._totals is None:
            self._totals = Totals(made.scores)
        made.run(self._totals)

    def means(self) -> Logs:
        return {} if self._totals is None else self._totals.means()

    def logs(self) -> Logs:
        return {} if self._totals is None else self._totals.logs()

    def _pass(self, rows: Rows) -> Pass:
        n = len(rows)
        key = n, *sources_of(rows).items()
        if key in self._passes:
            self._passes[key].take(rows)
            return self._passes[key]
        if len(self._passes) >= KEPT_PROGRAMS:
            self._passes.clear()
        order = np.arange(n) if self._kind == "train" else None
        self._passes[key] = Pass(self._model, self._kind, rows, n, order)
        return self._passes[key]


class Stepped:
    """Work of a ``train_step`` or ``test_step`` that the user has written."""

    def __init__(self, model: Learner, kind: str) -> None:
        self._model, self._step = model, model.train_step if kind == "train" else model.test_step
        self._found: Logs = {}

    def begin(self) -> None:
        self._model.reset_metrics()
        self._found = {}

    def step(self, rows: Rows) -> None:
        self._found = stepping.numbers(self._step(stepping.batches_of(self._model, rows).take(slice(None))))

    def means(self) -> Logs:
        return self._found

    logs = means


def work(model: Learner, kind: str) -> Work:
    """What training or evaluation does with each batch."""
    stepped = model._overrides("train_step" if kind == "train" else "test_step")
    return Stepped(model, kind) if stepped else Compiled(model, kind)


class StreamEpochs:
    """Epochs of training on batches as they come; see :class:`nbnet.models.loop.Epochs`."""

    def __init__(
        self,
        model: Learner,
        stream: Stream,
        intake: Intake,
        position: Position,
        calls: CallbackList,
        bar: Progress | None,
    ) -> None:
        self._model, self._stream, self._intake, self._position = model, stream, intake, position
        self._work = work(model, "train")
        self._calls = calls if calls.wants_batches("train") else None
        self._bar = bar if bar is not None and bar.verbose == 1 else None

    def run(self, epoch: int) -> Logs:
        """Train for an epoch; returns losses and metrics."""
        self._work.begin()
        done = self._position.batch
        for number, rows in enumerate(checked(self._stream, epoch, self._intake, done), done):
            if self._calls is not None:
                self._calls.call("on_train_batch_begin", number, None)
            self._work.step(rows)
            self._position.batch = number + 1
            if self._bar is not None:
                self._bar.update(number + 1, self._work.means())
            if self._calls is not None:
                self._calls.call("on_train_batch_end", number, self._work.means())
            if self._model.stop_training:
                break
        return self._work.logs()


def evaluate_batches(
    doing: Work, given: Iterable[Rows], bar: Progress | None = None, calls: CallbackList | None = None
) -> Logs:
    """Losses and metrics of all batches, none if there are no batches; hooks are called around each."""
    doing.begin()
    with paused():
        for number, rows in enumerate(given):
            if calls is not None:
                calls.call("on_test_batch_begin", number, None)
            doing.step(rows)
            if bar is not None:
                bar.update(number + 1, doing.means())
            if calls is not None:
                calls.call("on_test_batch_end", number, doing.means())
    return doing.logs()


def predict_batches(
    model: Learner, given: Iterable[Rows], bar: Progress | None = None, calls: CallbackList | None = None
) -> list[Any]:
    """The outputs of each batch; hooks are called around each."""
    parts: list[Any] = []
    for number, rows in enumerate(given):
        if calls is not None:
            calls.call("on_predict_batch_begin", number, None)
        parts.append(model._predictions(rows, len(rows), None))
        if bar is not None:
            bar.update(number + 1, {})
        if calls is not None:
            calls.call("on_predict_batch_end", number, {"outputs": parts[-1]})
    return parts
