"""Data sets in the files that Keras keeps them in: where they are looked for, and how they are read.

A file is looked for in the folder that ``NBNET_DATA`` names, and in Keras's own, ``~/.keras/datasets`` (or
``KERAS_HOME``). Nothing is fetched. Files that hold pickles are read without running anything in them: only lists,
numbers, text and plain arrays are made.
"""

from __future__ import annotations

import errno
import gzip
import io
import os
import pickle
import pickletools
import re
import struct
import tarfile
import tokenize
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from io import BufferedReader
from math import prod
from os import PathLike
from pathlib import Path
from sys import getsizeof
from typing import Any, BinaryIO, NamedTuple, cast

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from nbnet.base.json_record import loads
from nbnet.base.regular_file import open_regular

Array = NDArray[Any]
FilePath = str | PathLike[str]
#: Training set and test set, each of inputs and targets.
Split = tuple[tuple[Array, Array], tuple[Array, Array]]
#: num_words, skip_top, maxlen, start_char, oov_char, index_from of ``load_data`` of texts.
Kept = tuple[int | None, int, int | None, int | None, int | None, int]

#: Where Keras fetches its files from.
_SOURCE = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/"
#: Errors that damaged content causes.
_DAMAGE = (
    ValueError, TypeError, LookupError, ArithmeticError, AttributeError, EOFError, OSError, RuntimeError, SyntaxError,
    struct.error, zlib.error, tarfile.TarError, tokenize.TokenError, zipfile.BadZipFile,
)  # fmt: skip
#: Opcodes of None, booleans and numbers, as many as are read at once.
_NUMBERS = re.compile(rb"(?:K.|M..|J....|G.{8}|[N\x88\x89]){1,1000}", re.DOTALL)
_OPCODES = {opcode.code.encode("latin1"): opcode for opcode in pickletools.opcodes}
#: Arguments that no reader of Python's is called for, as it warns of escapes: names of classes, and text of protocol 0.
_LINES = "stringnl"
#: Types of NumPy that pickles may name, and other names in them.
_DTYPE = re.compile(r"b1|[iu][1248]|f[248]|c8|c16|O8?|[SU][1-9]\d{0,5}")
_GLOBALS = {
    ("_codecs", "encode"), ("numpy", "ndarray"), ("numpy", "dtype"),
    *((f"{root}.multiarray", name) for root in ("numpy.core", "numpy._core") for name in ("_reconstruct", "scalar")),
    *((f"{root}.numeric", "_frombuffer") for root in ("numpy.core", "numpy._core")),
}  # fmt: skip


def folders() -> list[Path]:
    """The folders that data sets are looked for in.

    Examples
    --------
    >>> from nbnet.datasets.keras_files import folders
    >>> folders()[-1].name
    'datasets'
    """
    own = os.environ.get("NBNET_DATA")
    keras = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras", "datasets")
    return [*([Path(own)] if own else []), keras]


def find(path: FilePath, names: Sequence[str], source: str = "") -> Path:
    """Return the path of a data set: the one given, or the first of some names in the folders of data sets.

    ``source`` is where it can be had; by default where Keras fetches the first of the names.

    Raises
    ------
    FileNotFoundError
        If there is none; the message says where to put it, and where it can be had.

    Examples
    --------
    >>> from nbnet.datasets.keras_files import find
    >>> find("nowhere.npz", ["nowhere.npz"], "its authors")
    Traceback (most recent call last):
        ...
    FileNotFoundError: nowhere.npz: nothing is fetched: get it from its authors and put it in ... or give its path
    """
    given = Path(path)
    if given.exists():
        return given
    for folder in folders():
        for name in (given.name, *names):
            if (folder / name).exists():
                return folder / name
    places = " or ".join(map(str, folders()))
    raise FileNotFoundError(
        f"{given.name}: nothing is fetched: get it from {source or _SOURCE + names[0]} and put it in {places}, "
        "or give its path"
    )


# ---- what a file may hold ----


def most_unpacked(size: int) -> int:
    """Return the number of bytes that a file of this size may unpack to."""
    return (48 << 20) + 10 * size


def most_values(size: int) -> int:
    """Return the number of values that the pickles in a file of this size may make."""
    return (2 << 20) + 2 * size


