"""The watch for losses, metrics and weights that are not finite: ``fit(on_nan=...)``.

Nothing is checked while steps run. At the end of an epoch its logs, and the weights, show that something is not finite;
the steps since the last copy of the state are then run again, on the same rows in the same order and with the same
masks, until the step is found and, in it, the row of the program that wrote the first value that is not finite
(:mod:`nbnet.train.finite_search`).

The state is copied when training begins, and from then on whenever a copy takes a small share of the time since the
last one. So a copy costs next to nothing, and there is little to run again.
"""

from __future__ import annotations

import math
import sys
import time
import warnings
import weakref
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nbnet.base.console import show
from nbnet.engine.graph.parameter import layout_version
from nbnet.engine.graph.tensor import Tensor
from nbnet.layers.variable import flatten_layers
from nbnet.optimizers import update
from nbnet.train.compiled_runner import CompiledRunner
from nbnet.train.data_source import ArraySource
from nbnet.train.epoch_loop import EpochLoop
from nbnet.train.trainable import Logs, Sums, Trainable

Array = NDArray[Any]
OnNan = Literal["warn", "raise", "ignore"]
#: Values of ``on_nan``.
CHOICES: tuple[OnNan, ...] = ("warn", "raise", "ignore")
#: Copies of the state, and checks of the weights, take at most one part in this many of the time.
SHARE = 500
#: Where each batch is a call of its own, every so many of them are looked after.
PERIOD = 64
#: Bytes of state that are always copied when training begins, and steps of a training that are worth a larger copy.
SMALL, WORTHWHILE = 16 << 20, 1000


def finite(value: Any) -> bool:
    """Return True if a number, or each of an array, is finite."""
    return math.isfinite(value) if isinstance(value, float) else bool(np.isfinite(value).all())


