"""Epochs of training and evaluation on arrays, by programs."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nbnet import data
from nbnet.core import parameter
from nbnet.models.batch import Batch
from nbnet.models.intake import Rows
from nbnet.models.orders import Orders
from nbnet.models.position import Position
from nbnet.models.programs import Builder
from nbnet.models.running import Report, batches, program, run, sources_of
from nbnet.models.totals import Totals

if TYPE_CHECKING:
    from nbnet.callbacks.callback import CallbackList
    from nbnet.models.learner import Learner
    from nbnet.optimizers import Optimizer
    from nbnet.progress import Progress

Array = NDArray[Any]


class Part(NamedTuple):
    """A program, the number of the row it begins with, and how many batches there are for it."""

    batch: Batch
    start: int
    steps: int


class Pass:
    """The programs that train or evaluate a model on the same arrays, again and again.

    Arrays in large mapped files are read a block of rows at a time, by a pass over a block inside this one.

    Parameters
    ----------
    kind : {"train", "evaluate"}
    size
        Rows of a batch; the last may be shorter.
    order
        Of the rows, read in each run; None for evaluation.
    single
        Whether every batch is a call of its own.

    Raises
    ------
    ValueError
        If there is nothing to train.
    """

    def __init__(
        self,
        model: Learner,
        kind: str,
        rows: Rows,
        size: int,
        order: Array | None = None,
        single: bool = False,
    ) -> None:
        self.model, self.kind, self.rows, self.order = model, kind, rows, order
        #: What is found.
        self.scores = model.scores(rows.row_shapes())
        self.optimizer: Optimizer | None = model.optimizer if kind == "train" else None
        self.size, self.single = size, single
        self.blocks, self._inner = data.Blocks.of(rows.arrays()), dict[int, Pass]()
        self.outs = {k: self._room(k) for k in self.scores.kept} if self.blocks is None else {}
        self.arrays = rows.named() | {f"out{k}": out for k, out in self.outs.items()}
        if order is not None:
            self.arrays["order"] = order
        self.sources = sources_of(rows)
        self.key: tuple[Any, ...] = (*self.sources.items(), model.structure())
        if self.optimizer is not None:
            self.key += _trained(model, self.optimizer)
        self._ready: dict[int, Batch] = {}
        # Programs outlive this: if they held it, and so the model that keeps them, they would never be freed.
        self._reader = object()

    def run(
        self,
        totals: Totals,
        report: Report | None = None,
        calls: CallbackList | None = None,
        span: slice = slice(None),
        position: Position | None = None,
    ) -> None:
        """Run all batches once.

        Parameters
        ----------
        report
            Told about each nopython call.
        calls
            Whose hooks are called around each batch, if each is a call of its own.
        span
            Which of the rows.
        position
            Of a training: batches that are done are counted in it.
        """
        if self.blocks is not None:
            self._run_blocks(self.blocks, totals, report, calls, span, position)
            return
        first, last, _ = span.indices(len(self.rows))
        done = 0 if position is None else position.batch
        for number, (start, rows, steps) in enumerate(batches(last - first, self.size, self.single), done):
            batch = self._batch(rows)
            batch.sums.fill(0)
            batch.cursor[0] = first + start
            if calls is not None:
                calls.call("on_train_batch_begin", number, None)
            run(batch, steps, self.optimizer, report)
            if position is not None:
                position.batch += steps
            totals.add(batch.sums)
            if calls is not None:
                calls.call("on_train_batch_end", number, totals.means())
                if self.model.stop_training:
                    break
        for k, out in self.outs.items():
            taken: Any = span if self.order is None else self.order[span]
            y, w = self.rows.y[k], self.rows.w[k]
            assert y is not None
            totals.keep(k, y[taken], out[span], None if w is None else w[taken])

    @property
    def plain(self) -> bool:
        """Whether it keeps nothing but sums."""
        return self.blocks is None and not self.outs

    def parts(self) -> list[Part]:
        """The programs that run all batches, in turn."""
        return [Part(self._batch(rows), start, steps) for start, rows, steps in batches(len(self.rows), self.size)]

    def take(self, rows: Rows) -> None:
        """Read other rows from now on: as many, of the same shapes and dtypes."""
        self.rows = rows
        self.arrays |= rows.named()
        for batch in self._ready.values():
            batch.reader = None

    def _run_blocks(
        self,
        blocks: data.Blocks,
        totals: Totals,
        report: Report | None,
        calls: CallbackList | None,
        span: slice,
        position: Position | None,
    ) -> None:
        wanted = range(len(self.rows)) if self.order is None else self.order
        for arrays in blocks.read(wanted[span], self.size):
            rows = self.rows.like(arrays)
            n = len(rows)
            if n in self._inner:
                self._inner[n].take(rows)
            else:
                order = None if self.order is None else np.arange(n)
                self._inner[n] = Pass(self.model, self.kind, rows, self.size, order, self.single)
            self._inner[n].run(totals, report, calls, position=position)
            if calls is not None and self.model.stop_training:
                break

    def _room(self, k: int) -> Array:
        shape = self.model.outline(self.rows.row_shapes()).shapes[k]
        return np.empty((len(self.rows), *shape), self.model.compute_dtype)

    def _batch(self, rows: int) -> Batch:
        batch = self._ready.get(rows)
        if batch is None or batch.reader is not self._reader or batch.moves != parameter.moves():
            make = partial(getattr(Builder, self.kind), rows=rows, sources=self.sources)
            batch = self._ready[rows] = program(self.model, (self.kind, rows, *self.key), make)
            batch.bind(**self.arrays)
            batch.reader = self._reader
        return batch


class Epochs:
    """Epochs of compiled training on the same arrays.

    Attributes
    ----------
    known
        Logs of epochs that were run before they are asked for; see :class:`nbnet.models.bursts.Bursts`.
    """

    def __init__(
        self, model: Learner, rows: Rows, size: int, orders: Orders, calls: CallbackList, bar: Progress | None
    ) -> None:
        self.model, self.orders, single = model, orders, calls.wants_batches("train")
        self._pass = Pass(model, "train", rows, size, orders.order, single)
        self._totals, self._calls = Totals(self._pass.scores), calls if single else None
        self._bar = bar if bar is not None and bar.verbose == 1 else None
        self.known: dict[int, dict[str, Any]] = {}

    @property
    def plain(self) -> bool:
        """Whether nobody has to see what happens in an epoch."""
        return self._pass.plain and self._calls is None and self._bar is None and self.orders.whole

    def parts(self) -> list[Part]:
        """The programs of an epoch."""
        return self._pass.parts()

    def logs(self, sums: Sequence[Array]) -> list[dict[str, Any]]:
        """Losses and metrics of several epochs from what their programs have summed up."""
        return self._totals.of(sums)

    def run(self, epoch: int) -> dict[str, Any]:
        """Train for an epoch; returns losses and metrics."""
        if epoch in self.known:
            return self.known.pop(epoch)
        totals, bar = self._totals, self._bar
        totals.reset()
        span, position = self.orders.epoch(epoch), self.orders.position
        report, done = None, position.batch
        if bar is not None:

            def report(steps: int, sums: Array) -> None:
                nonlocal done
                done += steps
                bar.update(done, totals.means(sums))

        self._pass.run(totals, report, self._calls, span, position)
        return totals.logs()


class Evaluation:
    """Evaluates a model on arrays, again and again.

    Attributes
    ----------
    known
        Logs of evaluations that were made before they are asked for.
    """

    def __init__(self, model: Learner, rows: Rows, size: int) -> None:
        self._pass = Pass(model, "evaluate", rows, size)
        self._totals = Totals(self._pass.scores)
        self.known: deque[dict[str, Any]] = deque()

    @property
    def plain(self) -> bool:
        """Whether its sums are all there is to it, and the same each time."""
        return self._pass.plain and not any(part.batch.draws for part in self.parts())

    def parts(self) -> list[Part]:
        """The programs of an evaluation."""
        return self._pass.parts()

    def logs(self, sums: Sequence[Array]) -> list[dict[str, Any]]:
        """Losses and metrics of several evaluations from what their programs have summed up."""
        return self._totals.of(sums)

    def __call__(self) -> dict[str, Any]:
        if self.known:
            return self.known.popleft()
        self._totals.reset()
        self._pass.run(self._totals)
        return self._totals.logs()


def _trained(model: Learner, optimizer: Optimizer) -> tuple[Any, ...]:
    """What else a training program depends on."""
    weights = model.trainable_weights
    if not weights:
        raise ValueError(f"{model.name} has no trainable weights")
    optimizer.build(weights)
    return id(optimizer), optimizer.kernel, optimizer.used_slots(), tuple(map(id, weights)), model.recording
