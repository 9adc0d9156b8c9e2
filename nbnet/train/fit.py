"""Training and evaluation from checked arguments to logs: the work of ``fit``, ``evaluate`` and ``train_on_batch``."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any

from nbnet import data
from nbnet.base.validation import check_bool, check_choice, check_int
from nbnet.engine.gemm.blas import SingleThread
from nbnet.train.compiled_runner import CompiledRunner, forget_programs
from nbnet.train.data_source import ArraySource, EpochSampler, StreamSource, training_source, validation_source
from nbnet.train.epoch_fusion import FEWEST, MultiEpochRunner
from nbnet.train.epoch_loop import Bar, Callbacks, EpochLog, EpochLoop, train_epochs
from nbnet.train.finite_watch import CHOICES, FiniteWatch, OnNan
from nbnet.train.inputs import check_loss, labelled_rows, log_layout, signature_of
from nbnet.train.mask_recording import Recording
from nbnet.train.python_runner import PythonRunner, given_rows, unpack_x_y_sample_weight
from nbnet.train.trainable import Logs, Trainable, TrainingPosition, check_compiled, overrides, runs_in_python


class Fit:
    """A training whose arguments are checked.

    Parameters, and errors raised, are those of :meth:`nbnet.Model.fit`.
    """

    # fmt: off
    def __init__(
        self, model: Trainable, x: Any, y: Any, batch_size: int | None, epochs: int, validation_split: float,
        validation_data: Any, shuffle: bool, class_weight: Mapping[int, float] | None, sample_weight: Any,
        initial_epoch: int, steps_per_epoch: int | None, validation_steps: int | None,
        validation_batch_size: int | None, validation_freq: Any, record_masks: int, on_nan: str,
    ) -> None:
        # fmt: on
        if model.optimizer is None:
            check_compiled(model)
        self._model, self._begun = model, False
        self._calls: Callbacks | None = None
        self._bar: Bar | None = None
        self._history: EpochLog | None = None
        self.epochs = check_int(epochs, "epochs", least=0)
        self._first = check_int(initial_epoch, "initial_epoch", least=0)
        self._masks = check_int(record_masks, "record_masks", least=0)
        self._on_nan: OnNan = check_choice(on_nan, "on_nan", CHOICES)  # type: ignore[arg-type]
        self._watch: FiniteWatch | None = None
        shuffle, plain = check_bool(shuffle, "shuffle"), type(validation_freq) is int and validation_freq > 0
        self._frequency = validation_freq if plain else data.check_frequency(validation_freq)
        # As in Keras, validation_data takes precedence, and class weights are only for training.
        share = validation_split if validation_data is None else 0.0
        self.source, held = training_source(
            model, (x, y, sample_weight), batch_size, steps_per_epoch, shuffle, share, class_weight
        )
        size = validation_batch_size or batch_size
        self._held = validation_source(model, validation_data, held, size, validation_steps)
        self._evaluate: Callable[..., Logs] | None = None
        if self._held is not None and overrides(model, "evaluate"):
            x, y, w = given_rows(model, held) if held is not None else unpack_x_y_sample_weight(validation_data)
            self._evaluate = partial(
                model.evaluate, x=x, y=y, sample_weight=w, batch_size=size, steps=validation_steps, verbose=0,
                return_dict=True,
            )  # fmt: skip
        if self._masks and runs_in_python(model, "train_step"):
            raise ValueError(
                f"record_masks: {model.name} is trained by train_step in Python, where a tape has the masks; "
                "only compiled training records them"
            )

    def begin(self) -> None:
        """Draw the key of the orders of rows; :meth:`run` does it if it was not done before."""
        model, source = self._model, self.source
        rows, size = (source.rows.n, source.size) if isinstance(source, ArraySource) else (None, None)
        continues = model._train_state.position.begin(self._first, (rows, size, source.length))
        if model.optimizer.use_ema:
            model.optimizer.begin_training(continues)
        self._begun = True

    def run(self, calls: Callbacks, bar: Bar | None, history: EpochLog) -> None:
        """Train; the caller holds the training lock of the model."""
        model = self._model
        # One among the callbacks is called as one of them.
        self._history = None if any(callback is history for callback in calls.callbacks) else history
        self._calls, self._bar = calls if calls.callbacks else None, bar if bar is not None and bar.verbose else None
        with SingleThread(), self._bar or nullcontext(), recorded_masks(model, self._masks, history):
            loop = train_loop(model, self.source, self._calls, self._bar)
            loop.watch = self._watch = FiniteWatch(loop, self._on_nan, self.epochs - self._first, calls.callbacks)
            self._validation = None if self._held is None else evaluation_loop(model, self._held, self._calls)
            model.history, fused = history, None
            if self._bar is None and self.epochs >= FEWEST and self._evaluate is None:
                fused = MultiEpochRunner.of(loop, self._validation, self._frequency)
            if not self._begun:
                self.begin()
            train_epochs(loop, None, self.epochs, self, self._calls, fused, self._bar)

    # ---- the stopping policy ----

    def spare_epochs(self) -> int:
        return self.epochs

    def end_epoch(self, epoch: int, logs: Logs) -> bool:
        calls = self._calls
        if self._validation is not None and data.validates(epoch, self._frequency):
            validated = self._validate(calls)
            if self._watch is not None:
                self._watch.end_validation(epoch, validated)
            logs |= {f"val_{name}": value for name, value in validated.items()}
        if self._bar is not None:
            self._bar.end_epoch(logs)
        # Callbacks may write into the logs; the history has what they write.
        if calls is not None:
            calls.call("on_epoch_end", epoch, logs)
        if self._history is not None:
            self._history.append(epoch, logs)
        return self._model.stop_training

    def _validate(self, calls: Callbacks | None) -> Logs:
        assert self._validation is not None
        if self._evaluate is not None:
            return self._evaluate(callbacks=calls)
        self._model.stop_evaluating = False
        if calls is not None:
            calls.call("on_test_begin", {})
        validated = self._validation.run()
        if calls is not None:
            calls.call("on_test_end", validated)
        return validated

    def interrupted(self) -> bool:
        return False


def train_loop(
    model: Trainable, source: ArraySource | StreamSource, calls: Callbacks | None = None, bar: Bar | None = None
) -> EpochLoop:
    """Return the loop that trains a model; its position is that of the source's sampler, else the model's."""
    sampler = source.sampler if isinstance(source, ArraySource) else None
    position = model._train_state.position if sampler is None else sampler.position
    if runs_in_python(model, "train_step"):
        return EpochLoop(model, "train", PythonRunner(model, "train", position), source, calls, bar, position)
    runner = CompiledRunner(model, "train", position)
    if isinstance(source, ArraySource) and source.blocks is None:
        runner.prepare(source.pass_chunks()[0])
    return EpochLoop(model, "train", runner, source, calls, bar, position)


def evaluation_loop(
    model: Trainable, source: ArraySource | StreamSource, calls: Callbacks | None = None, bar: Bar | None = None
) -> EpochLoop:
    """Return the loop that evaluates a model."""
    if runs_in_python(model, "test_step"):
        return EpochLoop(model, "test", PythonRunner(model, "test"), source, calls, bar)
    in_python = model.optimizer is not None and model.optimizer.in_python
    if isinstance(source, ArraySource) and (overrides(model, "train_step") or in_python):
        signature = signature_of(model, source.rows.row_shapes())
        check_loss(model, signature, log_layout(model, signature))
    return EpochLoop(model, "test", CompiledRunner(model, "evaluate"), source, calls, bar)


def evaluate(model: Trainable, source: ArraySource | StreamSource, calls: Callbacks, bar: Bar) -> Logs:
    """Return the loss and metrics of a model on a source, with hooks and the progress bar around."""
    with SingleThread(), bar:
        bar.begin_epoch(0)
        model.stop_evaluating = False
        calls.call("on_test_begin", {})
        logs = evaluation_loop(model, source, calls, bar).run()
        calls.call("on_test_end", logs)
        bar.end_epoch(logs)
    return logs


def train_on_batch(
    model: Trainable, x: Any, y: Any, sample_weight: Any, class_weight: Mapping[int, float] | None
) -> Logs:
    """Update the weights once; return loss and metrics before the update."""
    check_compiled(model)
    rows = labelled_rows(model, x, y, sample_weight).weighted(class_weight, model.dtype)
    sampler = EpochSampler(len(rows), len(rows), False, TrainingPosition())
    with training_lock(model), SingleThread():
        return train_loop(model, ArraySource(rows, len(rows), sampler)).run()


@contextmanager
def recorded_masks(model: Trainable, steps: int, history: EpochLog) -> Iterator[None]:
    """Record the masks of the last steps, in programs built inside this context, into ``history.masks``."""
    if steps == 0:
        yield
        return
    recording = model._train_state.recording = Recording(steps)
    try:
        yield
    finally:
        history.masks = recording.masks()
        forget_programs(model, recording)
        model._train_state.recording = None


def training_lock(model: Trainable) -> threading.Lock:
    """Return the lock to hold while the model is trained.

    Raises
    ------
    RuntimeError
        If it is being trained.
    """
    lock = model._train_state.lock
    if lock.locked():
        raise RuntimeError(
            f"{model.name} is being trained in another thread, or by the fit that this callback or signal handler "
            "interrupts; train one after the other, or a copy"
        )
    return lock


def refuse_in_training(model: Trainable, change: str) -> None:
    """Raise RuntimeError for a change that a training under way would not follow, or only in part."""
    if model._train_state.lock.locked():
        raise RuntimeError(f"{change}: {model.name} is being trained; make this change before or after the training")
