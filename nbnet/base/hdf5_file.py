"""HDF5 files of arrays, as Keras writes them: written plainly, and read with suspicion.

h5py reads and writes them; it is imported when the first of them is. Of what HDF5 offers, only groups, arrays of
numbers and attributes are read: links, references, strings in arrays, other files' data, virtual arrays, user blocks
and filters of plugins are refused.

A file of nbnet's has the SHA-256 of its bytes in an attribute of the root, computed with zeros in that place. Keras's
have none.

The library of HDF5 is written in C, and damaged files have made it loop for ever (one of 2,500 mutated files) or crash.
So :func:`read_hdf5` has it read in a helper with limits of memory and time, which sends back plain arrays.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from math import prod
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from nbnet.base.cpu import check_cancelled, stop_event
from nbnet.base.json_record import MAX_BYTES, loads
from nbnet.base.loading_budget import allowance
from nbnet.base.processes import Helper, answers, end_helper, receive, receive_into, send, send_data, start_helper

Array = NDArray[Any]

#: First bytes of a file.
MAGIC = b"\x89HDF\r\n\x1a\n"
#: Attribute of the root that holds the checksum, the number of its digits, and where they stand in the bytes of a file.
_CHECKSUM, _DIGITS = "nbnet_sha256", 64
_PLACE = re.compile(rb"nbnet_sha256\0.{,80}?([0-9a-f]{64})", re.DOTALL)
#: Attribute that says which program wrote a file in the format of older versions, and its value in those of nbnet's.
WRITER, OWN = "backend", "nbnet"
#: Number of groups and arrays, of groups around an array, and of values of an attribute.
MAX_OBJECTS, MAX_DEPTH, MAX_VALUES = 100_000, 64, 100_000
#: Filters that are part of the library: deflate, shuffle, fletcher32 and lzf.
_FILTERS = frozenset((1, 2, 3, 32000))
#: Seconds of a processor that a file may take, and beside that for each MB of it; and how many times as long it may
#: take where others use the processor.
SECONDS, PATIENCE = 3, 20
#: Bytes that the helper may allocate, beside ten times the file.
_MEMORY = 64 << 20
#: What the helper runs: no other part of the package is imported there.
_PROGRAM = """
from importlib.util import find_spec, module_from_spec
sys.modules["nbnet"] = module_from_spec(find_spec("nbnet"))
from nbnet.base.hdf5_file import helper_main
helper_main()
"""


class Stored(NamedTuple):
    """The dtype and shape of an array in a file."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]


def library() -> Any:
    """Return the module h5py.

    Raises
    ------
    ImportError
        If it is not installed; the message names the extra.
    """
    try:
        import h5py
    except ImportError as error:
        raise ImportError(
            "Keras's files (.keras, .h5) need h5py: pip install 'nbnet[h5]'; files of nbnet's (.nbnet) need nothing"
        ) from error
    return h5py


def write_hdf5(
    arrays: Mapping[str, Array], attributes: Mapping[str, Mapping[str, Any]] | None = None, groups: Iterable[str] = ()
) -> bytes:
    """Return an HDF5 file.

    Parameters
    ----------
    arrays
        By path, such as ``"layers/dense/vars/0"``.
    attributes
        Those of each group or array, by path; ``""`` is the root. Strings, numbers, and lists of strings.
    groups
        Paths of further groups, which may be empty.

    Examples
    --------
    >>> import numpy as np
    >>> from nbnet.base.hdf5_file import Hdf5Reader, write_hdf5
    >>> file = Hdf5Reader(write_hdf5({"a/b": np.arange(3.0)}), "some.h5")
    >>> file.entries
    {'a/b': Stored(dtype=dtype('float64'), shape=(3,))}
    """
    h5py, target = library(), io.BytesIO()
    with h5py.File(target, "w") as file:
        # First, so that it is near the start of the file.
        file.attrs[_CHECKSUM] = np.bytes_(b"0" * _DIGITS)
        for path in groups:
            file.require_group(path)
        for path, array in arrays.items():
            file.create_dataset(path, data=np.asarray(array))
        for path, values in (attributes or {}).items():
            place = file[path] if path else file
            for name, value in values.items():
                place.attrs[name] = value
    content = target.getbuffer()
    place = _PLACE.search(content)
    assert place is not None
    content[place.start(1) : place.end(1)] = _checksum(content, place.start(1)).encode()
    return bytes(content)


def _checksum(content: Any, place: int) -> str:
    """Return the SHA-256 of a file with zeros in the place of its checksum, in hexadecimal digits."""
    whole = memoryview(content)
    found = hashlib.sha256(whole[:place])
    found.update(b"0" * _DIGITS)
    found.update(whole[place + _DIGITS :])
    return found.hexdigest()


