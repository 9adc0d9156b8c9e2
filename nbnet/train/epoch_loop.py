"""The one loop over epochs, and the one loop over the batches of an epoch: for training, evaluation and prediction.

An epoch is a data source that yields chunks (several batches of the same arrays) and a runner that works on them: a
compiled program, or a step that the user has written in Python. Callbacks, the progress bar, the position of the
training and ``stop_training`` are handled here, and only here.

=============================  =====================================================
runner                         where
=============================  =====================================================
train, evaluate, compiled      :class:`nbnet.train.compiled_runner.CompiledRunner`
predict, compiled              :class:`nbnet.train.predict.PredictRunner`
sample with dropout, compiled  :class:`nbnet.train.mc_predict.SampleRunner`
a step in Python               :class:`nbnet.train.python_runner.PythonRunner`
=============================  =====================================================
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext
from typing import Any, NamedTuple, Protocol, Self

from numpy.typing import NDArray

from nbnet.engine.graph.tape import paused
from nbnet.train.inputs import Rows
from nbnet.train.trainable import Logs, Trainable, TrainingPosition


class Chunk(NamedTuple):
    """Consecutive batches of equal size, read from the same arrays.

    Attributes
    ----------
    rows
        The arrays that the batches are read from.
    order
        Order in which rows are read; None: in storage order.
    start, stop
        Place of the first row of the first batch, in that order, and the place after the last row.
    size, steps
        Rows of a batch, and number of batches.
    first
        Number of the chunk's arrays' first row among all rows of the source.
    """

    rows: Rows
    order: NDArray[Any] | None
    start: int
    stop: int
    size: int
    steps: int
    first: int = 0


#: ``report(batches)``, called after each nopython call with the number of batches that it ran.
Report = Callable[[int], None]


class Runner(Protocol):
    """The work on the batches of an epoch."""

    single: bool  # True if each batch has to be a chunk of its own

    def begin(self) -> None: ...  # an epoch
    def run(self, chunk: Chunk, report: Report | None) -> None: ...
    def means(self) -> Logs: ...  # losses and metrics so far
    def batch_logs(self) -> Logs: ...  # the logs for a hook after a batch
    def logs(self) -> Logs: ...  # losses and metrics of the epoch; none without batches


class Source(Protocol):
    """The batches of each epoch: :class:`nbnet.train.data_source.ArraySource` and ``StreamSource``."""

    @property
    def length(self) -> int | None: ...  # batches of the next epoch, if it is known
    def epochs(self, first: int, last: int) -> Iterable[int]: ...  # those that there are data for
    def chunks(self, epoch: int, single: bool) -> Iterable[Chunk]: ...  # without batches that the position counts


class Callbacks(Protocol):
    """The callbacks of a run: :class:`nbnet.callbacks.CallbackList`."""

    callbacks: list[Any]

    def call(self, hook: str, *args: Any) -> None: ...
    def wants_batches(self, kind: str) -> bool: ...  # "train", "test" or "predict"
    def spare_epochs(self) -> int: ...  # epochs that may be trained before a callback sees the end of this one


class Bar(Protocol):
    """The progress display of a run: :class:`nbnet.callbacks.progress.Progress`."""

    verbose: int
    steps: int | None

    def begin_epoch(self, epoch: int) -> None: ...
    def update(self, steps_done: int, logs: Mapping[str, float]) -> None: ...
    def end_epoch(self, logs: Mapping[str, float]) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, *error: Any) -> None: ...


class EpochLog(Protocol):
    """The record of a training's epochs: :class:`nbnet.callbacks.callback.History`."""

    masks: Any

    def append(self, epoch: int, logs: Mapping[str, Any]) -> None: ...


class Watch(Protocol):
    """Looks after a training, between the calls of compiled code."""

    period: int  # of batches that are calls of their own, each of such a number is looked after
    batch: int  # number of batches of the epoch that are done
    good: int  # number of batches of the epoch whose losses were finite, as callbacks saw

    def begin_epoch(self, epoch: int) -> None: ...
    def batches_done(self, batch: int) -> None: ...  # so many batches of the epoch
    def more_batches(self, batches: int) -> None: ...  # so many more
    def end_epoch(self, epoch: int, logs: Logs) -> None: ...
    def end(self, epoch: int) -> None: ...  # the training; ``epoch`` was its last


