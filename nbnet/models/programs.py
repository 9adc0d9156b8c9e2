"""From a model to programs: training, evaluation and prediction of a batch of so many rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import reduce
from math import lcm
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nbnet.core import feed
from nbnet.core.differentiation import differentiate
from nbnet.core.graph import Call, Node, Tensor, topological
from nbnet.core.processors import processors
from nbnet.core.program import Linked
from nbnet.core.regions import Layout
from nbnet.core.structure import flatten
from nbnet.core.tape import Trace
from nbnet.layers.calling import cutting
from nbnet.models.batch import Batch, Draft
from nbnet.models.cost import slices_for
from nbnet.models.feeds import Feeds, Source
from nbnet.models.intake import packed
from nbnet.models.objective import Scores
from nbnet.models.outline import output_names
from nbnet.models.penalties import penalised, reached
from nbnet.models.release import Release
from nbnet.ops.add import add
from nbnet.ops.fusion import fuse, pack_gradients
from nbnet.ops.multiply import multiply

if TYPE_CHECKING:
    from nbnet.models.learner import Learner

Array = NDArray[Any]


class Builder:
    """Writes programs for a model.

    Sources of a program are named: inputs ``x0``, ``x1`` ..., targets ``y0`` ... and weights ``w0`` ... of outputs.
    """

    def __init__(self, model: Learner) -> None:
        self.model = model
        self.dtype = model.compute_dtype

    def train(self, rows: int, sources: Mapping[str, Source]) -> Batch:
        """Gather, forward, backward, update."""
        return self.draft_training(rows, sources).batch()

    def draft_training(self, rows: int, sources: Mapping[str, Source], layout: Layout | None = None) -> Draft:
        """The same before it has memory; with gradients in some layout, instead of the optimizer's, and no update."""
        optimizer, scores = self.model.optimizer, self._scores(sources)
        assert optimizer is not None
        block = layout or optimizer.build(self.model.trainable_weights)
        one = Tensor((), self.dtype, np.ones((), self.dtype), name="one")
        packing = block.parameters if optimizer.reads_packed else ()

        def attempt(slices: int, parts: int, settled: bool) -> Draft | int | None:
            """The draft; or how many parts there have to be, unless that is settled."""
            feeds = Feeds(self.dtype, rows, parts, sources, True)
            gradients = block.gradients(slices)
            sums = np.zeros((parts, scores.cells, 2))
            ring = self.model.new_ring()
            work: list[list[Call]] = [[] for _ in range(slices)]
            kept, release = [], Release(block.parameters if optimizer.releases else ())
            for part in range(parts):
                t = part * slices // parts
                made = self._forward(feeds, part, scores, training=True)
                wanted = lcm(slices, made.groups)
                if parts % wanted and wanted <= rows and not settled:
                    return wanted
                if parts > 1 and made.whole:
                    return None
                nodes, masks = pack_gradients(made.nodes, packing if made.groups == 1 else ())
                kept.append(masks)
                given: dict[Tensor, Tensor] = {p: block.part(gradients, t, i) for i, p in enumerate(block.parameters)}
                # What a slice has found before is added to.
                found_before = given if work[t] else {}
                outer = release.choose(nodes)
                backward, _ = differentiate(nodes, {made.value: one} | found_before, block.parameters, given, outer)
                release.add(nodes, outer)
                forward = made._replace(nodes=nodes).calls(feeds, part, sums[part])
                if ring is not None:
                    forward = ring.recorded(forward, nodes, part, feeds.count(part))
                first = feeds.bounds[part] - feeds.bounds[t * parts // slices]
                calls = [*feeds.gathers(part), *forward, *made.effects, *backward]
                work[t] += [replace(call, first_row=first) for call in calls] if first else calls
            release.join(call for calls in work for call in calls)
            update, rows_of = [feeds.advancing(slices)], None
            if layout is None:
                work[0][:0] = optimizer.prelude()
                plan = optimizer.plan()
                update, rows_of = plan.phases(gradients, slices, kept, release.factors), plan.rows
                update[-1][0].append(feeds.advance())
            for t in range(slices):
                update[0][t][:0] = release.calls(t, slices, rows_of)
            found = _draft(feeds, [work, *update], sums)
            return found._replace(updated=block.size, released=release.size, outside=release.nbytes)

        def draft(slices: int) -> Draft | None:
            made = attempt(slices, slices, False)
            if isinstance(made, int):
                # Groups of rows have masks of their own: each slice computes its parts of the batch in turn. Where rows
                # depend on each other, the batch stays whole.
                made = attempt(slices, made, True)
                if made is None and slices == 1:
                    made = attempt(1, 1, True)
            assert not isinstance(made, int)
            return made

        return self._cut(rows, draft)

    def evaluate(self, rows: int, sources: Mapping[str, Source]) -> Batch:
        """Gather, forward without dropout, sums of losses and metrics."""
        scores = self._scores(sources)

        def draft(slices: int) -> Draft | None:
            feeds = Feeds(self.dtype, rows, slices, sources, False)
            sums = np.zeros((slices, scores.cells, 2))
            work = []
            for t in range(slices):
                made = self._forward(feeds, t, scores, training=False)
                if slices > 1 and made.whole:
                    return None
                work.append([*feeds.gathers(t), *made.calls(feeds, t, sums[t])])
            return _draft(feeds, [work, feeds.advancing(slices)], sums)

        return self._cut(rows, draft).batch()

    def predict(self, rows: int, sources: Mapping[str, Source], bad: NDArray[np.int64] | None = None) -> Batch:
        """Gather, forward without dropout, store.

        Parameters
        ----------
        bad
            A cell for the number of values of the first input that are not finite; then there is one slice.
        """
        return self.draft_prediction(rows, sources, bad).batch()

    def draft_prediction(self, rows: int, sources: Mapping[str, Source], bad: NDArray[np.int64] | None = None) -> Draft:
        """The same before it has memory."""

        def draft(slices: int) -> Draft | None:
            feeds = Feeds(self.dtype, rows, slices, sources, False)
            work = []
            for t in range(slices):
                with Trace() as trace:
                    made = self._made(feeds, t, training=False)
                outputs, template = list(flatten(made)), output_names(self.model, made)
                nodes = fuse(needed(trace, outputs), set(outputs))
                if slices > 1 and any(node.op.whole_batch for node in nodes):
                    return None
                stores = [feed.store_call(y, feeds.cursor, feeds.out(k)) for k, y in enumerate(outputs)]
                checks = [] if bad is None else [feed.count_bad_call(feeds.tensor("x0", t), bad)]
                work.append([*feeds.gathers(t), *checks, *(node.call() for node in nodes), *stores])
            shapes = tuple(y.shape[1:] for y in outputs)
            sums = np.zeros((slices, 0, 2))
            return _draft(feeds, [work, feeds.advancing(slices)], sums, output_rows=shapes, template=template)

        return self._cut(rows, draft, 1 if bad is not None else None)

    def _made(self, feeds: Feeds, t: int, training: bool) -> Any:
        """What the model returns for slice t."""
        xs = [feeds.input(name, t) for name in feeds.sources if name.startswith("x")]
        return self.model.forward(packed(self.model.inputs_known.template, xs), training=training)

    def _scores(self, sources: Mapping[str, Source]) -> Scores:
        return self.model.scores(tuple(source.shape for name, source in sources.items() if name.startswith("x")))

    def _forward(self, feeds: Feeds, t: int, scores: Scores, training: bool) -> _Forward:
        """What a part of the batch computes before gradients."""
        with Trace() as trace, cutting(t, len(feeds.bounds) - 1, feeds.rows) as part:
            outputs = list(flatten(self._made(feeds, t, training)))
            values: list[Tensor] = []
            shares: list[Tensor] = []
            for k in scores.trained:
                goal, y_pred = scores.goals[k], outputs[k]
                assert goal.loss is not None
                losses = goal.loss.losses(feeds.tensor(f"y{k}", t), y_pred)
                count = losses.size // feeds.count(t) * feeds.rows
                values.append(goal.loss.reduce(losses, feeds.weights(k, t, losses.shape), count))
                shares.append(values[-1] if goal.weight == 1 else multiply(values[-1], goal.weight))
            total = reduce(add, shares) if shares else Tensor((), self.dtype, np.zeros((), self.dtype))
            fed = feeds.made(t)
            total, parts = penalised(total, self.model, trace, fed, t == 0, feeds.count(t) / feeds.rows)
            watched = [
                None if metric.epoch_end else metric.values(feeds.tensor(f"y{k}", t), outputs[k])
                for k, metric, _ in scores.watched
            ]
            weights = [
                feeds.weights(k, t, v.shape) if counts and v is not None and f"w{k}" in feeds.sources else None
                for v, (k, _, counts) in zip(watched, scores.watched, strict=True)
            ]
        kept = [(k, outputs[k]) for k in scores.kept]
        made = _Forward(total, values if scores.parts else [], watched, weights, kept, [], trace.effects)
        targets = made.targets()
        nodes = fuse(needed(trace, targets), set(targets))
        whole = not parts or any(node.op.whole_batch for node in reached(nodes, fed))
        return made._replace(nodes=nodes, whole=whole, groups=part.groups)

    def _cut(self, rows: int, draft: Callable[[int], Draft | None], slices: int | None = None) -> Draft:
        """Cut the batch into so many slices, as many as the model is to have, or as pay; None from a draft: its rows
        depend on each other."""
        wanted, whole = slices or self.model._slices, None
        if wanted is None:
            whole = draft(1)
            assert whole is not None
            wanted = slices_for(whole, rows, processors())
        made = (draft(min(wanted, rows)) if wanted > 1 else None) or whole or draft(1)
        assert made is not None
        return made


def needed(trace: Trace, targets: Sequence[Tensor]) -> list[Node]:
    """The recorded nodes that the targets depend on."""
    wanted = {id(node) for node in topological(targets)}
    return [node for node in trace.nodes if id(node) in wanted]


class _Forward(NamedTuple):
    """What a part of a batch computes: its share of the loss; the loss of each output, if there are several; each
    metric's values (None: it wants the whole epoch) and weights (None: it has none); the outputs that are kept for
    metrics of the whole epoch; the nodes that compute all this; what changes on the side; whether rows of the batch
    depend on each other; and in how many groups of rows layers want to see it."""

    value: Tensor
    parts: list[Tensor]
    watched: list[Tensor | None]
    weights: list[Tensor | None]
    outputs: list[tuple[int, Tensor]]
    nodes: list[Node]
    effects: list[Call]
    whole: bool = False
    groups: int = 1

    def targets(self) -> list[Tensor]:
        """What has to be computed."""
        wanted = [self.value, *self.parts, *(y for _, y in self.outputs), *self.watched, *self.weights]
        wanted += [x for call in self.effects for x in call.operands]
        return [x for x in wanted if x is not None]

    def calls(self, feeds: Feeds, t: int, sums: Array) -> list[Call]:
        """The forward calls, and those that add losses and metrics to the sums of the epoch."""
        cells = iter([Tensor((2,), np.float64, cell, name="sums") for cell in sums])
        made = [node.call() for node in self.nodes]
        made += [feed.store_call(y, feeds.cursor, feeds.out(k)) for k, y in self.outputs]
        for value in (self.value, *self.parts):
            made.append(feed.add_mean_call(value, next(cells), feeds.rows, feeds.count(t)))
        for values, weights, cell in zip(self.watched, self.weights, cells, strict=True):
            if values is not None:
                made.append(feed.add_each_call(values, cell, weights))
        return made


def _draft(feeds: Feeds, phases: list[list[list[Call]]], sums: Array, **about: Any) -> Draft:
    """The draft of a :class:`Batch`."""
    slices, parts = len(phases[0]), len(feeds.bounds) - 1

    def finish(linked: Linked) -> Batch:
        return Batch(linked, feeds.rows, feeds.slots, feeds.cursor.numpy(), sums, **about)

    return Draft(phases, feeds.bounds[: -1 : parts // slices], feeds.dtype, finish)