def check_sum(content: bytes, name: str) -> bool:
    """Raise ValueError if a file differs from its checksum; return False if it has none.

    This looks at the bytes alone, before the library sees them.
    """
    if _CHECKSUM.encode() not in content:
        return False
    place = _PLACE.search(content)
    if place is None or place[1] != _checksum(content, place.start(1)).encode():
        raise ValueError(f"{name}: damaged: the file differs from its checksum")
    return True


class Hdf5Reader:
    """An HDF5 file whose structure was checked: ``entries`` has its arrays by path, ``groups`` the paths of its groups.

    Parameters
    ----------
    content
        The bytes of the file.
    name
        Of the file, for messages.
    allowed
        Bytes that its arrays may have; by default :func:`nbnet.base.loading_budget.allowance` of the content.

    Raises
    ------
    ValueError
        If it is no HDF5 file, is damaged, holds anything but groups and arrays of numbers, or its arrays are larger
        than a file of that size can hold.
    ImportError
        If h5py is not installed.
    """

    def __init__(self, content: bytes, name: str, allowed: int | None = None) -> None:
        self.name = name
        self._h5py = library()
        self.entries: dict[str, Stored] = {}
        self.groups: list[str] = []
        self._allowed = allowance(len(content)) if allowed is None else allowed
        #: Characters that names of groups, arrays and attributes, and texts, may have.
        self._letters = (1 << 20) + 2 * len(content)
        if not content.startswith(MAGIC):
            raise ValueError(f"{name}: is not an HDF5 file")
        self._file = self._guarded(lambda: self._h5py.File(io.BytesIO(content), "r"))
        try:
            self._guarded(self._walk)
            self.attributes = self._guarded(self._all_attributes)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._guarded(self._file.close)

    def _guarded(self, function: Any) -> Any:
        """Call a function of h5py's, which raises errors of every type; they become ValueErrors that name the file."""
        try:
            return function()
        except (MemoryError, ImportError):
            raise
        except Exception as error:
            text = str(error) if isinstance(error, ValueError) else f"damaged: {type(error).__name__}: {error}"
            raise ValueError(f"{self.name}: {text.removeprefix(f'{self.name}: ')}") from error

    def _walk(self) -> None:
        h5py = self._h5py
        if self._file.userblock_size:
            raise ValueError("has a user block, which files of weights have not")
        seen = {h5py.h5o.get_info(self._file.id).addr}
        left = [("", self._file, 0)]
        total = 0
        while left:
            path, group, depth = left.pop()
            if depth > MAX_DEPTH or len(seen) > MAX_OBJECTS:
                raise ValueError(f"has more than {MAX_DEPTH} groups in each other or {MAX_OBJECTS} objects")
            if len(group) > MAX_OBJECTS:
                raise ValueError(f"has more than {MAX_OBJECTS} objects")
            for key in group:
                place = f"{path}/{key}" if path else key
                self._count_letters(len(place))
                if group.id.links.get_info(key.encode("utf-8", "surrogateescape")).type != h5py.h5l.TYPE_HARD:
                    raise ValueError(f"{place}: is a link to another place or file, which is not read")
                part = group[key]
                address = h5py.h5o.get_info(part.id).addr
                if address in seen:
                    raise ValueError(f"{place}: stands at two places of the file")
                seen.add(address)
                if isinstance(part, h5py.Group):
                    self.groups.append(place)
                    left.append((place, part, depth + 1))
                elif isinstance(part, h5py.Dataset):
                    self.entries[place] = entry = _checked(part, place)
                    total += entry.dtype.itemsize * prod(entry.shape)
                    if total > self._allowed:
                        raise ValueError(f"{place}: is larger than a file of this size can hold")
                else:
                    raise ValueError(f"{place}: is neither a group nor an array")

    def _count_letters(self, letters: int) -> None:
        self._letters -= letters
        if self._letters < 0:
            raise ValueError("has longer names and texts than a file of this size can hold")

    def _all_attributes(self) -> dict[str, dict[str, Any]]:
        """Return the attributes of the root (``""``), and in the format of older versions of the groups, by path:
        strings, numbers, and lists of them."""
        found = {"": self._attributes("")}
        if "model_weights" in self.groups or any(name.startswith("layer_names") for name in found[""]):
            found |= {path: self._attributes(path) for path in self.groups}
        return {path: values for path, values in found.items() if values}

    def _attributes(self, path: str) -> dict[str, Any]:
        place = self._file[path] if path else self._file
        found = {}
        for name in place.attrs:
            attribute = place.attrs.get_id(name)
            text = self._h5py.check_string_dtype(attribute.dtype) is not None
            if attribute.shape is None or not (text or attribute.dtype.kind in "fiub"):
                continue
            count = prod(attribute.shape)
            if count > MAX_VALUES or count * attribute.dtype.itemsize > self._letters:
                raise ValueError(f"{path}: the attribute {name} is too long")
            value = place.attrs[name]
            if isinstance(value, np.ndarray):
                found[name] = [_text(part) for part in value.reshape(-1).tolist()]
            else:
                found[name] = _text(value.item() if isinstance(value, np.generic) else value)
            self._count_letters(len(name) + len(str(found[name])))
        return found

    def read(self) -> Iterator[Array]:
        """Yield the arrays in the order of ``entries``.

        Raises
        ------
        ValueError
            If the file is damaged.
        """
        for path, entry in self.entries.items():
            array = np.empty(entry.shape, entry.dtype)
            if array.size:
                self._guarded(lambda path=path, array=array: self._read_into(path, array))
            yield array

    def _read_into(self, path: str, array: Array) -> None:
        everything = self._h5py.h5s.ALL
        place = self._h5py.h5d.open(self._file.id, path.encode("utf-8", "surrogateescape"))
        place.read(everything, everything, array)


