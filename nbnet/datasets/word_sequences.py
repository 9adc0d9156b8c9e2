"""Texts as numbers of words, in the form of Keras's ``imdb.npz`` and ``reuters.npz``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nbnet.datasets.keras_files import Array, read_arrays, read_json

#: num_words, skip_top, maxlen, start_char, oov_char, index_from of ``load_data``.
Kept = tuple[int | None, int, int | None, int | None, int | None, int]


def read_sequences(
    path: Path, kept: Kept, seed: int, test_split: float | None
) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    """Read, shuffle and cut texts as Keras does: training and test set of the file, or split here."""
    draws = np.random.RandomState(seed)
    if test_split is None:
        x_train, y_train, x_test, y_test = read_arrays(path, ("x_train", "y_train", "x_test", "y_test"))
        pairs = [_shuffled(x_train, y_train, draws), _shuffled(x_test, y_test, draws)]
        texts, labels = [*pairs[0][0], *pairs[1][0]], np.concatenate([pairs[0][1], pairs[1][1]])
    else:
        texts_read, labels_read = read_arrays(path, ("x", "y"))
        x, y = _shuffled(texts_read, labels_read, draws)
        texts, labels = list(x), y
    texts, labels, cut = _chosen(texts, labels, kept, len(pairs[0][0]) if test_split is None else None)
    if cut is None:
        cut = int(len(texts) * (1 - (test_split or 0)))
    x = np.empty(len(texts), object)
    x[:] = texts
    return (x[:cut], labels[:cut]), (x[cut:], labels[cut:])


def read_word_index(path: Path) -> dict[str, int]:
    """Read the ranks of words."""
    words = read_json(path)
    if not isinstance(words, dict) or not all(isinstance(rank, int) for rank in words.values()):
        raise ValueError(f"{path}: expected a number for each word")
    return words


def _shuffled(x: Array, y: Array, draws: Any) -> tuple[Array, Array]:
    order = np.arange(len(x))
    draws.shuffle(order)
    return x[order], y[order]


def _chosen(
    texts: Sequence[Any], labels: Array, kept: Kept, cut: int | None
) -> tuple[list[list[int]], Array, int | None]:
    """Return the texts that are short enough with the words to keep, their labels, and the place of the first test."""
    num_words, skip_top, maxlen, start_char, oov_char, index_from = kept
    start = [] if start_char is None else [start_char]
    shift = index_from if start_char is not None or index_from else 0
    numbered = [[*start, *(int(word) + shift for word in text)] for text in texts]
    chosen = [k for k, text in enumerate(numbered) if not maxlen or len(text) < maxlen]
    if not chosen:
        raise ValueError(f"maxlen: no text is shorter than {maxlen}")
    if cut is not None:
        cut = sum(k < cut for k in chosen)
    # Without a limit, the last word counts as one that is not kept, as in Keras.
    most = num_words or max(max(numbered[k], default=0) for k in chosen)
    if oov_char is None:
        result = [[w for w in numbered[k] if skip_top <= w < most] for k in chosen]
    else:
        result = [[w if skip_top <= w < most else oov_char for w in numbered[k]] for k in chosen]
    return result, labels[chosen], cut
