"""``keras.preprocessing.sequence`` of Keras 2: batches of windows of a series, pairs of words."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbnet.base.array_memory import plain_array
from nbnet.data.streams import PyDataset
from nbnet.random import generator, next_key


class TimeseriesGenerator(PyDataset):
    """Batches of windows of a series, each with the target after it.

    Examples
    --------
    >>> import numpy as np
    >>> from nbnet.as_keras.sequence import TimeseriesGenerator
    >>> batches = TimeseriesGenerator(np.arange(5.0), np.arange(5.0), length=3)
    >>> batches[0]
    (array([[0., 1., 2.],
           [1., 2., 3.]]), array([3., 4.]))
    """

    def __init__(
        self, data: Any, targets: Any, length: int, sampling_rate: int = 1, stride: int = 1, start_index: int = 0,
        end_index: int | None = None, shuffle: bool = False, reverse: bool = False, batch_size: int = 128,
    ) -> None:  # fmt: skip
        super().__init__(workers=0)
        self.data, self.targets = plain_array(data, "data"), plain_array(targets, "targets")
        if len(self.data) != len(self.targets):
            raise ValueError(f"targets: expected {len(self.data)}, one for each step, got {len(self.targets)}")
        self.length, self.sampling_rate, self.stride = length, sampling_rate, stride
        self.start_index = start_index + length
        self.end_index = len(self.data) - 1 if end_index is None else end_index
        self.shuffle, self.reverse, self.batch_size = shuffle, reverse, batch_size
        if self.start_index > self.end_index:
            raise ValueError(
                f"length: expected at most the steps from start_index to end_index, got {length} for "
                f"{self.end_index + 1 - start_index} steps: no window fits"
            )

    def __len__(self) -> int:
        step = self.batch_size * self.stride
        return (self.end_index - self.start_index + step) // step

    def __getitem__(self, index: int) -> tuple[NDArray[Any], NDArray[Any]]:
        if not 0 <= index < len(self):
            raise IndexError(f"index: expected a batch from 0 to {len(self) - 1}, got {index}")
        if self.shuffle:
            draws = generator(next_key())
            rows = draws.integers(self.start_index, self.end_index + 1, self.batch_size)
        else:
            first = self.start_index + self.batch_size * self.stride * index
            rows = np.arange(first, min(first + self.batch_size * self.stride, self.end_index + 1), self.stride)
        windows = np.stack([self.data[row - self.length : row : self.sampling_rate] for row in rows])
        return windows[:, ::-1] if self.reverse else windows, self.targets[rows]


def make_sampling_table(size: int, sampling_factor: float = 1e-5) -> NDArray[np.float64]:
    """The probability to keep each word, by its rank among all, if words are distributed by Zipf's law."""
    rank = np.arange(size)
    rank[0] = 1
    inverse = sampling_factor * (rank * (np.log(rank) + 0.577) + 0.5 - 1.0 / (12.0 * rank))
    return np.minimum(1.0, inverse / np.sqrt(inverse))


def skipgrams(
    sequence: Any, vocabulary_size: int, window_size: int = 4, negative_samples: float = 1.0, shuffle: bool = True,
    categorical: bool = False, sampling_table: Any = None, seed: int | None = None,
) -> tuple[list[Any], list[Any]]:  # fmt: skip
    """Pairs of words that stand near each other, labelled 1, and of random ones, labelled 0."""
    draws = generator(next_key() if seed is None else seed)
    couples: list[list[int]] = []
    for i, word in enumerate(sequence):
        if not word or (sampling_table is not None and sampling_table[word] < draws.random()):
            continue
        near = range(max(0, i - window_size), min(len(sequence), i + window_size + 1))
        couples += [[int(word), int(sequence[j])] for j in near if j != i and sequence[j]]
    true: Any = [0, 1] if categorical else 1
    false: Any = [1, 0] if categorical else 0
    labels = [true] * len(couples)
    if negative_samples > 0 and couples:
        count = int(len(labels) * negative_samples)
        words = draws.permutation([couple[0] for couple in couples])
        drawn = draws.integers(1, vocabulary_size, count).tolist()
        couples += [[int(words[k % len(words)]), drawn[k]] for k in range(count)]
        labels += [false] * count
    if shuffle:
        order = draws.permutation(len(couples)).tolist()
        couples, labels = [couples[k] for k in order], [labels[k] for k in order]
    return couples, labels
