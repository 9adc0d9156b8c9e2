"""From a model to the program of a batch: trace, passes, differentiate, phases.

For each slice of the batch the model is traced; graph passes (:mod:`nbnet.train.graph_passes`) rewrite the nodes; in
training they are differentiated; and the calls of all slices become the phases of one program.

The number of slices follows from a cost model. Nothing is timed when a program is written, so the choice, and with it
the last bits of results, is the same in every process. ``python -m benchmarks.slices`` measured the constants and shows
where the choice is wrong.
"""

from __future__ import annotations

import warnings
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial, reduce
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nbnet import regularizers
from nbnet.base.cpu import processors
from nbnet.base.seeds import DrawCounter
from nbnet.base.tree import flatten, restructure
from nbnet.data import SparseRows
from nbnet.engine.graph.autodiff import differentiate
from nbnet.engine.graph.op import INT
from nbnet.engine.graph.parameter import Parameter, ParamLayout, layout_version
from nbnet.engine.graph.tape import Trace
from nbnet.engine.graph.tensor import Call, Node, Tensor, topological
from nbnet.engine.jit.function import CHECKED
from nbnet.engine.kernels import layout
from nbnet.engine.kernels.executor import address
from nbnet.engine.runtime import batch_io
from nbnet.engine.runtime.program import Linked, Program, lower
from nbnet.layers.arguments import call_context, sampling_mode
from nbnet.losses.loss import loss_mask, spread
from nbnet.ops.broadcast import add, multiply
from nbnet.ops.convert import cast
from nbnet.ops.reshape import reshape
from nbnet.train.graph_passes import FusedUpdates, Plan, gradient_factors, run_passes, slice_bounds
from nbnet.train.inputs import log_layout, output_names, signature_of
from nbnet.train.mask_recording import Ring
from nbnet.train.trainable import LogLayout, Trainable

Array = NDArray[Any]


