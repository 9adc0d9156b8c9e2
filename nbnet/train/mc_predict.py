"""Monte Carlo prediction: stochastic layers draw, and everything that depends on them is computed once per sample.

A program has two phases: the first computes once for a batch what depends on no random number, the second computes the
rest, one sample after the other. A sample is a step: its masks are those of its number.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nbnet import random
from nbnet.base.seeds import DrawCounter
from nbnet.base.tree import flatten
from nbnet.base.validation import check_choice, check_int
from nbnet.engine.graph.op import DOUBLE, INT
from nbnet.engine.graph.tape import Trace
from nbnet.engine.graph.tensor import Call, Node, Tensor
from nbnet.engine.kernels import layout
from nbnet.engine.kernels.executor import RowRunner
from nbnet.engine.runtime.mc_stats import entropy_call, moments_call, sample_call
from nbnet.layers.arguments import sampling_mode
from nbnet.ops.activation import SIGMOID
from nbnet.ops.softmax import SOFTMAX
from nbnet.train.compiled_runner import FIRST_STEP, STEPS, cached_program, run, sources_of
from nbnet.train.data_source import ArraySource
from nbnet.train.epoch_loop import Bar, Chunk, EpochLoop, Report
from nbnet.train.graph_passes import Plan, run_passes
from nbnet.train.inputs import Rows, output_names
from nbnet.train.step_builder import (
    ArraySpec,
    BatchInputs,
    CompiledStep,
    Sources,
    StepBuilder,
    StepDraft,
    depends_on_batch,
    needed,
)
from nbnet.train.trainable import Logs, Trainable

Array = NDArray[Any]

#: The least number that 1 to 16 divide.
TURNS = 720_720


class MCRequest(NamedTuple):
    """Arguments of ``predict_mc``, checked: number of samples, ``"per_sample"`` or ``"shared"`` masks, quantiles, and
    whether to keep the samples."""

    samples: int
    masks: str
    quantiles: Any
    keep: bool

    @classmethod
    def checked(cls, samples: Any, masks: Any, quantiles: Any, keep: Any) -> MCRequest:
        """Return the request that the arguments of ``predict_mc`` make.

        Raises
        ------
        ValueError, TypeError
            If one of them is out of range.
        """
        count = check_int(samples, "samples")
        check_choice(masks, "masks", ["per_sample", "shared"])
        if quantiles is not None:
            given, quantiles = quantiles, np.asarray(quantiles)
            if quantiles.dtype.kind not in "fiu":
                raise TypeError(f"quantiles: expected numbers in [0, 1], got {given!r}")
            quantiles = quantiles.astype(np.float64)
            if quantiles.ndim > 1 or not ((quantiles >= 0) & (quantiles <= 1)).all():
                raise ValueError(f"quantiles: expected numbers in [0, 1], got {quantiles.tolist()}")
        return cls(count, masks, quantiles, bool(keep))


class MCResult(NamedTuple):
    """Statistics of an output over the samples: mean (n, ...), sum of squared deviations, sum of entropies if it is
    probabilities, samples (samples, n, ...) and quantiles if they are wanted."""

    mean: Array
    squares: Array
    entropy: Array | None
    samples: Array | None
    quantiles: Array | None


def first_step(seed: int | None, draws: DrawCounter) -> int:
    """Return the number of the first sample: a pure function of the seed; None: of the draws so far.

    Layers that take turns by the step (up to 16) begin with the first.
    """
    key = random.derive(draws.next(), 0) if seed is None else random.derive(random.as_integer(seed, "seed"))
    return (FIRST_STEP + key % STEPS) // TURNS * TURNS


def sample(
    model: Trainable, rows: Rows, size: int, request: MCRequest, step: int, bar: Bar | None
) -> tuple[Any, list[MCResult]]:
    """Return names in the structure of the outputs, and the statistics of each.

    Parameters
    ----------
    size
        Rows computed at a time.
    step
        Number of the first sample's step.
    """
    runner = SampleRunner(model, len(rows), request, step)
    EpochLoop(model, "predict", runner, ArraySource(rows, size), None, bar).run()
    return runner.template, runner.results


class SampleRunner:
    """Samples each batch many times.

    Parameters
    ----------
    n
        Number of all rows.
    request, step
        As for :func:`sample`.
    """

    single = True

    def __init__(self, model: Trainable, n: int, request: MCRequest, step: int) -> None:
        self._model, self._n, self._request, self._first_step = model, n, request, step
        self.begin()

    def begin(self) -> None:
        self.results: list[MCResult] = []
        self.template: Any = None

    def run(self, chunk: Chunk, report: Report | None = None) -> None:
        request, model = self._request, self._model
        sources, keep = sources_of(chunk.rows), request.keep or request.quantiles is not None
        key = "sample", chunk.size, request.masks, keep, *sources.items(), model.structure()
        make = partial(_make, rows=chunk.size, sources=sources, masks=request.masks, keep=keep)
        step = cached_program(model, key, make)
        assert isinstance(step, SamplingStep)
        if not self.results:
            self.template = step.template
            self.results = [_zeros(step, k, self._n, request) for k in range(len(step.output_rows))]
        count, row = request.samples if keep else 0, chunk.first + chunk.start
        step.in_use = True
        try:
            step.bind(**chunk.rows.named())
            buffers = [_bind(step, k, result, chunk.first, count) for k, result in enumerate(self.results)]
            step.begin(chunk.start, row, self._first_step)
            run(step, request.samples, None, first=self._first_step)
        finally:
            step.in_use = False
        for result, buffer in zip(self.results, buffers, strict=True):
            _store(result, slice(row, row + chunk.size), buffer, request.quantiles)
        if report is not None:
            report(1)

    def means(self) -> Logs:
        return {}

    batch_logs = logs = means


def _make(builder: StepBuilder, rows: int, sources: Mapping[str, ArraySpec], masks: str, keep: bool) -> StepDraft:
    return SamplingBuilder(builder.model).sample(rows, sources, masks, keep)


def _store(result: MCResult, rows: slice, samples: Array, quantiles: Any) -> None:
    """Store the samples of some rows, and their quantiles, if they are wanted."""
    if result.samples is not None:
        result.samples[:, rows] = samples
    if result.quantiles is not None:
        part = result.quantiles[:, rows] if np.ndim(quantiles) else result.quantiles[rows]
        part[...] = np.quantile(samples, quantiles, 0)


def _zeros(step: SamplingStep, k: int, n: int, request: MCRequest) -> MCResult:
    """Return zeros for the statistics of all rows."""
    shape, dtype, binary = (n, *step.output_rows[k]), step.linked.program.dtype, step.binary[k]
    return MCResult(
        np.zeros(shape),
        np.zeros(shape),
        None if binary is None else np.zeros(shape if binary else shape[:-1]),
        np.empty((request.samples, *shape), dtype) if request.keep else None,
        None if request.quantiles is None else np.empty((*np.shape(request.quantiles), *shape), dtype),
    )


def _bind(step: SamplingStep, k: int, result: MCResult, first: int, samples: int) -> Array:
    """Let the program add to the statistics of output k, from row ``first`` on; return the buffer of its samples."""
    buffer = np.empty((samples, step.rows, *step.output_rows[k]), step.linked.program.dtype)
    named = {"mean": result.mean, "squares": result.squares, "entropy": result.entropy}
    arrays = {f"{name}{k}": array[first:] for name, array in named.items() if array is not None}
    step.bind(**arrays, **({f"samples{k}": buffer} if samples else {}))
    return buffer


@dataclass(eq=False)
class SamplingStep(CompiledStep):
    """A linked program that samples ``rows`` rows at a time.

    Attributes
    ----------
    first
        Cell with the number of the first sample's step.
    binary
        For each output, True if each element is a probability, False if each row is a distribution; None: neither.
    drawing
        Calls that draw for each row of the data, by their ids.
    """

    first: Array = field(default_factory=lambda: np.zeros(1, np.int64))
    binary: tuple[bool | None, ...] = ()
    drawing: AbstractSet[int] = frozenset()

    def __post_init__(self) -> None:
        super().__post_init__()
        linked, program = self.linked, self.linked.program
        self._once, linked.run = (RowRunner(linked.mem, program.dtype, linked.rows, p[None]) for p in program.spans)
        self._drawing = [i for i, call in enumerate(program.calls) if id(call) in self.drawing]
        self._first_rows = linked.rows[self._drawing, layout.FIRST_ROW]

    def begin(self, start: int, row: int, step: int) -> None:
        """Compute what all samples share, for rows ``start ...`` of the arrays; the first is number ``row`` of all."""
        self.cursor[0], self.first[0] = start, step
        # A row's masks are those of its number among all rows, however these are cut into batches.
        self.linked.rows[self._drawing, layout.FIRST_ROW] = self._first_rows + row
        self._once(1, step)


class SamplingBuilder(StepBuilder):
    """Writes programs that sample."""

    def sample(self, rows: int, sources: Sources, masks: str = "per_sample", keep: bool = False) -> StepDraft:
        """Gather and compute once; compute the rest and add it up, again and again."""

        def draft(slices: int) -> StepDraft | None:
            inputs, outputs = BatchInputs(self.dtype, rows, slices, sources, False), list[Tensor]()
            first = Tensor((1,), INT, np.zeros(1, np.int64), name="first")
            once, again, edges, drawing, template = [], [], set[Tensor](), set[int](), None
            for t in range(slices):
                with Trace(self.dtype) as trace, sampling_mode(masks):
                    y = self._outputs(inputs, t, training=False)
                outputs, template = list(flatten(y)), output_names(self.model, y)
                before, after, edge = split(needed(trace.nodes, outputs), outputs)
                if not after:
                    raise ValueError(
                        f"{self.model.name} has no layer that draws random numbers, such as Dropout: all samples would "
                        "be the same; call predict"
                    )
                if masks == "shared":
                    check_shared(after, inputs.count(t))
                before, _ = run_passes(before, Plan(keep=edge))
                after, _ = run_passes(after, Plan(keep=set(outputs)))
                if slices > 1 and depends_on_batch([*before, *after]):
                    return None
                calls = [node.call() for node in after]
                # A mask that all rows share does not depend on their numbers.
                if masks != "shared":
                    drawing |= {id(call) for node, call in zip(after, calls, strict=True) if node.op.random}
                once.append([*inputs.gathers(t), *(node.call() for node in before)])
                again.append(calls + [c for k, y in enumerate(outputs) for c in _accumulate(inputs, first, k, y, keep)])
                edges |= edge
            about = {
                "output_rows": tuple(y.shape[1:] for y in outputs),
                "template": template,
                "first": first.numpy(),
                "binary": tuple(_binary(y) for y in outputs),
                "drawing": drawing,
            }
            step = self._draft(inputs, [once, again], np.zeros((slices, 0, 2)), SamplingStep, **about)
            return step._replace(keep=edges)

        return self._choose_slices(rows, draft)


def split(nodes: Sequence[Node], outputs: Sequence[Tensor]) -> tuple[Sequence[Node], Sequence[Node], set[Tensor]]:
    """The nodes that depend on no random number; those that do; and the tensors of the first that these, or the
    outputs, read."""
    before: list[Node] = []
    after: list[Node] = []
    drawn: set[Tensor] = set()
    for node in nodes:
        if node.op.random or not drawn.isdisjoint(node.inputs):
            after.append(node)
            drawn.update(node.outputs, node.saved)
        else:
            before.append(node)
    read = {x for node in after for x in node.inputs} | set(outputs)
    return before, after, {x for x in read - drawn if x.data is None}


def check_shared(nodes: Sequence[Node], rows: int) -> None:
    """Raise ValueError for a node that draws for each row of the batch."""
    for node in nodes:
        named = dict(zip((*node.op.outputs, *node.op.saves), (*node.outputs, *node.saved), strict=True))
        # An op that draws names its numbers; others are random in that they depend on the step.
        drawn = named.get(node.op.mask or node.op.noise or "") if node.op.random else None
        if drawn is not None and rows > 1 and drawn.shape[:1] != (1,):
            raise ValueError(
                f"masks: {node.name} ({node.op.name}) draws for each row, which 'shared' does not offer; take "
                "'per_sample'"
            )


def _binary(y: Tensor) -> bool | None:
    """True if each element of an output is a probability, False if each row is a distribution; None: neither."""
    op = y.node.op if y.node is not None else None
    return False if op is SOFTMAX else True if op is SIGMOID.op else None


def _accumulate(inputs: BatchInputs, first: Tensor, k: int, y: Tensor, keep: bool) -> Iterator[Call]:
    """The calls that add a sample of output k to its statistics, and store it if samples are kept."""
    mean, squares = inputs.slot(f"mean{k}", DOUBLE), inputs.slot(f"squares{k}", DOUBLE)
    yield moments_call(y, first, inputs.cursor, mean, squares)
    if (binary := _binary(y)) is not None:
        yield entropy_call(y, inputs.cursor, inputs.slot(f"entropy{k}", DOUBLE), binary)
    if keep:
        yield sample_call(y, first, inputs.slot(f"samples{k}", y.dtype))
