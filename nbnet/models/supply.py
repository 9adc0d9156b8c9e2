"""Where training, evaluation and prediction get their batches from: arrays, or a stream of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nbnet import data, random
from nbnet.core.feed import shuffled
from nbnet.layers.dense import positive_integer
from nbnet.models.intake import Rows
from nbnet.models.position import Position
from nbnet.models.prediction import USUAL_ROWS, joined
from nbnet.models.streaming import StreamEpochs, checked, evaluate_batches, predict_batches, work

if TYPE_CHECKING:
    from nbnet.callbacks.callback import CallbackList
    from nbnet.models.learner import Learner, Trainer
    from nbnet.progress import Progress

Logs = dict[str, Any]
#: Rows of a batch in training and validation, where nobody says otherwise.
BATCH_SIZE = 32
#: A batch size that no array reaches.
ONE_BATCH = 1 << 62


class Arrays:
    """Rows, of which batches of ``size`` are made.

    Parameters
    ----------
    steps
        Batches of an epoch, or of an evaluation; None: all there are.
    """

    def __init__(self, model: Learner, rows: Rows, size: int, steps: int | None = None) -> None:
        self._model, self._rows, self._size, self._steps = model, rows, size, steps
        #: Batches of an epoch, as far as one can know.
        self.length: int | None = -(-len(rows) // size) if steps is None else steps

    def epochs(self, first: int, last: int) -> Iterable[int]:
        """The numbers of the epochs for which there are data."""
        return range(first, last)

    def trainer(self, shuffle: bool, position: Position, calls: CallbackList, bar: Progress | None) -> Trainer:
        """What trains for the epoch of a number, and returns losses and metrics."""
        return self._model._epochs(self._rows, self._size, shuffle, position, calls, bar, self._steps)

    def evaluator(self, calls: CallbackList, bar: Progress | None = None) -> Callable[[], Logs]:
        """A function that evaluates, again and again."""
        rows = self._first()
        evaluate = self._model._evaluation(rows, self._size)
        if not calls.wants_batches("test"):
            return evaluate
        doing = work(self._model, "evaluate")
        return lambda: evaluate_batches(doing, rows.batches(self._size), bar, calls)

    def predictions(self, bar: Progress | None = None, calls: CallbackList | None = None) -> Any:
        """The outputs of the model."""
        rows = self._first()
        if calls is None or not calls.wants_batches("predict"):
            return self._model._predictions(rows, self._size, bar)
        return joined(predict_batches(self._model, rows.batches(self._size), bar, calls))

    def _first(self) -> Rows:
        """The rows of the first ``steps`` batches."""
        if self._steps is None:
            return self._rows
        batches = -(-len(self._rows) // self._size)
        if batches < self._steps:
            data.warn_short(batches, self._steps)
        return self._rows.head(self._steps * self._size)


class Streamed:
    """Batches as they come; see :class:`Arrays` for the methods.

    Parameters
    ----------
    source
        What :func:`nbnet.data.is_stream` is true for.
    name, steps_name
        What messages call the source and the steps.
    class_weight
        Weights of classes in training.
    targets
        Whether batches must have targets; steps of the user's own may do without.
    **others
        Arguments that must be None.

    Raises
    ------
    ValueError
        If arguments do not go together.
    """

    def __init__(
        self,
        model: Learner,
        source: Any,
        steps: int | None,
        *,
        name: str = "x",
        steps_name: str = "steps",
        class_weight: Mapping[int, float] | None = None,
        targets: bool = True,
        **others: Any,
    ) -> None:
        self._model, self._class_weight = model, class_weight
        targets = targets and not (model._overrides("train_step") or model._overrides("test_step"))

        def make() -> data.Stream:
            return data.as_stream(source, steps, name=name, steps_name=steps_name, targets=targets, **others)

        self._make, self._stream = make, make()

    @property
    def length(self) -> int | None:
        """Batches of the next epoch, as far as one can know."""
        return self._stream.length

    def epochs(self, first: int, last: int) -> Iterator[int]:
        for epoch in range(first, last):
            if not self._stream.ready():
                self._empty(epoch - first, last - first)
                return
            yield epoch

    def trainer(self, shuffle: bool, position: Position, calls: CallbackList, bar: Progress | None) -> Trainer:
        def order(number: int, n: int) -> NDArray[np.int64]:
            assert position.key is not None
            return shuffled(n, random.derive(position.key, number))

        self._stream.order = order if shuffle else None
        return StreamEpochs(self._model, self._stream, self._train_intake, position, calls, bar)

    def evaluator(self, calls: CallbackList, bar: Progress | None = None) -> Callable[[], Logs]:
        doing, done = work(self._model, "evaluate"), 0
        heard = calls if calls.wants_batches("test") else None

        def evaluate() -> Logs:
            nonlocal done
            if not self._stream.ready():
                self._empty(done, done + 1)
            found = evaluate_batches(doing, checked(self._stream, 0, self._model._intake), bar, heard)
            # Each evaluation begins anew, as far as the source can.
            self._stream, done = self._make(), done + 1
            return found

        return evaluate

    def predictions(self, bar: Progress | None = None, calls: CallbackList | None = None) -> Any:
        heard = calls if calls is not None and calls.wants_batches("predict") else None
        given = checked(self._stream, 0, lambda x, y, w: self._model._input_rows(x))
        parts = predict_batches(self._model, given, bar, heard)
        if not parts:
            self._empty(0, 1)
        return joined(parts)

    def _train_intake(self, x: Any, y: Any, w: Any) -> Rows:
        return self._model._intake(x, y, w).weighted(self._class_weight, self._model.compute_dtype)

    def _empty(self, done: int, wanted: int) -> None:
        """Say that there are no batches any more, or that there never were."""
        if done == 0:
            raise ValueError(f"{self._stream.name} must yield at least one batch, got none")
        if not self._stream.short:
            data.warn_ended(done, wanted, self._stream.name)


def for_training(
    model: Learner,
    given: tuple[Any, Any, Any],
    batch_size: int | None,
    steps: int | None,
    share: float,
    class_weight: Mapping[int, float] | None,
) -> tuple[Arrays | Streamed, Rows | None]:
    """What ``fit`` trains on, and the share of the rows that is held out."""
    x, y, sample_weight = given
    name = "steps_per_epoch"
    if data.is_stream(x):
        if share:
            raise ValueError(f"validation_split must be 0: x is a {type(x).__name__}; take validation_data")
        others = {"y": y, "sample_weight": sample_weight, "batch_size": batch_size}
        return Streamed(model, x, steps, steps_name=name, class_weight=class_weight, **others), None
    size, steps = _size(batch_size, BATCH_SIZE), data.as_steps(steps, name)
    rows, held = model._intake(x, y, sample_weight).split(share)
    return Arrays(model, rows.weighted(class_weight, model.compute_dtype), size, steps), held


def for_validation(
    model: Learner, given: Any, held: Rows | None, batch_size: int | None, steps: int | None
) -> Arrays | Streamed | None:
    """What ``fit`` validates on: the data given, else the rows that are held out."""
    name = "validation_steps"
    if data.is_stream(given):
        return Streamed(model, given, steps, name="validation_data", steps_name=name)
    size, steps = _size(batch_size, BATCH_SIZE, "validation_batch_size"), data.as_steps(steps, name)
    rows = held if given is None else model._validation(given)
    return None if rows is None else Arrays(model, rows, size, steps)


def for_evaluation(
    model: Learner, given: tuple[Any, Any, Any], batch_size: int | None, steps: int | None
) -> Arrays | Streamed:
    """What ``evaluate`` works on."""
    x, y, sample_weight = given
    if data.is_stream(x):
        return Streamed(model, x, steps, y=y, sample_weight=sample_weight, batch_size=batch_size)
    size = _size(batch_size, USUAL_ROWS)
    return Arrays(model, model._intake(x, y, sample_weight), size, data.as_steps(steps, "steps"))


def for_prediction(model: Learner, x: Any, batch_size: int | None, steps: int | None) -> Arrays | Streamed:
    """What ``predict`` works on."""
    if data.is_stream(x):
        return Streamed(model, x, steps, targets=False, batch_size=batch_size)
    return Arrays(model, model._input_rows(x), _size(batch_size, USUAL_ROWS), data.as_steps(steps, "steps"))


def _size(batch_size: int | None, usual: int, name: str = "batch_size") -> int:
    return usual if batch_size is None else positive_integer(batch_size, name)
