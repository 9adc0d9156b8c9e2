"""Programs for Monte Carlo prediction: stochastic layers draw, and everything that depends on them is computed once per
sample.

Such a program has two phases: the first computes once for a batch what depends on no random number, the second computes
the rest, one sample after the other. A sample is a step: its masks are those of its number.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbnet.base.tree import flatten
from nbnet.engine.graph.op import DOUBLE, INT
from nbnet.engine.graph.tape import Trace
from nbnet.engine.graph.tensor import Call, Node, Tensor
from nbnet.engine.kernels import layout
from nbnet.engine.kernels.executor import RowRunner
from nbnet.engine.runtime.mc_stats import entropy_call, moments_call, sample_call
from nbnet.layers.arguments import sampling_mode
from nbnet.ops.activation import SIGMOID
from nbnet.ops.softmax import SOFTMAX
from nbnet.train.graph_passes import Plan, run_passes
from nbnet.train.inputs import output_names
from nbnet.train.step_builder import (
    BatchInputs,
    CompiledStep,
    Sources,
    StepBuilder,
    StepDraft,
    depends_on_batch,
    needed,
)

Array = NDArray[Any]


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
