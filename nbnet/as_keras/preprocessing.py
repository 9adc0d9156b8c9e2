"""``keras.preprocessing.text`` and ``sequence`` of Keras 2: words as numbers, pairs of words, windows of series."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbnet.as_keras.tf.data import Text
from nbnet.as_keras.tf.tensors import constant
from nbnet.base.array_memory import plain_array
from nbnet.data.streams import PyDataset
from nbnet.random import generator, next_key
from nbnet.utils.batches import check_batch

#: Characters that are no part of words.
FILTERS = '!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n'


def text_to_word_sequence(text: str, filters: str = FILTERS, lower: bool = True, split: str = " ") -> list[str]:
    """The words of a text, without the characters of ``filters``.

    Examples
    --------
    >>> from nbnet.as_keras.preprocessing import text_to_word_sequence
    >>> text_to_word_sequence("To be, or not!")
    ['to', 'be', 'or', 'not']
    """
    plain = (text.lower() if lower else text).translate({ord(c): split for c in filters})
    return [word for word in plain.split(split) if word]


def one_hot(text: str, n: int, filters: str = FILTERS, lower: bool = True, split: str = " ") -> list[int]:
    """The words of a text as numbers from 1 to n - 1, by a hash of each."""
    return hashing_trick(text, n, hash, filters, lower, split)


def hashing_trick(
    text: str, n: int, hash_function: Any = None, filters: str = FILTERS, lower: bool = True, split: str = " "
) -> list[int]:
    """The words of a text as numbers from 1 to n - 1, by a hash of each: Python's, or ``"md5"``."""
    function: Callable[[str], int] = hash if hash_function is None else hash_function
    if hash_function == "md5":

        def function(word: str) -> int:
            return int(hashlib.md5(word.encode()).hexdigest(), 16)

    return [function(word) % (n - 1) + 1 for word in text_to_word_sequence(text, filters, lower, split)]


class Tokenizer:
    """Numbers words by how often they occur in the texts it was fitted on, from 1.

    Examples
    --------
    >>> from nbnet.as_keras.preprocessing import Tokenizer
    >>> tokenizer = Tokenizer(num_words=3)
    >>> tokenizer.fit_on_texts(["a b a", "a b c"])
    >>> tokenizer.word_index, tokenizer.texts_to_sequences(["c b a"])
    ({'a': 1, 'b': 2, 'c': 3}, [[2, 1]])
    """

    def __init__(
        self, num_words: int | None = None, filters: str = FILTERS, lower: bool = True, split: str = " ",
        char_level: bool = False, oov_token: str | None = None, analyzer: Callable[[str], list[str]] | None = None,
        document_count: int = 0, **old: Any,
    ) -> None:  # fmt: skip
        # Keras 1 called it nb_words.
        self.num_words = old.pop("nb_words", num_words)
        if old:
            raise TypeError(f"Tokenizer: unexpected arguments {sorted(old)}")
        self.filters, self.lower, self.split, self.char_level = filters, lower, split, char_level
        self.oov_token, self.analyzer, self.document_count = oov_token, analyzer, document_count
        self.word_counts: OrderedDict[str, int] = OrderedDict()
        self.word_docs: dict[str, int] = defaultdict(int)
        self.word_index: dict[str, int] = {}
        self.index_word: dict[int, str] = {}
        self.index_docs: dict[int, int] = defaultdict(int)

    def _words(self, text: Any) -> list[str]:
        if isinstance(text, list):
            return [word.lower() for word in text] if self.lower else text
        if self.char_level:
            return list(text.lower() if self.lower else text)
        if self.analyzer is not None:
            return self.analyzer(text)
        return text_to_word_sequence(str(text), self.filters, self.lower, self.split)

    def fit_on_texts(self, texts: Iterable[Any]) -> None:
        """Count the words of texts, and number them."""
        for text in texts:
            words = self._words(text)
            self.document_count += 1
            for word in words:
                self.word_counts[word] = self.word_counts.get(word, 0) + 1
            for word in set(words):
                self.word_docs[word] += 1
        ordered = sorted(self.word_counts, key=lambda word: -self.word_counts[word])
        if self.oov_token is not None:
            ordered = [self.oov_token, *(word for word in ordered if word != self.oov_token)]
        self.word_index = {word: k for k, word in enumerate(ordered, 1)}
        self.index_word = {k: word for word, k in self.word_index.items()}
        for word, count in self.word_docs.items():
            self.index_docs[self.word_index[word]] = count

    def texts_to_sequences_generator(self, texts: Iterable[Any]) -> Iterator[list[int]]:
        """The numbers of the known words of each text, one text after the other."""
        unknown = None if self.oov_token is None else self.word_index.get(self.oov_token)
        for text in texts:
            numbers = []
            for word in self._words(text):
                k = self.word_index.get(word)
                if k is None or (self.num_words and k >= self.num_words):
                    k = unknown
                if k is not None:
                    numbers.append(k)
            yield numbers

    def texts_to_sequences(self, texts: Iterable[Any]) -> list[list[int]]:
        """The numbers of the known words of each text: those below ``num_words``."""
        return list(self.texts_to_sequences_generator(texts))

    def sequences_to_texts(self, sequences: Iterable[Sequence[int]]) -> list[str]:
        """Texts of numbers of words."""
        known = self.index_word
        return [" ".join(known[k] for k in sequence if k in known) for sequence in sequences]

    def fit_on_sequences(self, sequences: Iterable[Sequence[int]]) -> None:
        """Count in how many sequences each number occurs."""
        for sequence in sequences:
            self.document_count += 1
            for k in set(sequence):
                self.index_docs[k] += 1

    def texts_to_matrix(self, texts: Iterable[Any], mode: str = "binary") -> NDArray[np.float64]:
        """A row for each text and a column for each word: see :meth:`sequences_to_matrix`."""
        return self.sequences_to_matrix(self.texts_to_sequences(texts), mode)

    def sequences_to_matrix(self, sequences: Sequence[Sequence[int]], mode: str = "binary") -> NDArray[np.float64]:
        """A row for each sequence and a column for each word: ``binary``, ``count``, ``freq`` or ``tfidf``."""
        if mode not in ("binary", "count", "freq", "tfidf"):
            raise ValueError(f"mode: expected binary, count, freq or tfidf, got {mode!r}")
        width = self.num_words or len(self.word_index) + 1
        if width == 1 and not self.word_index:
            raise ValueError("Specify a dimension (`num_words` argument), or fit on some text data first.")
        matrix = np.zeros((len(sequences), width))
        for row, sequence in zip(matrix, sequences, strict=True):
            for k, count in Counter(k for k in sequence if k < width).items():
                if mode == "binary":
                    row[k] = 1
                elif mode == "count":
                    row[k] = count
                elif mode == "freq":
                    row[k] = count / len(sequence)
                else:
                    row[k] = (1 + np.log(count)) * np.log(1 + self.document_count / (1 + self.index_docs.get(k, 0)))
        return matrix

    def get_config(self) -> dict[str, Any]:
        """The arguments and what was counted, as text."""
        names = ("num_words", "filters", "lower", "split", "char_level", "oov_token", "document_count")
        counted = ("word_counts", "word_docs", "index_docs", "index_word", "word_index")
        plain = {name: getattr(self, name) for name in names}
        return {**plain, **{name: json.dumps(getattr(self, name)) for name in counted}}

    def to_json(self, **kwargs: Any) -> str:
        """The configuration as JSON, which :func:`tokenizer_from_json` reads."""
        return json.dumps({"class_name": type(self).__name__, "config": self.get_config()}, **kwargs)


