"""From a model to programs: training, evaluation and prediction of a batch of so many rows."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nbnet.core import feed, layout, regions
from nbnet.core.arena import address
from nbnet.core.graph import Call, Node, Tensor, differentiate, topological
from nbnet.core.op import INT
from nbnet.core.program import Linked, Program, lower
from nbnet.core.tape import Trace
from nbnet.ops.fusion import fuse

if TYPE_CHECKING:
    from nbnet.losses import Loss
    from nbnet.metrics import Metric
    from nbnet.models.model import Model
    from nbnet.optimizers import Optimizer

Array = NDArray[Any]

#: A slice has at least so many multiply-adds and rows: below, another thread costs more than it gives (two meetings a
#: step, a
#: gradient of its own to fill and add, less efficient products).
SLICE_WORK, SLICE_ROWS = 1_500_000, 32


def processors() -> int:
    """Processors this process may use; ``NBNET_NUM_THREADS`` lowers it."""
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    wanted = os.environ.get("NBNET_NUM_THREADS", "")
    return max(1, min(available, int(wanted))) if wanted.isdigit() else available


def cut(rows: int, slices: int) -> list[int]:
    """Bounds of slices, as even as can be."""
    return [rows * t // slices for t in range(slices + 1)]


class Source(NamedTuple):
    """What a program reads from: shape of a row, and dtype in memory."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @classmethod
    def of(cls, array: Array) -> Source:
        return cls(array.shape[1:], array.dtype)


@dataclass(eq=False)
class Batch:
    """A linked program for batches of ``rows`` rows, and the places where arrays are bound to it."""

    linked: Linked
    rows: int
    slots: dict[str, Tensor]
    cursor: Array
    sums: Array
    moves: int = field(default_factory=regions.moves)
    seconds: float = 0.0
    bound: dict[str, Array] = field(default_factory=dict)
    output_row: tuple[int, ...] = ()
    #: Everything outside the arena that the rows point to: parameters may move while this program runs in a thread.
    held: list[Array] = field(default_factory=list)

    def bind(self, **arrays: Array) -> None:
        """Let the program read or write these arrays (n, ...); they are kept alive as long as they are bound."""
        for name, array in arrays.items():
            if self.bound.get(name) is array:
                continue
            place = address(array) - self.linked.mem, len(array), array.size // max(len(array), 1)
            for row, operand in self.places[name]:
                at = layout.OPERANDS + 3 * operand
                self.linked.rows[row, at : at + 3] = place
            self.bound[name] = array

    def __post_init__(self) -> None:
        calls = self.linked.program.calls
        self.held = [t.data for call in calls for t in call.operands if t is not None and t.data is not None]
        self.places = {
            name: [(i, k) for i, call in enumerate(calls) for k, t in enumerate(call.operands) if t is slot]
            for name, slot in self.slots.items()
        }