class ArraySpec(NamedTuple):
    """An array that a program reads.

    Attributes
    ----------
    shape, dtype
        Shape of a row, and dtype in memory.
    whole
        True if its integers stay integers.
    indices
        Of sparse rows, the dtype of the column indices.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    whole: bool = False
    indices: np.dtype[Any] | None = None

    @classmethod
    def of(cls, array: Array | SparseRows, whole: bool = False) -> ArraySpec:
        """The specification of an array (n, ...)."""
        indices = array.indices.dtype if isinstance(array, SparseRows) else None
        return cls(array.shape[1:], array.dtype, whole, indices)


class BatchInputs:
    """The tensors that a program gathers batches into, for each slice.

    Attributes
    ----------
    slots, cursor
        Placeholders for the user's arrays, by name; cell with the number of the batch's first row.
    bounds
        Rows of the batch between which slices lie.
    """

    def __init__(
        self, dtype: np.dtype[Any], rows: int, slices: int, sources: Mapping[str, ArraySpec], shuffled: bool
    ) -> None:
        self.dtype, self.rows, self.bounds, self.sources = dtype, rows, slice_bounds(rows, slices), dict(sources)
        self.cursor = Tensor((1,), INT, np.zeros(1, np.int64), name="cursor")
        self.slots: dict[str, Tensor] = {}
        if shuffled:
            self.slots["order"] = Tensor((1,), INT, np.zeros(1, np.int64), name="order")
        for name, source in sources.items():
            parts: list[tuple[str, Any, int]] = [("", source.dtype, int(np.prod(source.shape)))]
            if source.indices is not None:
                parts = [("", source.dtype, 1), (".indices", source.indices, 1), (".bounds", INT, 1)]
            for part, dt, width in parts:
                self.slots[name + part] = Tensor((1, width), dt, np.zeros((1, width), dt), name=f"user.{name}{part}")
        self._gathered: list[dict[str, Tensor]] = [{} for _ in range(slices)]

    def count(self, t: int) -> int:
        """Number of rows of slice t."""
        return self.bounds[t + 1] - self.bounds[t]

    def tensor(self, name: str, t: int) -> Tensor:
        """The tensor that slice t's rows of an array are gathered into."""
        gathered = self._gathered[t]
        if name not in gathered:
            source = self.sources[name]
            whole = source.whole or (name.startswith("y") and source.dtype == INT)
            # A column of weights, as what a gather fills is a matrix with rows for each sample.
            shape = source.shape or (() if whole else (1,))
            gathered[name] = Tensor((self.count(t), *shape), INT if whole else self.dtype, name=name)
        return gathered[name]

    def target(self, k: int, t: int) -> Tensor:
        """The targets of output k, gathered: one number per sample is no column."""
        y = self.tensor(f"y{k}", t)
        return y if y.ndim == 1 or self.sources[f"y{k}"].shape else reshape(y, y.shape[:1])

    def model_inputs(self, t: int) -> list[Tensor]:
        """The inputs of slice t as the model reads them: one number per sample is no column."""
        found = []
        for name, source in self.sources.items():
            if name.startswith("x"):
                x = self.tensor(name, t)
                found.append(x if source.shape or x.ndim == 1 else reshape(x, x.shape[:1]))
        return found

    def slot(self, name: str, dtype: Any) -> Tensor:
        """The placeholder for an array that is written."""
        if name not in self.slots:
            self.slots[name] = Tensor((1, 1), dtype, np.zeros((1, 1), dtype), name=name)
        return self.slots[name]

    def store(self, k: int, y: Tensor) -> Call:
        """The call that stores output k of a slice."""
        return batch_io.store_call(y, self.cursor, self.slot(f"out{k}", y.dtype))

    def weights(self, k: int, t: int) -> Tensor | None:
        """The weights of output k, gathered; None without any."""
        return self.tensor(f"w{k}", t) if f"w{k}" in self.sources else None

    def gathered(self, t: int) -> list[Tensor]:
        """The tensors that rows of slice t have been asked for in."""
        return list(self._gathered[t].values())

    def gathers(self, t: int) -> list[Call]:
        """The calls that fill them."""
        return [self._gather(name, x) for name, x in self._gathered[t].items()]

    def _gather(self, name: str, x: Tensor) -> Call:
        place = self.slots.get("order"), self.cursor, x, self.dtype
        if self.sources[name].indices is None:
            return batch_io.gather_call(self.slots[name], *place)
        values, indices, bounds = (self.slots[name + part] for part in ("", ".indices", ".bounds"))
        return batch_io.gather_sparse_call(values, indices, bounds, *place)

    def advance(self) -> Call:
        """The call that moves on to the next batch."""
        return batch_io.advance_call(self.cursor, self.rows, self.dtype)

    def advance_phase(self) -> list[list[Call]]:
        """A phase that moves on to the next batch."""
        return [[self.advance()], *([] for _ in self._gathered[1:])]


