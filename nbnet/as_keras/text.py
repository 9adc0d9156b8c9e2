"""``keras.preprocessing.text`` of Keras 2: words of texts as numbers."""

from __future__ import annotations

import hashlib
import json
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

FILTERS = '!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n'


def text_to_word_sequence(text: str, filters: str = FILTERS, lower: bool = True, split: str = " ") -> list[str]:
    """The words of a text, without the characters of ``filters``.

    Examples
    --------
    >>> from nbnet.as_keras.text import text_to_word_sequence
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
    >>> from nbnet.as_keras.text import Tokenizer
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
        if self.char_level or isinstance(text, list):
            parts = [part.lower() for part in text] if self.lower else list(text)
            return parts if isinstance(text, list) or not self.lower else list("".join(parts))
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
