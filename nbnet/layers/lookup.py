"""Vocabularies: StringLookup and IntegerLookup replace tokens by their numbers, and numbers by their tokens."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from nbnet import ops
from nbnet.base.array_memory import held_array, plain_array, plain_parts
from nbnet.base.hashes import hashed
from nbnet.base.loading_budget import reserve
from nbnet.base.validation import check_choice, check_int
from nbnet.engine.graph.op import INT
from nbnet.engine.graph.parameter import invalidate_programs
from nbnet.engine.graph.symbolic import has_symbols
from nbnet.engine.graph.tensor import Tensor, recorder
from nbnet.layers.arguments import check_salt
from nbnet.layers.categories import ENCODINGS, batches, check_mode, encode, encoded_shape
from nbnet.layers.layer import Layer
from nbnet.layers.preprocessing import DataLayer
from nbnet.ops.gather import rows_or_nan

Array = NDArray[Any]

#: The first integer that float32 does not tell from its neighbour.
_INEXACT = 1 << 24


class Lookup(Layer):
    """Base of the layers with a vocabulary."""

    _arguments: ClassVar[tuple[str, ...]] = (
        "max_tokens", "num_oov_indices", "mask_token", "oov_token", "vocabulary", "idf_weights", "invert",
        "output_mode", "sparse", "pad_to_max_tokens",
    )  # fmt: skip

    def __init__(
        self,
        max_tokens: int | None = None,
        num_oov_indices: int = 1,
        mask_token: Any = None,
        oov_token: Any = None,
        vocabulary: Any = None,
        idf_weights: Any = None,
        invert: bool = False,
        output_mode: str = "int",
        sparse: bool = False,
        pad_to_max_tokens: bool = False,
        *,
        vocabulary_size: int | None = None,
        has_input_vocabulary: bool | None = None,
        **kwargs: Any,
    ) -> None:
        # Keras's configurations have the size; the tokens may follow.
        self._size_to_come = None if vocabulary_size is None else check_int(vocabulary_size, "vocabulary_size", 0)
        super().__init__(**kwargs)
        self.max_tokens = None if max_tokens is None else check_int(max_tokens, "max_tokens", 2)
        self.num_oov_indices = check_int(num_oov_indices, "num_oov_indices", 0)
        reserve(self.num_oov_indices, self.name, kept=True)
        self.mask_token = None if mask_token is None else self._token(mask_token, "mask_token")
        self.oov_token = None if oov_token is None else self._token(oov_token, "oov_token")
        self.invert, self.pad_to_max_tokens = bool(invert), bool(pad_to_max_tokens)
        self.output_mode = check_mode(output_mode, sparse, ("int", *ENCODINGS, "tf_idf"))
        self.sparse = False
        if self.pad_to_max_tokens and max_tokens is None:
            raise ValueError("pad_to_max_tokens: expected False without max_tokens, got True")
        if self.invert and self.output_mode != "int":
            raise ValueError(f"output_mode: expected 'int' with invert=True, got {output_mode!r}")
        self._tokens: list[Any] = []
        self._idf: Array | None = None
        self._fixed = vocabulary is not None
        if idf_weights is not None and self.output_mode != "tf_idf":
            raise ValueError(f"idf_weights: expected None with output_mode {output_mode!r}")
        if vocabulary is not None:
            self.set_vocabulary(vocabulary, idf_weights)

    # ---- what the kinds of tokens differ in ----

    def _token(self, value: Any, name: str) -> Any:
        """Return a token in its plain form; TypeError for anything else."""
        raise NotImplementedError

    def _array(self, values: Any, name: str) -> Array:
        """Return tokens as an array that can be sorted; TypeError for anything else."""
        raise NotImplementedError

    def _missing(self, tokens: Array) -> Array:
        """Return the numbers of tokens that are not in the vocabulary, where several numbers are reserved for them."""
        raise NotImplementedError

    # ---- the vocabulary ----

    @property
    def _oov_start(self) -> int:
        return 1 if self.mask_token is not None and self.output_mode == "int" else 0

    @property
    def _start(self) -> int:
        return self._oov_start + self.num_oov_indices

    @property
    def _special(self) -> list[Any]:
        """The tokens for the mask and for those out of the vocabulary, by number."""
        return [self.mask_token] * self._oov_start + [self.oov_token] * self.num_oov_indices

    @property
    def vocabulary(self) -> list[Any] | None:
        """The tokens without those for the mask and for others; None before any are known."""
        return list(self._tokens) or None

    @property
    def idf_weights(self) -> list[float] | None:
        """The weights of the tokens with ``output_mode="tf_idf"``, without those of the special ones."""
        return None if self._idf is None else self._idf[self._start : self._start + len(self._tokens)].tolist()

    def get_vocabulary(self, include_special_tokens: bool = True) -> list[Any]:
        """The tokens by number, with those for the mask and for tokens out of the vocabulary unless left out."""
        return [*(self._special if include_special_tokens else []), *self._tokens]

    def vocabulary_size(self) -> int:
        """Number of tokens, with the special ones."""
        return self._start + len(self._tokens)

    def set_vocabulary(self, vocabulary: Any, idf_weights: Any = None) -> None:
        """Set the tokens, and with ``output_mode="tf_idf"`` their weights; earlier ones are forgotten.

        Parameters
        ----------
        vocabulary
            List or array of tokens, or the path of a text file with one token on each line. It may begin with the
            special tokens, as :meth:`get_vocabulary` returns them.
        idf_weights
            One number for each token.

        Raises
        ------
        ValueError
            If a token occurs twice, a special one is not at the beginning, there are more than ``max_tokens``, or the
            weights do not fit.
        """
        if (idf_weights is None) == (self.output_mode == "tf_idf"):
            wanted = "numbers" if idf_weights is None else "None"
            raise ValueError(f"idf_weights: expected {wanted} with output_mode {self.output_mode!r}, got {idf_weights}")
        if isinstance(vocabulary, (str, Path)):
            if not Path(vocabulary).is_file():
                raise ValueError(f"vocabulary: the file {vocabulary} does not exist")
            vocabulary = [self._line(line) for line in Path(vocabulary).read_text("utf-8").splitlines()]
        if isinstance(vocabulary, Tensor):
            vocabulary = vocabulary.numpy()
        given = list(held_array(vocabulary, "vocabulary") if isinstance(vocabulary, np.ndarray) else vocabulary)
        start = self._start
        leads = len(given) >= start and given[:start] == self._special
        tokens = [self._token(value, "vocabulary") for value in (given[start:] if leads else given)]
        if not given:
            raise ValueError("vocabulary: expected one token or more, got none")
        if len(set(tokens)) != len(tokens):
            twice = [token for token, count in Counter(tokens).items() if count > 1]
            raise ValueError(f"vocabulary: expected each token once; repeated are {twice[:5]}")
        for name, value in (("mask_token", self.mask_token), ("oov_token", self.oov_token if self.invert else None)):
            if value is not None and value in tokens:
                raise ValueError(
                    f"vocabulary: {name} {value!r} stands at place {tokens.index(value)}; leave special tokens out, or "
                    f"let it begin with {self._special}"
                )
        if self.max_tokens is not None and start + len(tokens) > self.max_tokens:
            raise ValueError(
                f"vocabulary: expected max_tokens={self.max_tokens} at most, with the special ones, got "
                f"{start + len(tokens)}"
            )
        weights = None
        if idf_weights is not None:
            weights = np.asarray(plain_array(idf_weights, "idf_weights"), float)
            if weights.shape != (len(given),) or not np.isfinite(weights).all():
                raise ValueError(f"idf_weights: expected {len(given)} finite numbers, got shape {weights.shape}")
            if not leads:
                weights = np.concatenate([np.full(start, weights.mean()), weights])
        self._tokens, self._idf = tokens, weights
        self._learned()

    def _line(self, line: str) -> Any:
        """Return the token on a line of a file."""
        return line

    def load_vocabulary(self, text: str, idf_weights: Any = None) -> None:
        """Set the tokens from the lines of a file of Keras's, unless the layer was made with a vocabulary."""
        lines = text.split("\n")
        while lines and not lines[-1]:
            lines.pop()
        if self._fixed or not lines:
            return
        # The weights may be padded.
        weights = None if idf_weights is None else idf_weights[: len(lines)]
        self.set_vocabulary([self._line(line) for line in lines], weights)
        if self._size_to_come not in (None, self.vocabulary_size()):
            raise ValueError(
                f"vocabulary: expected {self._size_to_come} tokens, as the configuration says, got "
                f"{self.vocabulary_size()}"
            )

    def adapt(self, data: Any, steps: int | None = None) -> None:
        """Learn the vocabulary from data: the most frequent tokens first, of equally frequent ones the last in order.

        Parameters
        ----------
        data
            Array or list of tokens, each a document, or of rows, each a document of several tokens; or batches of
            them: a generator, a :class:`nbnet.utils.PyDataset`, a loader.
        steps
            Number of batches to read; None for all.

        Raises
        ------
        ValueError
            If the layer was made with a vocabulary.
        """
        if self._fixed:
            raise ValueError(f"{self.name}: was made with a vocabulary, and cannot be adapted")
        counts: Counter[Any] = Counter()
        documents: Counter[Any] = Counter()
        rows = 0
        for batch in batches(data, steps):
            tokens, within, number = self._counted(batch, batch is data)
            counts.update(tokens)
            documents.update(within)
            rows += number
        for token in (self.mask_token, self.oov_token):
            counts.pop(token, None)
        found = sorted(counts, key=lambda token: (counts[token], token), reverse=True)
        if self.max_tokens is not None:
            found = found[: max(self.max_tokens - self._start, 0)]
        self._tokens, self._idf = found, None
        if self.output_mode == "tf_idf":
            weights = np.log(1 + rows / (1 + np.array([documents[token] for token in found], float)))
            self._idf = np.concatenate([np.full(self._start, weights.mean() if found else 0.0), weights])
        self._learned()

    def _counted(self, batch: Any, whole: bool) -> tuple[Counter[Any], Counter[Any], int]:
        """Return how often each token occurs in a batch or the whole data, in how many documents with
        ``output_mode="tf_idf"``, and the number of documents."""
        values = self._array(batch, "data")
        if values.ndim < 2:
            # Of a whole data set each token is a document; a batch of one axis is one.
            values = values.reshape((-1, 1) if whole else (1, -1))
        tokens, numbers = np.unique(values, return_counts=True)
        documents: Counter[Any] = Counter()
        if self.output_mode == "tf_idf":
            for row in values:
                documents.update(set(row.ravel().tolist()))
        return Counter(dict(zip(tokens.tolist(), numbers.tolist(), strict=True))), documents, len(values)

    def _learned(self) -> None:
        """Have the programs of models that hold the vocabulary built anew."""
        if self.built:
            invalidate_programs()

    # ---- calls ----

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Look tokens up: an array or list of any shape. In a model, see :meth:`call`."""
        if not args and "inputs" in kwargs:
            args = (kwargs.pop("inputs"),)
        if len(args) != 1 or kwargs or has_symbols(args) or (isinstance(args[0], Tensor) and args[0].data is None):
            return super().__call__(*args, **kwargs)
        self._check_known()
        given = args[0].numpy() if isinstance(args[0], Tensor) else args[0]
        if self.invert:
            return self._inverted(given)
        return self._look_up(given)

    def _look_up(self, given: Any) -> Tensor:
        return self._encoded(integers(self._numbers(self._array(given, "inputs"))))

    def _check_known(self) -> None:
        to_come = self._size_to_come and getattr(recorder(), "probing", False)
        if not (self._tokens or to_come or self.output_mode == "int" or self.pad_to_max_tokens):
            raise RuntimeError(f"{self.name}: pass a vocabulary, or call adapt(data), before it is called")

    def _numbers(self, tokens: Array) -> Array:
        """Return the number of each token; -1 for what counts nowhere."""
        found = np.full(tokens.shape, -1)
        known = np.zeros(tokens.shape, bool)
        if self._tokens:
            keys = self._array(self._tokens, "vocabulary")
            order = np.argsort(keys, kind="stable")
            at = np.minimum(np.searchsorted(keys[order], tokens), len(keys) - 1)
            known = np.asarray(keys[order][at] == tokens)
            found = np.where(known, order[at] + self._start, found)
        masked = np.zeros(tokens.shape, bool) if self.mask_token is None else np.asarray(tokens == self.mask_token)
        found = np.where(masked, 0 if self.output_mode == "int" else -1, found)
        missing = ~(known | masked)
        if missing.any():
            if self.num_oov_indices == 0:
                raise ValueError(
                    f"inputs: {tokens[missing].ravel()[:5].tolist()} are not in the vocabulary; num_oov_indices=1 "
                    "reserves a number for such tokens"
                )
            others = self._missing(tokens[missing]) if self.num_oov_indices > 1 else 0
            found[missing] = self._oov_start + others
        return found

    def _encoded(self, numbers: Tensor) -> Tensor:
        if self.output_mode == "int":
            return numbers
        mode = "count" if self.output_mode == "tf_idf" else self.output_mode
        return self._weighed(encode(numbers, mode, self._depth, self.dtype))

    @property
    def _depth(self) -> int:
        """Length of vectors."""
        if self.pad_to_max_tokens and self.max_tokens:
            return self.max_tokens
        return self.vocabulary_size() if self._tokens else self._size_to_come or self._start

    @property
    def _known_depth(self) -> int | None:
        """Length of vectors; None before the tokens are known."""
        return self._depth if self._tokens or self._size_to_come or self.pad_to_max_tokens else None

    def _weighed(self, made: Tensor) -> Tensor:
        """Return vectors with their entries multiplied by the weights of the tokens, if there are any."""
        weights = self.padded_idf_weights
        if weights is None:
            return made
        return made * weights.astype(made.dtype)

    @property
    def padded_idf_weights(self) -> Array | None:
        """The weights of all entries of a vector; None without any."""
        if self._idf is None:
            return None
        reserve(self._depth, self.name)
        return np.pad(self._idf, (0, self._depth - len(self._idf)))

    def _inverted(self, numbers: Any) -> Any:
        given = held_array(numbers, "inputs")
        if given.dtype.kind not in "iu":
            raise TypeError(f"inputs: expected integers with invert=True, got {given.dtype}")
        # The last entry is for all other numbers.
        table = np.array([*self.get_vocabulary(), self.oov_token], object)
        inside = (given >= 0) & (given < len(table) - 1)
        return self._as_tokens(table[np.where(inside, given, len(table) - 1)])

    def _as_tokens(self, found: Any) -> Any:
        """Return an array of tokens as a call with ``invert=True`` does."""
        return found

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        if self._idf is not None:
            # Those of the special tokens, too.
            config |= {"vocabulary": self.get_vocabulary(), "idf_weights": self._idf.tolist()}
        return config

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Create a layer from the dict that :meth:`get_config` returned; it names no file."""
        if isinstance(config.get("vocabulary"), str):
            raise ValueError(f"vocabulary: expected the tokens in a configuration, got the path {config['vocabulary']}")
        return cls(**config)


