"""Programs that sample: the layers that draw random numbers are at work, and what they lead to runs again and again.

A program of two phases: in the first what depends on no random number is computed once for a batch, the second computes
the rest for one sample after the other. A sample is a step: its masks are those of its number.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nbnet.core import layout
from nbnet.core.executor import Runner
from nbnet.core.graph import Call, Node, Tensor
from nbnet.core.moments import entropy_call, moments_call, sample_call
from nbnet.core.op import DOUBLE, INT
from nbnet.core.program import Linked
from nbnet.core.structure import flatten
from nbnet.core.tape import Trace
from nbnet.layers.calling import sampling_mode
from nbnet.models.batch import Batch, Draft
from nbnet.models.feeds import Feeds, Source
from nbnet.models.outline import output_names
from nbnet.models.programs import Builder, needed
from nbnet.ops.fusion import fuse
from nbnet.ops.sigmoid import SIGMOID
from nbnet.ops.softmax import SOFTMAX

Array = NDArray[Any]


@dataclass(eq=False)
class Sampling(Batch):
    """A linked program for samples of ``rows`` rows.

    Attributes
    ----------
    first
        Cell with the number of the step of the first sample.
    binary
        For each output: whether each element is a probability, or (False) each row; None: neither.
    drawing
        Numbers of the program's rows that draw for each row of the data.
    """

    first: Array = field(default_factory=lambda: np.zeros(1, np.int64))
    binary: tuple[bool | None, ...] = ()
    drawing: Sequence[int] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        made = self.linked
        self._once, made.run = (Runner(made.mem, made.program.dtype, made.rows, p[None]) for p in made.program.spans)
        self._first_rows = made.rows[self.drawing, layout.FIRST_ROW]

    def begin(self, start: int, row: int, step: int) -> None:
        """Compute what all samples share, for rows ``start ...`` of the arrays; the first is number ``row`` of all."""
        self.cursor[0], self.first[0] = start, step
        # A row's masks are those of its number among all rows, however these are cut into batches.
        self.linked.rows[self.drawing, layout.FIRST_ROW] = self._first_rows + row
        self._once(1, step)


class _Part(NamedTuple):
    """What a slice computes: once, then again and again; the tensors between; the calls that draw for each row."""

    once: list[Call]
    again: list[Call]
    edge: set[Tensor]
    drawing: list[Call]
    outputs: list[Tensor]
    template: Any
    whole: bool


class Sampler(Builder):
    """Writes programs that sample."""

    def sample(self, rows: int, sources: Mapping[str, Source], masks: str, keep: bool) -> Sampling:
        """Gather and compute once; compute the rest and add it up, again and again."""

        def draft(slices: int) -> Draft | None:
            feeds = Feeds(self.dtype, rows, slices, sources, False)
            first = Tensor((1,), INT, np.zeros(1, np.int64), name="first")
            parts = [self._part(feeds, t, first, masks, keep) for t in range(slices)]
            if slices > 1 and any(part.whole for part in parts):
                return None
            phases = [[part.once for part in parts], [part.again for part in parts]]
            drawing = {id(call) for part in parts for call in part.drawing}
            outputs = parts[0].outputs

            def finish(linked: Linked) -> Batch:
                return Sampling(
                    linked,
                    rows,
                    feeds.slots,
                    feeds.cursor.numpy(),
                    np.zeros((slices, 0, 2)),
                    output_rows=tuple(y.shape[1:] for y in outputs),
                    template=parts[0].template,
                    first=first.numpy(),
                    binary=tuple(_binary(y) for y in outputs),
                    drawing=[i for i, call in enumerate(linked.program.calls) if id(call) in drawing],
                )

            edges = set().union(*(part.edge for part in parts))
            return Draft(phases, feeds.bounds[:-1], feeds.dtype, finish, edges)

        found = self._cut(rows, draft).batch()
        assert isinstance(found, Sampling)
        return found

    def _part(self, feeds: Feeds, t: int, first: Tensor, masks: str, keep: bool) -> _Part:
        """The work of slice t."""
        with Trace() as trace, sampling_mode(masks):
            made = self._made(feeds, t, training=False)
        outputs = list(flatten(made))
        before, after, edge = split(needed(trace, outputs), outputs)
        if not after:
            raise ValueError(
                f"{self.model.name} has no layer that draws random numbers, such as Dropout: all samples would be the "
                "same; call predict"
            )
        if masks == "shared":
            check_shared(after, feeds.count(t))
        before, after = fuse(before, edge), fuse(after, set(outputs))
        once, again = [*feeds.gathers(t), *(node.call() for node in before)], [node.call() for node in after]
        # What all rows share does not depend on their numbers.
        drawing = [] if masks == "shared" else [c for node, c in zip(after, again, strict=True) if node.op.random]
        for k, y in enumerate(outputs):
            again += _add_up(feeds, first, k, y, keep)
        whole = any(node.op.whole_batch for node in (*before, *after))
        return _Part(once, again, edge, drawing, outputs, output_names(self.model, made), whole)


def split(nodes: Sequence[Node], outputs: Sequence[Tensor]) -> tuple[list[Node], list[Node], set[Tensor]]:
    """Nodes that depend on no random number; those that do; and what these, and the outputs, take from outside."""
    before: list[Node] = []
    after: list[Node] = []
    drawn: set[Tensor] = set()
    for node in nodes:
        if node.op.random or not drawn.isdisjoint(node.inputs):
            after.append(node)
            drawn.update(node.outputs, node.saved)
        else:
            before.append(node)
    wanted = {x for node in after for x in node.inputs} | set(outputs)
    return before, after, {x for x in wanted - drawn if x.data is None}


def check_shared(nodes: Sequence[Node], rows: int) -> None:
    """ValueError for a node that draws for each row of the batch."""
    for node in nodes:
        named = dict(zip((*node.op.outputs, *node.op.saves), (*node.outputs, *node.saved), strict=True))
        # What draws names its numbers; others are random in that they depend on the step.
        drawn = node.op.random and named.get(node.op.mask or node.op.noise or "")
        if drawn and rows > 1 and drawn.shape[:1] != (1,):
            raise ValueError(
                f"masks: {node.name} ({node.op.name}) draws for each row, which 'shared' does not offer; take "
                "'per_sample'"
            )


def _binary(y: Tensor) -> bool | None:
    """Whether each element of an output is a probability (True), or each row (False); None: neither."""
    op = y.node.op if y.node is not None else None
    return False if op is SOFTMAX else True if op is SIGMOID.op else None


def _add_up(feeds: Feeds, first: Tensor, k: int, y: Tensor, keep: bool) -> Iterator[Call]:
    """What becomes of output k of a sample."""

    def slot(name: str, dtype: Any) -> Tensor:
        return feeds.slots.setdefault(f"{name}{k}", Tensor((1, 1), dtype, np.zeros((1, 1), dtype), name=f"{name}{k}"))

    yield moments_call(y, first, feeds.cursor, slot("mean", DOUBLE), slot("squares", DOUBLE))
    if (binary := _binary(y)) is not None:
        yield entropy_call(y, feeds.cursor, slot("entropy", DOUBLE), binary)
    if keep:
        yield sample_call(y, first, slot("samples", y.dtype))
