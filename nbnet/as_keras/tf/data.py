"""``tf.data.Dataset``: elements one by one or in batches, transformed in Python; fit, evaluate and predict take it.

A dataset is a recipe that can be run again and again. Elements are structures (tuples, dicts) of arrays inside;
functions that a script maps over them get tensors, and so does a loop over the dataset. As long as rows of arrays are
only shuffled, skipped and repeated, their numbers are kept instead of the rows, and a batch is one selection.
"""

from __future__ import annotations

import functools
import importlib
import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from glob import glob
from typing import Any

import numpy as np

from nbnet import random
from nbnet.as_keras.tf.tensors import constant
from nbnet.base.array_memory import plain_array
from nbnet.engine.graph.tensor import Tensor
from nbnet.utils import image_dataset_from_directory as batches_of_images
from nbnet.utils import text_dataset_from_directory as batches_of_texts
from nbnet.utils import timeseries_dataset_from_array as batches_of_windows

AUTOTUNE = -1
INFINITE_CARDINALITY, UNKNOWN_CARDINALITY = -1, -2

#: One pass over elements, or over numbers of rows.
Pass = Callable[[], Iterator[Any]]


def map_parts(function: Callable[..., Any], first: Any, *others: Any) -> Any:
    """Apply a function to each array of a structure, or of several of one form side by side."""
    if isinstance(first, Mapping):
        return {key: map_parts(function, first[key], *(other[key] for other in others)) for key in first}
    if isinstance(first, tuple):
        parts = [map_parts(function, *parts) for parts in zip(first, *others, strict=True)]
        return type(first)(*parts) if hasattr(first, "_fields") else tuple(parts)
    return function(first, *others)


def leaves(structure: Any) -> list[Any]:
    """The arrays of a structure, in order."""
    found: list[Any] = []
    map_parts(found.append, structure)
    return found


def as_array(part: Any) -> Any:
    """Return a part of an element as an array; a dataset in it stays."""
    if isinstance(part, Dataset):
        return part
    if isinstance(part, Tensor):
        return part.numpy()
    if isinstance(part, list) and any(isinstance(p, Tensor) for p in part):
        return np.stack([as_array(p) for p in part])
    array = plain_array(part, "element")
    # TensorFlow has no float64 of its own accord.
    return array.astype(np.float32) if isinstance(part, (float, list)) and array.dtype == np.float64 else array


def as_value(part: Any) -> Any:
    """Return a part of an element as scripts get it: a tensor; text as bytes in an array."""
    if isinstance(part, Dataset):
        return part
    return Text(part) if part.dtype.kind in "OSU" else constant(part)


class Text(np.ndarray):
    """An array of text, with ``numpy`` as tensors have it."""

    def __new__(cls, value: Any) -> Text:
        return np.asarray(value, object).view(cls)

    def numpy(self) -> Any:
        """The text as an array, or as bytes if it is one."""
        plain = np.asarray(self)
        if plain.ndim:
            return plain
        item = plain.item()
        return item.encode() if isinstance(item, str) else item


