"""The Keras-like face of a network: compile, fit, evaluate, predict."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbnet import data, losses, metrics, optimizers, random
from nbnet.core import regions
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


class Model(Layer):
    """A network with a training loop: what :class:`nbnet.Sequential` is.

    Use :meth:`compile`, :meth:`fit`, :meth:`evaluate`, :meth:`predict`. A model is called like a layer, too: on a
    tape it records.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.optimizer: optimizers.Optimizer | None = None
        self.loss: losses.Loss | None = None
        self._metric_names: list[Any] = []
        self._metrics: list[metrics.Metric] | None = None
        self._local = threading.local()
        self._training = threading.Lock()
        self._version = 0

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
        self.optimizer = optimizers.get(optimizer)
        self.loss = None if loss is None else losses.get(loss)
        self._metric_names = list(metrics or [])
        self._metrics = None
        if all(not isinstance(m, str) or m not in ("accuracy", "acc") for m in self._metric_names):
            self._resolve_metrics(None)
        self._version += 1

    def fit(
        self,
        x: Any,
        y: Any,
        batch_size: int | None = 32,
        epochs: int = 1,
        verbose: int | str = "auto",
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
        arrays = self._intake(x, y, sample_weight, class_weight)
        train, held = data.train_validation_split(arrays, validation_split)
        if validation_data is not None:
            held = self._validation(validation_data)
        n = len(_known(train[0]))
        epochs = positive_integer(epochs, "epochs")
        history = History({"epochs": epochs, "steps": -(-n // batch)})
        bar = Progress(verbose, epochs, -(-n // batch))
        if not self._training.acquire(blocking=False):
            raise RuntimeError(f"{self.name} is being trained in another thread")
        try:
            with single_thread, bar:
                key, train_rows = random.next_key(), self._trainer(train)
                for epoch in range(initial_epoch, epochs):
                    bar.begin_epoch(epoch)
                    order = random.generator(random.derive(key, epoch)).permutation(n) if shuffle else np.arange(n)
                    logs = train_rows(order, batch, bar)
                    if held is not None:
                        logs |= {f"val_{k}": v for k, v in self._evaluate_rows(held, batch).items()}
                    bar.end_epoch(logs)
                    history.append(epoch, logs)
        finally:
            self._training.release()
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
        arrays = self._intake(x, y, sample_weight, None)
        with single_thread, Progress(verbose, None, 1) as bar:
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
        """
        array = data.as_input(x, "x", shape=self._row_shape(), dtype=self.compute_dtype)
        self._build_on(array.shape)
        size, n = 256 if batch_size is None else positive_integer(batch_size, "batch_size"), len(array)
        source = Source.of(array)
        out: Array | None = None
        with single_thread:
            for start, rows, steps in _batches(n, size):
                batch = self._program(("predict", rows, source), partial(Builder.predict, rows=rows, x=source))
                if out is None:
                    out = np.empty((n, *batch.output_row), self.compute_dtype)
                batch.bind(x=array, out=out)
                for _ in _run(batch, start, steps, 0):
                    pass
        assert out is not None
        return out

    def train_on_batch(
        self, x: Any, y: Any, sample_weight: Any = None, class_weight: Any = None, return_dict: bool = False
    ) -> Any:
        """One update from one batch; returns its loss (and metrics) before the update."""
        self._check_compiled()
        arrays = self._intake(x, y, sample_weight, class_weight)
        n = len(_known(arrays[0]))
        with single_thread:
            logs = self._trainer(arrays)(np.arange(n), n, None)
        return logs if return_dict else (logs["loss"] if len(logs) == 1 else list(logs.values()))

    def test_on_batch(self, x: Any, y: Any, sample_weight: Any = None, return_dict: bool = False) -> Any:
        """Loss (and metrics) of one batch in evaluation mode."""
        return self.evaluate(x, y, None, 0, sample_weight, return_dict)

    def predict_on_batch(self, x: Any) -> Array:
        """Outputs of one batch in evaluation mode."""
        return self.predict(x, batch_size=max(len(x), 1))

    def summary(self, print_fn: Callable[[str], Any] | None = None) -> None:
        """Print the layers, their output shapes and numbers of parameters, as Keras does."""
        (print_fn or print)(summary(self))

    # ---- inside ----

    def _trainer(self, arrays: Sequence[Array | None]) -> Callable[[Array, int, Progress | None], dict[str, float]]:
        """A function that trains on the rows of an order, in batches of a size, and returns losses and metrics."""
        x, y, w = _known(arrays[0]), _known(arrays[1]), arrays[2]
        optimizer, loss, watched = self.optimizer, self.loss, self._resolve_metrics(y)
        assert optimizer is not None
        assert loss is not None
        weights = self.trainable_weights
        if not weights:
            raise ValueError(f"{self.name} has no trainable weights")
        optimizer.build(weights)
        sources = Source.of(x), Source.of(y), w is not None
        key = (
            *sources,
            self._version,
            id(optimizer),
            optimizer.kernel,
            optimizer.used_slots(),
            tuple(map(id, weights)),
        )

        def make(rows: int, builder: Builder) -> Batch:
            return builder.train(rows, *sources, loss, watched, optimizer)

        def train_rows(order: Array, size: int, bar: Progress | None) -> dict[str, float]:
            sums = np.zeros((1 + len(watched), 2))
            done = 0
            for start, rows, steps in _batches(len(order), size):
                batch = self._program(("train", rows, *key), partial(make, rows))
                batch.bind(x=x, y=y, order=order, **({} if w is None else {"w": w}))
                batch.sums[...] = 0
                for n in _run(batch, start, steps, optimizer.iterations):
                    optimizer.iterations += n
                    done += n
                    if bar is not None and bar.verbose == 1:
                        bar.update(done, self._logs(sums + batch.sums.sum(0)))
                sums += batch.sums.sum(0)
            return self._logs(sums)

        return train_rows

    def _evaluate_rows(self, arrays: Sequence[Array | None], size: int) -> dict[str, float]:
        x, y, w = _known(arrays[0]), _known(arrays[1]), arrays[2]
        loss, watched = self.loss, self._resolve_metrics(y)
        assert loss is not None
        sums = np.zeros((1 + len(watched), 2))
        sources = Source.of(x), Source.of(y), w is not None

        def make(rows: int, builder: Builder) -> Batch:
            return builder.evaluate(rows, *sources, loss, watched)

        for start, rows, steps in _batches(len(x), size):
            batch = self._program(("evaluate", rows, *sources, self._version), partial(make, rows))
            batch.bind(x=x, y=y, **({} if w is None else {"w": w}))
            batch.sums[...] = 0
            for _ in _run(batch, start, steps, 0):
                pass
            sums += batch.sums.sum(0)
        return self._logs(sums)

    def _logs(self, sums: Array) -> dict[str, float]:
        names = ["loss", *(m.name for m in self._metrics or [])]
        return {
            name: float(total / count) if count else float("nan")
            for name, (total, count) in zip(names, sums, strict=True)
        }

    def _program(self, key: tuple[Any, ...], build: Callable[[Builder], Batch]) -> Batch:
        """The program under a key: kept for this thread, or written now."""
        kept: OrderedDict[tuple[Any, ...], Batch] | None = getattr(self._local, "programs", None)
        if kept is None:
            kept = self._local.programs = OrderedDict()
        batch = kept.get(key)
        if batch is None or batch.moves != regions.moves():
            batch = kept[key] = build(Builder(self))
            if len(kept) > KEPT_PROGRAMS:
                kept.popitem(last=False)
        kept.move_to_end(key)
        return batch

    def _intake(
        self, x: Any, y: Any, sample_weight: Any, class_weight: Mapping[int, float] | None
    ) -> tuple[Array, Array, Array | None]:
        """Check and prepare arrays for training or evaluation."""
        assert self.loss is not None
        dtype = self.compute_dtype
        x = data.as_input(x, "x", shape=self._row_shape(), dtype=dtype)
        self._build_on(x.shape)
        shape = tuple(n or 1 for n in self.output_shape[1:])
        y = self.loss.targets(y, "y", len(x), shape, dtype)
        data.same_length(x=x, y=y)
        w = None if sample_weight is None else data.as_weights(sample_weight, "sample_weight", len(x), dtype)
        if class_weight is not None:
            by_class = class_weights(class_weight, y, shape, dtype)
            w = by_class if w is None else w * by_class
        return x, y, w

    def _validation(self, given: Any) -> tuple[Array, Array, Array | None]:
        if not isinstance(given, (tuple, list)) or len(given) not in (2, 3):
            raise ValueError(f"validation_data: wants (x, y) or (x, y, sample_weight), got {type(given).__name__}")
        try:
            return self._intake(given[0], given[1], given[2] if len(given) == 3 else None, None)
        except (ValueError, TypeError) as error:
            raise type(error)(f"validation_data: {error}") from None

    def _resolve_metrics(self, y: Array | None) -> list[metrics.Metric]:
        if self._metrics is None:
            width = None if y is None or self.batch_input_shape is None else self.output_shape[-1]
            self._metrics = [metrics.get(m, self.loss, width) for m in self._metric_names]
        return self._metrics

    def _row_shape(self) -> tuple[int | None, ...] | None:
        return None if self.batch_input_shape is None else self.batch_input_shape[1:]

    def _build_on(self, shape: Sequence[int]) -> None:
        if self.batch_input_shape is None:
            self.batch_input_shape = (None, *shape[1:])
        self.build_for(self.batch_input_shape)

    def _check_compiled(self) -> None:
        if self.optimizer is None or self.loss is None:
            raise ValueError(f"{self.name} is not compiled: call compile(optimizer, loss) first")


def class_weights(class_weight: Mapping[int, float], y: Array, shape: Sequence[int], dtype: np.dtype[Any]) -> Array:
    """A weight for each row from the weight of its class; classes that are not named weigh 1."""
    if y.ndim == 1:
        classes = y
    elif shape[-1] == 1:
        classes = np.rint(y[..., 0]).astype(np.int64)
    else:
        classes = y.argmax(-1)
    table = np.ones(max(int(classes.max()), 0) + 1, dtype)
    for label, weight in class_weight.items():
        if not isinstance(label, (int, np.integer)) or not 0 <= float(weight) < np.inf:
            raise ValueError(f"class_weight: wants {{class: weight from 0}}, got {{{label!r}: {weight!r}}}")
        if 0 <= label < len(table):
            table[label] = weight
    return table[classes]


def _batches(n: int, size: int) -> list[tuple[int, int, int]]:
    """(first row, rows of a batch, number of batches): the full ones, then the short one."""
    full = n // size
    parts = [(0, size, full), (full * size, n - full * size, 1)]
    return [(start, rows, steps) for start, rows, steps in parts if rows and steps]


def _run(batch: Batch, start: int, steps: int, step: int) -> Iterator[int]:
    """Run steps from row ``start`` on, in calls of bounded length; yields the number of steps of each call."""
    batch.cursor[0] = start
    done = 0
    while done < steps:
        n = steps - done
        if batch.seconds * n > CALL_SECONDS or batch.seconds == 0:
            n = max(1, min(n, int(CALL_SECONDS / batch.seconds) if batch.seconds else 1))
        began = time.perf_counter()
        batch.linked.run(n, step + done)
        batch.seconds = (time.perf_counter() - began) / n
        done += n
        yield n


def _known(array: Array | None) -> Array:
    assert array is not None
    return array
