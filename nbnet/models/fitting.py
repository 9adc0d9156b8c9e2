"""A training on its way: what ``fit`` does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from nbnet import data
from nbnet.callbacks.callback import CallbackList
from nbnet.core.blas import single_thread
from nbnet.history import History
from nbnet.layers.dense import positive_integer
from nbnet.models import supply
from nbnet.models.bursts import Bursts
from nbnet.progress import Progress
from nbnet.ranges import flag

if TYPE_CHECKING:
    from nbnet.models.model import Model


class Fitting:
    """A training whose arguments are checked.

    Parameters, and errors raised, are those of :meth:`nbnet.Model.fit`.
    """

    def __init__(
        self,
        model: Model,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: int | str = "auto",
        callbacks: Any = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool = True,
        class_weight: Mapping[int, float] | None = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: Any = 1,
        record_masks: int = 0,
    ) -> None:
        model._check_compiled()
        self._model, self._begun = model, False
        self._epochs = positive_integer(epochs, "epochs")
        self._first = positive_integer(initial_epoch, "initial_epoch", least=0)
        self._shuffle, self._frequency = flag(shuffle, "shuffle"), data.check_frequency(validation_freq)
        # As in Keras, validation_data takes precedence, and class weights are for training alone.
        share = validation_split if validation_data is None else 0.0
        given = x, y, sample_weight
        self._train, rest = supply.for_training(model, given, batch_size, steps_per_epoch, share, class_weight)
        size = validation_batch_size or batch_size
        self._held = supply.for_validation(model, validation_data, rest, size, validation_steps)
        self._bar = Progress(verbose, self._epochs, self._train.length)
        self.history = History({"verbose": self._bar.verbose, "epochs": self._epochs, "steps": self._bar.steps})
        self.calls = CallbackList(callbacks, model, **self.history.params)
        self._record_masks = record_masks

    def begin(self) -> None:
        """Draw what decides the orders of rows; :meth:`run` does it if nobody has."""
        self._model._position.begin(self._first)
        self._begun = True

    def run(self) -> History:
        """Train; the caller sees to it that nobody else trains the model meanwhile."""
        model = self._model
        with single_thread, self._bar, model._recording_masks(self._record_masks, self.history):
            trainer = self._train.trainer(self._shuffle, model._position, self.calls, self._bar)
            validate = None if self._held is None else self._held.evaluator(self.calls)
            bursts = Bursts.of(trainer, validate, self._frequency) if self._bar.verbose == 0 else None
            model.stop_training, model.history = False, self.history
            if not self._begun:
                self.begin()
            self._run(trainer, validate, bursts)
        return self.history

    def _run(self, trainer: Any, validate: Any, bursts: Bursts | None) -> None:
        model, calls, bar, logs = self._model, self.calls, self._bar, None
        calls.call("on_train_begin", None)
        for epoch in self._train.epochs(model._position.epoch, self._epochs):
            calls.call("on_epoch_begin", epoch, None)
            bar.begin_epoch(epoch)
            if bursts is not None:
                bursts.run(epoch, min(self._epochs, epoch + 1 + calls.spare_epochs()))
            logs = trainer.run(epoch)
            model._position.reach(epoch + 1)
            if validate is not None and data.validates(epoch, self._frequency):
                calls.call("on_test_begin", None)
                found = validate()
                calls.call("on_test_end", found)
                logs |= {f"val_{k}": v for k, v in found.items()}
            bar.end_epoch(logs)
            # Callbacks may write into the logs; what they write is remembered.
            calls.call("on_epoch_end", epoch, logs)
            self.history.append(epoch, logs)
            if model.stop_training:
                break
        assert model.optimizer is not None
        model.optimizer.finalize_variable_values()
        calls.call("on_train_end", logs)