#: By kind, the attribute of a model by which a callback ends the run.
_STOP = {"train": "stop_training", "test": "stop_evaluating", "predict": "stop_predicting"}


class EpochLoop:
    """Runs one kind of work on a data source, epoch after epoch.

    Parameters
    ----------
    kind : {"train", "test", "predict"}
        As in the names of hooks.
    runner, source
        The work, and the batches.
    calls
        Callbacks; each batch is a call of its own if one of them has a batch hook of this kind. Hooks are called for as
        many batches at a time as ``compile(steps_per_execution=)`` says, with the numbers of the first and the last
        of so many, also where the epoch ends before. The run ends after those batches in which a callback, or before
        which one, has set the attribute of the model that ends it.
    bar
        Progress bar, or None.
    position
        Of a training: counts batches as they are done, and says how many are done of an interrupted epoch.

    Attributes
    ----------
    known : deque of dict
        Logs of epochs that :mod:`nbnet.train.epoch_fusion` ran before they were asked for.
    watch : Watch or None
        Looks for values that are not finite: :class:`nbnet.train.finite_watch.FiniteWatch`.
    """

    def __init__(
        self,
        model: Trainable,
        kind: str,
        runner: Runner,
        source: Source,
        calls: Callbacks | None = None,
        bar: Bar | None = None,
        position: TrainingPosition | None = None,
    ) -> None:
        self.model, self.kind, self.runner, self.source, self.position = model, kind, runner, source, position
        self.calls = calls if calls is not None and calls.wants_batches(kind) else None
        self.every = model._train_state.steps_per_execution
        self.bar = bar if bar is not None and bar.verbose == 1 else None
        self.single = runner.single or self.calls is not None
        # Without callbacks, and steps of the user's own, an earlier run has left the attribute.
        self._stop = _STOP[kind] if calls is not None or runner.single else None
        self.known: deque[Logs] = deque()
        self.watch: Watch | None = None

    def run(self, epoch: int = 0) -> Logs:
        """Run the epoch of a number; return losses and metrics."""
        if self.known:
            return self.known.popleft()
        runner, calls, position, bar = self.runner, self.calls, self.position, self.bar
        report: Report | None = None
        watch, period = self.watch, 0 if self.watch is None else self.watch.period
        single = self.single or (self._stop is not None and getattr(self.model, self._stop))
        chunks = self.source.chunks(epoch, single)
        number = shown = hooked = 0 if position is None else position.batch
        looked_after = watch is not None and period > 1 and not single
        if bar is not None:

            def show(batches: int) -> None:
                nonlocal shown
                shown += batches
                bar.update(shown, runner.means())
                if watch is not None and looked_after:
                    watch.more_batches(batches)

            report = show

        runner.begin()
        with paused() if self.single and self.kind != "train" else nullcontext():
            for chunk in chunks:
                if single and number == hooked:
                    if calls is not None:
                        calls.call(f"on_{self.kind}_batch_begin", number, {})
                    hooked += self.every
                if watch is not None and looked_after:
                    watch.batch = number
                    if bar is None:  # Few steps are looked after when they are done.
                        report = watch.more_batches if chunk.steps > period else None
                runner.run(chunk, report)
                number += chunk.steps
                if position is not None:
                    position.batch = number
                if watch is not None and not looked_after and number % period == 0:
                    watch.batches_done(number)
                if calls is not None:
                    logs = runner.batch_logs()
                    if watch is not None and period > 1 and -math.inf < logs.get("loss", math.nan) < math.inf:
                        watch.good = number
                    if number == hooked:
                        calls.call(f"on_{self.kind}_batch_end", hooked - 1, logs)
                if single and self._stop is not None and number == hooked and getattr(self.model, self._stop):
                    break
            if calls is not None and number < hooked:  # A call of several steps that the epoch ends within.
                calls.call(f"on_{self.kind}_batch_end", hooked - 1, logs)
        return runner.logs()


