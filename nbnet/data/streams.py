"""Data that come in batches: generators, datasets that are asked for batch after batch, loaders.

A training loop sees one thing only: ``for x, y, w in stream.epoch(k)``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import abc, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import count, islice
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nbnet.data.passes import as_steps, part_of_pass, warn_short
from nbnet.data.py_dataset import PyDataset


class RawBatch(NamedTuple):
    """One batch as it came: inputs, targets, weights of samples."""

    x: Any
    y: Any
    w: Any


#: ``order(number, n)``: the order of n batches in a pass.
Order = Callable[[int, int], NDArray[np.int64]]


def is_stream(x: Any) -> bool:
    """Whether ``x`` comes in batches: a :class:`PyDataset`, an iterator, or any object of the user's that has
    ``__getitem__`` and ``__len__``, or ``__iter__``, and is no array.

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
    x: Any,
    steps: Any = None,
    *,
    name: str = "x",
    steps_name: str = "steps",
    targets: bool = True,
    **others: Any,
) -> Stream:
    """A stream of batches.

    Parameters
    ----------
    x
        What :func:`is_stream` is true for.
    steps : int, optional
        Steps of one epoch; without, an epoch ends where the data end.
    name, steps_name : str
        What messages call ``x`` and ``steps``.
    targets : bool
        Whether batches must have targets.
    **others
        Arguments that must be None: ``y``, ``sample_weight``, ``batch_size``.

    Raises
    ------
    ValueError
        If one of these is not None, or the data have no end and ``steps`` is None.

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
            what = "has batches of its own" if argument == "batch_size" else "yields (x, y, sample_weight) itself"
            raise ValueError(f"{argument} must be None: {name} is a {kind}, which {what}")
    steps = as_steps(steps, steps_name)
    if isinstance(x, PyDataset) or (hasattr(x, "__getitem__") and hasattr(x, "__len__")):
        length = x.num_batches if isinstance(x, PyDataset) else len(x)
        if length is None and steps is None:
            raise ValueError(f"{steps_name} must be given: {name} is a {kind} without a length")
        if length == 0:
            raise ValueError(f"{name} must not be empty, got a {kind} of length 0")
        return Numbered(x, name, steps, targets, length)
    return Iterated(x, name, steps, targets)


class Stream(ABC):
    """Batches, epoch by epoch.

    Parameters
    ----------
    source
        Where they come from.
    name : str
        What messages call it.
    steps : int or None
        Steps of an epoch.
    targets : bool
        Whether a batch must have targets.
    """

    def __init__(self, source: Any, name: str, steps: int | None, targets: bool) -> None:
        self.source, self.name, self.steps, self.targets = source, name, steps, targets
        #: The order in which batches are asked for by number; None: as they are numbered.
        self.order: Order | None = None
        #: Whether the last epoch had fewer batches than steps.
        self.short = False

    @property
    @abstractmethod
    def length(self) -> int | None:
        """Batches of the next epoch, as far as one can know."""

    @abstractmethod
    def ready(self) -> bool:
        """Whether there is a batch for another epoch."""

    @abstractmethod
    def _items(self, number: int) -> Iterator[Any]:
        """What the source gives for an epoch."""

    def epoch(self, number: int) -> Iterator[RawBatch]:
        """The batches of an epoch, their form checked; warns if there are fewer than ``steps``.

        Parameters
        ----------
        number : int
            From 0.

        Raises
        ------
        TypeError, ValueError
            If the source yields something that is no batch.
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
            raise ValueError(f"{self.name} must yield batches {wanted}, batch {number} is {got}")
        x, y, w = (*parts, None, None, None)[:3]
        if self.targets and y is None:
            got = type(item).__name__ + (" without targets" if isinstance(item, (tuple, list)) else "")
            raise ValueError(f"{self.name} must yield batches {wanted}, batch {number} is a {got}")
        return RawBatch(x, y, w)


class Numbered(Stream):
    """Batches that are asked for by number, in background threads if the source wants so."""

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
        rest, waiting = iter(indices), deque[Future[Any]]()
        with ThreadPoolExecutor(workers, "nbnet-batches") as pool:
            try:
                ahead = getattr(self.source, "max_queue_size", 10)
                waiting.extend(pool.submit(get, i) for i in islice(rest, ahead))
                while waiting:
                    item = waiting.popleft().result()
                    waiting.extend(pool.submit(get, i) for i in islice(rest, 1))
                    yield item
            finally:
                for future in waiting:
                    future.cancel()


class Iterated(Stream):
    """Batches that come one after the other: once from an iterator, again and again from what makes iterators."""

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
        """Read one item ahead, if there is one; at the end the pass is over."""
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
