"""Batches of rows in an order: windows of a series, and files in folders."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbnet.base.array_memory import plain_array
from nbnet.base.tree import map_structure
from nbnet.base.validation import check_int
from nbnet.data.streams import PyDataset
from nbnet.random import generator, next_key
from nbnet.utils.files import FilePath, files_in, paths_by_folder

Array = NDArray[Any]


def check_batch(index: int, dataset: Any) -> None:
    """Raise IndexError unless a dataset has a batch of this number."""
    if not 0 <= index < len(dataset):
        raise IndexError(f"index: expected a batch from 0 to {len(dataset) - 1}, got {index}")


class RowBatches(PyDataset):
    """Batches of numbered rows, shuffled for each epoch if there are draws: subclasses define ``_batch(rows)``.

    Without a batch size, rows one by one.
    """

    def __init__(self, n: int, batch_size: int | None, draws: np.random.Generator | None, workers: int = 0) -> None:
        super().__init__(workers=workers)
        self.batch_size = None if batch_size is None else check_int(batch_size, "batch_size")
        self._draws, self._order = draws, np.arange(n)
        self.on_epoch_end()

    def on_epoch_end(self) -> None:
        if self._draws is not None:
            self._order = self._draws.permutation(len(self._order))

    def __len__(self) -> int:
        return -(-len(self._order) // (self.batch_size or 1))

    def __iter__(self) -> Iterator[Any]:
        """Iterate over the batches of an epoch; the next one has another order, if it is shuffled."""
        yield from (self[index] for index in range(len(self)))
        self.on_epoch_end()

    def __getitem__(self, index: int) -> Any:
        check_batch(index, self)
        if self.batch_size is None:
            return map_structure(itemgetter(0), self._batch(self._order[index : index + 1]))
        return self._batch(self._order[index * self.batch_size : (index + 1) * self.batch_size])

    def _batch(self, rows: Array) -> Any:
        raise NotImplementedError


# ---- windows of a series ----


class Windows(RowBatches):
    """Batches of windows of a series, by the steps they begin at."""

    def __init__(
        self, data: Array, targets: Array | None, starts: Array, steps: Array, batch_size: int | None, draws: Any
    ) -> None:
        self._data, self._targets, self._starts, self._steps = data, targets, starts, steps
        super().__init__(len(starts), batch_size, draws)

    def on_epoch_end(self) -> None:
        if self._draws is not None:
            self._draws.shuffle(self._order)

    def _batch(self, rows: Array) -> Any:
        starts = self._starts[rows]
        windows = self._data[starts[:, None] + self._steps]
        return windows if self._targets is None else (windows, self._targets[starts])


def timeseries_dataset_from_array(
    data: Any,
    targets: Any,
    sequence_length: int,
    sequence_stride: int = 1,
    sampling_rate: int = 1,
    batch_size: int | None = 128,
    shuffle: bool = False,
    seed: int | None = None,
    start_index: int | None = None,
    end_index: int | None = None,
    format: str = "tf",
) -> PyDataset:
    """Return batches of windows of a series.

    Parameters
    ----------
    data : array_like, (steps, ...)
        The series.
    targets : array_like or None
        ``targets[k]`` belongs to the window that begins at step k; None for windows alone.
    sequence_length
        Steps of a window.
    sequence_stride
        Steps from the begin of a window to that of the next.
    sampling_rate
        Steps from one step of a window to the next.
    batch_size, shuffle, seed
        Of batches; a size of None for windows one by one.
    start_index, end_index
        Steps before and from these are left out.
    format
        Accepted as in Keras.

    Raises
    ------
    ValueError
        If a number is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> import nbnet as nb
    >>> batches = nb.utils.timeseries_dataset_from_array(np.arange(6), np.arange(3, 6), sequence_length=3)
    >>> batches[0]
    (array([[0, 1, 2],
           [1, 2, 3],
           [2, 3, 4]]), array([3, 4, 5]))
    """
    series = plain_array(data, "data")
    length, stride = check_int(sequence_length, "sequence_length"), check_int(sequence_stride, "sequence_stride")
    rate = check_int(sampling_rate, "sampling_rate")
    if start_index is not None and not 0 <= start_index < len(series):
        raise ValueError(f"start_index: expected a step from 0 to {len(series) - 1}, got {start_index}")
    if end_index is not None and not 0 < end_index <= len(series):
        raise ValueError(f"end_index: expected a step from 1 to {len(series)}, got {end_index}")
    first, last = start_index or 0, len(series) if end_index is None else end_index
    count = last - first - length * rate + rate
    wanted = None if targets is None else plain_array(targets, "targets")
    if wanted is not None:
        count = min(count, len(wanted))
    if count < 1:
        raise ValueError(f"sequence_length: expected windows that fit {last - first} steps, got {length}")
    starts = np.arange(0, count, stride)
    draws = generator(next_key() if seed is None else seed) if shuffle else None
    return Windows(series[first:last], wanted, starts, np.arange(length) * rate, batch_size, draws)


# ---- files in folders ----


class FileBatches(RowBatches):
    """Batches of what files hold, with labels."""

    def __init__(
        self, paths: Sequence[Path], labels: Array | None, class_names: list[str] | None,
        read: Callable[[list[str]], Any], batch_size: int | None, draws: np.random.Generator | None, workers: int = 0,
    ) -> None:  # fmt: skip
        self.file_paths, self.class_names = [str(path) for path in paths], class_names
        self._labels, self._read = labels, read
        super().__init__(len(paths), batch_size, draws, workers)

    def _batch(self, rows: Array) -> Any:
        x = self._read([self.file_paths[k] for k in rows])
        return x if self._labels is None else (x, self._labels[rows])


def check_subset(subset: Any, validation_split: float | None) -> None:
    """Raise ValueError unless a subset is named beside a share of rows to hold out."""
    if validation_split is not None and not 0 < validation_split < 1:
        raise ValueError(f"validation_split: expected a number in (0, 1), got {validation_split!r}")
    if subset not in (None, "training", "validation", "both") or (subset is None) != (validation_split is None):
        raise ValueError(
            f"subset: expected 'training', 'validation' or 'both' beside a validation_split, got {subset!r} and "
            f"{validation_split!r}"
        )


def in_parts(
    part: Callable[[Array, bool], FileBatches], order: Array, validation_split: float | None, subset: Any, shuffle: bool
) -> Any:
    """Return batches of the rows of a subset, shuffled or not; of both subsets if it is ``"both"``, the second in
    order; of all rows without a split."""
    cut = len(order) - int((validation_split or 0) * len(order))
    if subset == "both":
        return part(order[:cut], shuffle), part(order[cut:], False)
    return part(order[cut:] if subset == "validation" else order[:cut], shuffle)


def label_numbers(labels: Any, paths: Sequence[Path]) -> Array:
    """Return a class number for each file: those given, or zeros if there are none."""
    numbers = np.zeros(len(paths), int) if labels is None else plain_array(labels, "labels")
    if numbers.ndim != 1 or numbers.dtype.kind not in "iub" or len(numbers) != len(paths):
        raise ValueError(
            f"labels: expected {len(paths)}, one for each file, integers; got {numbers.dtype} of shape {numbers.shape}"
        )
    return numbers


def labelled_files(
    directory: FilePath, endings: tuple[str, ...], labels: Any, class_names: Sequence[str] | None, kind: str
) -> tuple[list[str] | None, list[Path], Array]:
    """Return names of classes, None if labels are not inferred from those of folders; files; and their class numbers.

    Raise ValueError if there are no such files, or labels and names do not fit them.
    """
    inferred = isinstance(labels, str)
    if inferred and labels != "inferred":
        raise ValueError(f"labels: expected 'inferred', None or a list, got {labels!r}")
    if not inferred and class_names is not None:
        raise ValueError(f"class_names: expected None with labels that are not inferred, got {class_names!r}")
    found = paths_by_folder(directory, endings) if inferred else {}
    if class_names is not None and set(class_names) != set(found):
        raise ValueError(f"class_names: expected the folders {sorted(found)}, got {list(class_names)}")
    names = sorted(found) if class_names is None else list(class_names)
    paths = [path for name in names for path in found[name]] if inferred else files_in(Path(directory), endings)
    if not paths:
        raise ValueError(f"directory: expected {kind} ({', '.join(endings)}) in {directory}, found none")
    if not inferred:
        return None, paths, label_numbers(labels, paths)
    return names, paths, np.repeat(np.arange(len(names)), [len(found[name]) for name in names])


def labels_in_mode(numbers: Array, mode: str | None, classes: int) -> Array | None:
    """Return class numbers as ``label_mode`` asks for them."""
    if mode is None:
        return None
    if mode == "int":
        return numbers.astype(np.int32)
    if mode == "binary":
        if classes != 2:
            raise ValueError(f"label_mode: 'binary' expects 2 classes, found {classes}")
        return numbers.astype(np.float32)[:, None]
    if mode == "categorical":
        return np.eye(classes, dtype=np.float32)[numbers]
    raise ValueError(f"label_mode: expected 'int', 'categorical', 'binary' or None, got {mode!r}")


def text_dataset_from_directory(
    directory: FilePath,
    labels: Any = "inferred",
    label_mode: str | None = "int",
    class_names: Sequence[str] | None = None,
    batch_size: int | None = 32,
    max_length: int | None = None,
    shuffle: bool = True,
    seed: int | None = None,
    validation_split: float | None = None,
    subset: str | None = None,
    follow_links: bool = False,
    format: str = "tf",
    verbose: bool = True,
) -> Any:
    """Return batches of the texts (``.txt``) in a folder that has a folder for each class.

    Parameters
    ----------
    directory, labels, label_mode, class_names, batch_size, shuffle, seed, validation_split, subset
        See :func:`nbnet.utils.image_dataset_from_directory`.
    max_length
        Number of characters that are kept of a text; None: all.
    follow_links, format
        Accepted as in Keras.
    verbose
        If True, print the numbers of files and classes.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    ValueError
        If it holds no texts, or an argument does not fit.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.utils.text_dataset_from_directory("nowhere")
    Traceback (most recent call last):
        ...
    FileNotFoundError: directory: nowhere is not a folder
    """
    names, paths, numbers = labelled_files(directory, (".txt",), labels, class_names, "texts")
    check_subset(subset, validation_split)
    if verbose:
        print(f"Found {len(paths)} files" + ("." if names is None else f" belonging to {len(names)} classes."))
    classes = int(numbers.max()) + 1 if names is None else len(names)
    wanted = None if labels is None else labels_in_mode(numbers, label_mode, classes)

    def read(files: list[str]) -> Array:
        texts = [Path(path).read_text(encoding="utf-8", errors="replace")[:max_length] for path in files]
        return np.array(texts, object)

    order = generator(0 if seed is None else seed).permutation(len(paths)) if shuffle else np.arange(len(paths))

    def part(rows: Array, shuffled: bool) -> FileBatches:
        draws = generator(next_key() if seed is None else seed) if shuffled else None
        kept = None if wanted is None else wanted[rows]
        return FileBatches([paths[k] for k in rows], kept, names, read, batch_size, draws)

    return in_parts(part, order, validation_split, subset, shuffle)
