"""Predictions by sampling: the layers that draw random numbers are at work, and what they lead to is run many times.

A program of two phases: in the first what depends on no random number is computed once for a batch, the second computes
the rest for one sample after the other. A sample is a step: its masks are those of its number.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nbnet import data, random
from nbnet.core import layout
from nbnet.core.executor import Runner
from nbnet.core.graph import Call, Node, Tensor
from nbnet.core.moments import entropy_call, moments_call, sample_call
from nbnet.core.op import DOUBLE, INT
from nbnet.core.program import Linked, lower
from nbnet.core.symbol import flatten
from nbnet.core.tape import Trace
from nbnet.layers.calling import sampling_mode
from nbnet.models.feeds import Feeds
from nbnet.models.intake import Rows
from nbnet.models.outline import output_names
from nbnet.models.programs import Batch, Builder, Source, needed
from nbnet.models.running import program, run, sources_of
from nbnet.ops.fusion import fuse
from nbnet.ops.sigmoid import SIGMOID
from nbnet.ops.softmax import SOFTMAX

if TYPE_CHECKING:
    from nbnet.models.learner import Learner
    from nbnet.progress import Progress

Array = NDArray[Any]

#: Steps of samples begin at one of so many numbers, beyond those of training and of tapes.
FIRST_STEP, STEPS = 1 << 61, 1 << 60


class Wish(NamedTuple):
    """What is to be sampled: how often, whether rows share masks, quantiles, and whether the samples are kept."""

    samples: int
    masks: str = "per_sample"
    quantiles: Any = None
    keep: bool = False


class Found(NamedTuple):
    """What was found for rows of an output: mean (n, ...), sum of squared deviations, sum of entropies if it is
    probabilities, samples (samples, n, ...) and quantiles if they are wanted."""

    mean: Array
    squares: Array
    entropy: Array | None
    samples: Array | None
    quantiles: Array | None


def first_step(seed: int | None) -> int:
    """The number of the first sample: a pure function of the seed; None: one that no other call gets."""
    key = random.next_key() if seed is None else random.derive(random.as_integer(seed, "seed"))
    return FIRST_STEP + key % STEPS


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
        """Compute what all samples share, for rows ``start ...`` of the arrays, the first of which is ``row`` of all."""
        self.cursor[0], self.first[0] = start, step
        # A row's masks are those of its number among all rows, however these are cut into batches.
        self.linked.rows[self.drawing, layout.FIRST_ROW] = self._first_rows + row
        self._once(1, step)


class Sampler(Builder):
    """Writes programs that sample."""

    def sample(self, rows: int, sources: Mapping[str, Source], masks: str, keep: bool) -> Sampling:
        """Gather and compute once; compute the rest and add it up, again and again."""

        def build(slices: int) -> Batch | None:
            feeds = Feeds(self.dtype, rows, slices, sources, False)
            first = Tensor((1,), INT, np.zeros(1, np.int64), name="first")
            once: list[list[Call]] = []
            again: list[list[Call]] = []
            kept: set[Tensor] = set()
            drawing: set[int] = set()
            for t in range(slices):
                with Trace() as trace, sampling_mode(masks):
                    made = self._made(feeds, t, training=False)
                outputs, template = list(flatten(made)), output_names(self.model, made)
                before, after, edge = split(needed(trace, outputs), outputs)
                if not after:
                    raise ValueError(
                        f"{self.model.name} has no layer that draws random numbers, such as Dropout: all samples would "
                        "be the same; call predict"
                    )
                if masks == "shared":
                    check_shared(after, feeds.count(t))
                before, after = fuse(before, edge), fuse(after, set(outputs))
                if slices > 1 and any(node.op.whole_batch for node in (*before, *after)):
                    return None
                calls = [node.call() for node in after]
                if masks != "shared":
                    drawing |= {id(call) for node, call in zip(after, calls, strict=True) if node.op.random}
                for k, y in enumerate(outputs):
                    calls += _add_up(feeds, first, k, y, keep)
                once.append([*feeds.gathers(t), *(node.call() for node in before)])
                again.append(calls)
                kept |= edge
            linked = Linked(lower([once, again], feeds.bounds[:-1], feeds.dtype, kept))
            return Sampling(
                linked,
                rows,
                feeds.slots,
                feeds.cursor.numpy(),
                np.zeros((slices, 0, 2)),
                output_rows=tuple(y.shape[1:] for y in outputs),
                template=template,
                first=first.numpy(),
                binary=tuple(_binary(y) for y in outputs),
                drawing=[i for i, call in enumerate(linked.program.calls) if id(call) in drawing],
            )

        # Slices that share nothing do not wait for each other: they pay where those of training do.
        found = self._sliced(rows, 3, build)
        assert isinstance(found, Sampling)
        return found


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
        drawn = {*node.outputs, *node.saved} if node.op.random else set()
        named = dict(zip((*node.op.outputs, *node.op.saves), (*node.outputs, *node.saved), strict=True))
        numbers = named.get(node.op.mask or node.op.noise or "")
        if drawn and rows > 1 and (numbers is None or numbers.shape[:1] != (1,)):
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


def sample(model: Learner, rows: Rows, size: int, wish: Wish, step: int, bar: Progress | None) -> tuple[Any, list[Any]]:
    """Names in the structure of the outputs, and what was found for each.

    Parameters
    ----------
    size
        Rows computed at a time.
    step
        Number of the first sample's step.
    """
    if (blocks := data.Blocks.of(rows.arrays())) is None:
        return _sample(model, rows, size, wish, step, bar, 0)
    parts: list[tuple[Any, list[Found]]] = []
    row = 0
    for arrays in blocks.read(range(len(rows)), size):
        part = rows.like(arrays)
        parts.append(_sample(model, part, size, wish, step, bar, row))
        row += len(part)
    return parts[0][0], [joined(found) for found in zip(*(found for _, found in parts), strict=True)]


def joined(parts: Sequence[Found]) -> Found:
    """What was found for some rows, then for the next, as one."""
    axes = 0, 0, 0, 1, np.ndim(parts[0].quantiles) - np.ndim(parts[0].mean) if parts[0].quantiles is not None else 0
    columns = zip(*parts, strict=True)
    return Found(
        *(None if one[0] is None else np.concatenate(one, axis) for one, axis in zip(columns, axes, strict=True))
    )


def _sample(
    model: Learner, rows: Rows, size: int, wish: Wish, step: int, bar: Progress | None, row: int
) -> tuple[Any, list[Found]]:
    """The same for rows in memory, the first of which is ``row`` of all."""
    sources, n = sources_of(rows), len(rows)
    keep = wish.keep or wish.quantiles is not None
    found: list[Found] = []
    for start in range(0, n, size):
        count = min(size, n - start)
        key = "sample", count, wish.masks, keep, *sources.items(), model.structure()
        make = partial(_make, rows=count, sources=sources, wish=wish)
        batch = program(model, key, make)
        assert isinstance(batch, Sampling)
        found = found or [_room(batch, k, n, wish) for k in range(len(batch.output_rows))]
        batch.bind(**rows.named())
        buffers = [_bind(batch, k, one, wish.samples if keep else 0) for k, one in enumerate(found)]
        batch.begin(start, row + start, step)
        run(batch, wish.samples, None, None, step)
        for one, buffer in zip(found, buffers, strict=True):
            if one.samples is not None:
                one.samples[:, start : start + count] = buffer
            if one.quantiles is not None:
                one.quantiles[..., start : start + count, *[slice(None)] * (one.mean.ndim - 1)] = np.quantile(
                    buffer, wish.quantiles, 0
                )
        if bar is not None:
            bar.update(-(-(row + start + count) // size), {})
    return batch.template, found


def _make(builder: Builder, rows: int, sources: Mapping[str, Source], wish: Wish) -> Sampling:
    return Sampler(builder.model).sample(rows, sources, wish.masks, wish.keep or wish.quantiles is not None)


def _room(batch: Sampling, k: int, n: int, wish: Wish) -> Found:
    """Zeros for what is found for all rows."""
    shape, dtype, binary = (n, *batch.output_rows[k]), batch.linked.program.dtype, batch.binary[k]
    return Found(
        np.zeros(shape),
        np.zeros(shape),
        None if binary is None else np.zeros(shape if binary else shape[:-1]),
        np.empty((wish.samples, *shape), dtype) if wish.keep else None,
        None if wish.quantiles is None else np.empty((*np.shape(wish.quantiles), *shape)),
    )


def _bind(batch: Sampling, k: int, found: Found, samples: int) -> Array:
    """Let the program add to what was found for output k; returns where it keeps the samples of the batch."""
    buffer = np.empty((samples, batch.rows, *batch.output_rows[k]), batch.linked.program.dtype)
    named = {"mean": found.mean, "squares": found.squares, "entropy": found.entropy}
    if samples:
        named["samples"] = buffer
    batch.bind(**{f"{name}{k}": array for name, array in named.items() if array is not None})
    return buffer