def call_hook(calls: Callbacks | None, hook: str, *args: Any) -> None:
    """Call one hook of all callbacks, if there are any."""
    if calls is not None:
        calls.call(hook, *args)


class StoppingPolicy(Protocol):
    """The work after each epoch, and the decision to stop."""

    def spare_epochs(self) -> int: ...  # epochs that may be trained before anything depends on how this one ends
    def end_epoch(self, epoch: int, logs: Logs) -> bool: ...  # validate, tell callbacks, record; True to stop
    def interrupted(self) -> bool: ...  # True if a Ctrl-C ends training in good order; else it is raised


class RunsAhead(Protocol):
    """Trains epochs before they are asked for."""

    def run(self, first: int, last: int) -> None:
        """Train for some epochs from ``first`` on, at most up to the one before ``last``."""


def train_epochs(
    loop: EpochLoop,
    epochs: Iterable[int] | None,
    last: int,
    policy: StoppingPolicy,
    calls: Callbacks | None = None,
    fused: RunsAhead | None = None,
    bar: Bar | None = None,
) -> Logs | None:
    """Train for one epoch after the other, until the policy stops.

    This is the loop of ``Model.fit`` (:mod:`nbnet.train.fit`). An estimator uses it with a policy of its own, which
    scores held-out rows, lowers the learning rate or finds that the loss has converged in ``end_epoch``, and takes a
    Ctrl-C as the end in ``interrupted``::

        source = ArraySource(rows, batch_size, sampler)  # an EpochSampler subclass draws scikit-learn's orders
        loop = train_loop(model, source, calls)
        fused = None if policy.validates else MultiEpochRunner.of(loop)
        with training_lock(model), SingleThread():
            train_epochs(loop, range(max_iter), max_iter, policy, calls, fused)

    Parameters
    ----------
    loop
        Trains for an epoch; it has a position.
    epochs, last
        Numbers of the epochs, and the number after the last of them. None: those of the source, from the position on,
        which a callback can restore when training begins.
    policy
        The work after each epoch, and the decision to stop.
    calls
        Callbacks.
    fused
        Trains several epochs in one compiled call, where nothing has to see each of them:
        :class:`nbnet.train.epoch_fusion.MultiEpochRunner`.
    bar
        Its epochs begin here; the policy ends them.

    Returns
    -------
    Logs of the last epoch; None if there was none.
    """
    model, position, logs, watch = loop.model, loop.position, None, loop.watch
    assert model.optimizer is not None
    assert position is not None
    model.stop_training = False
    call_hook(calls, "on_train_begin", {})
    if model.stop_training:  # a training was restored that had been stopped
        last = position.epoch
    try:
        for epoch in loop.source.epochs(position.epoch, last) if epochs is None else epochs:
            call_hook(calls, "on_epoch_begin", epoch, {})
            if bar is not None:
                bar.begin_epoch(epoch)
            if watch is not None and not loop.known:  # Weights are those of a later epoch while fused epochs are left.
                watch.begin_epoch(epoch)
            if fused is not None:
                spare = policy.spare_epochs() if calls is None else min(policy.spare_epochs(), calls.spare_epochs())
                fused.run(epoch, min(last, epoch + 1 + spare))
            logs = loop.run(epoch)
            position.epoch, position.batch, position.totals = max(position.epoch, epoch + 1), 0, None
            position.logs = None
            if watch is not None:
                watch.end_epoch(epoch, logs)
            if policy.end_epoch(epoch, logs):
                break
    except KeyboardInterrupt:
        if not policy.interrupted():
            raise
    if watch is not None and logs is not None:
        watch.end(epoch)
    optimizer = model.optimizer
    optimizer.finalize_variable_values(
        model.trainable_weights if optimizer.block is None else optimizer.block.parameters
    )
    call_hook(calls, "on_train_end", logs)
    return logs
