"""Data that come in batches: generators, datasets with numbered batches, loaders.

A training loop only sees ``for x, y, w in stream.epoch(k)``.
"""

from __future__ import annotations

import copy
import warnings
from abc import ABC, abstractmethod
from collections import abc, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import count, islice
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nbnet.base.array_memory import copied
from nbnet.base.validation import check_int


class PyDataset:
    """Batches by number: subclasses define ``__getitem__(index)`` and ``__len__``.

    Background threads compute batches while the model trains on earlier ones; their order stays. ``fit(shuffle=True)``
    shuffles the order of the batches.

    A thread copies each batch that it has computed, so ``__getitem__`` may return the same arrays again, with other
    values. With more than one worker it runs in several threads at once, which then need arrays of their own.

    Parameters
    ----------
    workers : int
        Number of threads that compute batches; with 0 the training thread computes them, and nothing is copied.
    use_multiprocessing : bool
        Accepted for Keras's signature. Workers are always threads: NumPy releases the interpreter lock while it
        computes, and threads need no copies of the data.
    max_queue_size : int
        Number of computed batches that may wait.

    Examples
    --------
    >>> import numpy as np
    >>> import nbnet as nb
    >>> class Squares(nb.utils.PyDataset):
    ...     def __len__(self):
    ...         return 4
    ...
    ...     def __getitem__(self, index):
    ...         x = np.linspace(index, index + 1, 8, dtype="float32")[:, None]
    ...         return x, x**2
    >>> model = nb.Sequential([nb.Input((1,)), nb.layers.Dense(8, "tanh"), nb.layers.Dense(1)])
    >>> model.compile("adam", "mse")
    >>> model.fit(Squares(), epochs=2, verbose=0).epoch
    [0, 1]
    """

    # Defaults for subclasses that do not call this __init__.
    workers: int = 1
    use_multiprocessing: bool = False
    max_queue_size: int = 10

    def __init__(self, workers: int = 1, use_multiprocessing: bool = False, max_queue_size: int = 10) -> None:
        self.workers, self.use_multiprocessing = check_int(workers, "workers", 0), use_multiprocessing
        self.max_queue_size = check_int(max_queue_size, "max_queue_size")

    def __getitem__(self, index: int) -> Any:
        """Return batch ``index``: ``(x, y)``, ``(x, y, sample_weight)``, or for prediction ``x``."""
        raise NotImplementedError(f"{type(self).__name__} defines no __getitem__(index) that returns a batch")

    @property
    def num_batches(self) -> int | None:
        """Number of batches of one pass; None, for a class without a length, means infinitely many."""
        return len(self) if hasattr(self, "__len__") else None

    def on_epoch_begin(self) -> None:
        """Called before each epoch."""

    def on_epoch_end(self) -> None:
        """Called after each epoch, for example to shuffle samples."""


class RawBatch(NamedTuple):
    """A batch as the source yields it: inputs, targets, sample weights."""

    x: Any
    y: Any
    w: Any


#: ``order(number, n)`` returns the order of n batches in a pass.
Order = Callable[[int, int], NDArray[np.int64]]


def is_stream(x: Any) -> bool:
    """Return True if ``x`` comes in batches.

    That is a :class:`PyDataset`, an iterator, or an object with ``__getitem__`` and ``__len__``, or ``__iter__``, that
    is no array or collection.

    Examples
    --------
    >>> from nbnet.data import is_stream
    >>> is_stream([1.0, 2.0]), is_stream(batch for batch in [])
    (False, True)
    """
    if type(x) is np.ndarray:
        return False
    if isinstance(x, PyDataset) or hasattr(x, "__next__"):
        return True
    if isinstance(x, (abc.Sequence, abc.Mapping, abc.Set, type)):
        return False
    if any(hasattr(x, name) for name in ("shape", "__array__", "__array_interface__", "__dataframe__")):
        return False
    return hasattr(x, "__iter__") or (hasattr(x, "__getitem__") and hasattr(x, "__len__"))


def as_stream(
    x: Any, steps: Any = None, *, name: str = "x", steps_name: str = "steps", targets: bool = True, **others: Any
) -> Stream:
    """Return a stream of batches of a source for which :func:`is_stream` is true.

    An epoch has ``steps`` steps; by default it ends where the data end. If ``targets`` is True, batches must have
    targets. ``others``, such as ``y`` and ``sample_weight``, must be None. Raise ValueError if one of them
    is not, or the data are infinite and ``steps`` is None; ``name`` and ``steps_name`` are for messages.

    Examples
    --------
    >>> from nbnet.data import as_stream
    >>> batches = as_stream(([[k]], [k]) for k in range(5))
    >>> [y for x, y, w in batches.epoch(0)]
    [[0], [1], [2], [3], [4]]
    """
    kind = type(x).__name__
    for argument, value in others.items():
        if value is not None:
            raise ValueError(
                f"{argument}: expected None: {name} is a {kind}, which yields (x, y, sample_weight) itself"
            )
    steps = as_steps(steps, steps_name)
    if isinstance(x, PyDataset) or (hasattr(x, "__getitem__") and hasattr(x, "__len__")):
        length = x.num_batches if isinstance(x, PyDataset) else len(x)
        if length is None and steps is None:
            raise ValueError(f"{steps_name}: expected a number: {name} is a {kind} without a length")
        if length == 0:
            raise ValueError(f"{name}: expected batches, got a {kind} of length 0")
        return Numbered(x, name, steps, targets, length)
    return Iterated(x, name, steps, targets)


