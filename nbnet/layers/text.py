"""Texts as numbers, before a model: TextVectorization learns a vocabulary, Hashing and HashedCrossing need none."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from nbnet.base.array_memory import held_array
from nbnet.base.hashes import fingerprint, hashed, joined_hash
from nbnet.base.loading_budget import reserve
from nbnet.base.registry import function_name, named_function
from nbnet.base.validation import check_int
from nbnet.engine.graph.op import INT
from nbnet.engine.graph.symbolic import has_symbols
from nbnet.engine.graph.tensor import Tensor, tensor
from nbnet.layers.arguments import check_salt
from nbnet.layers.categories import ENCODINGS, check_mode, encoded_shape
from nbnet.layers.lookup import StringLookup, as_strings, integers
from nbnet.layers.preprocessing import DataLayer

Array = NDArray[Any]

_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)
_BARE = str.maketrans("", "", string.punctuation)
#: What each standard form does to the characters of a text: as in TensorFlow, to those of ASCII alone.
_FORMS = {"lower": _LOWER, "strip_punctuation": _BARE, "lower_and_strip_punctuation": _LOWER | _BARE}
_WORD = re.compile(r"[^ \t\n\v\f\r]+")


class TextVectorization(StringLookup):
    """Replaces texts by the numbers of their words: standardizes and splits them, and looks the parts up.

    It works on data, before a model or as the first layer of one: see :class:`StringLookup`.

    Parameters
    ----------
    max_tokens
        Most entries of the vocabulary, with the special ones; None for any number.
    standardize : {"lower_and_strip_punctuation", "lower", "strip_punctuation"}, callable or None
        Done to each text first; letters and punctuation are those of ASCII. A function takes and returns an array of
        strings.
    split : {"whitespace", "character"}, callable or None
        Parts of a text. A function takes an array of strings, and returns a list of strings for each.
    ngrams : int or tuple of int
        With n, sequences of 1 to n parts, joined by blanks, are looked up; with a tuple, those of these lengths.
    output_mode : {"int", "multi_hot", "count", "tf_idf"}
        ``"int"``: the numbers of the parts in their order, 0 after the last. Others: a vector for each text, as of
        :class:`StringLookup`.
    output_sequence_length
        With ``"int"``, length of the rows, which are cut or filled with 0; None: that of the longest text of a call.
    pad_to_max_tokens
        If True, vectors have ``max_tokens`` entries, however long the vocabulary is.
    vocabulary, idf_weights
        As for :class:`StringLookup`: without the empty string and ``"[UNK]"``, which come first.
    sparse, ragged
        Only False: tensors are dense.
    encoding
        Of bytes among the inputs.
    **kwargs
        ``name``, ``trainable``, ``dtype`` (see :class:`Layer`).

    Raises
    ------
    TypeError
        If inputs are no strings.
    ValueError
        If an argument is out of range, or inputs have more than one text a row.
    RuntimeError
        If it is called before it has a vocabulary, where the length of vectors depends on that.

    Examples
    --------
    >>> import nbnet as nb
    >>> layer = nb.layers.TextVectorization(output_sequence_length=4)
    >>> layer.adapt(["The cat sat.", "The dog sat, too!"])
    >>> layer.get_vocabulary()
    ['', '[UNK]', 'the', 'sat', 'too', 'dog', 'cat']
    >>> layer(["The cat!", "A dog and the cat sat"]).numpy()
    array([[2, 6, 0, 0],
           [1, 5, 1, 2]])
    """

    def __init__(
        self,
        max_tokens: int | None = None,
        standardize: str | Callable[[Array], Any] | None = "lower_and_strip_punctuation",
        split: str | Callable[[Array], Any] | None = "whitespace",
        ngrams: int | Sequence[int] | None = None,
        output_mode: str = "int",
        output_sequence_length: int | None = None,
        pad_to_max_tokens: bool = False,
        vocabulary: Any = None,
        idf_weights: Any = None,
        sparse: bool = False,
        ragged: bool = False,
        encoding: str = "utf-8",
        **kwargs: Any,
    ) -> None:
        for name, value, known in (
            ("standardize", standardize, tuple(_FORMS)),
            ("split", split, ("whitespace", "character")),
        ):
            if value is not None and not callable(value) and value not in known:
                raise ValueError(f"{name}: expected one of {known}, a function or None, got {value!r}")
        if ragged:
            raise ValueError("ragged: expected False, as tensors are dense")
        check_mode(output_mode, sparse, ("int", "one_hot", "multi_hot", "count", "tf_idf"))
        if output_sequence_length is not None:
            check_int(output_sequence_length, "output_sequence_length")
            if output_mode != "int":
                raise ValueError(
                    f"output_sequence_length: expected None with output_mode {output_mode!r}, got "
                    f"{output_sequence_length!r}"
                )
        self.standardize, self.split, self.ngrams = standardize, split, ngrams
        lengths: Any = range(1, ngrams + 1) if isinstance(ngrams, int) else ngrams
        if lengths is not None and not (
            isinstance(lengths, (range, list, tuple))
            and lengths
            and (isinstance(lengths, range) or all(isinstance(n, int) and n > 0 for n in lengths))
        ):
            raise ValueError(f"ngrams: expected an integer above 0, a tuple of them or None, got {ngrams!r}")
        self._lengths: Sequence[int] | None = lengths
        self.ragged, self.output_sequence_length = False, output_sequence_length
        super().__init__(
            max_tokens, 1, "", "[UNK]", vocabulary, idf_weights, False, output_mode, pad_to_max_tokens,
            encoding=encoding, **kwargs,
        )  # fmt: skip

    # ---- parts of texts ----

    def _texts(self, values: Any, name: str) -> Array:
        """Return texts as an array of strings (n,), or (n, k) of tokens; of one text, an array without axes."""
        texts = as_strings(values, name, self.encoding)
        if callable(self.standardize):
            texts = as_strings(self.standardize(np.array(texts, str)), "standardize", self.encoding)
        elif self.standardize is not None:
            form = _FORMS[self.standardize]
            texts = np.array([text.translate(form) for text in texts.ravel().tolist()], object).reshape(texts.shape)
        if self.split is None or texts.ndim < 2:
            return texts
        if texts.shape[-1] != 1:
            raise ValueError(f"{name}: expected one text a row, shape (n,) or (n, 1), got {texts.shape}")
        return texts[..., 0]

    def _parts(self, values: Any, name: str) -> list[list[str]]:
        """Return the parts of each text that are looked up."""
        texts = self._texts(values, name)
        if self.split is None:
            found = texts.reshape(len(texts) if texts.ndim else 1, -1).tolist()
        elif callable(self.split):
            found = [
                [self._token(part, "split") for part in _listed(row)]
                for row in _listed(self.split(np.array(texts, str)))
            ]
        else:
            split = list if self.split == "character" else _WORD.findall
            found = [split(text) for text in texts.ravel().tolist()]
        if self._lengths is None:
            return found
        return [
            [" ".join(row[k : k + n]) for n in _up_to(self._lengths, len(row)) for k in range(len(row) - n + 1)]
            for row in found
        ]  # fmt: skip

    def _counted(self, batch: Any, whole: bool) -> tuple[Counter[Any], Counter[Any], int]:
        rows = self._parts(batch, "data")
        documents = Counter(chain.from_iterable(map(set, rows))) if self.output_mode == "tf_idf" else Counter()
        return Counter(chain.from_iterable(rows)), documents, len(rows)

    # ---- calls ----

    def _look_up(self, given: Any) -> Tensor:
        single = np.ndim(given) == 0
        rows = self._parts(given, "inputs")
        table = {token: number for number, token in enumerate(self.get_vocabulary())}
        if self.output_mode == "int":
            length = self.output_sequence_length
            length = max(map(len, rows), default=0) if length is None else length
            reserve(len(rows) * length, self.name)
            numbers = np.zeros((len(rows), length), INT)
            for k, row in enumerate(rows):
                row = row[:length]
                numbers[k, : len(row)] = [table.get(token, 1) for token in row]
            return integers(numbers[0] if single else numbers)
        # The empty string counts nowhere.
        found = [[table.get(token, 0) for token in row if token] for row in rows]
        depth = self._depth
        at = np.repeat(np.arange(len(rows)), [len(row) for row in found]) * depth
        counts = np.bincount(
            at + np.fromiter(chain.from_iterable(found), np.int64, len(at)), minlength=len(rows) * depth
        ).reshape(len(rows), depth)
        if self.output_mode in ("multi_hot", "one_hot"):
            counts = np.minimum(counts, 1)
        vectors = np.ascontiguousarray(counts[0] if single else counts, self.dtype)
        return self._weighed(Tensor(vectors.shape, vectors.dtype, vectors))

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Shape of the output for a shape of the input."""
        last = self.output_sequence_length if self.output_mode == "int" else self._known_depth
        return (input_shape[0], last)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        for name in ("num_oov_indices", "mask_token", "oov_token", "invert", "salt"):
            del config[name]
        own: dict[str, Any] = {
            name: function_name(value, name) if callable(value) else value
            for name, value in (("standardize", self.standardize), ("split", self.split))
        }
        ngrams = list(self.ngrams) if isinstance(self.ngrams, tuple) else self.ngrams
        return config | own | {
            "ngrams": ngrams, "output_sequence_length": self.output_sequence_length, "ragged": False,
        }  # fmt: skip

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Create a layer from the dict that :meth:`get_config` returned; its functions are those registered."""
        own = dict(config)
        known = {"standardize": _FORMS, "split": ("whitespace", "character")}
        for name, words in known.items():
            if isinstance(own.get(name), str) and own[name] not in words:
                own[name] = named_function(own[name], name)
        return super().from_config(own)


def _up_to(lengths: Sequence[int], most: int) -> Sequence[int]:
    """Return lengths of sequences; of a range, those up to a number."""
    return range(1, min(lengths.stop, most + 1)) if isinstance(lengths, range) else lengths


def _listed(values: Any) -> Iterable[Any]:
    found: Iterable[Any] = values.tolist() if hasattr(values, "tolist") else values
    return found


class Hashing(DataLayer):
    """Replaces strings or integers by the numbers of bins that they are hashed to: the same ones as in Keras.

    It works on data, before a model or as the first layer of one: see :class:`StringLookup`.

    Parameters
    ----------
    num_bins
        Number of bins, with that for ``mask_value``.
    mask_value
        A value that is put in bin 0, and no other one is; None: there is none.
    salt
        An integer or two of 64 bits, the key of SipHash; None: FarmHash, which takes none.
    output_mode : {"int", "one_hot", "multi_hot", "count"}
        ``"int"``: numbers, int64. Others: vectors, as of :class:`CategoryEncoding`, of the last axis.
    sparse
        Only False: tensors are dense.
    **kwargs
        ``name``, ``trainable``, ``dtype`` (see :class:`Layer`).

    Raises
    ------
    TypeError
        If inputs are neither strings nor numbers.
    ValueError
        If an argument is out of range.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.layers.Hashing(3)([["A"], ["B"], ["E"]]).numpy()
    array([[1],
           [0],
           [2]])
    """

    _arguments = ("num_bins", "salt", "mask_value", "output_mode", "sparse")

    def __init__(
        self,
        num_bins: int,
        mask_value: Any = None,
        salt: Any = None,
        output_mode: str = "int",
        sparse: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**_floating(kwargs))
        self.num_bins, self.mask_value = check_int(num_bins, "num_bins"), mask_value
        self.output_mode, self.sparse = check_mode(output_mode, sparse, ("int", *ENCODINGS)), False
        self.salt = check_salt(salt)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Hash strings or integers: an array or list of any shape."""
        if len(args) != 1 or kwargs or has_symbols(args):
            return super().__call__(*args, **kwargs)
        values = _categories(args[0], "inputs")
        masked = self.mask_value is not None and self.num_bins > 1
        numbers = hashed(values, self.num_bins - masked, self.salt) + int(masked)
        if masked:
            numbers = np.where(values == self.mask_value, 0, numbers)
        return as_vectors(numbers, self.output_mode, self.num_bins, self.dtype)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Shape of the output for a shape of the input."""
        if self.output_mode in ("multi_hot", "count"):
            return (*tuple(input_shape)[:-1], self.num_bins)
        return encoded_shape(input_shape, self.output_mode, self.num_bins)


class HashedCrossing(DataLayer):
    """Hashes combinations of features, one of each, to the numbers of bins: the same ones as in Keras.

    It works on data, before a model or as the first layer of one: see :class:`StringLookup`.

    Parameters
    ----------
    num_bins
        Number of bins.
    output_mode : {"int", "one_hot"}
        ``"int"``: numbers, int64. ``"one_hot"``: vectors.
    sparse
        Only False: tensors are dense.
    **kwargs
        ``name``, ``trainable``, ``dtype`` (see :class:`Layer`).

    Raises
    ------
    TypeError
        If inputs are neither strings nor integers.
    ValueError
        If an argument is out of range, or inputs are fewer than two, or of other shapes than (), (n,) and (n, 1).

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.layers.HashedCrossing(5)((["A", "B", "A"], [101, 101, 102])).numpy()
    array([1, 4, 3])
    """

    _arguments = ("num_bins", "output_mode", "sparse")

    def __init__(self, num_bins: int, output_mode: str = "int", sparse: bool = False, **kwargs: Any) -> None:
        super().__init__(**_floating(kwargs))
        self.num_bins = check_int(num_bins, "num_bins")
        self.output_mode, self.sparse = check_mode(output_mode, sparse, ("int", "one_hot")), False

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Hash combinations: a list or tuple of two features or more, arrays or lists of one shape."""
        if len(args) != 1 or kwargs or has_symbols(args):
            return super().__call__(*args, **kwargs)
        if not isinstance(args[0], (list, tuple)) or len(args[0]) < 2:
            raise ValueError(f"inputs: expected a list of two features or more, got {args[0]!r}")
        features = [_categories(part, f"inputs[{k}]") for k, part in enumerate(args[0])]
        shapes = {part.shape for part in features}
        if len(shapes) > 1 or features[0].ndim > 2 or features[0].shape[1:] not in ((), (1,)):
            raise ValueError(f"inputs: expected features of one shape, (), (n,) or (n, 1), got {sorted(shapes)}")
        hashes = []
        for k, part in enumerate(features):
            if part.dtype.kind not in "iuU":
                raise TypeError(f"inputs[{k}]: expected integers or strings, got {part.dtype}")
            if part.dtype.kind == "U":
                found, where = np.unique(part, return_inverse=True)
                part = np.array([fingerprint(text.encode()) for text in found.tolist()], np.uint64)[where]
            hashes.append(part.reshape(-1).astype(np.uint64))
        numbers = np.array([joined_hash(row) % self.num_bins for row in np.stack(hashes, 1).tolist()], INT)
        return as_vectors(numbers.reshape(features[0].shape), self.output_mode, self.num_bins, self.dtype)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Shape of the output for the shapes of the inputs."""
        return encoded_shape(input_shape[0], self.output_mode, self.num_bins)


def _floating(kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return arguments of a layer without an integer dtype, which Keras has for numbers: here they are int64 anyway."""
    return {key: value for key, value in kwargs.items() if key != "dtype" or value not in ("int32", "int64")}