class Builder:
    """Writes programs for a model."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.dtype = model.compute_dtype

    def train(
        self,
        rows: int,
        x: Source,
        y: Source,
        weighted: bool,
        loss: Loss,
        metrics: Sequence[Metric],
        optimizer: Optimizer,
    ) -> Batch:
        """Gather, forward, backward, update."""
        block = optimizer.build(self.model.trainable_weights)
        one = Tensor((), self.dtype, np.ones((), self.dtype), name="one")

        def build(slices: int) -> Batch | None:
            feeds = _Feeds(
                self.dtype, rows, slices, {"x": x, "y": y} | ({"w": Source((), self.dtype)} if weighted else {}), True
            )
            gradients = block.gradients(slices)
            sums = np.zeros((slices, 1 + len(metrics), 2))
            work = []
            for t in range(slices):
                made = self._forward(feeds, t, loss, metrics, training=True)
                if slices > 1 and made.is_whole():
                    return None
                given: dict[Tensor, Tensor] = {p: block.part(gradients, t, i) for i, p in enumerate(block.parameters)}
                backward, _ = differentiate(made.nodes, {made.value: one}, block.parameters, given)
                work.append([*feeds.gathers(t), *made.calls(feeds, t, sums[t]), *made.effects, *backward])
            work[0][:0] = optimizer.prelude()
            update = optimizer.phases(gradients, slices)
            update[-1][0].append(feeds.advance())
            return feeds.batch([work, *update], sums)

        return self._sliced(rows, 3, build)

    def evaluate(self, rows: int, x: Source, y: Source, weighted: bool, loss: Loss, metrics: Sequence[Metric]) -> Batch:
        """Gather, forward without dropout, sums of loss and metrics."""

        def build(slices: int) -> Batch | None:
            feeds = _Feeds(
                self.dtype, rows, slices, {"x": x, "y": y} | ({"w": Source((), self.dtype)} if weighted else {}), False
            )
            sums = np.zeros((slices, 1 + len(metrics), 2))
            work = []
            for t in range(slices):
                made = self._forward(feeds, t, loss, metrics, training=False)
                if slices > 1 and made.is_whole():
                    return None
                work.append([*feeds.gathers(t), *made.calls(feeds, t, sums[t])])
            return feeds.batch([work, [[feeds.advance()], *([] for _ in range(slices - 1))]], sums)

        return self._sliced(rows, 1, build)

    def predict(self, rows: int, x: Source) -> Batch:
        """Gather, forward without dropout, store."""

        def build(slices: int) -> Batch | None:
            feeds = _Feeds(self.dtype, rows, slices, {"x": x}, False)
            feeds.slots["out"] = feeds.out
            work = []
            for t in range(slices):
                with Trace() as trace:
                    y = self.model.forward(feeds.tensor("x", t), training=False)
                nodes = fuse(_needed(trace, [y]), {y})
                if slices > 1 and any(node.op.whole_batch for node in nodes):
                    return None
                work.append(
                    [*feeds.gathers(t), *(node.call() for node in nodes), feed.store_call(y, feeds.cursor, feeds.out)]
                )
            batch = feeds.batch([work, [[feeds.advance()], *([] for _ in range(slices - 1))]], np.zeros((slices, 0, 2)))
            batch.output_row = y.shape[1:]
            return batch

        return self._sliced(rows, 1, build)

    def _forward(self, feeds: _Feeds, t: int, loss: Loss, metrics: Sequence[Metric], training: bool) -> _Forward:
        """What a slice computes before gradients."""
        with Trace() as trace:
            y_pred = self.model.forward(feeds.tensor("x", t), training=training)
            y_true = feeds.tensor("y", t)
            losses = loss.losses(y_true, y_pred)
            weights = feeds.weights(t, losses.shape)
            value = loss.reduce(losses, weights, losses.size // feeds.count(t) * feeds.rows)
            watched = [None if metric.epoch_end else metric.values(y_true, y_pred) for metric in metrics]
        outputs = [y_pred] if None in watched else []
        if outputs:
            feeds.slots["out"] = feeds.out
        targets = [value, *outputs, *(v for v in watched if v is not None)]
        targets += [x for call in trace.effects for x in call.operands if x is not None]
        return _Forward(value, watched, outputs, fuse(_needed(trace, targets), set(targets)), trace.effects)

    def _sliced(self, rows: int, passes: int, build: Callable[[int], Batch | None]) -> Batch:
        """Cut the batch into as many slices as pay."""
        work = rows * passes * sum(w.size for w in self.model.weights if w.ndim > 1)
        slices = max(1, min(processors(), rows // SLICE_ROWS, work // SLICE_WORK))
        made = build(slices) or build(1)
        assert made is not None
        return made


def _needed(trace: Trace, targets: Sequence[Tensor]) -> list[Node]:
    """The recorded nodes that the targets depend on."""
    wanted = {id(node) for node in topological(targets)}
    return [node for node in trace.nodes if id(node) in wanted]


class _Forward(NamedTuple):
    """The loss of a slice, each metric's values (None: it wants the whole epoch), the outputs that have to be kept for
    such metrics, the nodes that compute all this, and what changes on the side."""

    value: Tensor
    watched: list[Tensor | None]
    outputs: list[Tensor]
    nodes: list[Node]
    effects: list[Call]

    def is_whole(self) -> bool:
        """Whether rows of the batch depend on each other."""
        return any(node.op.whole_batch for node in self.nodes)

    def calls(self, feeds: _Feeds, t: int, sums: Array) -> list[Call]:
        """The forward calls, and those that add loss and metrics to the sums of the epoch."""
        cells = [Tensor((2,), np.float64, cell, name="sums") for cell in sums]
        return [
            *(node.call() for node in self.nodes),
            *(feed.store_call(y, feeds.cursor, feeds.out) for y in self.outputs),
            feed.add_mean_call(self.value, cells[0], feeds.rows, feeds.count(t)),
            *(feed.add_each_call(v, c) for v, c in zip(self.watched, cells[1:], strict=True) if v is not None),
        ]


class _Feeds:
    """The tensors that a program's batches are gathered into, for each slice."""

    def __init__(
        self, dtype: np.dtype[Any], rows: int, slices: int, sources: dict[str, Source], shuffled: bool
    ) -> None:
        self.dtype, self.rows, self.bounds = dtype, rows, cut(rows, slices)
        self.cursor = Tensor((1,), INT, np.zeros(1, np.int64), name="cursor")
        self.out = Tensor((1, 1), dtype, np.zeros((1, 1), dtype), name="out")
        self.slots: dict[str, Tensor] = {}
        if shuffled:
            self.slots["order"] = Tensor((1,), INT, np.zeros(1, np.int64), name="order")
        self.sources = sources
        for name, source in sources.items():
            width = int(np.prod(source.shape))
            self.slots[name] = Tensor((1, width), source.dtype, np.zeros((1, width), source.dtype), name=f"user.{name}")
        self._made: dict[tuple[str, int], Tensor] = {}

    def count(self, t: int) -> int:
        """Rows of slice t."""
        return self.bounds[t + 1] - self.bounds[t]

    def tensor(self, name: str, t: int) -> Tensor:
        """What slice t of the batch of this array is gathered into."""
        if (name, t) not in self._made:
            source = self.sources[name]
            dtype = INT if name == "y" and source.dtype == INT and not source.shape else self.dtype
            # A column of weights, for what a gather fills is a matrix with a row, or several, for each sample.
            shape = source.shape or (() if dtype == INT else (1,))
            self._made[name, t] = Tensor((self.count(t), *shape), dtype, name=name)
        return self._made[name, t]

    def weights(self, t: int, shape: tuple[int, ...]) -> Tensor:
        """One weight for each loss: gathered, or ones."""
        if "w" not in self.sources:
            return Tensor(shape, self.dtype, np.ones(shape, self.dtype), name="ones")
        from nbnet.ops import multiply, reshape

        weights = reshape(self.tensor("w", t), (shape[0], *[1] * (len(shape) - 1)))
        return weights if weights.shape == shape else multiply(weights, np.ones(shape, self.dtype))

    def gathers(self, t: int) -> list[Call]:
        made = [(name, tensor) for (name, s), tensor in self._made.items() if s == t]
        return [
            feed.gather_call(self.slots[name], self.slots.get("order"), self.cursor, x, self.dtype) for name, x in made
        ]

    def advance(self) -> Call:
        return feed.advance_call(self.cursor, self.rows, self.dtype)

    def batch(self, phases: list[list[list[Call]]], sums: Array) -> Batch:
        program: Program = lower(phases, self.bounds[:-1], self.dtype)
        return Batch(Linked(program), self.rows, self.slots, self.cursor.numpy(), sums)