class Stream(ABC):
    """Batches of a source, epoch by epoch; see :func:`as_stream` for the parameters."""

    def __init__(self, source: Any, name: str, steps: int | None, targets: bool) -> None:
        self.source, self.name, self.steps, self.targets = source, name, steps, targets
        #: Order in which batches are requested by number; None: as they are numbered.
        self.order: Order | None = None
        #: True if the last epoch had fewer batches than steps.
        self.short = False

    @property
    @abstractmethod
    def length(self) -> int | None:
        """Number of batches of the next epoch; None if it is not known."""

    @abstractmethod
    def ready(self) -> bool:
        """Return True if there is a batch for another epoch."""

    @abstractmethod
    def _items(self, number: int) -> Iterator[Any]:
        """Yield the items of the source for an epoch."""

    def epoch(self, number: int) -> Iterator[RawBatch]:
        """Yield the checked batches of an epoch, counted from 0; warn if there are fewer than ``steps``.

        Raise ValueError if the source yields an item that is no batch.
        """
        self._notify("on_epoch_begin")
        done = 0
        for item in self._items(number):
            yield self._batch(item, done)
            done += 1
        self.short = self.steps is not None and done < self.steps
        if self.steps is not None and self.short:
            warn_short(done, self.steps, self.name)
        self._notify("on_epoch_end")

    def _notify(self, hook: str) -> None:
        if callable(method := getattr(self.source, hook, None)):
            method()

    def _batch(self, item: Any, number: int) -> RawBatch:
        parts = tuple(item) if isinstance(item, (tuple, list)) else (item,)
        wanted = "(x, y) or (x, y, sample_weight)" if self.targets else "x, (x, y) or (x, y, sample_weight)"
        if item is None or isinstance(item, (str, bytes)) or not 1 <= len(parts) <= 3:
            got = f"{len(parts)} parts" if isinstance(item, (tuple, list)) else repr(item)
            raise ValueError(f"{self.name}: expected batches {wanted}, batch {number} is {got}")
        x, y, w = (*parts, None, None, None)[:3]
        if self.targets and y is None:
            got = type(item).__name__ + (" without targets" if isinstance(item, (tuple, list)) else "")
            raise ValueError(f"{self.name}: expected batches {wanted}, batch {number} is a {got}")
        return RawBatch(x, y, w)


class Numbered(Stream):
    """Batches that are requested by number, in background threads if the source has workers."""

    def __init__(self, source: Any, name: str, steps: int | None, targets: bool, batches: int | None) -> None:
        super().__init__(source, name, steps, targets)
        self.batches = batches

    @property
    def length(self) -> int | None:
        return self.batches if self.steps is None else self.steps

    def ready(self) -> bool:
        return True

    def _items(self, number: int) -> Iterator[Any]:
        if self.batches is None:
            assert self.steps is not None
            return self._fetch(range(number * self.steps, (number + 1) * self.steps))
        number, start, stop = part_of_pass(number, self.batches, self.steps)
        order: Iterable[int] = range(start, stop)
        if self.order is not None:
            order = self.order(number, self.batches)[start:stop].tolist()
        return self._fetch(order)

    def _fetch(self, indices: Iterable[int]) -> Iterator[Any]:
        get, workers = self.source.__getitem__, getattr(self.source, "workers", 0)
        if not workers:
            yield from map(get, indices)
            return

        def take(index: int) -> Any:
            # The source may write the next batch into the same arrays, while this one waits or is trained on.
            return _copied(get(index))

        rest, waiting = iter(indices), deque[Future[Any]]()
        with ThreadPoolExecutor(workers, "nbnet-batches") as pool:
            try:
                ahead = getattr(self.source, "max_queue_size", 10)
                waiting.extend(pool.submit(take, i) for i in islice(rest, ahead))
                while waiting:
                    item = waiting.popleft().result()
                    waiting.extend(pool.submit(take, i) for i in islice(rest, 1))
                    yield item
            finally:
                for future in waiting:
                    future.cancel()