def _categories(values: Any, name: str) -> Array:
    """Return strings or numbers as an array of one of the kinds U, i, u and b; floats lose their fractions."""
    given = values.numpy() if isinstance(values, Tensor) else values
    array = held_array(given.to_numpy() if hasattr(given, "to_numpy") else given, name)
    if array.dtype.kind in "iub":
        return array
    if array.dtype.kind == "f" and np.isfinite(array).all() and (np.abs(array) < 1 << 63).all():
        return array.astype(np.int64)
    if array.dtype.kind not in "OSTU":
        raise TypeError(f"{name}: expected strings or finite numbers, got {array.dtype}")
    # An array made of a list may hold numbers as strings.
    return as_strings(given if isinstance(given, (list, tuple)) else array, name)


def as_vectors(numbers: Array, mode: str, depth: int, dtype: np.dtype[Any]) -> Tensor:
    """Return numbers of bins as a tensor of them, or of vectors of the last axis.

    Examples
    --------
    >>> import numpy as np
    >>> from nbnet.layers.text import as_vectors
    >>> as_vectors(np.array([[0, 2, 2]]), "count", 3, np.dtype("float32")).numpy()
    array([[1., 0., 2.]], dtype=float32)
    """
    if mode == "int":
        return integers(numbers)
    if mode == "one_hot" and numbers.ndim > 1 and numbers.shape[-1] == 1:
        numbers = numbers[..., 0]
    reserve(numbers.size * depth, mode)
    if mode == "one_hot":
        vectors = np.zeros((numbers.size, depth), dtype)
        vectors[np.arange(numbers.size), numbers.ravel()] = 1
        return tensor(vectors.reshape(*numbers.shape, depth))
    rows = numbers.reshape(-1, numbers.shape[-1] if numbers.ndim else 1)
    at = np.arange(len(rows))[:, None] * depth + rows
    counts = np.bincount(at.ravel(), minlength=len(rows) * depth).reshape(*numbers.shape[:-1], depth)
    return tensor((np.minimum(counts, 1) if mode == "multi_hot" else counts).astype(dtype))