class FiniteWatch:
    """Looks after one training: ``loop.watch``.

    Parameters
    ----------
    loop
        The training.
    on_nan : {"warn", "raise", "ignore"}
    epochs
        Number of epochs, at most.
    callbacks
        The callbacks, one of which may print that a loss is not finite.

    Attributes
    ----------
    period
        Where each batch is a call of its own: every how many of them are looked after.
    repeats
        True if steps can be run again: not those of a stream, or in Python, or with a callback that changes settings
        from batch to batch.
    snapshot
        The last copy of the state; None if there is none.
    settings
        What callbacks may change, as ``(epoch, batch, bytes of each)``: from that batch on, it was this.
    losses
        The loss of each epoch since the copy.
    good
        Where callbacks see each batch: number of batches of the epoch whose losses were finite.
    """

    def __init__(self, loop: EpochLoop, on_nan: OnNan, epochs: int, callbacks: Sequence[Any]) -> None:
        # The loop holds its watch; were that to hold the loop, its model would not be freed before a search for cycles.
        self.loop: EpochLoop = weakref.proxy(loop)
        self.on_nan = on_nan
        self.snapshot: Snapshot | None = None
        self.settings: list[tuple[int, int, list[bytes]]] = []
        self.losses: dict[int, float] = {}
        #: Epoch, batch and step of the first loss of a stream, or of steps in Python, that was not finite.
        self.first_batch: tuple[int, int, int] | None = None
        self._compiled, sampler = isinstance(loop.runner, CompiledRunner), sampler_of(loop)
        self.repeats = self._compiled and sampler is not None
        self.period = PERIOD if self.repeats else 1
        self._copies = self._compiled and (sampler is not None or on_nan == "raise")
        self._within_epochs = self._copies and (sampler is None or sampler.resumes)
        length = loop.source.length
        # Long trainings pay for a large copy, and so does the promise to go back to it.
        self._pays = on_nan == "raise" or length is None or epochs * length >= WORTHWHILE
        self._told, self._metric_told, self.epoch = on_nan == "ignore", on_nan == "ignore", 0
        self._sure = False  # True if weights were found finite after the last epoch
        self._taken = self._checked = -math.inf
        self.batch = self.good = 0
        self._exempt: set[int] | None = None  # weights that do not train, and were not finite when training began
        self._copy_cost = self._check_cost = 0.0
        self._prints = any(getattr(callback, "reports_nan", False) for callback in callbacks)

    # ---- called by the loop ----

    def begin_epoch(self, epoch: int) -> None:
        """Copy the state if it is time to."""
        self.epoch, self._sure, self.batch, self.good = epoch, False, 0, 0
        if self._exempt is None and self.loop.model.built:
            self._note_exempt()
        if self._told or not self._copies:
            return
        position = self.loop.position
        assert position is not None
        self.batch = batch = position.batch
        state = self._state()
        if state is None:
            return
        if time.perf_counter() - self._taken >= SHARE * self._copy_cost:
            self._copy(state, epoch, batch, position.totals if batch else None)
        self._note_settings(state, epoch, batch)

    def more_batches(self, batches: int) -> None:
        """Look after some more batches."""
        self.batch += batches
        self.batches_done(self.batch)

    def batches_done(self, batch: int) -> None:
        """Look after some batches: copy the state if it is time to, or note the first bad batch of a stream."""
        if self._exempt is None:
            self._note_exempt()
        if self._told:
            return
        if self.period == 1:
            if self.first_batch is None and not math.isfinite(self._running_loss()):
                self.first_batch = self.epoch, batch - 1, self.loop.model.optimizer.steps - 1
            if batch % PERIOD:
                return
        if not self._within_epochs:
            return
        due = time.perf_counter() - self._taken >= SHARE * self._copy_cost
        if not (self.loop.single or due):
            return
        state = ChangingState.of(self.loop.model)
        if self.loop.single and self._note_settings(state, self.epoch, batch):
            self.repeats = False
        if due and math.isfinite(self._running_loss()):
            runner = self.loop.runner
            assert isinstance(runner, CompiledRunner)
            self._copy(state, self.epoch, batch, runner.sums())

    def end_epoch(self, epoch: int, logs: Logs) -> None:
        """Check the logs of an epoch, and, if it is time to, the weights."""
        if self._told:
            if self.on_nan == "ignore" and not finite(logs.get("loss", 0.0)):
                from nbnet.train.finite_search import check_indices

                check_indices(self.loop.model, self.loop.source)
            return
        self.epoch = epoch
        # Most values are floats, in each of many short epochs.
        bad = [name for name, v in logs.items() if not (math.isfinite(v) if type(v) is float else finite(v))]
        if not bad:
            self.losses[epoch] = logs.get("loss", 0.0)
            if self.loop.known or time.perf_counter() - self._checked < SHARE * self._check_cost:
                return
            self._sure = self._weights_finite()
            if self._sure:
                return
        self._report(epoch, bad, logs)

    def end(self, epoch: int) -> None:
        """Check the weights once more when training ends."""
        if not (self._told or self.loop.known or self._sure or self._weights_finite()):
            self._report(epoch, [], {})

    def end_validation(self, epoch: int, logs: Logs) -> None:
        """Check losses and metrics of a validation, whose training was finite."""
        if self._told or self._metric_told:
            return
        bad = [name for name, value in logs.items() if not finite(value)]
        if bad:
            self._metric_told = True
            values = ", ".join(f"val_{name} is {logs[name]}" for name in bad)
            self._warn(f"validation of epoch {epoch}: {values}, while the training is finite")

    # ---- the state ----

    def _state(self) -> ChangingState | None:
        """Return what changes; the optimizer is built first. None for a model that has no weights yet."""
        model = self.loop.model
        if model.optimizer.block is None:
            if not model.built or not (weights := model.trainable_weights):
                return None
            model.optimizer.build_for(weights)
        return ChangingState.of(model)

    def _copy(self, state: ChangingState, epoch: int, batch: int, totals: Sums | None) -> None:
        began = time.perf_counter()
        if not self._weights_finite():
            return
        if self.snapshot is not None and self.snapshot.state is state:
            self.snapshot.take(epoch, batch, totals)
        elif self._pays or sum([array.nbytes for array in state.arrays]) <= SMALL:
            self.snapshot = Snapshot(self.loop, state, epoch, batch, totals)
        self.losses.clear()
        self.settings = self.settings[-1:]
        self._taken = time.perf_counter()
        self._copy_cost = self._taken - began

    def _weights_finite(self) -> bool:
        began = time.perf_counter()
        found = all([np.isfinite(values).all() for values in self.weights()])
        self._checked = time.perf_counter()
        self._check_cost = self._checked - began
        return bool(found)

    def weights(self) -> list[Array]:
        """Return the weights that have to be finite: those that train, and others that were when training began."""
        model = self.loop.model
        if self._exempt is None:
            self._note_exempt()
        exempt = self._exempt or ()
        block = model.optimizer.block
        weights = model.weights if block is None else [block.flat, *ChangingState.of(model).others]
        return [weight.data for weight in weights if weight.data is not None and id(weight) not in exempt]

    def _note_exempt(self) -> None:
        model = self.loop.model
        if model.optimizer.block is None:
            trained = set(map(id, model.trainable_weights))
            others = [weight for weight in model.weights if id(weight) not in trained]
        else:
            others = ChangingState.of(model).others
        self._exempt = {id(weight) for weight in others if not (weight.data is None or np.isfinite(weight.data).all())}

    def _running_loss(self) -> float:
        """Return a number that is finite if the losses of the epoch are, so far."""
        runner = self.loop.runner
        if isinstance(runner, CompiledRunner):
            return runner.loss_sum()
        return 0.0 if finite(runner.means().get("loss", 0.0)) else math.nan

    def _note_settings(self, state: ChangingState, epoch: int, batch: int) -> bool:
        """Note what callbacks may have changed; return True if they have."""
        now = [cell.tobytes() for cell in state.settings]
        if self.settings and self.settings[-1][2] == now:
            return False
        self.settings.append((epoch, batch, now))
        return True

    # ---- the report ----

    def _report(self, epoch: int, bad: list[str], logs: Logs) -> None:
        serious = "loss" in bad or (not self.loop.known and not self._weights_finite())
        if not serious and self._metric_told:
            return
        from nbnet.train.finite_search import check_indices, describe

        check_indices(self.loop.model, self.loop.source)
        if serious:
            self._told = True
        else:
            self._metric_told = True
        values = " and ".join(f"{name} is {logs[name]}" for name in bad if not serious or name == "loss")
        if serious and "loss" not in bad:
            values = "weights are not finite"
        raises = serious and self.on_nan == "raise"
        text = f"epoch {epoch}: {values}. {describe(self, serious, stay=raises)}"
        if raises:
            raise FloatingPointError(text)
        if serious and self._prints:
            show(text)
        else:
            self._warn(text)

    @staticmethod
    def _warn(text: str) -> None:
        """Warn at the line of the caller's code that trains."""
        level, frame = 1, sys._getframe()
        while frame is not None and frame.f_globals.get("__name__", "").partition(".")[0] == "nbnet":
            level, frame = level + 1, frame.f_back  # type: ignore[assignment]
        warnings.warn(text, RuntimeWarning, stacklevel=level)


