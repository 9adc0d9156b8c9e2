"""Several epochs in one compiled call, when no Python code has to run between them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbnet import data
from nbnet.engine.graph.tensor import Call, Tensor
from nbnet.engine.runtime import batch_io
from nbnet.engine.runtime.program import ProgramSequence
from nbnet.train.compiled_runner import CALL_SECONDS, CompiledRunner, ProgramRun
from nbnet.train.data_source import ArraySource, EpochSampler
from nbnet.train.epoch_loop import EpochLoop
from nbnet.train.trainable import LogLayout, epoch_logs

Array = NDArray[Any]

#: Epochs of a call: fewer than these would cost more than they save; more want memory for their sums.
FEWEST, MOST = 3, 256


class MultiEpochRunner:
    """Runs epochs of training, each with its evaluation, before they are asked for.

    ``train.run`` and ``evaluate.run`` then return their logs. Nothing else differs: not a bit of the weights.

    Parameters
    ----------
    train, evaluate
        The loops of one model; without evaluation None.
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

    def __init__(self, train: EpochLoop, evaluate: EpochLoop | None, frequency: Any) -> None:
        self._train, self._evaluate, self._frequency = train, evaluate, frequency
        self._timed: tuple[list[ProgramRun], float] = [], 0.0

    @classmethod
    def of(cls, train: EpochLoop, evaluate: EpochLoop | None = None, frequency: Any = 1) -> MultiEpochRunner | None:
        """Return a runner; None if Python has to see every epoch, or batch."""
        source = train.source
        if not _plain(train) or not (isinstance(source, ArraySource) and source.sampler and source.sampler.whole):
            return None
        if evaluate is not None and (not _plain(evaluate) or any(p.step.draws for p in _programs(evaluate))):
            return None
        return cls(train, evaluate, frequency)

    def run(self, first: int, last: int) -> None:
        """Train for epochs from ``first`` on, for as many as fit into a call, and not for epoch ``last``."""
        train, evaluate, position = self._train, self._evaluate, self._train.position
        assert position is not None
        if last - first < FEWEST or train.known or position.batch:
            return
        trained = _programs(train)
        evaluated = [] if evaluate is None else _programs(evaluate)
        seconds = self._seconds([*trained, *evaluated])
        count = min(last - first, MOST, int(CALL_SECONDS / seconds)) if seconds else 0
        steps = sum(part.steps for part in trained)
        optimizer = train.model.optimizer
        assert optimizer is not None
        if count >= FEWEST:
            count = min(count, optimizer.look_ahead(optimizer.steps, count * steps) // steps)
        if count < FEWEST:
            return
        validated = np.array([data.validates(epoch, self._frequency) for epoch in range(first, first + count)])
        sampler = _compiled(train)[1].sampler
        assert sampler is not None
        began, made = time.perf_counter(), np.zeros(1, np.int64)
        epochs, done = range(first, first + count), made.data
        try:
            for part in (*trained, *evaluated):
                part.step.in_use = True
            if _programs(train) != trained or (evaluate is not None and _programs(evaluate) != evaluated):
                return  # A signal handler has bound one of them to other arrays meanwhile.
            sums = _run(trained, evaluated, sampler, epochs, validated, optimizer.steps, made)
        finally:
            # Signal handlers run in calls: without one here, an exception of theirs comes before or after.
            optimizer.steps += done[0] * steps
            if position.epoch < first + done[0]:
                position.epoch = first + done[0]
            for part in (*trained, *evaluated):
                part.step.in_use = False
        self._timed = [*trained, *evaluated], (time.perf_counter() - began) / count
        train.known.extend(epoch_logs(_layout(train), sums[: len(trained)]))
        if evaluate is not None:
            evaluate.known.extend(epoch_logs(_layout(evaluate), [part[validated] for part in sums[len(trained) :]]))

    def _seconds(self, parts: list[ProgramRun]) -> float:
        """Return how long an epoch takes; 0 if that is not known."""
        known, seconds = self._timed
        if parts != known:
            times = [part.step.seconds * part.steps for part in parts]
            seconds = sum(times) if all(times) else 0.0
        return seconds


def _plain(loop: EpochLoop) -> bool:
    """Return True if the sums of its programs are all that a loop leaves of an epoch, and only its end is seen."""
    runner, source = loop.runner, loop.source
    if loop.single or loop.bar is not None or not isinstance(runner, CompiledRunner):
        return False
    return isinstance(source, ArraySource) and source.blocks is None and not _layout(loop).kept


def _compiled(loop: EpochLoop) -> tuple[CompiledRunner, ArraySource]:
    """Return the runner and the source of a plain loop."""
    assert isinstance(loop.runner, CompiledRunner)
    assert isinstance(loop.source, ArraySource)
    return loop.runner, loop.source


def _layout(loop: EpochLoop) -> LogLayout:
    runner, source = _compiled(loop)
    return runner.prepare(source.pass_chunks()[0]).layout


def _programs(loop: EpochLoop) -> list[ProgramRun]:
    """Return the programs of an epoch, in turn."""
    runner, source = _compiled(loop)
    return runner.programs(source.pass_chunks())


def _run(
    train: Sequence[ProgramRun],
    evaluate: Sequence[ProgramRun],
    sampler: EpochSampler,
    epochs: range,
    validated: Array,
    step: int,
    made: Array,
) -> list[Array]:
    """Train and evaluate; return for each program its sums in each epoch, and in a cell how many epochs are trained.

    In turn come the order of the rows, the programs of the training, their sums, those of the evaluation, their sums.
    """
    n, m, parts = len(epochs), len(train), [*train, *evaluate]
    logs = [np.zeros((n, *part.step.sums.shape)) for part in parts]
    for part in parts:
        part.step.sums.fill(0)
        part.step.cursor[0] = part.start
    closing = [_closing(part, log) for part, log in zip(parts, logs, strict=True)]
    counter = batch_io.advance_call(Tensor(made.shape, made.dtype, made), 1, train[0].step.linked.program.dtype)
    sequence = ProgramSequence(
        [part.step.linked for part in parts], [sampler.calls(epochs), [*closing[:m], counter], closing[m:]]
    )
    order, train_sums, evaluate_sums, turn = len(parts), len(parts) + 1, len(parts) + 2, np.arange(n)
    segments = np.zeros((n, len(parts) + 3, 3), np.int64)
    segments[:, :, 0] = [order, *range(m), train_sums, *range(m, order), evaluate_sums]
    segments[:, :, 1], segments[:, :, 2] = 1, turn[:, None]
    each, done = sum(part.steps for part in train), 0
    for k, part in enumerate(train, 1):
        segments[:, k, 1], segments[:, k, 2] = part.steps, step + done + turn * each
        done += part.steps
    for k, part in enumerate(evaluate, m + 2):
        segments[:, k, 1], segments[:, k, 2] = np.where(validated, part.steps, 0), 0
    sequence.run(segments.reshape(-1, 3))
    return logs


def _closing(part: ProgramRun, log: Array) -> Call:
    """Return the call that writes the sums of an epoch to its line of a log, and begins anew."""
    step = part.step
    sums, lines, cursor = (Tensor(a.shape, a.dtype, a) for a in (step.sums, log, step.cursor))
    return batch_io.close_call(sums, lines, cursor, part.start, step.linked.program.dtype)