def _copied(part: Any) -> Any:
    """Return a copy of a batch, or a part of one, that shares no memory with it."""
    if isinstance(part, abc.Mapping):
        return {key: _copied(value) for key, value in part.items()}
    if isinstance(part, (list, tuple)):
        parts = [value if type(value) in (int, float) else _copied(value) for value in part]
        return tuple(parts) if isinstance(part, tuple) else parts
    if type(part) in (np.ndarray, np.memmap) and not part.dtype.hasobject:
        return copied(part, "batch")
    for name in ("copy", "clone"):
        if callable(method := getattr(part, name, None)):
            return method()
    if hasattr(part, "__array__") or isinstance(part, memoryview):
        return np.array(part)
    return copy.copy(part) if hasattr(part, "__copy__") else part


class Iterated(Stream):
    """Batches in sequence: one pass from an iterator, repeated passes from an iterable."""

    def __init__(self, source: Any, name: str, steps: int | None, targets: bool) -> None:
        super().__init__(source, name, steps, targets)
        self._once = hasattr(source, "__next__")
        self._pass: Iterator[Any] | None = None
        self._ahead: list[Any] = []
        self._seen: int | None = None

    @property
    def length(self) -> int | None:
        if self.steps is not None:
            return self.steps
        return len(self.source) if hasattr(self.source, "__len__") else self._seen

    def ready(self) -> bool:
        if not self._ahead:
            begun = self._pass is not None
            self._take()
            if not self._ahead and begun and not self._once:
                self._take()
        return bool(self._ahead)

    def _take(self) -> None:
        """Read one item ahead; at the end the pass is over."""
        if self._pass is None:
            self._pass = iter(self.source)
        self._ahead = list(islice(self._pass, 1))
        if not self._ahead:
            self._pass = None

    def _items(self, number: int) -> Iterator[Any]:
        if not self.ready():
            return
        for done in count(1):
            yield self._ahead.pop()
            if done == self.steps:
                return
            self._take()
            if not self._ahead:
                self._seen = done
                return


def part_of_pass(epoch: int, batches: int, steps: int | None) -> tuple[int, int, int]:
    """Return the number of the pass of an epoch (from 0), and the range of its batches: ``number, start, stop``.

    A pass has a number of batches, an epoch a number of steps; None is a whole pass. As in Keras, an epoch continues
    where the last one ended, and ends at the end of the data.

    Examples
    --------
    >>> from nbnet.data.streams import part_of_pass
    >>> [part_of_pass(epoch, 5, 2) for epoch in range(4)]
    [(0, 0, 2), (0, 2, 4), (0, 4, 5), (1, 0, 2)]
    """
    if steps is None:
        return epoch, 0, batches
    number, part = divmod(epoch, -(-batches // steps))
    return number, part * steps, min(batches, (part + 1) * steps)


def warn_short(done: int, steps: int, what: str = "x") -> None:
    """Warn that an epoch was cut short, as Keras does."""
    warnings.warn(
        f"{what} ran out of data after {done} of the {steps} steps of an epoch; it has to hold or yield at least as "
        "many batches as all epochs have steps",
        stacklevel=3,
    )


def warn_ended(done: int, epochs: int, what: str = "x") -> None:
    """Warn that there are no batches for more epochs."""
    warnings.warn(f"{what} ran out of data after {done} of the {epochs} epochs", stacklevel=3)


def as_steps(steps: Any, name: str) -> int | None:
    """Return a number of steps, or None; raise ValueError for anything but an integer from 1.

    Examples
    --------
    >>> from nbnet.data.streams import as_steps
    >>> as_steps(0, "validation_steps")
    Traceback (most recent call last):
        ...
    ValueError: validation_steps: expected None or an integer from 1, got 0
    """
    if steps is None:
        return None
    try:
        whole = int(steps)
        if whole == steps and whole >= 1 and not isinstance(steps, bool):
            return whole
    except (TypeError, ValueError, OverflowError):
        pass
    raise ValueError(f"{name}: expected None or an integer from 1, got {steps!r}")


def validates(epoch: int, frequency: Any) -> bool:
    """Return True if ``validation_freq`` asks for a validation after this epoch (from 0).

    Examples
    --------
    >>> from nbnet.data.streams import validates
    >>> [validates(epoch, 2) for epoch in range(4)], validates(4, [1, 5])
    ([False, True, False, True], True)
    """
    return (epoch + 1) % frequency == 0 if isinstance(frequency, int) else epoch + 1 in frequency


def check_frequency(frequency: Any) -> Any:
    """Return ``validation_freq``; raise ValueError if it is neither an integer from 1 nor a collection of epochs."""
    if isinstance(frequency, (list, tuple, set, frozenset, range)):
        return frequency
    try:
        return check_int(frequency, "validation_freq")
    except ValueError:
        message = f"validation_freq: expected an integer from 1 or a list of epochs, got {frequency!r}"
        raise ValueError(message) from None
