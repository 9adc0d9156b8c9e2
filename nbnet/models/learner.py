"""What a model is in training: optimizer, losses and metrics, and the loops that run on checked rows."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from nbnet import optimizers
from nbnet.history import History
from nbnet.models import loop, prediction, stepping, streaming
from nbnet.models.intake import Rows, with_any_targets, with_targets
from nbnet.models.masking import Masking
from nbnet.models.objective import Objective, Scores
from nbnet.models.orders import Orders
from nbnet.models.persistence import Persistence
from nbnet.models.position import Position
from nbnet.models.steps import CompiledMetrics, Steps
from nbnet.ranges import count

if TYPE_CHECKING:
    from nbnet.callbacks.callback import CallbackList
    from nbnet.progress import Progress


#: Threads that a step may be shared out to.
MOST_SLICES = 256


class Trainer(Protocol):
    """What trains for one epoch after the other."""

    def run(self, epoch: int) -> dict[str, Any]:
        """Train for the epoch of a number; returns losses and metrics."""


class Learner(Steps, Masking, Persistence):
    """A network that is compiled; see :class:`nbnet.Model`."""

    #: What the last ``fit`` returned.
    history: History

    def __init__(self, inputs: Any, outputs: Any, **kwargs: Any) -> None:
        Persistence.__init__(self, inputs, outputs, **kwargs)
        Steps.__init__(self)
        self.optimizer: optimizers.Optimizer | None = None
        self._objective: Objective | None = None
        self._eagerly = False
        #: How many slices a batch is cut into; None: as many as pay.
        self._slices: int | None = None
        self._training = threading.Lock()
        #: Set by a callback to end training after the epoch, or the batch, it is called in.
        self.stop_training = False

    def __getstate__(self) -> dict[str, Any]:
        """The metrics as one know their model, not its copy: the copy makes its own."""
        return super().__getstate__() | {"_compiled_metrics": self._compiled_metrics is not None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        watched = state["_compiled_metrics"]
        super().__setstate__(state | {"_compiled_metrics": CompiledMetrics(self) if watched else None})
        self._training = threading.Lock()

    @property
    def loss(self) -> Any:
        """What :meth:`compile` was given, names made losses."""
        return None if self._objective is None else self._objective.loss

    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        loss_weights: Any = None,
        metrics: Any = None,
        weighted_metrics: Any = None,
        run_eagerly: bool = False,
        steps_per_execution: int = 1,
        jit_compile: Any = "auto",
        auto_scale_loss: bool = True,
        *,
        slices: int | None = None,
    ) -> None:
        """Say how to train.

        Parameters
        ----------
        optimizer
            Name or :class:`nbnet.optimizers.Optimizer`.
        loss
            Name or :class:`nbnet.losses.Loss`; for several outputs a list of them, or a dict by name of output. An
            output whose loss is None is not trained.
        loss_weights
            What the losses of outputs are multiplied by before they are added up; a list, or a dict by name.
        metrics
            Names, metrics or losses to watch; ``"accuracy"`` fits itself to the loss. For several outputs a list with
            an entry (one, or a list) for each, or a dict by name.
        weighted_metrics
            The same, but sample weights and class weights count.
        run_eagerly
            Train by a loop in Python over :meth:`train_step`, on a tape: for debugging.
        steps_per_execution, jit_compile, auto_scale_loss
            Accepted as in Keras; here every epoch is compiled, and nothing computes in float16.
        slices
            Parts of a batch that as many threads compute, up to 256; a batch of fewer rows has as many as rows, and one
            whose rows depend on each other is not cut. By default as many as pay on the processors there are. Results
            are the same bit by bit, on the same machine, for the same number of slices; dropout masks for any.

        Raises
        ------
        ValueError, TypeError
            If something is not known.
        """
        made, objective = optimizers.get(optimizer), Objective.of(loss, loss_weights, metrics, weighted_metrics)
        wanted = None if slices is None else count(slices, "slices")
        if wanted is not None and wanted > MOST_SLICES:
            raise ValueError(f"slices: wants {MOST_SLICES} at most, got {wanted}")
        self.optimizer, self._objective, self._eagerly = made, objective, bool(run_eagerly)
        self._slices = wanted
        watched = metrics is not None or weighted_metrics is not None
        self._compiled_metrics = CompiledMetrics(self) if watched else None
        self._changed()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """One thread at a time trains a model."""
        if not self._training.acquire(blocking=False):
            raise RuntimeError(f"{self.name} is being trained in another thread")
        try:
            yield
        finally:
            self._training.release()

    def _overrides(self, step: str) -> bool:
        """Whether a step is the user's own, or is to be run in Python."""
        return self._eagerly or getattr(type(self), step) is not getattr(Steps, step)

    def _epochs(
        self,
        rows: Rows,
        size: int,
        shuffle: bool,
        position: Position,
        calls: CallbackList,
        bar: Progress | None,
        wanted: int | None = None,
    ) -> Trainer:
        """What trains for the epoch of a number, of ``wanted`` steps, and returns losses and metrics."""
        orders = Orders(len(rows), size, shuffle, position, wanted)
        if self._overrides("train_step"):
            return stepping.StepEpochs(self, stepping.batches_of(self, rows), size, orders, calls, bar)
        return loop.Epochs(self, rows, size, orders, calls, bar)

    def _evaluation(self, rows: Rows, size: int) -> Callable[[], dict[str, Any]]:
        """A function that evaluates on rows."""
        if self._overrides("test_step"):
            doing = streaming.work(self, "evaluate")
            return lambda: streaming.evaluate_batches(doing, rows.batches(size))
        self._check_loss(rows)
        return loop.Evaluation(self, rows, size)

    def _predictions(self, rows: Rows, size: int, bar: Progress | None) -> Any:
        if self._overrides("predict_step"):
            return stepping.step_predictions(self, stepping.batches_of(self, rows), size)
        return prediction.predict(self, rows, size, bar)

    def scores(self, shapes: tuple[tuple[int, ...], ...]) -> Scores:
        """What is to be found of rows whose inputs have such shapes."""
        assert self._objective is not None
        found = self.outline(shapes)
        return Scores(self._objective.goals(found.names, [shape[-1] if shape else 1 for shape in found.shapes]))

    def _intake(self, x: Any, y: Any, sample_weight: Any) -> Rows:
        """Check and prepare arrays for training or evaluation."""
        rows = self._input_rows(x)
        if not self._says_what_it_computes and self._overrides("train_step"):
            return with_any_targets(rows, y, sample_weight, self.compute_dtype)
        found, goals = self.outline(rows.row_shapes()), self.scores(rows.row_shapes()).goals
        if self._overrides("train_step") and not any(goal.wanted for goal in goals):
            return with_any_targets(rows, y, sample_weight, self.compute_dtype)
        self._check_loss(rows)
        return with_targets(rows, y, sample_weight, goals, found, self.compute_dtype)

    def _validation(self, given: Any) -> Rows:
        if not isinstance(given, (tuple, list)) or len(given) not in (2, 3):
            raise ValueError(f"validation_data: wants (x, y) or (x, y, sample_weight), got {type(given).__name__}")
        try:
            return self._intake(given[0], given[1], given[2] if len(given) == 3 else None)
        except (ValueError, TypeError) as error:
            raise type(error)(f"validation_data: {error}") from None

    def _check_compiled(self) -> None:
        if self.optimizer is None:
            raise ValueError(f"{self.name} is not compiled: call compile(optimizer, loss) first")

    def _check_loss(self, rows: Rows) -> None:
        shapes = rows.row_shapes()
        if not self.scores(shapes).trained and not self.outline(shapes).adds_loss:
            raise ValueError(f"{self.name} is not compiled with a loss: call compile(optimizer, loss) first")