def _text(value: Any) -> Any:
    return value.decode("utf-8") if isinstance(value, bytes) else value


def _checked(array: Any, path: str) -> Stored:
    """Return the dtype and shape of an array, after checks that do not read it."""
    if array.is_virtual or array.external:
        raise ValueError(f"{path}: has its data in another file")
    shape, dtype = array.shape, array.dtype
    if shape is None or dtype.kind not in "fiub" or dtype.itemsize not in (1, 2, 4, 8):
        raise ValueError(f"{path}: expected an array of numbers, got {dtype}")
    if dtype.metadata:
        raise ValueError(f"{path}: expected an array of plain numbers")
    properties = array.id.get_create_plist()
    for number in range(properties.get_nfilters()):
        if properties.get_filter(number)[0] not in _FILTERS:
            raise ValueError(f"{path}: is compressed by an unknown filter")
    chunks = array.chunks
    if chunks is not None and prod(chunks) > max(4 * prod(shape), 1 << 18):
        raise ValueError(f"{path}: has chunks {chunks} that are larger than the array {shape}")
    return Stored(dtype.newbyteorder("="), tuple(int(n) for n in shape))


class Hdf5Content:
    """The content of an HDF5 file.

    Attributes
    ----------
    arrays
        Arrays of numbers by path.
    groups
        Paths of groups.
    entries
        Dtypes and shapes by path.
    """

    def __init__(self, arrays: dict[str, Array], groups: list[str], attributes: dict[str, dict[str, Any]]) -> None:
        self.arrays, self.groups, self._attributes = arrays, groups, attributes
        self.entries = {path: Stored(array.dtype, array.shape) for path, array in arrays.items()}

    def attribute(self, path: str, name: str) -> Any:
        """Return an attribute of a group, or of the root (``""``); None if there is none."""
        return self._attributes.get(path, {}).get(name)


def read_hdf5(content: bytes, name: str, allowed: int | None = None) -> Hdf5Content:
    """Return the content of an HDF5 file.

    Parameters
    ----------
    content
        The bytes of the file.
    name
        Of the file, for messages.
    allowed
        Bytes that its arrays may have; by default as many as a file of that size can hold.

    Raises
    ------
    ValueError
        If it is no HDF5 file, is damaged, holds anything but groups and arrays of numbers, or its arrays are larger
        than they may be.
    ImportError
        If h5py is not installed.
    OSError
        If the process that is to read it cannot start.
    MemoryError
        If that process may not have the memory that it needs.

    Examples
    --------
    >>> import numpy as np
    >>> from nbnet.base.hdf5_file import read_hdf5, write_hdf5
    >>> read_hdf5(write_hdf5({"a/b": np.arange(3.0)}), "some.h5").arrays
    {'a/b': array([0., 1., 2.])}
    """
    library()
    if not content.startswith(MAGIC):
        raise ValueError(f"{name}: is not an HDF5 file")
    has_checksum = check_sum(content, name)
    allowed = allowance(len(content)) if allowed is None else allowed
    seconds = SECONDS + len(content) // 1_000_000
    helper = start_helper(_PROGRAM, environment=_environment())
    ended, ready = threading.Event(), False
    watch = threading.Thread(target=_watch, args=(helper, PATIENCE * seconds, stop_event(), ended), daemon=True)
    try:
        watch.start()
        send_data(helper.stdin, [name.encode(errors="replace").decode(), allowed, _MEMORY + 10 * len(content), seconds])
        receive(helper.stdout, 0)
        ready = True
        send(helper.stdin, content)
        found = _content(helper, name, allowed, min(MAX_BYTES, (1 << 20) + 8 * len(content)))
    except (EOFError, BrokenPipeError):
        with suppress(subprocess.TimeoutExpired):
            helper.wait(1)
        check_cancelled()
        said = f"the process that reads HDF5 files ended with status {helper.returncode}"
        if not ready:
            raise OSError(f"{name}: {said} before it could read") from None
        raise ValueError(f"{name}: damaged: {said}; it may take {seconds} seconds of a processor") from None
    finally:
        ended.set()
        end_helper(helper)
    if not has_checksum and OWN in (found.attribute("", WRITER), found.attribute("model_weights", WRITER)):
        raise ValueError(f"{name}: damaged: nbnet has written it, and its checksum is missing")
    return found


