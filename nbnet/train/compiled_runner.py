"""A model's compiled programs, cached per thread, and the runner that trains or evaluates with them in calls of bounded
length."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nbnet.base import cpu, seeds
from nbnet.base.uninterrupted import apart_from_handlers
from nbnet.data import SparseRows
from nbnet.engine.graph.parameter import layout_version
from nbnet.optimizers.optimizer import Optimizer
from nbnet.train.epoch_loop import Chunk, Report
from nbnet.train.inputs import Rows, log_layout, signature_of
from nbnet.train.step_builder import ArraySpec, CompiledStep, StepBuilder, StepDraft
from nbnet.train.trainable import EpochTotals, Logs, Sums, Trainable, TrainingPosition

Array = NDArray[Any]
Programs = OrderedDict[tuple[Any, ...], CompiledStep]

#: A nopython call ends after about this long, so that Ctrl-C and the progress bar answer.
CALL_SECONDS = 0.08
#: Programs kept for one model and thread; the least recently used goes first.
KEPT_PROGRAMS = 32
#: Steps outside training begin at one of ``STEPS`` numbers, beyond those of training and of tapes.
FIRST_STEP, STEPS = 1 << 61, 1 << 60


def sources_of(rows: Rows, named: Mapping[str, Array] | None = None) -> dict[str, ArraySpec]:
    """Return the specs of the arrays that programs read, by name."""
    whole = {f"x{k}" for k, ids in enumerate(rows.ids) if ids}
    return {
        name: ArraySpec(a.shape[1:], a.dtype, name in whole, a.indices.dtype if isinstance(a, SparseRows) else None)
        for name, a in (rows.named() if named is None else named).items()
    }


def programs_of(model: Trainable) -> Programs:
    """Return the programs of a model that are kept for this thread, by key."""
    local = model._train_state.local
    kept: Programs | None = getattr(local, "programs", None)
    if kept is None:
        kept = local.programs = OrderedDict()
    return kept


def cached_program(model: Trainable, key: tuple[Any, ...], build: Callable[[StepBuilder], StepDraft]) -> CompiledStep:
    """Return the program under a key: kept for this thread, or written now."""
    kept, key = programs_of(model), (*key, cpu.limit())
    step, version = kept.get(key), layout_version()
    if step is None or step.moves != version or step.in_use:
        write = partial(build, StepBuilder(model))
        step = kept[key] = apart_from_handlers(write).compile()
        # Read before: if another thread moved parameters meanwhile, the program is written anew next time.
        step.moves = version
        if len(kept) > KEPT_PROGRAMS:
            kept.popitem(last=False)
    kept.move_to_end(key)
    return step


def forget_programs(model: Trainable, part: object) -> None:
    """Drop the programs of this thread that have an object in their key."""
    kept = programs_of(model)
    for key in [key for key in kept if any(entry is part for entry in key)]:
        del kept[key]


def clear_programs(model: Trainable) -> None:
    """Drop all programs of this thread."""
    vars(model._train_state.local).clear()


def new_steps(draws: seeds.DrawCounter) -> int:
    """Return a fresh step number for drawing outside training, a pure function of the number of draws of the model."""
    return FIRST_STEP + seeds.derive(draws.next()) % STEPS


def run(
    step: CompiledStep, steps: int, optimizer: Optimizer | None, report: Report | None = None, first: int = 0
) -> None:
    """Run ``steps`` steps of a program, in calls of bounded length, from the optimizer's step on, or ``first``; a
    prediction that draws random numbers has steps of its own."""
    if optimizer is not None:
        first = optimizer.steps
    elif first == 0 and step.draws:
        assert step.counter is not None
        first = new_steps(step.counter)
    done, cursor = 0, step.cursor.data
    while done < steps:
        n = steps - done
        if step.seconds * n > CALL_SECONDS or step.seconds == 0:
            n = max(1, min(n, int(CALL_SECONDS / step.seconds) if step.seconds else 1))
        if optimizer is not None:
            n = optimizer.look_ahead(first + done, n)
        began, start = time.perf_counter(), cursor[0]
        try:
            step.linked.run(n, first + done)
        finally:  # Signal handlers run in calls: without one here, an exception of theirs comes before or after.
            if optimizer is not None:
                optimizer.steps += (cursor[0] - start) // step.rows
        step.seconds = (time.perf_counter() - began) / n
        done += n
        if report is not None:
            report(n)


class ProgramRun(NamedTuple):
    """A program, the number of the row it begins with, and how many batches it runs."""

    step: CompiledStep
    start: int
    steps: int


class CompiledRunner:
    """Trains or evaluates a model by programs, which are kept for arrays of each kind.

    Parameters
    ----------
    kind : {"train", "evaluate"}
    position
        Of a training: it has the sums of an epoch that was interrupted.

    Raises
    ------
    ValueError
        From the first chunk on, or from :meth:`prepare`: if there is nothing to train.
    """

    single = False

    def __init__(self, model: Trainable, kind: str, position: TrainingPosition | None = None) -> None:
        self.model, self.kind, self._position = model, kind, position
        self.optimizer = model.optimizer if kind == "train" else None
        self._readers: dict[tuple[Any, ...], _BoundPrograms] = {}
        self._reader: _BoundPrograms | None = None
        self._key: tuple[Any, ...] | None = None
        self.begin()

    def begin(self) -> None:
        self._totals: EpochTotals | None = None
        self._running: Array | None = None

    def prepare(self, chunk: Chunk) -> _BoundPrograms:
        """Return the programs for the arrays of a chunk, not written yet."""
        reader = self._reader
        if reader is not None and reader.rows is chunk.rows and reader.order is chunk.order:
            return reader
        if self._key is None:
            self._key = (self.model.structure(), *self._trained())
        named = chunk.rows.named()
        sources = sources_of(chunk.rows, named)
        key = chunk.rows.n, *sources.items()
        if (known := self._readers.get(key)) is None:
            if len(self._readers) >= KEPT_PROGRAMS:
                self._readers.clear()
            known = self._readers[key] = _BoundPrograms(self.model, self.kind, chunk, sources, self._key)
        known.take(chunk, named)
        self._reader = known
        return known

    def run(self, chunk: Chunk, report: Report | None = None) -> None:
        reader = self.prepare(chunk)
        position = self._position
        step = reader.take_step(chunk.size)
        try:
            if self._totals is None:
                self._totals = EpochTotals(reader.layout, position.totals if position and position.batch else None)
            step.sums.fill(0)
            step.cursor[0] = chunk.start
            self._running, batch = step.sums, 0 if position is None else position.batch
            try:
                run(step, chunk.steps, self.optimizer, report)
                self._count(step, chunk, batch)
            except BaseException:
                self._count(step, chunk, batch)
                raise
        finally:
            step.in_use = False
        if reader.outs:
            reader.keep(chunk, self._totals)

    def _count(self, step: CompiledStep, chunk: Chunk, batch: int) -> None:
        """Add what a program has done of a chunk, unless it is counted; ``batch`` batches were done before."""
        totals, position = self._totals, self._position
        assert totals is not None
        if self._running is None:
            return
        sums, done = totals.with_sums(step.sums), (int(step.cursor[0]) - chunk.start) // chunk.size
        # All of it, or nothing: without a call, no signal handler comes in between.
        totals.sums, self._running = sums, None
        if position is not None:
            position.totals, position.batch = sums, batch + done

    def means(self) -> Logs:
        return {} if self._totals is None else self._totals.means(self._running)

    def batch_logs(self) -> Logs:
        totals = self._totals
        return self.means() if totals is None or not totals.layout.kept else BatchLogs(self.means(), totals)

    def sums(self) -> Sums | None:
        """Return the sums of losses and metrics so far; None if there are none."""
        if self._totals is None or self._running is None:
            return None if self._totals is None else self._totals.sums
        return self._totals.with_sums(self._running)

    def loss_sum(self) -> float:
        """Return the sum of the losses so far: not finite if one of them is not."""
        done = 0.0 if self._totals is None else self._totals.sums[0][0]
        return done if self._running is None else done + float(self._running[:, 0, 0].sum())

    def logs(self) -> Logs:
        position = self._position
        if self._totals is None and position is not None and position.batch and position.totals is not None:
            # All batches of the epoch were done before it was interrupted.
            signature = signature_of(self.model, self.model.inputs_known.sample_shapes())
            self._totals = EpochTotals(log_layout(self.model, signature), position.totals)
        return {} if self._totals is None else self._totals.logs()

    def programs(self, chunks: list[Chunk]) -> list[ProgramRun]:
        """Return the programs that run some chunks, in turn."""
        return [ProgramRun(self.prepare(chunk).step(chunk.size), chunk.start, chunk.steps) for chunk in chunks]

    def _trained(self) -> tuple[Any, ...]:
        """Return the part of the key of a training program that depends on optimizer and weights."""
        optimizer, model = self.optimizer, self.model
        if optimizer is None:
            return ()
        weights = model.trainable_weights
        optimizer.build_for(weights)
        ids = tuple(map(id, weights))
        return id(optimizer), optimizer.variant, ids, model._train_state.recording


class BatchLogs(dict[str, Any]):
    """Logs after a batch: metrics that want the whole epoch are computed, for its batches so far, when one is read."""

    def __init__(self, means: Logs, totals: EpochTotals) -> None:
        super().__init__(means)
        self._names: list[str] = totals.layout.names
        self._logs_so_far: Callable[[], Logs] | None = totals.logs_so_far()

    def _fill(self) -> None:
        if self._logs_so_far is not None:
            found, self._logs_so_far = self._logs_so_far(), None
            own = {name: value for name, value in dict.items(self) if name not in found}
            dict.clear(self)
            self.update(found | own)

    def __missing__(self, name: str) -> Any:
        if self._logs_so_far is None or name not in self._names:
            raise KeyError(name)
        self._fill()
        return self[name]

    def __contains__(self, name: object) -> bool:
        return dict.__contains__(self, name) or (self._logs_so_far is not None and name in self._names)

    def get(self, name: str, default: Any = None) -> Any:
        try:
            return self[name]
        except KeyError:
            return default

    def __iter__(self) -> Iterator[str]:
        self._fill()
        return super().__iter__()

    def __len__(self) -> int:
        self._fill()
        return super().__len__()

    def __repr__(self) -> str:
        self._fill()
        return super().__repr__()

    def keys(self) -> Any:
        self._fill()
        return super().keys()

    def values(self) -> Any:
        self._fill()
        return super().values()

    def items(self) -> Any:
        self._fill()
        return super().items()

    def copy(self) -> Logs:
        return dict(self.items())


class _BoundPrograms:
    """Programs that read the same arrays, by the rows of a batch."""

    def __init__(
        self, model: Trainable, kind: str, chunk: Chunk, sources: dict[str, ArraySpec], key: tuple[Any, ...]
    ) -> None:
        self._model, self._kind, self._sources, self._key = model, kind, sources, (*sources.items(), *key)
        signature, n = chunk.rows.signature or signature_of(model, chunk.rows.row_shapes()), chunk.rows.n
        self.layout = log_layout(model, signature)
        # For metrics that want the whole epoch.
        self.outs = {k: np.empty((n, *signature.shapes[k]), model.dtype) for k in self.layout.kept}
        self._as_they_lie = np.arange(n) if kind == "train" and chunk.order is None else None
        self._steps: dict[int, CompiledStep] = {}
        # Programs outlive this: if they held it, and so the model that keeps them, they would never be freed.
        self._token = object()

    def take(self, chunk: Chunk, named: Mapping[str, Array]) -> None:
        """Read other arrays from now on: as many rows, of the same shapes and dtypes."""
        self.rows: Rows = chunk.rows
        self.order = chunk.order
        self._arrays = {**named, **{f"out{k}": out for k, out in self.outs.items()}}
        if self._kind == "train":
            order = self._as_they_lie if chunk.order is None else chunk.order
            assert order is not None
            self._arrays["order"] = order
        for step in self._steps.values():
            step.reader = None

    def step(self, rows: int) -> CompiledStep:
        """Return the program for batches of ``rows`` rows, bound to the arrays."""
        step = self._steps.get(rows)
        if step is None or step.reader is not self._token or step.moves != layout_version():
            make = partial(getattr(StepBuilder, self._kind), rows=rows, sources=self._sources)
            step = self._steps[rows] = cached_program(self._model, (self._kind, rows, *self._key), make)
            step.in_use = True
            try:
                step.bind(**self._arrays)
                step.reader = self._token
            finally:
                step.in_use = False
        return step

    def take_step(self, rows: int) -> CompiledStep:
        """Return the program for batches of ``rows`` rows, marked as in use."""
        while True:
            step = self.step(rows)
            step.in_use = True
            if step.reader is self._token:
                return step
            step.in_use = False  # A signal handler has bound it to other arrays meanwhile.

    def keep(self, chunk: Chunk, totals: EpochTotals) -> None:
        """Keep targets, outputs and weights of a chunk for metrics that want the whole epoch."""
        span = slice(chunk.start, chunk.stop)
        for k, out in self.outs.items():
            taken: Any = span if chunk.order is None else chunk.order[span]
            y, w = self.rows.y[k], self.rows.w[k]
            assert y is not None
            totals.keep(k, y[taken], out[span], None if w is None else w[taken], chunk.size)