@dataclass(eq=False)
class CompiledStep:
    """A linked program for batches of ``rows`` rows, and the places where arrays are bound to it.

    Attributes
    ----------
    cursor, sums
        Cell with the number of the next batch's first row; sums of losses and metrics, (slices, cells, 2).
    moves
        The layout version of parameters that its addresses are valid for.
    seconds
        Duration of a step in the last call; 0: unknown.
    output_rows, template
        Of a prediction: the shape of a row of each output, and names in the structure of the outputs.
    reader
        The object that arrays are bound for.
    counter
        Of draws outside training.
    draws
        True if layers draw random numbers.
    in_use
        True while it runs, so that a signal handler or callback that interrupts it takes another program.
    """

    linked: Linked
    rows: int
    slots: dict[str, Tensor]
    cursor: Array
    sums: Array
    moves: int = field(default_factory=layout_version)
    seconds: float = 0.0
    bound: dict[str, weakref.ref[Array]] = field(default_factory=dict)
    output_rows: tuple[tuple[int, ...], ...] = ()
    template: Any = "output"
    reader: object = None
    counter: DrawCounter | None = None
    in_use: bool = False

    def __post_init__(self) -> None:
        self.draws = any(call.key for call in self.linked.program.calls)
        operands = [(i, k, t) for i, c in enumerate(self.linked.program.calls) for k, t in enumerate(c.operands)]
        # Everything outside the arena that the rows point to: parameters may move while this program runs in a thread.
        self.held = [t.data for _, _, t in operands if t is not None and t.data is not None]
        names = {slot: name for name, slot in self.slots.items()}
        self.places: dict[str, list[tuple[int, int]]] = {name: [] for name in self.slots}
        for i, k, t in operands:
            if t in names:
                self.places[names[t]].append((i, k))

    def bind(self, **arrays: Array | SparseRows) -> None:
        """Let the program read or write these arrays (n, ...); the caller keeps them alive as long as it runs."""
        for name, array in arrays.items():
            if isinstance(array, SparseRows):
                self.bind(**array.parts(name))
                continue
            known = self.bound.get(name)
            if known is not None and known() is array:
                continue
            place = address(array) - self.linked.mem, len(array), array.size // max(len(array), 1)
            for row, operand in self.places[name]:
                at = layout.OPERANDS + 3 * operand
                self.linked.rows[row, at : at + 3] = place
                if CHECKED:
                    self.linked.rows[row, layout.EXTENTS + operand] = array.nbytes
            self.bound[name] = weakref.ref(array)

    def rebind(self, **arrays: Array) -> None:
        """Let the program read or write other arrays of the shapes of those before."""
        mem, rows = self.linked.mem, self.linked.rows
        for name, array in arrays.items():
            at = address(array) - mem
            for row, operand in self.places[name]:
                rows[row, layout.OPERANDS + 3 * operand] = at


def _no_sampling() -> AbstractContextManager[None]:
    """Inside, layers draw in training only, also if a prediction with dropout is interrupted to build this program."""
    return nullcontext() if call_context.sampling is None else sampling_mode(None)


class StepDraft(NamedTuple):
    """A program that has no memory yet.

    Attributes
    ----------
    phases, first_rows
        ``phases[p][t]``: the calls of slice t in phase p; the number in the batch of each slice's first row.
    finish
        Makes the compiled step of the linked program.
    keep
        Tensors whose memory nothing may take over.
    updated, released
        Number of elements of parameters that a step updates, and of those that have no whole gradient.
    outside
        Bytes of tensors outside of the arena, which slices share.
    """

    phases: list[list[list[Call]]]
    first_rows: list[int]
    dtype: np.dtype[Any]
    finish: Callable[[Linked], CompiledStep]
    keep: Iterable[Tensor] = ()
    updated: int = 0
    released: int = 0
    outside: int = 0

    def lowered(self) -> Program:
        """The program with a place for every tensor, in an arena that is not allocated yet."""
        return lower(self.phases, self.first_rows, self.dtype, self.keep)

    def compile(self) -> CompiledStep:
        """The program, ready to run."""
        return self.finish(Linked(self.lowered()))


# The cost model of a step: nanoseconds on one thread ...
CALL = 30.0  # a call
MULTIPLY_ADD = 0.0128  # a multiply-add in a matrix product
ELEMENT = 0.16  # four bytes of any other operand
POOLED = 2.3  # an element of a pooling window
UPDATE = 0.42  # the update of a parameter
RELEASED = 0.8  # the update of a parameter without a whole gradient, on all threads together
# ... and nanoseconds that each further thread adds.
START = 80_000.0  # starting it, once for some steps
BARRIER = 1000.0  # a barrier
TRAINING_BARRIER = 3000.0  # the barrier before the update, where each thread reads gradients that others have written
REPEATED_CALL = 70.0  # a call that each thread makes
REPEATED_ELEMENT = 0.05  # four bytes of the weights that each thread reads
ADD = 0.5  # adding up the gradients of a parameter
#: Factor by which memory, and whatever else processors share, slow down each of several threads.
CONTENTION = 1.17
#: Least number of steps that threads are started for: in training; and in evaluation and prediction.
TRAINING_STEPS, STEPS = 32, 4
#: Least share of the time that several slices must save.
MIN_GAIN = 0.1


