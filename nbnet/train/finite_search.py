"""The search for the first value of a training that is not finite: the step, and the row of its program.

Imported only when there is something to look for; see :mod:`nbnet.train.finite_watch`. A step is found by running steps
again from a copy of the state. In that step, rows are run one by one, slice after slice, and the operands of each are
looked at before and after. A value that is not finite comes from the first row that wrote one and had read none.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from nbnet.engine.graph.op import INT
from nbnet.engine.graph.parameter import FlatParams, Parameter
from nbnet.engine.graph.tensor import Call, Tensor
from nbnet.engine.kernels.executor import RowRunner, address
from nbnet.layers.variable import flatten_layers
from nbnet.train.compiled_runner import CompiledRunner, run
from nbnet.train.data_source import ArraySource
from nbnet.train.epoch_loop import Chunk, EpochLoop, Source
from nbnet.train.inputs import log_layout, signature_of
from nbnet.train.python_runner import PythonRunner
from nbnet.train.step_builder import CompiledStep
from nbnet.train.trainable import EpochTotals, Sums, Trainable

Array = NDArray[Any]
#: Steps that are run again at a time, before the bad one among them is looked for.
PIECE = 64
_ONE_ROW = np.array([[[0, 1]]], np.int64)
_UNKNOWN = "The step and the layer where it began are not known: {}."


class StateCopy(Protocol):
    """A copy of the state of a training: :class:`nbnet.train.finite_watch.Snapshot`."""

    epoch: int
    batch: int
    iterations: int

    @property
    def settings(self) -> list[Array]: ...  # what callbacks may change, as it is now
    def again(self, epoch: int, batch: int, totals: Sums | None) -> StateCopy: ...  # another one, of the present state
    def fits(self) -> bool: ...  # True if the state still lies where it was copied from
    def restore(self) -> None: ...


class Watched(Protocol):
    """A training that is watched: the attributes of :class:`nbnet.train.finite_watch.FiniteWatch`."""

    loop: EpochLoop
    epoch: int
    period: int
    repeats: bool

    @property
    def snapshot(self) -> StateCopy | None: ...

    settings: list[tuple[int, int, list[bytes]]]
    losses: dict[int, float]
    good: int
    first_batch: tuple[int, int, int] | None

    def weights(self) -> list[Array]: ...  # those that have to be finite


def describe(watch: Watched, serious: bool, stay: bool) -> str:
    """Return a sentence that names the step and the layer of the first value that is not finite.

    Parameters
    ----------
    serious
        True if the loss or a weight is not finite; False if it is only a metric.
    stay
        If True, the training is left as it was before that step; if that is not found, as it was when the state was
        last copied. Otherwise nothing changes.
    """
    snapshot, loop = watch.snapshot, watch.loop
    facts, why = _facts(watch), _reason(watch)
    if snapshot is None or not snapshot.fits():
        return facts + _UNKNOWN.format(why)
    position, recording = loop.position, loop.model._train_state.recording
    assert position is not None
    present, found = snapshot.again(position.epoch, position.batch, position.totals), None
    cells, rings = snapshot.settings, [] if recording is None else recording.arrays()
    settings = [cell.copy() for cell in cells]
    kept = [ring.copy() for ring in rings]
    try:
        if watch.repeats:
            search = _Search(watch, serious)
            found = search.run()
            why = search.changed or why
    finally:
        if not stay:
            present.restore()
            for cell, value in zip(cells, settings, strict=True):
                cell[...] = value
        elif found is None:
            snapshot.restore()
        for ring, copy in zip(rings, kept, strict=True):
            ring[...] = copy
    return facts + _UNKNOWN.format(why) if found is None else found


def _facts(watch: Watched) -> str:
    """Return what is known without running steps again."""
    loop, text = watch.loop, ""
    if watch.first_batch is not None:
        epoch, batch, step = watch.first_batch
        at = f"step {step} (batch {batch} of epoch {epoch}; all count from 0)"
        text = f"The first loss that is not finite was that of {at}. "
    weights = loop.model.weights
    bad = [weight.name for weight in weights if not np.isfinite(weight.memory()).all()]
    some = ", ".join(repr(name) for name in bad[:4]) + (", ..." if len(bad) > 4 else "")
    return text + (f"Weights that are not finite now: {some} ({len(bad)} of {len(weights)}). " if bad else "")


def _reason(watch: Watched) -> str:
    """Return why steps are not run again."""
    loop = watch.loop
    if isinstance(loop.runner, PythonRunner):
        return "steps in Python are not run again"
    if watch.period > 1 and not watch.repeats:
        return "a callback changes the learning rate, or another number, from batch to batch"
    if not isinstance(loop.source, ArraySource):
        return "batches of a stream cannot be read again"
    return "these steps cannot be run again"


class _Search:
    """Runs the steps since a copy of the state again, up to the first bad one.

    Attributes
    ----------
    changed
        Words for data that are not what they were when the training read them; empty if that was not found.
    """

    def __init__(self, watch: Watched, serious: bool) -> None:
        loop, snapshot = watch.loop, watch.snapshot
        assert snapshot is not None
        assert isinstance(loop.runner, CompiledRunner)
        self._watch, self._loop, self._runner, self._start = watch, loop, loop.runner, snapshot
        self._serious, self._model = serious, loop.model
        self.changed = ""

    def run(self) -> str | None:
        """Return the description of the step; None if nothing bad appears when the steps are run again."""
        start, position, last = self._start, self._loop.position, self._watch.epoch
        assert position is not None
        start.restore()
        for epoch in range(start.epoch, last + 1):
            position.batch = batch = start.batch if epoch == start.epoch else 0
            totals: EpochTotals | None = None
            for chunk in self._loop.source.chunks(epoch, False):
                reader = self._runner.prepare(chunk)
                step = reader.step(chunk.size)
                totals = totals or EpochTotals(reader.layout, position.totals if batch else None)
                found = self._chunk(step, chunk, epoch, batch, totals)
                if found is not None or self.changed:
                    return found
                totals.add(step.sums)
                batch += chunk.steps
            known = self._watch.losses.get(epoch)
            whole = epoch > start.epoch or start.batch == 0
            if known is not None and totals is not None and whole and totals.means()["loss"] != known:
                return None  # A callback has changed more than settings: what is found further on would be wrong.
        return None

    def _chunk(self, step: CompiledStep, chunk: Chunk, epoch: int, batch: int, totals: EpochTotals) -> str | None:
        """Run the batches of a chunk; ``totals`` has the sums of the epoch before them."""
        step.sums.fill(0)
        step.cursor[0] = chunk.start
        done, optimizer = 0, self._model.optimizer
        while done < chunk.steps:
            n = min(PIECE, chunk.steps - done, self._apply_settings(epoch, batch + done))
            before = _Place(self._start, step, epoch, batch + done, totals)
            run(step, n, optimizer)
            if self._bad(step):
                place = self._last_good(before, step, n)
                where, read = self._explain(step, chunk)
                bad = place.state.batch
                if _first_bad(step.sums[:, :1, 0]) is not None and self._was_finite(epoch, bad):
                    # The log of this very batch had a finite loss.
                    if read:
                        self.changed = f"a value that is not finite is now {where}, which was changed in the training"
                    else:
                        self.changed = "these steps were finite, and are not when they are run again"
                    return None
                place.restore()
                at = f"step {place.state.iterations} (batch {place.state.batch} of epoch {epoch}; all count from 0)"
                return f"The first value that is not finite appeared in {at}, {where}."
            done += n
        return None

    def _last_good(self, place: _Place, step: CompiledStep, n: int) -> _Place:
        """Return to the last step before the first bad one, which is one of the n steps after a place."""
        while n > 1:
            place.restore()
            run(step, n // 2, self._model.optimizer)
            if self._bad(step):
                n //= 2
            else:
                state = place.state
                place = _Place(state, step, state.epoch, state.batch + n // 2, place.totals)
                n -= n // 2
        place.restore()
        return place

    def _apply_settings(self, epoch: int, batch: int) -> int:
        """Set what callbacks had set at a batch; return the number of batches for which it holds."""
        cells, ahead = self._start.settings, PIECE
        for e, b, values in self._watch.settings:
            if (e, b) <= (epoch, batch):
                for cell, value in zip(cells, values, strict=True):
                    cell[...] = np.frombuffer(value, cell.dtype).reshape(cell.shape)
            elif e == epoch:
                ahead = min(ahead, b - batch)
        return ahead

    def _bad(self, step: CompiledStep) -> bool:
        return self._target(step) is not None

    def _target(self, step: CompiledStep) -> int | None:
        """Return the address of the loss, or the weight, that is not finite; of any sum if only a metric is not."""
        sums = step.sums[:, :1, 0] if self._serious else step.sums[:, :, 0]
        found = _first_bad(sums)
        if found is None and self._serious:
            found = next((at for weight in self._watch.weights() if (at := _first_bad(weight)) is not None), None)
        return found

    def _was_finite(self, epoch: int, batch: int) -> bool:
        """Return True if the logs say that the loss of a batch was finite."""
        watch = self._watch
        return epoch in watch.losses or (epoch == watch.epoch and batch < watch.good)

    # ---- rows of the step ----

    def _explain(self, step: CompiledStep, chunk: Chunk) -> tuple[str, bool]:
        """Run the rows of a step one by one; return a phrase for the one where it began, and True if that only reads
        the data."""
        optimizer, cursor = self._model.optimizer, int(step.cursor[0])
        optimizer.look_ahead(optimizer.steps, 1)
        layers: Any = flatten_layers(self._model)
        trace = _RowTrace(step, {layer.name for layer in layers}, optimizer.block, self._serious)
        trace.run(optimizer.steps)
        target = self._target(step)
        origin = None if target is None else trace.origin(target)
        if origin is None:
            return "where no row of the program shows it alone", False
        if origin.call.name == "gather":
            name, row = trace.input_row(origin)
            place = cursor + row
            order = chunk.order
            if order is None and chunk.first:
                return f"in the input {name}, in row {place} of its block", True
            number = int(order[place]) if order is not None else place
            return f"in row {number} of {name}", True
        return trace.phrase(origin), False


class _Place:
    """A copy of the state of a training between two steps of a program."""

    def __init__(self, state: StateCopy, step: CompiledStep, epoch: int, batch: int, totals: EpochTotals) -> None:
        self.state: StateCopy = state.again(epoch, batch, totals.with_sums(step.sums))
        self.totals, self._step = totals, step
        self._sums, self._cursor = step.sums.copy(), int(step.cursor[0])

    def restore(self) -> None:
        """Write the copy back."""
        self.state.restore()
        self._step.sums[...] = self._sums
        self._step.cursor[0] = self._cursor


def _first_bad(array: Array) -> int | None:
    """Return the address of the first element that is not finite."""
    if array.dtype.kind != "f" or np.isfinite(array).all():
        return None
    index = np.unravel_index(int(np.argmin(np.isfinite(array))), array.shape)
    return address(array) + int(np.dot(index, array.strides))


class _Origin(NamedTuple):
    """A row of a program, and its operand that is not finite, with the address of the first such element."""

    call: Call
    tensor: Tensor
    at: int
    largest: float  # magnitude of what the row has read
    source: str  # the layer that computed this, or the weight that it is
    updated: bool  # True if rows of the update came before


@dataclass
class _RowTrace:
    """Runs the rows of one step one by one, and remembers where values come from.

    Parameters
    ----------
    step
        The program, ready to run the step.
    layers
        Names of layers; other calls belong to the loss, to metrics, or to the update.
    block
        The trained weights.
    serious
        True if the loss or a weight is not finite; False if it is only a metric.
    """

    step: CompiledStep
    layers: set[str]
    block: FlatParams | None
    serious: bool
    _origins: list[tuple[int, int, _Origin]] = field(default_factory=list)
    #: By address, the name of the layer whose row wrote there last.
    _layer_at: dict[int, str] = field(default_factory=dict)

    def run(self, number: int) -> None:
        """Run the rows of step ``number``."""
        linked, updated = self.step.linked, False
        for first, last in linked.run.spans.reshape(-1, 2):
            for i in range(first, last):
                call = linked.program.calls[i]
                read = list(self._operands(call, written=False))
                bad = next((at for _, array in read if (at := _first_bad(array)) is not None), None)
                before = None if bad is None else self.origin(bad)
                largest, source = self._largest(call, read)
                RowRunner(linked.mem, linked.program.dtype, linked.rows[i : i + 1], _ONE_ROW)(1, number)
                for tensor, array in self._operands(call, written=True):
                    start = address(array)
                    self._layer_at[start] = self._layer_of(call.name) or source
                    if (at := _first_bad(array)) is not None:
                        origin = before or _Origin(call, tensor, at, largest, source, updated)
                        self._origins.append((start, start + array.nbytes, origin))
                updated = updated or call.name == "optimizer"

    def _layer_of(self, name: str) -> str:
        """Return the path of the layer that a call belongs to; empty if it is none's. Calls after a layer's first have
        a number after a colon."""
        path, _, number = name.partition(":")
        return path if path.rpartition("/")[2] in self.layers and (not number or number.isdigit()) else ""

    def _operands(self, call: Call, written: bool) -> Iterator[tuple[Tensor, Array]]:
        """Yield the floats that a call writes, or those that it reads, and their memory."""
        slots = self.step.slots.values()
        for k, tensor in enumerate(call.operands):
            if tensor is None or tensor.dtype.kind != "f" or any(tensor is slot for slot in slots):
                continue
            writes = k in call.written
            if writes if written else not writes or call.accumulate >> k & 1:
                yield tensor, self.step.linked.view(tensor)

    def _largest(self, call: Call, read: Sequence[tuple[Tensor, Array]]) -> tuple[float, str]:
        """Return the largest magnitude that a call reads, and the layer or weight that it comes from."""
        found, source = 0.0, ""
        for tensor, array in read:
            size = float(np.max(np.abs(array), initial=0.0, where=np.isfinite(array)))
            if size >= found and all(tensor is not t for t in call.writes()):
                known = tensor.name if isinstance(tensor, Parameter) else self._layer_at.get(address(array), "")
                found, source = size, known or source
        return found, source

    def origin(self, at: int) -> _Origin | None:
        """Return where the value at an address comes from."""
        return next((origin for low, high, origin in reversed(self._origins) if low <= at < high), None)

    def input_row(self, origin: _Origin) -> tuple[str, int]:
        """Return the name of the argument that a gather has read, and the row of the batch."""
        linked = self.step.linked
        array = linked.view(origin.tensor)
        row = (origin.at - address(array)) // max(array.nbytes // array.shape[0], 1)
        index = next(i for i, call in enumerate(linked.program.calls) if call is origin.call)
        name = origin.tensor.name
        return {"x": "x", "y": "y", "w": "sample_weight"}.get(name[:1], name), row + linked.program.first_rows[index]

    def phrase(self, origin: _Origin) -> str:
        """Return where a value appeared, in words."""
        call, kernel = origin.call, origin.call.kernel.name
        layer, backward = self._layer_of(call.name), "_backward" in kernel
        read = f"{kernel}, which read values of up to {origin.largest:.3g}"
        weights = [x.name for x in call.operands if isinstance(x, Parameter) and x.name]
        if origin.tensor.name.startswith("gradients/"):
            return f"in the gradient of {_owned(origin.tensor.name.partition('/')[2])} ({read})"
        if call.name == "optimizer":
            return f"in the update of {_owned(self._weight_at(origin))} ({read})"
        if call.name in weights:
            return f"in the {'constraint' if origin.updated else 'penalty'} on {_owned(call.name)} ({read})"
        if layer:
            owners = [self._layer_of(name.rpartition("/")[0]) for name in weights] + [layer]
            names = " + ".join(repr(name) for name in dict.fromkeys(owners) if name)
            return f"in {'the gradient that passes' if backward else 'the output of'} layer {names} ({read})"
        source = f" from layer {origin.source!r}" if self._layer_of(origin.source) else ""
        part = "the gradient of the loss" if backward else "the loss" if self.serious else "a metric"
        return f"in {part} ({read}{source})"

    def _weight_at(self, origin: _Origin) -> str:
        """Return the name of the weight whose update, state or norm is not finite."""
        array, block = self.step.linked.view(origin.tensor), self.block
        if isinstance(origin.tensor, Parameter):
            return origin.tensor.name
        if block is None:
            return ""
        if array.size == block.size or array.shape[-1] == block.size:
            place = (origin.at - address(array)) // array.itemsize % block.size
            index = int(np.searchsorted(block.starts, place, side="right")) - 1
            return block.parameters[index].name
        return origin.tensor.name.partition("/")[2]


def _owned(weight: str) -> str:
    """Return a weight and its layer, in words."""
    return f"{weight!r} of layer {weight.rpartition('/')[0]!r}"


# ---- labels and row numbers that arrays have got since they were checked ----


def check_indices(model: Trainable, source: Source) -> None:
    """Raise ValueError if labels, or rows of tables, are out of range: the arrays were changed during the training."""
    if not isinstance(source, ArraySource):
        return
    rows = source.rows
    signature = rows.signature or signature_of(model, rows.row_shapes())
    for k, (ids, table) in enumerate(zip(rows.x, signature.tables, strict=True)):
        if table is not None:
            _check_range(ids, table, None, "x" if len(rows.x) == 1 else f"x[{k}]")
    specs = log_layout(model, signature).specs
    for k, (spec, y) in enumerate(zip(specs, rows.y, strict=True)):
        if y is not None and y.dtype == INT and y.ndim == 1:
            ignored = getattr(spec.loss, "ignore_class", None)
            _check_range(y, signature.shapes[k][-1], ignored, "y" if len(rows.y) == 1 else f"y[{k}]")


def _check_range(array: Any, count: int, ignored: int | None, name: str) -> None:
    values = np.asarray(array).reshape(len(array), -1)
    wrong = (values < 0) | (values >= count)
    if ignored is not None:
        wrong &= values != ignored
    if wrong.any():
        row = int(wrong.any(1).argmax())
        value = values[row][wrong[row]][0]
        raise ValueError(
            f"{name}: row {row}: expected a number from 0 to {count - 1}, got {value}; the array was changed while "
            "the model was trained"
        )