def tokenizer_from_json(json_string: str) -> Tokenizer:
    """The tokenizer that ``to_json`` described."""
    config = json.loads(json_string)["config"]
    counted = {name: json.loads(config.pop(name)) for name in ("word_counts", "word_docs", "word_index")}
    numbered = {name: json.loads(config.pop(name)) for name in ("index_docs", "index_word")}
    tokenizer = Tokenizer(**config)
    tokenizer.word_counts = OrderedDict(counted["word_counts"])
    tokenizer.word_docs, tokenizer.word_index = counted["word_docs"], counted["word_index"]
    tokenizer.index_docs = {int(k): v for k, v in numbered["index_docs"].items()}
    tokenizer.index_word = {int(k): v for k, v in numbered["index_word"].items()}
    return tokenizer


# ---- sequences ----


class TimeseriesGenerator(PyDataset):
    """Batches of windows of a series, each with the target after it.

    Examples
    --------
    >>> import numpy as np
    >>> from nbnet.as_keras.preprocessing import TimeseriesGenerator
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
        check_batch(index, self)
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


# ---- tf.strings ----


def _texts(input: Any) -> NDArray[Any]:
    return np.asarray(input, object)


def _decoded(text: Any) -> str:
    return text.decode() if isinstance(text, bytes) else str(text)


def _of_each(function: Callable[..., str]) -> Callable[..., Any]:
    def call(input: Any, *args: Any, name: str | None = None, **kwargs: Any) -> Any:
        texts = _texts(input)
        changed = [function(_decoded(text), *map(_plain_text, args), **kwargs) for text in texts.reshape(-1)]
        made = np.empty(texts.shape, object)
        made.reshape(-1)[:] = changed
        return Text(made)

    call.__doc__ = f"Each text, after {function.__name__}."
    return call


def _plain_text(value: Any) -> Any:
    return value.decode() if isinstance(value, bytes) else value


def _replaced(text: str, pattern: str, rewrite: str, replace_global: bool = True) -> str:
    return re.sub(pattern, rewrite, text, count=0 if replace_global else 1)


def _part(text: str, pos: int, len: int) -> str:
    return text[int(pos) :][: int(len)]


lower, upper, strip = _of_each(str.lower), _of_each(str.upper), _of_each(str.strip)
regex_replace, substr = _of_each(_replaced), _of_each(_part)


def text_length(input: Any, unit: str = "BYTE", name: str | None = None) -> Any:
    """The number of bytes, or of characters, of each text."""
    texts = _texts(input)
    sizes = [len(_decoded(text).encode() if unit == "BYTE" else _decoded(text)) for text in texts.reshape(-1)]
    return constant(np.array(sizes, np.int64).reshape(texts.shape))


def joined_texts(inputs: Sequence[Any], separator: str = "", name: str | None = None) -> Any:
    """Texts of several arrays, put together one by one."""
    arrays = np.broadcast_arrays(*(_texts(x) for x in inputs))
    made = np.empty(arrays[0].shape, object)
    made.reshape(-1)[:] = [
        separator.join(map(_decoded, parts)) for parts in zip(*(a.reshape(-1) for a in arrays), strict=True)
    ]
    return Text(made)


def texts_of(input: Any, precision: int = -1, name: str | None = None, **others: Any) -> Any:
    """Numbers as texts."""
    array = np.asarray(input)
    made = np.empty(array.shape, object)
    form = str if precision < 0 else f"{{:.{precision}f}}".format
    made.reshape(-1)[:] = [form(value) for value in array.reshape(-1)]
    return Text(made)


def to_numbers(input: Any, out_type: Any = "float32", name: str | None = None) -> Any:
    """Numbers of texts."""
    texts = _texts(input)
    numbers = [float(_decoded(text)) for text in texts.reshape(-1)]
    return constant(np.array(numbers).reshape(texts.shape), out_type)