class Dataset:
    """Elements, or batches, that can be passed through again and again.

    Examples
    --------
    >>> import numpy as np
    >>> from nbnet.as_keras.tf.data import Dataset
    >>> rows = Dataset.from_tensor_slices(np.arange(10.0, dtype="float32"))
    >>> for batch in rows.map(lambda x: x * 2).batch(4).take(2):
    ...     print(batch.numpy())
    [0. 2. 4. 6.]
    [ 8. 10. 12. 14.]
    """

    def __init__(self, elements: Pass, length: int | None, rows: tuple[Any, Pass] | None = None) -> None:
        self._elements = elements
        #: Number of elements; -1 for no end, -2 if it is not known.
        self._length = UNKNOWN_CARDINALITY if length is None else length
        #: Arrays, and the numbers of the rows that are the elements.
        self._rows = rows

    # ---- sources ----

    @staticmethod
    def from_tensor_slices(tensors: Any, name: str | None = None) -> Dataset:
        """The rows of arrays."""
        arrays = map_parts(as_array, _plain(tensors))
        lengths = {len(part) if part.ndim else -1 for part in leaves(arrays)}
        if len(lengths) != 1 or -1 in lengths:
            raise ValueError(f"tensors: expected arrays of one length, got shapes {[a.shape for a in leaves(arrays)]}")
        n = lengths.pop()
        return _of_rows(arrays, lambda: iter(range(n)), n)

    @staticmethod
    def from_tensors(tensors: Any, name: str | None = None) -> Dataset:
        """One element."""
        arrays = map_parts(as_array, _plain(tensors))
        return Dataset(lambda: iter([arrays]), 1)

    @staticmethod
    def from_generator(generator: Callable[..., Iterable[Any]], *args: Any, **kwargs: Any) -> Dataset:
        """The elements that a function's generator yields."""
        given = kwargs.get("args") or ()
        signature = kwargs.get("output_signature", kwargs.get("output_types", args[0] if args else None))

        def elements() -> Iterator[Any]:
            for element in generator(*given):
                yield map_parts(as_array, _plain(element, tuple if isinstance(signature, (tuple, list)) else None))

        return Dataset(elements, None)

    @staticmethod
    def range(*args: int, **others: Any) -> Dataset:
        """Integers, as Python's range."""
        numbers = range(*(int(a) for a in args))
        return Dataset(lambda: (np.asarray(k) for k in numbers), len(numbers))

    @staticmethod
    def zip(*datasets: Any, name: str | None = None) -> Dataset:
        """Tuples of the elements of several datasets."""
        given = datasets[0] if len(datasets) == 1 else datasets
        parts = leaves(given)
        known = [d._length for d in parts if d._length != INFINITE_CARDINALITY]
        length = min(known) if known and UNKNOWN_CARDINALITY not in known else (None if known else INFINITE_CARDINALITY)

        def elements() -> Iterator[Any]:
            for values in zip(*(d._elements() for d in parts), strict=False):
                yield _filled(given, iter(values))

        return Dataset(elements, length)

    # ---- passes ----

    def __iter__(self) -> Iterator[Any]:
        return (map_parts(as_value, element) for element in self._elements())

    def __len__(self) -> int:
        if self._length < 0:
            raise TypeError("The dataset is infinite." if self._length == -1 else "The dataset length is unknown.")
        return self._length

    def __bool__(self) -> bool:
        return True

    def as_numpy_iterator(self) -> Iterator[Any]:
        """One pass, as arrays."""
        return self._elements()

    def as_arrays(self) -> Batches:
        """Batches of arrays, which fit reads."""
        return CountedBatches(self) if self._length >= 0 else Batches(self)

    def cardinality(self, name: str | None = None) -> Any:
        """The number of elements; -1 for no end, -2 if it is not known."""
        return constant(self._length)

    @property
    def element_spec(self) -> Any:
        """Shape and dtype of each part of an element."""
        first = next(self._elements())
        return map_parts(lambda part: TensorSpec(part.shape, part.dtype), first)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._length if self._length >= 0 else 'any number of'} elements>"

    # ---- transformations ----

    def _of(self, elements: Pass, length: int | None = None) -> Dataset:
        return Dataset(elements, self._length if length is None else length)

    def _again(self, change: Callable[[Iterator[Any]], Iterator[Any]], length: int) -> Dataset:
        """Elements in other order or number: numbers of rows, if there are any."""
        if self._rows is not None:
            arrays, numbers = self._rows
            return _of_rows(arrays, lambda: change(numbers()), length)
        elements = self._elements
        return Dataset(lambda: change(elements()), length)

    def map(self, map_func: Callable[..., Any], *args: Any, **kwargs: Any) -> Dataset:
        """Apply a function to each element; it gets the parts of a tuple one by one."""
        elements = self._elements

        def mapped() -> Iterator[Any]:
            for element in elements():
                yield map_parts(as_array, _call(map_func, element))

        return self._of(mapped)

    def filter(self, predicate: Callable[..., Any], name: str | None = None) -> Dataset:
        """The elements for which a function is true."""
        elements = self._elements
        return self._of(lambda: (e for e in elements() if bool(np.asarray(_call(predicate, e)))), UNKNOWN_CARDINALITY)

    def flat_map(self, map_func: Callable[..., Any], name: str | None = None) -> Dataset:
        """The elements of the datasets that a function returns, one dataset after the other."""
        elements = self._elements

        def flat() -> Iterator[Any]:
            for element in elements():
                yield from _call(map_func, element)._elements()

        return self._of(flat, UNKNOWN_CARDINALITY)

    interleave = flat_map

    def batch(self, batch_size: Any, drop_remainder: bool = False, *args: Any, **kwargs: Any) -> Dataset:
        """Consecutive elements, stacked."""
        if self._rows is None:
            return self._chunks(
                batch_size, drop_remainder, self._elements,
                lambda chunk: map_parts(lambda *parts: np.stack(parts), *chunk),
            )  # fmt: skip
        arrays, numbers = self._rows

        def batch(chunk: list[Any]) -> Any:
            places = np.array(chunk)
            return map_parts(lambda array: array[places], arrays)

        return self._chunks(batch_size, drop_remainder, numbers, batch)

    def _chunks(self, batch_size: Any, drop_remainder: bool, source: Pass, join: Callable[[list[Any]], Any]) -> Dataset:
        """Join consecutive items of a pass."""
        size = int(batch_size)
        if size < 1:
            raise ValueError(f"batch_size: expected an integer above 0, got {batch_size}")

        def batches() -> Iterator[Any]:
            items = source()
            while chunk := list(itertools.islice(items, size)):
                if len(chunk) == size or not drop_remainder:
                    yield join(chunk)

        length = self._length
        if length >= 0:
            length = length // size if drop_remainder else -(-length // size)
        return self._of(batches, length)

    def padded_batch(
        self, batch_size: int, padded_shapes: Any = None, padding_values: Any = None, drop_remainder: bool = False,
        name: str | None = None,
    ) -> Dataset:  # fmt: skip
        """Consecutive elements, padded to the longest of them and stacked."""
        value = 0 if padding_values is None else leaves(padding_values)[0]
        return self._chunks(
            batch_size, drop_remainder, self._elements,
            lambda chunk: map_parts(lambda *parts: _padded(parts, value), *chunk),
        )  # fmt: skip

    def unbatch(self, name: str | None = None) -> Dataset:
        """The rows of each element."""
        elements = self._elements

        def rows() -> Iterator[Any]:
            for element in elements():
                for k in range(len(leaves(element)[0])):
                    yield map_parts(lambda part: np.asarray(part[k]), element)  # noqa: B023 - called at once

        return self._of(rows, UNKNOWN_CARDINALITY)

    def rebatch(self, batch_size: int, drop_remainder: bool = False, name: str | None = None) -> Dataset:
        """Batches of another size."""
        return self.unbatch().batch(batch_size, drop_remainder)

    def shuffle(
        self, buffer_size: Any, seed: Any = None, reshuffle_each_iteration: bool | None = None, name: str | None = None
    ) -> Dataset:
        """Elements in a random order, drawn among the next ``buffer_size`` of them."""
        size, passes = int(buffer_size), itertools.count()
        key = random.next_key() if seed is None else random.as_integer(int(seed), "seed")

        def mixed(source: Iterator[Any]) -> Iterator[Any]:
            draws = random.generator(random.derive(key, 0 if reshuffle_each_iteration is False else next(passes)))
            held = list(itertools.islice(source, size))
            for item in source:
                k = int(draws.integers(len(held)))
                yield held[k]
                held[k] = item
            draws.shuffle(held)
            yield from held

        return self._again(mixed, self._length)

    def take(self, count: Any, name: str | None = None) -> Dataset:
        """The first elements; all for -1."""
        n = int(count)
        if n < 0:
            return self
        length = min(n, self._length) if self._length >= 0 else n if self._length == -1 else -2
        return self._again(lambda source: itertools.islice(source, n), length)

    def skip(self, count: Any, name: str | None = None) -> Dataset:
        """All but the first elements."""
        n = int(count)
        length = max(self._length - n, 0) if self._length >= 0 else self._length
        return self._again(lambda source: itertools.islice(source, n, None), length)

    def repeat(self, count: Any = None, name: str | None = None) -> Dataset:
        """Several passes, or passes without end."""
        n = -1 if count is None else int(count)
        length = self._length * n if n >= 0 and self._length >= 0 else INFINITE_CARDINALITY if n < 0 else self._length

        def again(run: Pass) -> Pass:
            def passes() -> Iterator[Any]:
                for _ in range(n) if n >= 0 else itertools.count():
                    empty = True
                    for item in run():
                        empty = False
                        yield item
                    if empty:
                        return

            return passes

        if self._rows is not None:
            return _of_rows(self._rows[0], again(self._rows[1]), length)
        return Dataset(again(self._elements), length)

    def shard(self, num_shards: int, index: int, name: str | None = None) -> Dataset:
        """Each ``num_shards``-th element."""
        length = len(range(index, self._length, num_shards)) if self._length >= 0 else self._length
        return self._again(lambda source: itertools.islice(source, index, None, num_shards), length)

    def cache(self, filename: str = "", name: str | None = None) -> Dataset:
        """Keep the elements of the first whole pass in memory."""
        if self._rows is not None:
            return self
        elements, kept = self._elements, []  # type: tuple[Pass, list[list[Any]]]

        def once() -> Iterator[Any]:
            if kept:
                yield from kept[0]
                return
            seen = []
            for element in elements():
                seen.append(element)
                yield element
            kept[:] = [seen]

        return self._of(once)

    def prefetch(self, buffer_size: Any = None, name: str | None = None) -> Dataset:
        """The dataset itself: fit reads ahead on its own."""
        return self

    def with_options(self, options: Any, name: str | None = None) -> Dataset:
        """The dataset itself."""
        return self

    def options(self) -> Options:
        """Options that change nothing here."""
        return Options()

    def apply(self, transformation_func: Callable[[Any], Any]) -> Any:
        """The result of a function of the dataset."""
        return transformation_func(self)

    def concatenate(self, dataset: Any, name: str | None = None) -> Dataset:
        """The elements of this dataset, then those of another."""
        first, second = self._elements, dataset._elements
        length = self._length + dataset._length if min(self._length, dataset._length) >= 0 else -2
        return self._of(lambda: itertools.chain(first(), second()), length)

    def enumerate(self, start: int = 0, name: str | None = None) -> Dataset:
        """Pairs of a number and an element."""
        elements = self._elements
        return self._of(lambda: ((np.asarray(k), e) for k, e in enumerate(elements(), int(start))))

    def window(
        self, size: int, shift: int | None = None, stride: int = 1, drop_remainder: bool = False, name: Any = None
    ) -> Dataset:
        """Datasets of consecutive elements."""
        elements, step = self._elements, int(size if shift is None else shift)
        span = (int(size) - 1) * stride + 1

        def windows() -> Iterator[Any]:
            held: list[Any] = []
            source, ended = elements(), False
            while True:
                while len(held) < span and not ended:
                    item = next(source, _END)
                    ended = item is _END
                    if not ended:
                        held.append(item)
                part = held[:span:stride]
                if not part or (len(part) < size and drop_remainder):
                    return
                yield _windows(part)
                for _ in range(step - len(held)):
                    next(source, None)
                held = held[step:]

        return self._of(windows, UNKNOWN_CARDINALITY)

    def reduce(self, initial_state: Any, reduce_func: Callable[[Any, Any], Any], name: str | None = None) -> Any:
        """A function's result of the elements one after the other."""
        state = initial_state
        for element in self:
            state = reduce_func(state, element)
        return state

    def get_single_element(self, name: str | None = None) -> Any:
        """The only element."""
        return next(iter(self))