class StepCost(NamedTuple):
    """The work of a step.

    Attributes
    ----------
    calls
        Calls of the program.
    multiply_adds, elements, pooled
        Of the batch: multiply-adds in products, elements of activations and their gradients, elements in windows.
    constant
        Elements of weights and their gradients.
    updated, released
        Parameters that are updated, and those that have no whole gradient: see :mod:`nbnet.train.graph_passes`.
    """

    calls: int
    multiply_adds: int
    elements: int
    pooled: int
    constant: int
    updated: int
    released: int

    @classmethod
    def of(cls, draft: StepDraft) -> StepCost:
        """The work of a draft of one slice."""
        calls = [call for phase in draft.phases for call in phase[0]]
        operands = [t for call in draft.phases[0][0] for t in call.operands if t is not None]
        return cls(
            calls=len(calls),
            multiply_adds=sum(call.multiply_adds for call in calls) * draft.dtype.itemsize // 4,
            elements=sum(t.nbytes for t in operands if t.data is None) // 4,
            pooled=sum(call.pooled for call in calls),
            constant=sum(t.nbytes for t in operands if t.data is not None) // 4,
            updated=draft.updated,
            released=draft.released,
        )

    def starting(self, slices: int) -> float:
        """A step's share of the nanoseconds that it takes to start threads."""
        return (slices - 1) * START / (TRAINING_STEPS if self.updated else STEPS)

    def nanoseconds(self, slices: int) -> float:
        """Nanoseconds that a step takes."""
        batch = MULTIPLY_ADD * self.multiply_adds + ELEMENT * self.elements + POOLED * self.pooled
        added, calls = self.updated - self.released, CALL * self.calls
        update, fetch = UPDATE * added, RELEASED * self.released
        if slices == 1:
            return calls + batch + update + fetch
        meeting = (slices - 1) * (BARRIER + (TRAINING_BARRIER if self.updated else 0.0))
        more = REPEATED_CALL * self.calls + REPEATED_ELEMENT * self.constant + ADD * added + fetch
        return self.starting(slices) + meeting + calls + more + (CONTENTION * batch + update) / slices

    def best_slices(self, most: int) -> int:
        """The number of slices, up to ``most``, that takes least time, if it saves enough; else 1."""
        best = min(range(1, most + 1), key=self.nanoseconds)
        return best if self.nanoseconds(best) <= (1 - MIN_GAIN) * self.nanoseconds(1) else 1


def slices_for(draft: StepDraft, rows: int, most: int) -> int:
    """The number of slices, at most ``most``, for which a batch of ``rows`` rows takes least time. ``draft`` is that of
    one slice."""
    most = min(rows, most)
    return StepCost.of(draft).best_slices(most) if most > 1 else 1


Sources = Mapping[str, ArraySpec]