class ChangingState(NamedTuple):
    """The arrays that change in training.

    Attributes
    ----------
    place
        Numbers that change when weights, or the state of the optimizer, move.
    arrays
        What a step changes: weights, state and numbers of the optimizer.
    settings
        What callbacks may change: numbers of the optimizer, and rates of layers.
    others
        The weights that do not train; those of batch normalization, say, and those that a layer assigns to.
    """

    place: tuple[int, ...]
    arrays: list[Array]
    settings: list[Array]
    others: list[Any]

    @classmethod
    def of(cls, model: Trainable) -> ChangingState:
        """Return the state of a model whose optimizer is built; the same object as long as it lies where it lay."""
        optimizer, place, known = model.optimizer, place_of_state(model), model._train_state.changing
        if isinstance(known, ChangingState) and known.place == place:
            return known
        assert optimizer.block is not None
        trained = set(map(id, optimizer.block.parameters))
        layers: Any = flatten_layers(model)
        others: dict[int, Any] = {id(w): w for w in model.weights if id(w) not in trained}
        slots = [slot.data for slot in optimizer.slot_tensors.values()]
        arrays = [optimizer.block.flat.data, *slots, optimizer.cells, *(w.data for w in others.values())]
        # A schedule sets the learning rate, in each step.
        first, last = update.LEARNING_RATE, update.OWN + len(optimizer.hyper)
        settings = [optimizer.cells[first if optimizer.schedule is None else first + 1 : last]]
        parts = [value for layer in layers for value in vars(layer).values()]
        settings += [part.data for part in parts if type(part) is Tensor and part.data is not None]
        found = model._train_state.changing = cls(place, arrays, settings, [*others.values()])
        return found


class Snapshot:
    """A copy of all that a training step changes, and of the place in the training, to go back to.

    Parameters
    ----------
    loop
        A training.
    state
        What changes in it.
    epoch, batch, totals
        Number of the epoch, and of its batches that are done; sums of losses and metrics over these.
    """

    def __init__(self, loop: EpochLoop, state: ChangingState, epoch: int, batch: int, totals: Sums | None) -> None:
        self._loop, self.state = loop, state
        self._copies = [np.empty_like(array) for array in state.arrays]
        self.take(epoch, batch, totals)

    def take(self, epoch: int, batch: int, totals: Sums | None) -> None:
        """Copy the state."""
        for copy, array in zip(self._copies, self.state.arrays, strict=True):
            np.copyto(copy, array)
        self.epoch, self.batch, self._totals = epoch, batch, totals
        self.iterations = self._loop.model.optimizer.steps
        sampler = sampler_of(self._loop)
        remembers = sampler is not None and sampler.remember is not None
        self._restore_order: Callable[[], None] | None = sampler.remember() if remembers else None

    @property
    def settings(self) -> list[Array]:
        """The arrays that callbacks may change."""
        return self.state.settings

    def again(self, epoch: int, batch: int, totals: Sums | None) -> Snapshot:
        """Return another copy, of the state as it is now."""
        return Snapshot(self._loop, self.state, epoch, batch, totals)

    def fits(self) -> bool:
        """Return True if the state still lies where it was copied from."""
        return self.state.place == place_of_state(self._loop.model)

    def restore(self) -> None:
        """Write the copy back: weights, the state of the optimizer, the place in the training."""
        for copy, array in zip(self._copies, self.state.arrays, strict=True):
            np.copyto(array, copy)
        self._loop.model.optimizer.steps = self.iterations
        position = self._loop.position
        assert position is not None
        position.epoch, position.batch, position.totals = self.epoch, self.batch, self._totals
        if self._restore_order is not None:
            self._restore_order()


def sampler_of(loop: EpochLoop) -> Any:
    """Return the sampler of a training on arrays; None for a stream."""
    return loop.source.sampler if isinstance(loop.source, ArraySource) else None


def place_of_state(model: Trainable) -> tuple[int, ...]:
    """Return numbers that change when weights, or the state of the optimizer, move."""
    optimizer = model.optimizer
    return layout_version(), id(optimizer), id(optimizer.block)