def cardinality(dataset: Dataset) -> Any:
    """The number of elements; -1 for no end, -2 if it is not known."""
    return dataset.cardinality()


def _of_batches(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function whose batches are a dataset."""

    def dataset(batches: Any) -> Any:
        if isinstance(batches, tuple):
            return tuple(map(dataset, batches))

        def elements() -> Iterator[Any]:
            for k in range(len(batches)):
                yield batches[k]
            batches.on_epoch_end()

        made = Dataset(elements, len(batches))
        # As in Keras, datasets that are made from this one do not have them.
        vars(made).update({n: v for n, v in vars(batches).items() if n in ("class_names", "file_paths")})
        return made

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        return dataset(function(*args, **kwargs))

    return call


image_dataset_from_directory = _of_batches(batches_of_images)
text_dataset_from_directory = _of_batches(batches_of_texts)
timeseries_dataset_from_array = _of_batches(batches_of_windows)


def make_csv_dataset(
    file_pattern: Any, batch_size: int, column_names: Any = None, column_defaults: Any = None, label_name: Any = None,
    select_columns: Any = None, field_delim: str = ",", num_epochs: int | None = None, shuffle: bool = True,
    shuffle_buffer_size: int = 10000, shuffle_seed: Any = None, na_value: str = "", **others: Any,
) -> Dataset:  # fmt: skip
    """Batches of the columns of a CSV file, by their names, and of one of them as labels; read with pandas."""
    pd: Any = importlib.import_module("pandas")
    paths = [file_pattern] if isinstance(file_pattern, (str, os.PathLike)) else list(file_pattern)
    files = [found for path in paths for found in sorted(glob(os.fspath(path)))]
    header = {"names": list(column_names), "skiprows": 1} if column_names is not None else {}
    frames = [pd.read_csv(file, sep=field_delim, na_values=[na_value], **header) for file in files]
    frame = pd.concat(frames)[list(select_columns)] if select_columns is not None else pd.concat(frames)
    columns = {
        name: (values.fillna(0).to_numpy() if values.dtype.kind in "iufb" else values.fillna("").to_numpy(object))
        for name, values in frame.items()
    }
    data: Any = columns if label_name is None else (columns, columns.pop(label_name))
    rows = Dataset.from_tensor_slices(data)
    rows = rows.shuffle(shuffle_buffer_size, seed=shuffle_seed) if shuffle else rows
    return rows.repeat(num_epochs).batch(batch_size)


_END = object()


class Batches:
    """A dataset as fit reads it: batches of arrays, pass by pass."""

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset

    def __iter__(self) -> Iterator[Any]:
        return self._dataset._elements()


class CountedBatches(Batches):
    """A dataset of a known number of batches: only these have a length."""

    def __len__(self) -> int:
        return self._dataset._length


class Options:
    """Options of TensorFlow's pipelines: any may be set, none changes anything."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        value = self.__dict__[name] = Options()
        return value


class TensorSpec:
    """Shape and dtype of a tensor."""

    def __init__(self, shape: Any = (), dtype: Any = "float32", name: str | None = None) -> None:
        self.shape, self.dtype, self.name = shape, dtype, name

    def __repr__(self) -> str:
        return f"TensorSpec(shape={self.shape}, dtype={self.dtype})"


def _plain(structure: Any, kind: Any = None) -> Any:
    """Return a structure of arrays of what a script gave: a list is an array, a frame too."""
    if isinstance(structure, Mapping):
        return {key: _plain(value) for key, value in structure.items()}
    if isinstance(structure, tuple) or (kind is tuple and isinstance(structure, list)):
        return tuple(_plain(part) for part in structure)
    if hasattr(structure, "columns") and hasattr(structure, "items") and not hasattr(structure, "to_numpy"):
        return {key: _plain(value) for key, value in structure.items()}
    return structure.to_numpy() if hasattr(structure, "to_numpy") else structure


def _of_rows(arrays: Any, numbers: Pass, length: int) -> Dataset:
    def elements() -> Iterator[Any]:
        return (map_parts(lambda array: np.asarray(array[k]), arrays) for k in numbers())  # noqa: B023 - at once

    return Dataset(elements, length, (arrays, numbers))


def _filled(structure: Any, values: Iterator[Any]) -> Any:
    """Return values in the form of a structure."""
    return map_parts(lambda _: next(values), structure)


def _call(function: Callable[..., Any], element: Any) -> Any:
    values = map_parts(as_value, element)
    return function(*values) if isinstance(values, tuple) else function(values)


def _padded(parts: Sequence[Any], value: Any) -> Any:
    shape = np.max([part.shape for part in parts], axis=0)
    out = np.full((len(parts), *shape), value, parts[0].dtype)
    for k, part in enumerate(parts):
        places: Any = (k, *(slice(n) for n in part.shape))
        out[places] = part
    return out


def _windows(elements: list[Any]) -> Any:
    """A dataset of each part of the elements, in their structure."""
    return map_parts(lambda *parts: Dataset(lambda: iter(parts), len(parts)), *elements)