class StepBuilder:
    """Writes programs for a model.

    Sources of a program are named: inputs ``x0``, ``x1`` ..., targets ``y0`` ... and weights ``w0`` ... of outputs.
    """

    def __init__(self, model: Trainable) -> None:
        self.model = model
        self.dtype = model.dtype
        self._weights: list[Parameter] | None = None

    @property
    def weights(self) -> list[Parameter]:
        """The trainable weights of the model."""
        if self._weights is None:
            self._weights = self.model.trainable_weights
        return self._weights

    def train(self, rows: int, sources: Sources, layout: ParamLayout | None = None) -> StepDraft:
        """Gather, forward, backward, update; given a layout, gradients lie in that, and there is no update."""
        if not self.weights:
            warnings.warn(f"{self.model.name} has no trainable weights: fit changes nothing", stacklevel=2)
        return self._choose_slices(rows, partial(self._train, rows, sources, layout))

    def _train(self, rows: int, sources: Sources, layout: ParamLayout | None, slices: int) -> StepDraft | None:
        optimizer, log = self.model.optimizer, self._log_layout(sources)
        assert optimizer is not None
        block = layout or optimizer.build_for(self.weights)
        parameters, gradients = block.parameters, block.gradients(slices)
        inputs, ring = BatchInputs(self.dtype, rows, slices, sources, True), self._ring()
        sums, one = np.zeros((slices, log.cells, 2)), Tensor((), self.dtype, np.ones((), self.dtype), name="one")
        plan = Plan(
            packable=parameters if optimizer.reads_packed else (),
            deferrable=parameters if optimizer.releases else (),
        )
        work, packed, factors = [], [], []
        for t in range(slices):
            forward = self._trace(inputs, t, log, training=True)
            if slices > 1 and forward.whole:
                return None
            nodes, plan = run_passes(forward.nodes, replace(plan, keep=set(forward.targets())))
            deferred: dict[Tensor, Tensor | None] = dict.fromkeys(plan.deferred)
            places = block.parts(gradients, t)
            backward, _ = differentiate(nodes, {forward.loss: one}, parameters, places, deferred)
            calls = forward.calls(nodes, inputs, t, sums[t])
            if ring is not None:
                calls = ring.recorded(calls, nodes, t, inputs.count(t))
            work.append([*inputs.gathers(t), *calls, *forward.effects, *backward, *forward.assignments])
            packed.append(plan.packed)
            factors.append(gradient_factors(nodes, deferred))
            # Only the first slice has penalties on weights: the gradients that it has to compute, all do.
            plan = replace(plan, deferrable=plan.deferred, packable=tuple(plan.packed))
        fused = FusedUpdates(factors, work)
        if layout is None:
            work[0][:0] = optimizer.prelude()
            update = optimizer.plan()
            phases, update_rows = update.phases(gradients, slices, packed, fused.factors), update.rows
            phases[-1][0].append(inputs.advance())
        else:
            phases, update_rows = [inputs.advance_phase()], None
        for t in range(slices):
            phases[0][t][:0] = fused.calls(t, slices, update_rows)
        draft = self._draft(inputs, [work, *phases], sums)
        return draft._replace(updated=block.size, released=fused.size, outside=fused.nbytes)

    def evaluate(self, rows: int, sources: Sources) -> StepDraft:
        """Gather, forward without dropout, sums of losses and metrics."""
        log = self._log_layout(sources)

        def draft(slices: int) -> StepDraft | None:
            inputs, sums = BatchInputs(self.dtype, rows, slices, sources, False), np.zeros((slices, log.cells, 2))
            work = []
            for t in range(slices):
                forward = self._trace(inputs, t, log, training=False)
                if slices > 1 and forward.whole:
                    return None
                nodes, _ = run_passes(forward.nodes, Plan(keep=set(forward.targets())))
                work.append([*inputs.gathers(t), *forward.calls(nodes, inputs, t, sums[t]), *forward.assignments])
            return self._draft(inputs, [work, inputs.advance_phase()], sums)

        return self._choose_slices(rows, draft)

    def predict(self, rows: int, sources: Sources, bad: NDArray[np.int64] | None = None) -> StepDraft:
        """Gather, forward without dropout, store. With a cell for the number of values of the first input that are not
        finite, there is one slice."""

        def draft(slices: int) -> StepDraft | None:
            inputs, work = BatchInputs(self.dtype, rows, slices, sources, False), []
            for t in range(slices):
                with Trace(self.dtype) as trace, _no_sampling():
                    y = self._outputs(inputs, t, training=False)
                outputs, template = list(flatten(y)), output_names(self.model, y)
                kept = [*outputs, *trace.assigned.values()]
                nodes, _ = run_passes(needed(trace.nodes, kept), Plan(keep=set(kept)))
                if slices > 1 and (depends_on_batch(nodes) or trace.assignments):
                    return None
                checks = [] if bad is None else [batch_io.count_bad_call(inputs.tensor("x0", t), bad)]
                stores = [inputs.store(k, y) for k, y in enumerate(outputs)]
                work.append(
                    [*inputs.gathers(t), *checks, *(node.call() for node in nodes), *stores, *trace.assignments]
                )
            about = {"output_rows": tuple(y.shape[1:] for y in outputs), "template": template}
            return self._draft(inputs, [work, inputs.advance_phase()], np.zeros((slices, 0, 2)), **about)

        return self._choose_slices(rows, draft, 1 if bad is not None else None)

    def _outputs(self, inputs: BatchInputs, t: int, training: bool) -> Any:
        """The outputs of the model for slice t, in the structure it returns."""
        template, xs = self.model.inputs_known.template, inputs.model_inputs(t)
        return self.model.forward(xs[0] if isinstance(template, str) else restructure(template, xs), training)

    def _ring(self) -> Ring | None:
        recording = self.model._train_state.recording
        return None if recording is None else recording.ring(self.dtype)

    def _log_layout(self, sources: Sources) -> LogLayout:
        shapes = tuple(source.shape for name, source in sources.items() if name.startswith("x"))
        return log_layout(self.model, signature_of(self.model, shapes))

    def _trace(self, inputs: BatchInputs, t: int, log: LogLayout, training: bool) -> _Forward:
        """The forward pass of slice t, with losses and metrics."""
        with Trace(self.dtype) as trace, _no_sampling():
            trace.trains = True
            y = self._outputs(inputs, t, training)
            outputs = [y] if isinstance(y, Tensor) else list(flatten(y))
            outputs = [y if y.dtype == self.dtype else cast(y, self.dtype) for y in outputs]
            losses: list[Tensor] = []
            terms: list[Tensor] = []
            pairs: dict[int, tuple[Tensor, Tensor]] = {}
            for k, spec in enumerate(log.specs):
                if spec.wanted:
                    y_true, y_pred = inputs.target(k, t), outputs[k]
                    fits = y_true.shape == y_pred.shape or y_true.dtype == INT
                    pairs[k] = (y_true, y_pred) if fits else spec.aligned(y_true, y_pred)
            for k in log.trained:
                spec, y_pred = log.specs[k], outputs[k]
                assert spec.loss is not None
                each = spec.loss.losses(*pairs[k])
                count = each.size // inputs.count(t) * inputs.rows
                losses.append(spec.loss.reduce(each, inputs.weights(k, t), count, y_pred.time_mask))
                terms.append(losses[-1] if spec.weight == 1 else multiply(losses[-1], spec.weight))
            total = reduce(add, terms) if terms else Tensor((), self.dtype, np.zeros((), self.dtype))
            total, additive = self._with_penalties(total, trace, inputs, t)
            metrics = [None if metric.epoch_end else metric.values(*pairs[k]) for k, metric, _ in log.watched]
            weights = [
                metric_weights(v, inputs.weights(k, t) if counts else None, metric.mask_of(outputs[k]))
                for v, (k, metric, counts) in zip(metrics, log.watched, strict=True)
            ]
        kept = [(k, outputs[k]) for k in log.kept]
        forward = _Forward(total, losses if log.parts else [], metrics, weights, kept, trace.effects, trace.assignments)
        nodes = needed(trace.nodes, forward.targets())
        # What changes parameters does so once in a step.
        whole = (
            not additive
            or bool(trace.effects or trace.assignments)
            or depends_on_batch(reached(nodes, inputs.gathered(t)))
        )
        whole = whole or any(node.op.role == "draw" for node in nodes)
        return forward._replace(nodes=nodes, whole=whole)

    def _with_penalties(self, loss: Tensor, trace: Trace, inputs: BatchInputs, t: int) -> tuple[Tensor, bool]:
        """The loss of slice t with all that layers and weights add to it, while the trace is open; False if it may not
        be a part of the batch's loss, as something was added that is no sum over rows.

        Terms that do not depend on the batch count once, in the first slice.
        """
        share, gathered, additive = inputs.count(t) / inputs.rows, inputs.gathered(t), True
        for added, sums_over_rows in trace.losses:
            if share == 1 or not reached(topological([added]), gathered):
                loss = add(loss, added) if t == 0 else loss
            else:
                loss, additive = add(loss, multiply(added, share)), additive and sums_over_rows
        regularized = [weight for weight in self.weights if weight.regularizer is not None] if t == 0 else []
        for penalty in regularizers.weight_penalties(regularized) if regularized else ():
            loss = add(loss, penalty)
        return loss, additive

    def _choose_slices(
        self, rows: int, draft: Callable[[int], StepDraft | None], slices: int | None = None
    ) -> StepDraft:
        """Choose the number of slices and return their draft. A number that is given comes first, then that of
        ``compile(slices=n)``, then the cost model's. ``draft(n)`` is None if rows depend on each other, so that the
        batch cannot be cut."""
        count, whole = slices or self.model._train_state.slices, None
        if count is None:
            whole = draft(1)
            assert whole is not None
            count = slices_for(whole, rows, processors())
        if count > 1 and (cut := draft(min(count, rows))) is not None:
            return cut
        whole = whole or draft(1)
        assert whole is not None
        return whole

    def _draft(
        self,
        inputs: BatchInputs,
        phases: list[list[list[Call]]],
        sums: Array,
        kind: type[CompiledStep] = CompiledStep,
        **about: Any,
    ) -> StepDraft:
        def finish(linked: Linked) -> CompiledStep:
            step = kind(linked, inputs.rows, inputs.slots, inputs.cursor.numpy(), sums, **about)
            step.counter = self.model._train_state.draws
            return step

        return StepDraft(phases, inputs.bounds[:-1], inputs.dtype, finish)