def integers(values: Array) -> Tensor:
    """Return numbers of tokens as a tensor."""
    array = np.array(values, INT, order="C")
    return Tensor(array.shape, INT, array)


class StringLookup(DataLayer, Lookup):
    """Replaces strings by their numbers in a vocabulary.

    It works on data: before a model, or as the first layer of one, after ``nbnet.Input(shape, dtype="string")`` if
    there is any. What it makes of the data is then the input of the program.

    Parameters
    ----------
    max_tokens
        Most entries of the vocabulary, with the special ones; None for any number.
    num_oov_indices
        Numbers that are reserved for strings out of the vocabulary, which are hashed to them as :class:`Hashing` does.
        With 0, such a string is an error.
    mask_token
        The string for missing entries: number 0 with ``output_mode="int"``, nothing in vectors; None without one.
    oov_token
        The string that ``invert=True`` returns for numbers out of the vocabulary.
    vocabulary
        List or array of strings, or the path of a text file with one on each line; None if :meth:`adapt` learns them.
    idf_weights
        With ``output_mode="tf_idf"``, a weight for each string.
    invert
        If True, replace numbers by their strings; the result is a NumPy array.
    output_mode : {"int", "one_hot", "multi_hot", "count", "tf_idf"}
        ``"int"``: numbers, int64. Others: vectors, as of :class:`CategoryEncoding`; ``"tf_idf"`` multiplies counts by
        the logarithm of ``1 + documents / (1 + documents with the string)``.
    pad_to_max_tokens
        If True, vectors have ``max_tokens`` entries, however long the vocabulary is.
    sparse
        Only False: tensors are dense.
    encoding
        Of bytes among the inputs.
    salt
        Key of the hash function: see :class:`Hashing`.
    oov_method
        Of no effect on strings, which are hashed in any case.
    **kwargs
        ``name``, ``trainable``, ``dtype`` (see :class:`Layer`).

    Raises
    ------
    TypeError
        If inputs are no strings, or computed by another layer of a model.
    ValueError
        If an argument is out of range, or the vocabulary does not fit.
    RuntimeError
        If it is called before it has a vocabulary, where the length of vectors depends on that.

    Examples
    --------
    >>> import nbnet as nb
    >>> layer = nb.layers.StringLookup()
    >>> layer.adapt(["a", "b", "b", "c", "b", "c"])
    >>> layer.get_vocabulary()
    ['[UNK]', 'b', 'c', 'a']
    >>> layer([["c", "d"], ["a", "b"]]).numpy()
    array([[2, 0],
           [3, 1]])
    """

    _arguments = ("encoding", "salt")
    strings_only = True

    def __init__(
        self,
        max_tokens: int | None = None,
        num_oov_indices: int = 1,
        mask_token: str | None = None,
        oov_token: str | None = "[UNK]",
        vocabulary: Any = None,
        idf_weights: Any = None,
        invert: bool = False,
        output_mode: str = "int",
        pad_to_max_tokens: bool = False,
        sparse: bool = False,
        encoding: str = "utf-8",
        salt: Any = None,
        oov_method: str = "farmhash",
        **kwargs: Any,
    ) -> None:
        check_choice(oov_method, "oov_method", ("farmhash", "floormod"))
        self.encoding, self.salt = encoding, check_salt(salt)
        super().__init__(
            max_tokens, num_oov_indices, mask_token, oov_token, vocabulary, idf_weights, invert, output_mode, sparse,
            pad_to_max_tokens, **kwargs,
        )  # fmt: skip

    def _missing(self, tokens: Array) -> Array:
        return hashed(tokens, self.num_oov_indices, self.salt)

    def _token(self, value: Any, name: str) -> str:
        return _as_string(value, name, self.encoding)

    def _array(self, values: Any, name: str) -> Array:
        return as_strings(values, name, self.encoding)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Shape of the output for a shape of the input."""
        return encoded_shape(input_shape, self.output_mode, self._known_depth)


def as_strings(values: Any, name: str, encoding: str = "utf-8") -> Array:
    """Return strings, bytes or lists of them as an array of strings; TypeError for anything else.

    Examples
    --------
    >>> from nbnet.layers.lookup import as_strings
    >>> as_strings([["a"], [b"bc"]], "inputs")
    array([['a'],
           ['bc']], dtype='<U2')
    """
    if hasattr(values, "to_numpy"):
        values = values.to_numpy()
    if not isinstance(values, np.ndarray) and _holds_objects(values):
        values = np.asarray(plain_parts(values, name) if isinstance(values, (list, tuple)) else values, object)
    array = held_array(values, name)
    if array.dtype.kind == "U":
        return array
    if array.size == 0:
        return np.zeros(array.shape, "U1")
    if array.dtype.kind not in "OST":
        raise TypeError(f"{name}: expected strings, got {array.dtype}")
    return np.array([_as_string(value, name, encoding) for value in array.ravel().tolist()]).reshape(array.shape)


def _as_string(value: Any, name: str, encoding: str) -> str:
    if isinstance(value, bytes):
        return value.decode(encoding)
    if not isinstance(value, str):
        raise TypeError(f"{name}: expected strings, got {value!r}")
    return str(value)


def _holds_objects(values: Any) -> bool:
    """Return True if lists have an entry that is no string, which NumPy would make a string of."""
    if isinstance(values, (list, tuple)):
        return any(_holds_objects(value) for value in values)
    return not isinstance(values, (str, np.ndarray))


class IntegerLookup(Lookup):
    """Replaces integers by their numbers in a vocabulary, also in a model, where the numbers are floats.

    Parameters
    ----------
    max_tokens
        Most entries of the vocabulary, with the special ones; None for any number.
    num_oov_indices
        Numbers that are reserved for integers out of the vocabulary, which share them
        as ``oov_method`` says. With 0, such an integer is an error; in a model, it is number -1, of which an
        :class:`Embedding` makes NaN. In a model, at most 1.
    mask_token
        The integer for missing entries: number 0 with ``output_mode="int"``, nothing in vectors; None without one.
    oov_token
        The integer that ``invert=True`` returns for numbers out of the vocabulary.
    vocabulary
        List or array of integers, or the path of a text file with one on each line; None if :meth:`adapt` learns them.
    vocabulary_dtype
        ``"int64"``.
    idf_weights, invert, output_mode, sparse, pad_to_max_tokens
        As for :class:`StringLookup`; ``invert=True`` returns a tensor.
    oov_method : {"floormod", "farmhash"}
        How they are found: modulo, or as :class:`Hashing` does.
    salt
        Key of the hash function, with ``"farmhash"``.
    **kwargs
        ``name``, ``trainable``, ``dtype`` (see :class:`Layer`).

    Raises
    ------
    TypeError
        If inputs are no integers.
    ValueError
        If an argument is out of range, or the vocabulary does not fit; in a model of float32, integers of the
        vocabulary from 2**24.
    RuntimeError
        If it is called before it has a vocabulary, where the length of vectors depends on that.

    Examples
    --------
    >>> import nbnet as nb
    >>> layer = nb.layers.IntegerLookup(vocabulary=[12, 36, 1138, 42])
    >>> layer([[12, 1138, 42], [42, 1000, 36]]).numpy()
    array([[1, 3, 4],
           [4, 0, 2]])
    """

    _arguments = ("vocabulary_dtype", "oov_method", "salt")
    integer_input = True
    vocabulary_dtype = "int64"

    def __init__(
        self,
        max_tokens: int | None = None,
        num_oov_indices: int = 1,
        mask_token: int | None = None,
        oov_token: int | None = -1,
        vocabulary: Any = None,
        vocabulary_dtype: str = "int64",
        idf_weights: Any = None,
        invert: bool = False,
        output_mode: str = "int",
        sparse: bool = False,
        pad_to_max_tokens: bool = False,
        oov_method: str = "floormod",
        salt: Any = None,
        **kwargs: Any,
    ) -> None:
        if vocabulary_dtype != "int64":
            raise ValueError(f"vocabulary_dtype: expected 'int64', got {vocabulary_dtype!r}")
        self.oov_method = check_choice(oov_method, "oov_method", ("floormod", "farmhash"))
        self.salt = check_salt(salt)
        if salt is not None and oov_method == "floormod":
            raise ValueError(f"salt: expected None with oov_method 'floormod', got {salt!r}")
        super().__init__(
            max_tokens, num_oov_indices, mask_token, oov_token, vocabulary, idf_weights, invert, output_mode, sparse,
            pad_to_max_tokens, **kwargs,
        )  # fmt: skip

    def _token(self, value: Any, name: str) -> int:
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or not -(1 << 63) <= value < 1 << 63:
            raise TypeError(f"{name}: expected integers of 64 bits, got {value!r}")
        return int(value)

    def _line(self, line: str) -> Any:
        return int(line)

    def _array(self, values: Any, name: str) -> Array:
        array = held_array(values, name)
        if array.dtype.kind == "f" and (array == np.floor(array)).all() and (np.abs(array) < 1 << 53).all():
            return array.astype(np.int64)
        if array.dtype.kind not in "iu" or (array.dtype == np.uint64 and array.max(initial=0) >= 1 << 63):
            raise TypeError(f"{name}: expected integers of 64 bits, got {array.dtype}")
        return array.astype(np.int64)

    def _missing(self, tokens: Array) -> Array:
        if self.oov_method == "farmhash":
            return hashed(tokens, self.num_oov_indices, self.salt)
        return tokens % self.num_oov_indices

    def _as_tokens(self, found: Any) -> Tensor:
        if any(token is None for token in found.ravel().tolist()):
            raise ValueError("oov_token: expected an integer with invert=True, got None")
        return integers(found)

    def call(self, inputs: Tensor) -> Tensor:
        """Look integers up in a program, as floats: an integer of the vocabulary is the interval around it."""
        self._check_known()
        if self.num_oov_indices > 1:
            raise ValueError(f"{self.name}: expected num_oov_indices 0 or 1 in a model, got {self.num_oov_indices}")
        if self.invert:
            keys = np.arange(self.vocabulary_size())
            values = self._array(self.get_vocabulary(), "vocabulary")
            other = -1 if self.oov_token is None else self.oov_token
        else:
            special = [] if self.mask_token is None else [self.mask_token]
            keys = np.array([*self._tokens, *special], np.int64)
            numbers = self._numbers(self._array(self._tokens, "vocabulary"))
            values = np.array([*numbers, *[0 if self.output_mode == "int" else -1] * len(special)], np.int64)
            other = self._oov_start if self.num_oov_indices else -1
        dtype = inputs.dtype if inputs.dtype.kind == "f" else self.dtype
        if dtype == np.float32 and max(np.abs(keys).max(initial=0), np.abs(values).max(initial=0)) >= _INEXACT:
            raise ValueError(
                f'{self.name}: a model of float32 tells integers below 2**24 apart; use dtype="float64", or look them '
                "up before fit"
            )
        order = np.argsort(keys, kind="stable")
        limits = np.stack([keys[order] - 0.5, keys[order] + 0.5], 1).ravel()
        table = np.full((len(limits) + 1, 1), other, dtype)
        table[1::2, 0] = values[order]
        found = ops.digitize(ops.cast(inputs, dtype), limits.astype(dtype))
        return self._encoded(ops.squeeze(rows_or_nan(found, table), -1))