def _watch(helper: Helper, seconds: float, stop: threading.Event | None, ended: threading.Event) -> None:
    """End a helper that takes too long, or whose work is cancelled."""
    last = time.monotonic() + seconds
    while not ended.wait(0.1):
        if time.monotonic() > last or (stop is not None and stop.is_set()):
            helper.kill()
            return


def _environment() -> dict[str, str]:
    """Return the environment of the helper, without plugins of HDF5's."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("HDF5_")}
    return kept | {"HDF5_PLUGIN_PRELOAD": "::"}


def _content(helper: Helper, name: str, allowed: int, longest: int) -> Hdf5Content:
    """Return the content that a helper sends."""
    header = _answer(helper, name, longest)
    arrays: dict[str, Array] = {}
    for path, dtype, shape in header["entries"]:
        kind = np.dtype(dtype)
        allowed -= prod(shape) * kind.itemsize
        if allowed < 0 or kind.hasobject:
            raise ValueError(f"{name}: {path}: is larger than the file can hold")
        _answer(helper, name, longest)
        array = np.empty(shape, kind)
        place = memoryview(array.reshape(-1).view(np.uint8).data)
        receive_into(helper.stdout, place)
        arrays[path] = array
    return Hdf5Content(arrays, header["groups"], header["attributes"])


def _answer(helper: Helper, name: str, longest: int) -> Any:
    """Return an answer of a helper, or raise the error that it reports."""
    answer = loads(receive(helper.stdout, longest), name)
    if "memory" in answer:
        raise MemoryError(answer["memory"])
    if "error" in answer:
        raise ValueError(answer["error"])
    return answer


def helper_main() -> None:
    """Run the helper: it receives a file, then sends a header in JSON and the arrays one after the other, each after an
    empty answer; or an error."""
    questions, out = sys.stdin.buffer, answers()
    library()
    name, allowed, memory, seconds = json.loads(receive(questions))
    own = _limit(memory, seconds)
    send(out, b"")
    try:
        with Hdf5Reader(receive(questions, sys.maxsize), name, allowed) as file:
            entries = [[path, entry.dtype.str, list(entry.shape)] for path, entry in file.entries.items()]
            send_data(out, {"entries": entries, "groups": file.groups, "attributes": file.attributes})
            for array in file.read():
                send_data(out, {})
                out.write(array.reshape(-1).view(np.uint8).data)
        out.flush()
    except MemoryError:
        text = f"{name}: needs more memory than " + ("a file of this size may" if own else "this process may have")
        send_data(out, {"error" if own else "memory": text})
    except ValueError as error:
        send_data(out, {"error": str(error)})


def _limit(memory: int, seconds: int) -> bool:
    """Limit what this process may use from now on, within the limits that it has; return True if its memory is limited
    for the file's sake."""
    try:
        import resource
    except ImportError:  # not on Windows, where only time is limited
        return True
    used = math.ceil(time.process_time())
    most = {resource.RLIMIT_CPU: used + seconds, resource.RLIMIT_CORE: 0}
    with suppress(OSError, ValueError), open("/proc/self/statm") as file:
        most[resource.RLIMIT_AS] = memory + int(file.read().split()[0]) * resource.getpagesize()
    for limit, wanted in most.items():
        hard = resource.getrlimit(limit)[1]
        found = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(limit, (found, found))
    return resource.RLIMIT_AS in most and resource.getrlimit(resource.RLIMIT_AS)[0] == most[resource.RLIMIT_AS]
