"""The Keras-like face of a network: compile, fit, evaluate, predict."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbnet import data, losses, metrics, optimizers, random
from nbnet.callbacks.callback import CallbackList
from nbnet.core import feed, regions
from nbnet.core.blas import single_thread
from nbnet.core.graph import Tensor
from nbnet.core.tape import tensor
from nbnet.history import History
from nbnet.layers.dense import positive_integer
from nbnet.layers.layer import Layer
from nbnet.models.programs import Batch, Builder, Source
from nbnet.models.summary import summary
from nbnet.progress import Progress

Array = NDArray[Any]

#: A nopython call ends after about this long, so that Ctrl-C and the progress bar answer.
CALL_SECONDS = 0.08
#: Programs kept for one model and thread; the least recently used goes first.
KEPT_PROGRAMS = 32
#: A batch size that no array reaches.
_ONE_BATCH = 1 << 62

#: Inputs, targets and weights of rows.
Rows = tuple[Array, Array, Array | None]


class Model(Layer):
    """A network with a training loop: what :class:`nbnet.Sequential` is.

    Use :meth:`compile`, :meth:`fit`, :meth:`evaluate`, :meth:`predict`. A model is called like a layer, too: on a
    tape it records.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.optimizer: optimizers.Optimizer | None = None
        self.loss: losses.Loss | None = None
        self._wanted_metrics: list[Any] = []
        self._metrics: list[metrics.Metric] | None = None
        self._local = threading.local()
        self._training = threading.Lock()
        self._version = 0
        #: Set by a callback to end training after the epoch, or the batch, it is called in.
        self.stop_training = False
        self._inner: tuple[Model, ...] = ()

    # ---- what subclasses say ----

    @property
    def input_shape(self) -> tuple[int | None, ...]:
        """Shape of the input, the batch axis None."""
        if self.batch_input_shape is None:
            raise ValueError(f"{self.name} is not built: give it an Input, or call it or fit it on data first")
        return self.batch_input_shape

    @property
    def output_shape(self) -> tuple[int | None, ...]:
        """Shape of the output, the batch axis None."""
        return self.compute_output_shape(self.input_shape)

    @property
    def compute_dtype(self) -> np.dtype[Any]:
        """What programs compute in."""
        return self.dtype

    def forward(self, x: Tensor, training: bool) -> Tensor:
        """The output for a batch."""
        return self.call(x, training=training)  # type: ignore[call-arg]

    def __call__(self, x: Any, training: bool = False) -> Tensor:
        """The output for a batch, computed now; on a tape it is recorded.

        Parameters
        ----------
        x
            Array or tensor (n, ...).
        training
            Whether dropout is at work.
        """
        if not isinstance(x, Tensor):
            x = tensor(data.as_input(x, "x", shape=self._row_shape(), dtype=self.compute_dtype), self.compute_dtype)
        self._build_on(x.shape)
        return self.forward(x, training)

    # ---- training ----

    def compile(self, optimizer: Any = "rmsprop", loss: Any = None, metrics: Sequence[Any] | None = None) -> None:
        """Say how to train.

        Parameters
        ----------
        optimizer
            Name or :class:`nbnet.optimizers.Optimizer`.
        loss
            Name or :class:`nbnet.losses.Loss`.
        metrics
            Names, metrics or losses to watch; ``"accuracy"`` fits itself to the loss.

        Raises
        ------
        ValueError, TypeError
            If something is not known.
        """
        if metrics is not None and (isinstance(metrics, str) or not isinstance(metrics, Sequence)):
            raise TypeError(f"metrics: wants a list, got {metrics!r}")
        made, made_loss = optimizers.get(optimizer), None if loss is None else losses.get(loss)
        wanted = [m if m in ("accuracy", "acc") else _metric(m, made_loss) for m in metrics or []]
        self.optimizer, self.loss, self._wanted_metrics = made, made_loss, wanted
        self._changed()

    def fit(
        self,
        x: Any,
        y: Any,
        batch_size: int | None = 32,
        epochs: int = 1,
        verbose: int | str = "auto",
        callbacks: Any = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool = True,
        class_weight: Mapping[int, float] | None = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
    ) -> History:
        """Train for a number of epochs.

        Parameters
        ----------
        x : array_like, (n, ...)
            Inputs of any real dtype; bytes stay bytes until a batch of them is gathered.
        y : array_like
            Targets: shaped like the output, or class labels (n,) for sparse losses.
        batch_size : int
            Rows of a step; the last batch may be shorter.
        epochs, initial_epoch : int
            Train from epoch ``initial_epoch`` up to ``epochs``.
        verbose : {"auto", 0, 1, 2}
            See :class:`nbnet.progress.Progress`.
        callbacks : list of nbnet.callbacks.Callback
            Called as training goes on; one that defines a batch hook makes every batch a call of its own.
        validation_split : float
            Share of the last rows to hold out.
        validation_data : tuple
            ``(x, y)`` or ``(x, y, sample_weight)``.
        shuffle : bool
            Whether each epoch sees the rows in a new order.
        class_weight : dict
            Weight of each class; multiplied with the sample weights.
        sample_weight : array_like, (n,)
            Weight of each row in the loss.

        Returns
        -------
        History

        Raises
        ------
        ValueError, TypeError
            If an argument does not fit the model; before anything is trained.
        """
        self._check_compiled()
        batch = positive_integer(32 if batch_size is None else batch_size, "batch_size")
        epochs = positive_integer(epochs, "epochs")
        first = positive_integer(initial_epoch, "initial_epoch", least=0)
        if not isinstance(shuffle, (bool, np.bool)):
            raise TypeError(f"shuffle: wants True or False, got {shuffle!r}")
        # As in Keras, validation_data takes precedence, and class weights are for training alone.
        share = validation_split if validation_data is None else 0.0
        train, held = data.train_validation_split(self._intake(x, y, sample_weight), share)
        train = self._weighted(train, class_weight)
        if validation_data is not None:
            held = self._validation(validation_data)
        n = len(train[0])
        bar = Progress(verbose, epochs, -(-n // batch))
        history = History({"verbose": bar.verbose, "epochs": epochs, "steps": bar.steps})
        calls = CallbackList(callbacks, self, **history.params)
        with self._alone(), single_thread, bar:
            key, train_rows = random.next_key(), self._trainer(train)
            self.stop_training, logs = False, None
            calls.call("on_train_begin", None)
            for epoch in range(first, epochs):
                calls.call("on_epoch_begin", epoch, None)
                bar.begin_epoch(epoch)
                order = feed.shuffled(n, random.derive(key, epoch)) if shuffle else np.arange(n)
                logs = train_rows(order, batch, bar, calls)
                if held is not None:
                    calls.call("on_test_begin", None)
                    found = self._evaluate_rows(held, batch)
                    calls.call("on_test_end", found)
                    logs |= {f"val_{k}": v for k, v in found.items()}
                bar.end_epoch(logs)
                history.append(epoch, logs)
                calls.call("on_epoch_end", epoch, logs)
                if self.stop_training:
                    break
            assert self.optimizer is not None
            self.optimizer.finalize_variable_values()
            calls.call("on_train_end", logs)
        return history

    def evaluate(
        self,
        x: Any,
        y: Any,
        batch_size: int | None = None,
        verbose: int | str = "auto",
        sample_weight: Any = None,
        return_dict: bool = False,
    ) -> Any:
        """Loss and metrics in evaluation mode.

        Returns
        -------
        The loss; a list of loss and metrics if there are metrics; a dict if ``return_dict``.
        """
        self._check_compiled()
        batch = 256 if batch_size is None else positive_integer(batch_size, "batch_size")
        arrays = self._intake(x, y, sample_weight)
        with single_thread, Progress(verbose, None, -(-len(arrays[0]) // batch)) as bar:
            bar.begin_epoch(0)
            logs = self._evaluate_rows(arrays, batch)
            bar.end_epoch(logs)
        return logs if return_dict else (logs["loss"] if len(logs) == 1 else list(logs.values()))

    def predict(self, x: Any, batch_size: int | None = None, verbose: int | str = 0) -> Array:
        """Outputs in evaluation mode, an array (n, ...).

        Parameters
        ----------
        x : array_like, (n, ...)
        batch_size : int
            Rows computed at a time; by default 256. Results may differ in the last bits with it.
        verbose : {0, "auto", 1, 2}
            See :class:`nbnet.progress.Progress`; silent by default.
        """
        array = data.as_input(x, "x", shape=self._row_shape(), dtype=self.compute_dtype)
        self._build_on(array.shape)
        size = 256 if batch_size is None else positive_integer(batch_size, "batch_size")
        if verbose == 0:
            return self._predict_rows(array, size, None)
        with Progress(verbose, None, -(-len(array) // size)) as bar:
            bar.begin_epoch(0)
            out = self._predict_rows(array, size, bar)
            bar.end_epoch({})
        return out

    def train_on_batch(
        self, x: Any, y: Any, sample_weight: Any = None, class_weight: Any = None, return_dict: bool = False
    ) -> Any:
        """One update from one batch; returns its loss (and metrics) before the update."""
        self._check_compiled()
        arrays = self._weighted(self._intake(x, y, sample_weight), class_weight)
        n = len(arrays[0])
        with self._alone(), single_thread:
            logs = self._trainer(arrays)(np.arange(n), n, None, CallbackList(None, self))
        return logs if return_dict else (logs["loss"] if len(logs) == 1 else list(logs.values()))

    def test_on_batch(self, x: Any, y: Any, sample_weight: Any = None, return_dict: bool = False) -> Any:
        """Loss (and metrics) of one batch in evaluation mode."""
        return self.evaluate(x, y, _ONE_BATCH, 0, sample_weight, return_dict)

    def predict_on_batch(self, x: Any) -> Array:
        """Outputs of one batch in evaluation mode."""
        return self.predict(x, _ONE_BATCH)

    def summary(self, print_fn: Callable[[str], Any] | None = None) -> None:
        """Print the layers, their output shapes and numbers of parameters, as Keras does."""
        (print_fn or print)(summary(self))

    # ---- inside ----

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """One thread at a time trains a model."""
        if not self._training.acquire(blocking=False):
            raise RuntimeError(f"{self.name} is being trained in another thread")
        try:
            yield
        finally:
            self._training.release()

    def _changed(self) -> None:
        """Programs and metrics made before do not fit any more."""
        self._version += 1
        self._metrics = None
        self._inner = tuple(layer for layer in self.layers if isinstance(layer, Model))

    def _structure(self) -> tuple[Any, ...]:
        """Changes when layers are added or removed, here or in a model inside, and with every compile."""
        return (self._version, *(model._structure() for model in self._inner)) if self._inner else (self._version,)

    def _trainer(self, arrays: Rows) -> Callable[[Array, int, Progress | None, CallbackList], dict[str, float]]:
        """A function that trains on the rows of an order, in batches of a size, and returns losses and metrics."""
        x, y, w = arrays
        optimizer, loss, watched = self.optimizer, self.loss, self._resolve_metrics()
        assert optimizer is not None
        assert loss is not None
        weights = self.trainable_weights
        if not weights:
            raise ValueError(f"{self.name} has no trainable weights")
        optimizer.build(weights)
        sources = Source.of(x), Source.of(y), w is not None
        key = (
            *sources,
            self._structure(),
            id(optimizer),
            optimizer.kernel,
            optimizer.used_slots(),
            tuple(map(id, weights)),
        )

        def make(rows: int, builder: Builder) -> Batch:
            return builder.train(rows, *sources, loss, watched, optimizer)

        def train_rows(order: Array, size: int, bar: Progress | None, calls: CallbackList) -> dict[str, float]:
            sums = np.zeros((1 + len(watched), 2))
            out = self._kept_outputs(len(order))
            single, done = calls.wants_batches("train"), 0
            for start, rows, steps in _batches(len(order), size, single):
                batch = self._program(("train", rows, *key), partial(make, rows))
                batch.bind(x=x, y=y, order=order, **out, **({} if w is None else {"w": w}))
                batch.sums[...] = 0
                if single:
                    calls.call("on_train_batch_begin", done, None)
                for n in _run(batch, start, steps, optimizer.iterations, optimizer.look_ahead):
                    optimizer.iterations += n
                    done += n
                    if bar is not None and bar.verbose == 1:
                        bar.update(done, self._means(sums + batch.sums.sum(0)))
                sums += batch.sums.sum(0)
                if single:
                    calls.call("on_train_batch_end", done - 1, self._means(sums))
                    if self.stop_training:
                        return self._means(sums)
            return self._logs(sums, y, out.get("out"), order)

        return train_rows

    def _predict_rows(self, x: Array, size: int, bar: Progress | None) -> Array:
        source, structure = Source.of(x), self._structure()
        out: Array | None = None
        with single_thread:
            for start, rows, steps in _batches(len(x), size):
                make = partial(Builder.predict, rows=rows, x=source)
                batch = self._program(("predict", rows, source, structure), make)
                if out is None:
                    out = np.empty((len(x), *batch.output_row), self.compute_dtype)
                batch.bind(x=x, out=out)
                for _ in _run(batch, start, steps, 0):
                    if bar is not None:
                        bar.update(-(-int(batch.cursor[0]) // size), {})
        assert out is not None
        return out

    def _evaluate_rows(self, arrays: Rows, size: int) -> dict[str, float]:
        x, y, w = arrays
        loss, watched = self.loss, self._resolve_metrics()
        assert loss is not None
        sums = np.zeros((1 + len(watched), 2))
        sources, structure = (Source.of(x), Source.of(y), w is not None), self._structure()
        out = self._kept_outputs(len(x))

        def make(rows: int, builder: Builder) -> Batch:
            return builder.evaluate(rows, *sources, loss, watched)

        for start, rows, steps in _batches(len(x), size):
            batch = self._program(("evaluate", rows, *sources, structure), partial(make, rows))
            batch.bind(x=x, y=y, **out, **({} if w is None else {"w": w}))
            batch.sums[...] = 0
            for _ in _run(batch, start, steps, 0):
                pass
            sums += batch.sums.sum(0)
        return self._logs(sums, y, out.get("out"))

    def _kept_outputs(self, n: int) -> dict[str, Array]:
        """Room for the outputs of an epoch, if a metric wants them."""
        if not any(metric.epoch_end for metric in self._resolve_metrics()):
            return {}
        return {"out": np.empty((n, *(size or 1 for size in self.output_shape[1:])), self.compute_dtype)}

    def _means(self, sums: Array) -> dict[str, float]:
        """Loss and metrics so far, without those that want the whole epoch."""
        names = self._log_names()
        found = {names[0]: float(sums[0, 0] / sums[0, 1]) if sums[0, 1] else float("nan")}
        for name, metric, (total, count) in zip(names[1:], self._resolve_metrics(), sums[1:], strict=True):
            if not metric.epoch_end:
                found[name] = float(metric.finish(total / count)) if count else float("nan")
        return found

    def _logs(self, sums: Array, y: Array, out: Array | None, order: Array | None = None) -> dict[str, Any]:
        """Loss and metrics of a whole epoch, whose outputs were kept in the order of its rows."""
        means, names = self._means(sums), self._log_names()
        if out is None:
            return means
        rows = slice(None) if order is None else order
        for name, metric in zip(names[1:], self._resolve_metrics(), strict=True):
            if metric.epoch_end:
                means[name] = metric.compute(y[rows], out)
        return {name: means[name] for name in names}

    def _log_names(self) -> list[str]:
        names: list[str] = []
        for name in ("loss", *(m.name for m in self._metrics or [])):
            names.append(f"{name}_{names.count(name)}" if name in names else name)
        return names

    def _program(self, key: tuple[Any, ...], build: Callable[[Builder], Batch]) -> Batch:
        """The program under a key: kept for this thread, or written now."""
        kept: OrderedDict[tuple[Any, ...], Batch] | None = getattr(self._local, "programs", None)
        if kept is None:
            kept = self._local.programs = OrderedDict()
        batch, moves = kept.get(key), regions.moves()
        if batch is None or batch.moves != moves:
            batch = kept[key] = build(Builder(self))
            # Counted before: if another thread moved parameters meanwhile, the program is written anew next time.
            batch.moves = moves
            if len(kept) > KEPT_PROGRAMS:
                kept.popitem(last=False)
        kept.move_to_end(key)
        return batch

    def _intake(self, x: Any, y: Any, sample_weight: Any) -> Rows:
        """Check and prepare arrays for training or evaluation."""
        assert self.loss is not None
        dtype = self.compute_dtype
        x = data.as_input(x, "x", shape=self._row_shape(), dtype=dtype)
        self._build_on(x.shape)
        shape = tuple(n or 1 for n in self.output_shape[1:])
        y = self.loss.targets(y, "y", len(x), shape, dtype)
        w = None if sample_weight is None else data.as_weights(sample_weight, "sample_weight", len(x), dtype)
        return x, y, w

    def _weighted(self, arrays: Rows, class_weight: Mapping[int, float] | None) -> Rows:
        """The same rows, their weights multiplied by those of their classes."""
        x, y, w = arrays
        if class_weight is None:
            return arrays
        by_class = class_weights(class_weight, y, self.compute_dtype)
        return x, y, by_class if w is None else w * by_class

    def _validation(self, given: Any) -> Rows:
        if not isinstance(given, (tuple, list)) or len(given) not in (2, 3):
            raise ValueError(f"validation_data: wants (x, y) or (x, y, sample_weight), got {type(given).__name__}")
        try:
            return self._intake(given[0], given[1], given[2] if len(given) == 3 else None)
        except (ValueError, TypeError) as error:
            raise type(error)(f"validation_data: {error}") from None

    def _resolve_metrics(self) -> list[metrics.Metric]:
        """The metrics, once the model's output is known: it says what ``"accuracy"`` means."""
        if self._metrics is None:
            self._metrics = [_metric(m, self.loss, self.output_shape[-1]) for m in self._wanted_metrics]
        return self._metrics

    def _row_shape(self) -> tuple[int | None, ...] | None:
        return None if self.batch_input_shape is None else self.batch_input_shape[1:]

    def _build_on(self, shape: Sequence[int]) -> None:
        wanted = self.batch_input_shape or (None, *shape[1:])
        self.build_for(wanted)
        self.batch_input_shape = wanted

    def _check_compiled(self) -> None:
        if self.optimizer is None or self.loss is None:
            raise ValueError(f"{self.name} is not compiled: call compile(optimizer, loss) first")


def class_weights(class_weight: Mapping[int, float], y: Array, dtype: np.dtype[Any]) -> Array:
    """A weight for each row from the weight of its class; classes that are not named weigh 1."""
    if not isinstance(class_weight, Mapping):
        raise TypeError(f"class_weight: wants a dict {{class: weight}}, got {type(class_weight).__name__}")
    for label, weight in class_weight.items():
        if not isinstance(label, (int, np.integer)) or not 0 <= data.as_number(weight, "class_weight") < np.inf:
            raise ValueError(f"class_weight: wants {{class: weight from 0}}, got {{{label!r}: {weight!r}}}")
    if y.ndim > 2:
        raise ValueError(f"class_weight: wants targets of one class a row, got rows of shape {y.shape[1:]}")
    classes = y if y.ndim == 1 else (np.rint(y[:, 0]) if y.shape[1] == 1 else y.argmax(1))
    values, which = np.unique(classes, return_inverse=True)
    return np.array([class_weight.get(int(value), 1.0) for value in values], dtype)[which]


def _metric(identifier: Any, loss: losses.Loss | None, width: int | None = None) -> metrics.Metric:
    """A metric that reads the targets that the loss reads."""
    made = metrics.get(identifier, loss, width)
    if loss is not None and made.sparse != loss.sparse:
        kinds = "arrays shaped like the output", "class labels"
        raise ValueError(
            f"metrics: {made.name} wants targets that are {kinds[made.sparse]}, "
            f"the loss {loss.name} {kinds[loss.sparse]}"
        )
    return made


def _batches(n: int, size: int, single: bool = False) -> list[tuple[int, int, int]]:
    """(first row, rows of a batch, number of batches): the full ones, then the short one; or each of them alone."""
    if single:
        return [(start, min(size, n - start), 1) for start in range(0, n, size)]
    full = n // size
    parts = [(0, size, full), (full * size, n - full * size, 1)]
    return [(start, rows, steps) for start, rows, steps in parts if rows and steps]


def _run(
    batch: Batch, start: int, steps: int, step: int, look_ahead: Callable[[int, int], int] = lambda step, steps: steps
) -> Iterator[int]:
    """Run steps from row ``start`` on, in calls of bounded length; yields the number of steps of each call.

    ``look_ahead(step, steps)`` is asked before each call how many of the steps may be run.
    """
    batch.cursor[0] = start
    done = 0
    while done < steps:
        n = steps - done
        if batch.seconds * n > CALL_SECONDS or batch.seconds == 0:
            n = max(1, min(n, int(CALL_SECONDS / batch.seconds) if batch.seconds else 1))
        n = look_ahead(step + done, n)
        began = time.perf_counter()
        batch.linked.run(n, step + done)
        batch.seconds = (time.perf_counter() - began) / n
        done += n
        yield n