class Budget:
    """Values, and bytes of text, arrays and dicts, that the pickles in a file of some size may still make."""

    def __init__(self, size: int) -> None:
        self._values, self._bytes = most_values(size), most_unpacked(size)

    def count(self, values: int, size: int = 0) -> None:
        """Take values and bytes off; raise ValueError if there are not as many."""
        self._values -= values
        self._bytes -= size
        if self._values < 0:
            raise ValueError("makes more values than two million and two for each byte of the file")
        if self._bytes < 0:
            raise ValueError("makes more bytes than 48 MiB and ten times the size of the file")


@contextmanager
def reading(path: FilePath) -> Iterator[None]:
    """Inside, errors that the content of a file causes become ValueErrors that name it."""
    try:
        yield
    except _DAMAGE as error:
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise
        if isinstance(error, ValueError) and str(error).startswith(f"{path}: "):
            raise
        trouble = error if isinstance(error, ValueError) else f"is damaged ({type(error).__name__}: {error})"
        raise ValueError(f"{path}: {trouble}") from None


class Unpacked:
    """A file, decompressed if it is gzipped, that raises ValueError when more is read than it may unpack to."""

    def __init__(self, file: BufferedReader) -> None:
        self._most = self._left = most_unpacked(os.fstat(file.fileno()).st_size)
        packed = file.peek(2)[:2] == b"\x1f\x8b"
        self._file: BinaryIO = gzip.GzipFile(fileobj=file) if packed else file  # type: ignore[assignment]
        self._packed = packed

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes; by default all that are left."""
        if not self._packed:
            return self._file.read(size)
        content = self._file.read(self._left + 1 if size < 0 else min(size, self._left + 1))
        self._left -= len(content)
        if self._left < 0:
            raise ValueError(f"unpacks to more than {self._most} bytes, 48 MiB and ten times its size; unpack it first")
        return content


# ---- arrays and pickles ----


def read_arrays(path: Path, names: Sequence[str] | None = None, lists: bool = False) -> dict[str, Array]:
    """Read arrays of an ``.npz`` file by name, by default all; with ``lists``, also those of objects, which are pickles
    of lists of numbers."""
    with open_regular(path) as file, reading(path), zipfile.ZipFile(file) as archive:
        size = os.fstat(file.fileno()).st_size
        members = {part.filename.removesuffix(".npy"): part for part in archive.infolist()}
        wanted = list(members) if names is None else list(names)
        if missing := [name for name in wanted if name not in members]:
            raise ValueError(f"expected the arrays {', '.join(wanted)}; it lacks {', '.join(missing)}")
        parts = {name: members[name] for name in wanted}
        if sum(part.file_size for part in parts.values()) > most_unpacked(size):
            raise ValueError(f"unpacks to more than {most_unpacked(size)} bytes, 48 MiB and ten times its size")
        if any(part.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) for part in parts.values()):
            raise ValueError("expected arrays that are stored or deflated")
        budget = Budget(size) if lists else None
        return {name: _read_array(archive.read(p), f"{path}: {p.filename}", budget) for name, p in parts.items()}


def _read_array(content: bytes, name: str, budget: Budget | None) -> Array:
    """Read an array; one of objects, if there is a budget for it."""
    file = io.BytesIO(content)
    version = npy.read_magic(file)
    header: Callable[..., Any] = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, fortran, dtype = header(file)
    if dtype.kind != "O" or budget is None:
        return _array(file.read(), dtype, shape, fortran).copy()
    array = read_pickle(file.read(), name, budget)
    if not isinstance(array, np.ndarray):
        raise ValueError(f"{name}: expected an array, got {type(array).__name__}")
    return array


def _array(values: Any, dtype: Any, shape: Any, fortran: Any) -> Array:
    """Return an array of the bytes of numbers or text, or of a list of objects."""
    if (
        not isinstance(dtype, np.dtype)
        or dtype.kind not in "biufcSUO"
        or (dtype.kind == "O") != isinstance(values, list)
        or not dtype.itemsize
    ):
        kind = f"{dtype!s:.60}" if isinstance(dtype, np.dtype) else type(dtype).__name__
        raise ValueError(f"expected an array of numbers, text or objects, got {kind}")
    if not isinstance(shape, tuple) or len(shape) > 32 or not all(type(n) is int and 0 <= n < 2**48 for n in shape):
        raise ValueError(f"expected the shape of an array, got {type(shape).__name__}")
    wanted = prod(shape) * (1 if dtype.kind == "O" else dtype.itemsize)
    if not isinstance(values, (bytes, list)) or len(values) != wanted:
        raise ValueError(f"expected {wanted} bytes or objects of {dtype.name} {shape}, got {type(values).__name__}")
    if not wanted:
        return np.empty(shape, dtype)
    flat = np.fromiter(values, object, wanted) if isinstance(values, list) else np.frombuffer(values, dtype)
    return flat.reshape(shape, order="F" if fortran is True else "C")


class _Made:
    """An object of a pickle that gets its state later: a dtype, or an array; ``memos`` are its places in the memo."""

    def __init__(self, dtype: np.dtype[Any] | None = None) -> None:
        self.dtype, self.memos = dtype, list[int]()


#: A place in the memo that nothing was put in.
_EMPTY = object()


class _Global(NamedTuple):
    """A class or function that a pickle names."""

    name: str


class _Machine:
    """The part of the machine of pickles that makes None, numbers, text, lists, tuples, dicts and arrays.

    It imports and calls nothing that a pickle names, and makes arrays only from the bytes that they need.

    Parameters
    ----------
    content
        The pickle.
    budget
        Values and bytes that it may make.
    """

    def __init__(self, content: bytes, budget: Budget) -> None:
        self.content, self.count, self.file = content, budget.count, io.BytesIO(content)
        self.stack: list[Any] = []
        self.below: list[list[Any]] = []
        # By number, as numbers that are keys of a dict may be chosen to collide.
        self.memo: list[Any] = []

    def run(self) -> Any:
        """Return the object of the pickle."""
        while True:
            if plain := _NUMBERS.match(self.content, self.file.tell()):
                # All of these are None, booleans and numbers.
                found = pickle.loads(b"(" + plain[0] + b"l.")
                self.file.seek(plain.end())
                self.count(len(found))
                self.stack += found
                continue
            code = _OPCODES[self.file.read(1)]
            argument = None if code.arg is None or code.arg.name.startswith(_LINES) else code.arg.reader(self.file)
            self.count(3, getsizeof(argument) if isinstance(argument, (str, bytes, bytearray)) else 0)
            if code.name == "STOP":
                return self.value(self.stack.pop())
            self.step(code.name, argument)

    def value(self, found: Any) -> Any:
        if isinstance(found, (_Made, _Global)):
            raise ValueError("expected lists, numbers, text and arrays, got a part of one")
        return found

    def marked(self) -> list[Any]:
        """Return what lies above the last mark, and take it off."""
        found, self.stack = self.stack, self.below.pop()
        return found

    def step(self, name: str, argument: Any) -> None:
        """Run an opcode."""
        match name:
            case "PROTO" | "FRAME":
                pass
            case "INT" | "LONG" | "LONG1" | "LONG4" | "FLOAT":
                self.stack.append(argument)
            case "UNICODE" | "BINUNICODE" | "SHORT_BINUNICODE" | "BINUNICODE8":
                self.stack.append(argument)
            case "BINBYTES" | "SHORT_BINBYTES" | "BINBYTES8" | "BYTEARRAY8":
                self.stack.append(bytes(argument))
            case "BINSTRING" | "SHORT_BINSTRING":  # of Python 2
                self.stack.append(argument.encode("latin1"))
            case "MARK":
                self.below.append(self.stack)
                self.stack = []
            case "EMPTY_LIST":
                self.stack.append([])
            case "EMPTY_DICT":
                self.stack.append({})
            case "EMPTY_TUPLE":
                self.stack.append(())
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                self.stack.append(tuple([self.stack.pop() for _ in range(int(name[-1]))][::-1]))
            case "LIST" | "TUPLE" | "DICT":
                found = self.marked()
                self.stack.append(tuple(found) if name == "TUPLE" else found if name == "LIST" else {})
                if name == "DICT":
                    self.put(found)
            case "APPEND":
                found = self.value(self.stack.pop())
                self.top(list).append(found)
            case "APPENDS":
                found = self.marked()
                self.top(list).extend(map(self.value, found))
            case "SETITEM":
                found, key = self.stack.pop(), self.stack.pop()
                self.put([key, found])
            case "SETITEMS":
                self.put(self.marked())
            case "PUT" | "BINPUT" | "LONG_BINPUT" | "MEMOIZE":
                key = len(self.memo) if argument is None else argument
                if key < 0:
                    raise ValueError(f"is damaged: a place in the memo is {key}")
                if (more := key + 1 - len(self.memo)) > 0:
                    self.count(0, 8 * more)
                    self.memo += [_EMPTY] * more
                self.memo[key] = self.stack[-1]
                if isinstance(self.stack[-1], _Made):
                    self.stack[-1].memos.append(key)
            case "GET" | "BINGET" | "LONG_BINGET":
                if not 0 <= argument < len(self.memo) or self.memo[argument] is _EMPTY:
                    raise ValueError(f"is damaged: nothing is at {argument} in the memo")
                self.stack.append(self.memo[argument])
            case "GLOBAL" | "STACK_GLOBAL":
                if name == "GLOBAL":
                    module, attribute = (self.file.readline()[:-1].decode("latin1") for _ in range(2))
                else:
                    attribute, module = self.stack.pop(), self.stack.pop()
                if type(module) is not str or type(attribute) is not str or (module, attribute) not in _GLOBALS:
                    names = [f"{n:.60}" if isinstance(n, str) else type(n).__name__ for n in (module, attribute)]
                    raise ValueError(f"expected lists, numbers, text and arrays, got {'.'.join(names)}")
                self.stack.append(_Global(attribute))
            case "REDUCE":
                arguments, function = self.stack.pop(), self.stack.pop()
                if not isinstance(function, _Global) or not isinstance(arguments, tuple) or len(arguments) > 9:
                    raise ValueError("expected lists, numbers, text and arrays, got a call")
                self.stack.append(self.called(function.name, *arguments))
            case "BUILD":
                state, made = self.stack.pop(), self.stack.pop()
                if not isinstance(made, _Made) or not isinstance(state, tuple):
                    raise ValueError("expected lists, numbers, text and arrays, got an object with a state")
                built = self.array(state) if made.dtype is None else _dtype_of_state(made.dtype, state)
                for key in made.memos:
                    if self.memo[key] is made:
                        self.memo[key] = built
                made.memos.clear()
                self.stack.append(built)
            case _:
                raise ValueError(f"expected lists, numbers, text and arrays, got the opcode {name}")

    def top(self, kind: type[Any]) -> Any:
        """Return the last object, which an opcode adds to."""
        if type(self.stack[-1]) is not kind:
            raise ValueError(f"is damaged: expected a {kind.__name__}, got {type(self.stack[-1]).__name__}")
        return self.stack[-1]

    def put(self, items: list[Any]) -> None:
        """Add keys and values in turn to the dict at the top.

        Keys are text, or numbers in a small dict: numbers may be chosen to collide, and a hash of others may take any
        time.
        """
        target, keys, values = self.top(dict), items[::2], items[1::2]
        self.count(0, 100 * len(keys))
        few = len(target) + len(keys) <= 1000
        if not all(type(key) in (str, bytes) or (few and type(key) is int) for key in keys):
            raise ValueError("expected text, or at most 1000 numbers, as keys of a dict")
        target.update(zip(keys, map(self.value, values), strict=True))

    def array(self, state: tuple[Any, ...]) -> Array:
        if len(state) != 5:
            raise ValueError("expected an array, got another state")
        _, shape, dtype, fortran, values = state
        if isinstance(values, list):
            self.count(0, 8 * len(values))
        return _array(values, dtype, shape, fortran)

    def called(self, name: str, *arguments: Any) -> Any:
        """Return what a function makes that a pickle calls."""
        match name, arguments:
            case "dtype", (str() | bytes() as code, *_):
                text = code if isinstance(code, str) else code.decode("latin1")
                if _DTYPE.fullmatch(text):
                    return _Made(np.dtype(text))
            case "_reconstruct", (_Global("ndarray"), *_):
                return _Made()
            case "_frombuffer", (bytes() as values, dtype, shape, order):
                return _array(values, dtype, shape, order == "F")
            case "scalar", (np.dtype() as dtype, bytes() as values):
                self.count(0, dtype.itemsize)
                return _array(values, dtype, (), False)[()]
            case "encode", (str() as text, "latin1"):
                self.count(0, len(text))
                return text.encode("latin1")
        raise ValueError(f"expected lists, numbers, text and arrays, got a call of {name} that makes none")


def _dtype_of_state(dtype: np.dtype[Any], state: tuple[Any, ...]) -> np.dtype[Any]:
    match state:
        case (int(), str() | bytes() as order, None, None, None, *_) if order in (*"<>|=", b"<", b">", b"|", b"="):
            return dtype.newbyteorder(order if isinstance(order, str) else order.decode())  # type: ignore[arg-type]
    raise ValueError("expected a plain dtype, got one with fields")


def read_pickle(content: bytes, name: str, budget: Budget | None = None) -> Any:
    """Read a pickle of lists, dicts, numbers, text and arrays; nothing in it is run.

    Text of Python 2 becomes bytes. Arrays that are not of objects cannot be written to. ``budget`` is that of the
    file that the pickle is in, by default of the pickle alone.

    Raises
    ------
    ValueError
        If it holds anything else, is damaged, or makes more values than two million and two for each byte of the file,
        or more text, arrays and dicts than 48 MiB and ten times its size.

    Examples
    --------
    >>> import pickle
    >>> from nbnet.datasets.keras_files import read_pickle
    >>> read_pickle(pickle.dumps({"labels": [1, 2]}), "batch")
    {'labels': [1, 2]}
    >>> read_pickle(pickle.dumps(print), "batch")
    Traceback (most recent call last):
        ...
    ValueError: batch: expected lists, numbers, text and arrays, got builtins.print
    """
    with reading(name):
        return _Machine(content, budget or Budget(len(content))).run()


# ---- rows of numbers ----


def read_rows(path: Path, test_split: float, seed: int, most: int | None = None) -> Split:
    """Read, shuffle and split x and y of an ``.npz`` file as Keras does; ``most`` rows at most."""
    x, y = read_arrays(path, ("x", "y")).values()
    _check_rows(x, y, path)
    x, y = x[:most], y[:most]
    if not 0 <= test_split < 1:
        raise ValueError(f"test_split: expected a share in [0, 1), got {test_split}")
    x, y = _shuffled(x, y, np.random.RandomState(seed))
    cut = int(len(x) * (1 - test_split))
    return (x[:cut], y[:cut]), (x[cut:], y[cut:])


def _check_rows(x: Array, y: Array, path: Path) -> None:
    if x.ndim == 0 or y.ndim == 0 or len(x) != len(y):
        raise ValueError(f"{path}: expected a target for each row of x, got shapes {x.shape} and {y.shape}")


def _shuffled(x: Array, y: Array, draws: np.random.RandomState) -> tuple[Array, Array]:
    order = np.arange(len(x))
    draws.shuffle(order)
    return x[order], y[order]


# ---- photographs ----


def read_photographs(path: Path, sets: Sequence[Sequence[str]], labels: str) -> list[tuple[Array, Array]]:
    """Read sets of CIFAR: images (n, 32, 32, 3) and labels (n, 1), uint8.

    ``path`` is a folder with batches, or a ``.tar.gz`` file; ``sets`` are names of the batches of each set, and
    ``labels`` is the name of the labels in a batch.
    """
    batches = _read_batches(path, [name for names in sets for name in names], labels.encode())
    return [_joined([batches[name] for name in names]) for names in sets]


def _joined(batches: list[tuple[Array, Array]]) -> tuple[Array, Array]:
    images, numbers = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    return np.ascontiguousarray(images.transpose(0, 2, 3, 1)), numbers.reshape(-1, 1)


def _read_batches(path: Path, names: Sequence[str], labels: bytes) -> dict[str, tuple[Array, Array]]:
    """Read batches: images (n, 3, 32, 32) and their labels, by name."""
    found = {}
    if path.is_dir():
        inner = next((p for p in sorted(path.iterdir()) if p.is_dir() and (p / names[0]).exists()), path)
        for name in names:
            with open_regular(inner / name) as file:
                found[name] = _batch(file.read(), f"{inner / name}", labels)
        return found
    with open_regular(path) as file, reading(path):
        budget, content = Budget(os.fstat(file.fileno()).st_size), Unpacked(file)
        with tarfile.open(None, "r|", cast("BinaryIO", content)) as archive:
            for member in archive:
                name = Path(member.name).name
                if name in names and name not in found and member.isfile() and not member.issparse():
                    part = archive.extractfile(member)
                    assert part is not None
                    found[name] = _batch(part.read(), f"{path}: {name}", labels, budget)
    if missing := [name for name in names if name not in found]:
        raise ValueError(f"{path}: expected the files {', '.join(names)}; it lacks {', '.join(missing)}")
    return found


def _batch(content: bytes, name: str, labels: bytes, budget: Budget | None = None) -> tuple[Array, Array]:
    batch = read_pickle(content, name, budget)
    with reading(name):
        if not isinstance(batch, dict) or not {b"data", labels} <= batch.keys():
            raise ValueError(f"expected a dict of data and {labels.decode()}, got {type(batch).__name__}")
        data, numbers = batch[b"data"], batch[labels]
        if not isinstance(data, np.ndarray) or data.dtype != np.uint8 or data.size % 3072:
            raise ValueError("data: expected an array of uint8, 3072 for each image")
        if isinstance(numbers, np.ndarray):
            whole = numbers.dtype.kind in "iu" and (not numbers.size or 0 <= numbers.min() <= numbers.max() < 256)
        else:
            whole = isinstance(numbers, (list, tuple))
            whole = whole and all(isinstance(n, (int, np.integer)) and 0 <= n < 256 for n in numbers)
        if not whole:
            raise ValueError(f"{labels.decode()}: expected integers from 0 to 255")
        images, numbers = data.reshape(-1, 3, 32, 32), np.asarray(numbers, np.uint8)
        if numbers.shape != images.shape[:1]:
            raise ValueError(f"{labels.decode()}: expected {len(images)} numbers, got shape {numbers.shape}")
        return images, numbers


# ---- texts as numbers of words ----


def read_texts(path: Path, kept: Kept, seed: int, test_split: float | None = None) -> Split:
    """Read, shuffle and cut texts as Keras does; without a share for tests, the file holds both sets."""
    draws = np.random.RandomState(seed)
    sets = ("",) if test_split is not None else ("_train", "_test")
    arrays = list(read_arrays(path, [f"{part}{name}" for name in sets for part in "xy"], lists=True).values())
    for x, y in zip(arrays[::2], arrays[1::2], strict=True):
        _check_rows(x, y, path)
    pairs = [_shuffled(x, y, draws) for x, y in zip(arrays[::2], arrays[1::2], strict=True)]
    given = [text for x, _ in pairs for text in x]
    with reading(path):
        if sum(map(len, given)) > most_values(path.stat().st_size):
            raise ValueError("the texts have more words than two million and two for each byte of the file")
        rows, texts = _chosen(given, kept)
    x, y = np.empty(len(texts), object), np.concatenate([labels for _, labels in pairs])[rows]
    x[:] = texts
    in_file = sum(row < len(pairs[0][0]) for row in rows)
    cut = in_file if test_split is None else int(len(texts) * (1 - test_split))
    return (x[:cut], y[:cut]), (x[cut:], y[cut:])


def read_word_index(path: Path) -> dict[str, int]:
    """Read the ranks of words."""
    with open_regular(path) as file:
        words = loads(file.read(), f"{path}")
    if not isinstance(words, dict) or not all(isinstance(rank, int) for rank in words.values()):
        raise ValueError(f"{path}: expected a number for each word")
    return words


def _chosen(texts: Sequence[Any], kept: Kept) -> tuple[list[int], list[list[int]]]:
    """Return the places of the texts that are short enough, and these texts with the words to keep."""
    num_words, skip_top, maxlen, start_char, oov_char, index_from = kept
    for text in texts:
        whole = all(issubclass(kind, (int, np.integer)) for kind in set(map(type, text)))
        if not whole or (len(text) and not -(2**63) <= min(text) <= max(text) < 2**63):
            raise ValueError("expected integers of 64 bits as words of the texts")
    start = [] if start_char is None else [start_char]
    numbered = [[*start, *(int(word) + (index_from or 0) for word in text)] for text in texts]
    rows = [k for k, text in enumerate(numbered) if not maxlen or len(text) < maxlen]
    if not rows:
        raise ValueError(f"maxlen: no text is shorter than {maxlen}")
    # Without a limit, the last word counts as one that is not kept, as in Keras.
    most = num_words or max(max(numbered[k], default=0) for k in rows)
    if oov_char is None:
        return rows, [[w for w in numbered[k] if skip_top <= w < most] for k in rows]
    return rows, [[w if skip_top <= w < most else oov_char for w in numbered[k]] for k in rows]
