"""Data sources for training, evaluation and prediction: arrays in some order, or a stream of batches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbnet import data, random
from nbnet.base import array_memory
from nbnet.base.validation import check_int
from nbnet.engine.graph.tensor import Call
from nbnet.engine.runtime.batch_io import Shuffler, shuffled
from nbnet.train.epoch_loop import Chunk
from nbnet.train.inputs import Rows, input_rows, labelled_rows, signature_of, validation_rows
from nbnet.train.trainable import Trainable, TrainingPosition, runs_in_python

#: Rows of a batch in training and validation, and in evaluation and prediction, by default.
BATCH_SIZE, PREDICT_ROWS = 32, 256
#: A batch size that no array reaches.
ONE_BATCH = 1 << 62


class EpochSampler:
    """The rows that each epoch sees, and their order.

    Parameters
    ----------
    n
        Number of rows.
    size
        Rows of a batch.
    shuffle
        If True, each pass over the rows has an order of its own, drawn from the key of the position.
    position
        How far the training has come: an epoch that was interrupted continues there.
    steps
        Batches of an epoch; the next one continues after them. None: an epoch is a pass over the rows.

    Attributes
    ----------
    order : ndarray of int64, (n,)
        Order of the rows in the pass that the epoch belongs to.

    Examples
    --------
    >>> from nbnet.train.data_source import EpochSampler
    >>> from nbnet.train.trainable import TrainingPosition
    >>> sampler = EpochSampler(8, 2, False, TrainingPosition(), steps=2)
    >>> [sampler.epoch(number) for number in range(3)]
    [slice(0, 4, None), slice(4, 8, None), slice(0, 4, None)]
    """

    #: True if an epoch can begin at any of its batches: ``position.batch``.
    resumes = True
    #: Returns a function that brings back what orders are drawn from; None if it is the position alone.
    remember: Callable[..., Callable[[], None] | None] | None = None

    def __init__(
        self, n: int, size: int, shuffle: bool | Shuffler, position: TrainingPosition, steps: int | None = None
    ) -> None:
        self._shuffler = Shuffler(n) if shuffle is True else shuffle or None
        self.order: NDArray[np.int64] = np.arange(n) if self._shuffler is None else self._shuffler.order
        self.position, self._n, self._size, self._steps = position, n, size, steps

    @property
    def whole(self) -> bool:
        """True if each epoch is a pass over all rows."""
        return self._steps is None

    def calls(self, epochs: Sequence[int]) -> list[Call]:
        """Return the calls that put the rows in the order of epoch ``epochs[k]`` in step k, for whole passes."""
        if self._shuffler is None:
            return []
        return self._shuffler.calls([self._key(number) for number in epochs])

    def epoch(self, number: int) -> slice:
        """Put the rows in the order of an epoch; return the part that it sees. Warns if there are too few rows."""
        turn, start, stop = number, 0, -(-self._n // self._size)
        if self._steps is not None:
            turn, start, stop = data.part_of_pass(number, stop, self._steps)
            if stop - start < self._steps:
                data.warn_short(stop - start, self._steps)
        if self._shuffler is not None:
            self._shuffler(self._key(turn))
        return slice((start + self.position.batch) * self._size, min(stop * self._size, self._n))

    def _key(self, number: int) -> int:
        assert self.position.key is not None
        return random.derive(self.position.key, number)


class ArraySource:
    """Batches of rows in memory, or in mapped files.

    Parameters
    ----------
    rows, size
        The rows, and how many of them a batch has.
    sampler
        Decides which rows an epoch sees, and in which order; None: all of them, as they lie.
    steps
        Batches of an epoch; None: as many as there are.
    """

    def __init__(self, rows: Rows, size: int, sampler: EpochSampler | None = None, steps: int | None = None) -> None:
        self.size, self.sampler = size, sampler
        self.length: int | None = -(-rows.n // size) if steps is None else steps
        # Arrays in large mapped files are read a block of rows at a time; beside sparse rows they are copied.
        large = any(getattr(array, "nbytes", 0) > array_memory.LARGE for array in (*rows.x, *rows.y, *rows.w))
        if large and any(isinstance(part, data.SparseRows) for part in rows.x):
            mapped = [(array, data.MappedRows.of(array)) for array in rows.arrays()]
            rows = rows.like([array if part is None else data.copied(array, "data") for array, part in mapped])
        self.rows, self.blocks = rows, data.Blocks.of(rows.arrays(), rows.labels()) if large else None

    @classmethod
    def first(cls, rows: Rows, size: int, steps: int | None) -> ArraySource:
        """Return a source of the first ``steps`` batches; warns if there are fewer."""
        if steps is not None:
            batches = -(-len(rows) // size)
            if batches < steps:
                data.warn_short(batches, steps)
            rows = rows.head(steps * size)
        return cls(rows, size, None, steps)

    def epochs(self, first: int, last: int) -> Iterable[int]:
        return range(first, last)

    def chunks(self, epoch: int, single: bool) -> Iterable[Chunk]:
        span = slice(0, self.rows.n) if self.sampler is None else self.sampler.epoch(epoch)
        order = None if self.sampler is None else self.sampler.order
        if self.blocks is None:
            return array_chunks(self.rows, self.size, order, span, single)
        return self._block_chunks(self.blocks, order, span, single)

    def _block_chunks(self, blocks: data.Blocks, order: Any, span: slice, single: bool) -> Iterator[Chunk]:
        first = span.start
        for part in blocks.read((range(len(self.rows)) if order is None else order)[span], self.size):
            rows = self.rows.like(part)
            yield from array_chunks(rows, self.size, None, slice(0, rows.n), single, first)
            first += rows.n

    def pass_chunks(self) -> list[Chunk]:
        """Return the chunks of a pass over all rows in memory, in whatever order they are."""
        order = None if self.sampler is None else self.sampler.order
        return array_chunks(self.rows, self.size, order, slice(0, self.rows.n))


def array_chunks(
    rows: Rows, size: int, order: NDArray[Any] | None, span: slice, single: bool = False, first: int = 0
) -> list[Chunk]:
    """Return the full batches of a span of rows, then the short one; or each batch alone."""
    start, stop, chunks = span.start, span.stop, []
    if not single and (steps := (stop - start) // size) > 0:
        start += steps * size
        chunks.append(Chunk(rows, order, span.start, start, size, steps, first))
    for place in range(start, stop, size):
        end = min(place + size, stop)
        chunks.append(Chunk(rows, order, place, end, end - place, 1, first))
    return chunks


class StreamSource:
    """Batches as a generator, a dataset or a loader gives them.

    Parameters
    ----------
    source
        A stream: :func:`nbnet.data.is_stream` is true for it.
    intake
        Checks a batch: ``intake(x, y, sample_weight)``.
    steps
        Batches of an epoch.
    name, steps_name
        Names of the source and the steps in messages.
    targets
        If True, batches must have targets.
    position
        Of a training: batches that it counts are skipped. None: each epoch begins anew, as far as the source can.
    shuffle
        If True, the batches of a dataset come in a new order in each epoch.
    **others
        Arguments that must be None.

    Raises
    ------
    ValueError
        If arguments cannot be combined.
    """

    def __init__(
        self,
        source: Any,
        intake: Callable[[Any, Any, Any], Rows],
        steps: int | None,
        *,
        name: str = "x",
        steps_name: str = "steps",
        targets: bool = True,
        position: TrainingPosition | None = None,
        shuffle: bool = False,
        **others: Any,
    ) -> None:
        def make() -> data.Stream:
            return data.as_stream(source, steps, name=name, steps_name=steps_name, targets=targets, **others)

        def order(number: int, n: int) -> NDArray[np.int64]:
            assert position is not None
            assert position.key is not None
            return shuffled(n, random.derive(position.key, number))

        self._make, self._stream, self._intake, self._position, self._done = make, make(), intake, position, 0
        self._stream.order = order if shuffle else None

    @property
    def length(self) -> int | None:
        return self._stream.length

    def epochs(self, first: int, last: int) -> Iterator[int]:
        for epoch in range(first, last):
            if not self._stream.ready():
                self._say_ended(epoch - first, last - first)
                return
            yield epoch

    def chunks(self, epoch: int, single: bool) -> Iterator[Chunk]:
        """Yield one chunk per batch; an error says which batch is at fault."""
        stream, done = self._stream, 0 if self._position is None else self._position.batch
        if self._position is None and not stream.ready():
            self._say_ended(self._done, self._done + 1)
        for number, (x, y, w) in enumerate(stream.epoch(epoch)):
            if number < done:
                continue
            try:
                rows = self._intake(x, y, w)
            except (TypeError, ValueError) as error:
                where = f"batch {number}" if stream.name == "x" else f"{stream.name}, batch {number}"
                raise type(error)(f"{where}: {error}") from None
            yield Chunk(rows, None, 0, rows.n, rows.n, 1)
        if self._position is None:
            self._stream, self._done = self._make(), self._done + 1

    def _say_ended(self, done: int, wanted: int) -> None:
        """Raise or warn: there are no more batches, or there never were any."""
        if done == 0:
            raise ValueError(f"{self._stream.name}: expected at least one batch, got none")
        if not self._stream.short:
            data.warn_ended(done, wanted, self._stream.name)


def training_source(
    model: Trainable,
    given: tuple[Any, Any, Any],
    batch_size: int | None,
    steps: int | None,
    shuffle: bool,
    share: float,
    class_weight: Mapping[int, float] | None,
) -> tuple[ArraySource | StreamSource, Rows | None]:
    """Return the source that ``fit`` trains on, and the share of the rows that is held out."""
    (x, y, sample_weight), position = given, model._train_state.position
    if _is_stream(x):
        if share:
            raise ValueError(f"validation_split: expected 0: x is a {type(x).__name__}; take validation_data")

        def intake(x: Any, y: Any, w: Any) -> Rows:
            return labelled_rows(model, x, y, w).weighted(class_weight, model.dtype)

        stream = StreamSource(
            x, intake, steps, steps_name="steps_per_epoch", targets=_want_targets(model), position=position,
            shuffle=shuffle, y=y, sample_weight=sample_weight,
        )  # fmt: skip
        return stream, None
    steps = _steps(steps, "steps_per_epoch")
    rows, held = labelled_rows(model, x, y, sample_weight).split(share)
    rows, size = rows.weighted(class_weight, model.dtype), _size(batch_size, BATCH_SIZE, rows.n, steps)
    sampler = EpochSampler(rows.n, size, shuffle and _shuffler(model, rows.n), position, steps)
    return ArraySource(rows, size, sampler, steps), held


def validation_source(
    model: Trainable, given: Any, held: Rows | None, batch_size: int | None, steps: int | None
) -> ArraySource | StreamSource | None:
    """Return the source that ``fit`` validates on: the data given, else the rows that are held out."""
    name = "validation_steps"
    if _is_stream(given):
        intake, targets = _intake(model), _want_targets(model)
        return StreamSource(given, intake, steps, name="validation_data", steps_name=name, targets=targets)
    steps, rows = _steps(steps, name), held if given is None else validation_rows(model, given)
    size = _size(batch_size, BATCH_SIZE, 0 if rows is None else rows.n, steps, "validation_batch_size")
    return None if rows is None else ArraySource.first(rows, size, steps)


def evaluation_source(
    model: Trainable, given: tuple[Any, Any, Any], batch_size: int | None, steps: int | None
) -> ArraySource | StreamSource:
    """Return the source of ``evaluate``."""
    x, y, sample_weight = given
    if _is_stream(x):
        others = {"y": y, "sample_weight": sample_weight}
        return StreamSource(x, _intake(model), steps, targets=_want_targets(model), **others)
    steps, rows = _steps(steps, "steps"), labelled_rows(model, x, y, sample_weight)
    return ArraySource.first(rows, _size(batch_size, BATCH_SIZE, rows.n, steps), steps)


def prediction_source(
    model: Trainable, x: Any, batch_size: int | None, steps: int | None, seen: bool
) -> ArraySource | StreamSource:
    """Return the source of ``predict``; without a size, batches are larger where no one can tell: neither callbacks nor
    a bar see them, and rows do not depend on each other."""
    if _is_stream(x):
        return StreamSource(x, lambda x, y, w: input_rows(model, x), steps, targets=False)
    steps, rows = _steps(steps, "steps"), input_rows(model, x)
    told = seen or steps is not None or runs_in_python(model, "predict_step")
    large = not told and (rows.signature or signature_of(model, rows.row_shapes())).alone
    default = PREDICT_ROWS if large else BATCH_SIZE
    return ArraySource.first(rows, _size(batch_size, default, rows.n, steps), steps)


def _is_stream(x: Any) -> bool:
    return not (x is None or isinstance(x, np.ndarray)) and data.is_stream(x)


def _steps(steps: Any, name: str) -> int | None:
    return None if steps is None else data.as_steps(steps, name)


def _intake(model: Trainable) -> Callable[[Any, Any, Any], Rows]:
    return lambda x, y, w: labelled_rows(model, x, y, w)


def _want_targets(model: Trainable) -> bool:
    """Return True if batches must have targets; steps of the user's own may do without."""
    return not (runs_in_python(model, "train_step") or runs_in_python(model, "test_step"))


def _size(batch_size: int | None, default: int, n: int, steps: int | None, name: str = "batch_size") -> int:
    """Return the rows of a batch; without a size, of n rows in as many steps as are asked for."""
    if batch_size is not None:
        return check_int(batch_size, name)
    return default if steps is None else max(-(-n // steps), 1)


def _shuffler(model: Trainable, n: int) -> Shuffler:
    """Return the shuffler of the last training in this thread if it had as many rows."""
    local = model._train_state.local
    known: Shuffler | None = getattr(local, "shuffler", None)
    if known is None or len(known.order) != n:
        known = local.shuffler = Shuffler(n)
    return known