def metric_weights(values: Tensor | None, weights: Tensor | None, mask: Tensor | None) -> Tensor | None:
    """The weights of values of a metric and the mask of time steps of the predictions as one; None if all count 1.

    As in Keras, a mask that the values have themselves counts beside one of these only.
    """
    if values is None or (weights is None and mask is None):
        return None
    mask = loss_mask(values, mask)
    weights = None if weights is None else spread(weights, values)
    return weights if mask is None else mask if weights is None else multiply(weights, mask)


def needed(nodes: Iterable[Node], targets: Sequence[Tensor]) -> list[Node]:
    """The nodes that the targets depend on."""
    wanted = {id(node) for node in topological(targets)}
    return [node for node in nodes if id(node) in wanted]


def reached(nodes: Iterable[Node], sources: Iterable[Tensor]) -> list[Node]:
    """Those of the nodes, given in forward order, that depend on the sources."""
    known, found = set(sources), []
    for node in nodes:
        if not known.isdisjoint(node.inputs):
            known.update(node.outputs, node.saved)
            found.append(node)
    return found


def depends_on_batch(nodes: Iterable[Node]) -> bool:
    """True if rows of the batch depend on each other."""
    return any(node.op.whole_batch for node in nodes)


class _Forward(NamedTuple):
    """The forward pass of a slice: its share of the loss; the loss of each output, if there are several; the values of
    each metric, None for one that sees the whole epoch, and their weights, None without any; the outputs that are
    stored for metrics of the whole epoch; calls that change parameters on the side, at once and at the end of the step;
    the nodes that compute all this; and True if the batch cannot be cut."""

    loss: Tensor
    losses: list[Tensor]
    metrics: list[Tensor | None]
    weights: list[Tensor | None]
    outputs: list[tuple[int, Tensor]]
    effects: list[Call]
    assignments: list[Call]
    nodes: Sequence[Node] = ()
    whole: bool = False

    def targets(self) -> list[Tensor]:
        """The tensors that have to be computed."""
        found = [self.loss, *self.losses, *(y for _, y in self.outputs), *self.metrics, *self.weights]
        found += [x for call in (*self.effects, *self.assignments) for x in call.operands]
        return [x for x in found if x is not None]

    def calls(self, nodes: Sequence[Node], inputs: BatchInputs, t: int, sums: Array) -> list[Call]:
        """The forward calls, and those that add losses and metrics to the sums of the epoch."""
        cells = iter([Tensor((2,), np.float64, cell, name="sums") for cell in sums])
        found = [node.call() for node in nodes]
        found += [inputs.store(k, y) for k, y in self.outputs]
        for value in (self.loss, *self.losses):
            found.append(batch_io.add_mean_call(value, next(cells), inputs.rows, inputs.count(t)))
        for values, weights, cell in zip(self.metrics, self.weights, cells, strict=True):
            if values is not None:
                found.append(batch_io.add_each_call(values, cell, weights))
        return found
