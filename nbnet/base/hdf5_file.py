"""HDF5 files of arrays, as Keras writes them: written plainly, and read with suspicion.

h5py reads and writes them; it is imported when the first of them is. Of what HDF5 offers, only groups, arrays of
numbers and attributes are read: links, references, strings in arrays, other files' data, virtual arrays, user blocks
and filters of plugins are refused. A file of nbnet's has a checksum of its arrays in an attribute of the root.

Files are read in a process of their own (:mod:`nbnet.base.hdf5_process`), which runs this file as a script: so it
imports nothing of nbnet.
"""

from __future__ import annotations

import hashlib
import io
import json
import sys
from collections.abc import Iterable, Mapping
from math import prod
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

#: First bytes of a file.
MAGIC = b"\x89HDF\r\n\x1a\n"
#: Exit status of the script for a file that is refused.
REFUSED = 3
#: Attribute of the root that holds the checksum.
CHECKSUM = "nbnet_checksum"
#: Number of groups and arrays, of groups around an array, and of bytes of an attribute.
MAX_OBJECTS, MAX_DEPTH, MAX_ATTRIBUTE = 100_000, 64, 16 << 20
#: Filters that are part of the library: deflate, shuffle, fletcher32 and lzf.
_FILTERS = frozenset((1, 2, 3, 32000))
#: Bytes that arrays may have for each byte of the file, and beside that: compression of weights seldom halves them.
_EXPANSION, _FREE = 16, 1 << 20


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
        for path in groups:
            file.require_group(path)
        for path, array in arrays.items():
            file.create_dataset(path, data=np.asarray(array))
        for path, values in (attributes or {}).items():
            place = file[path] if path else file
            for name, value in values.items():
                place.attrs[name] = value
        file.attrs[CHECKSUM] = checksum(arrays)
    return target.getvalue()


def checksum(arrays: Mapping[str, Array]) -> str:
    """Return the checksum of arrays and their paths, dtypes and shapes: SHA-256 in hexadecimal digits."""
    found = hashlib.sha256()
    for path in sorted(arrays):
        array = np.ascontiguousarray(arrays[path])
        little = array.astype(array.dtype.newbyteorder("<"), copy=False)
        found.update(f"{path} {little.dtype.str} {list(array.shape)}\n".encode())
        found.update(little.reshape(-1).view(np.uint8).data)
    return found.hexdigest()


def allowance(size: int) -> int:
    """Return the number of bytes that the arrays of a file of this size may have."""
    return _EXPANSION * size + _FREE


class Hdf5Reader:
    """An HDF5 file whose structure was checked: ``entries`` has its arrays by path, ``groups`` the paths of its groups.

    Parameters
    ----------
    content
        The bytes of the file.
    name
        Of the file, for messages.

    Raises
    ------
    ValueError
        If it is no HDF5 file, is damaged, holds anything but groups and arrays of numbers, or its arrays are larger
        than a file of that size can hold.
    ImportError
        If h5py is not installed.
    """

    def __init__(self, content: bytes, name: str) -> None:
        self.name = name
        self._h5py = library()
        self.entries: dict[str, Stored] = {}
        self.groups: list[str] = []
        self._allowed = allowance(len(content))
        if not content.startswith(MAGIC):
            raise ValueError(f"{name}: is not an HDF5 file")
        self._file = self._guarded(lambda: self._h5py.File(io.BytesIO(content), "r"))
        try:
            self._guarded(self._walk)
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
                if not isinstance(group.get(key, getlink=True), h5py.HardLink):
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

    def attributes(self) -> dict[str, dict[str, Any]]:
        """Return the attributes of the root (``""``) and of groups by path: strings, numbers, and lists of them."""
        found: dict[str, dict[str, Any]] = {}
        left = MAX_ATTRIBUTE
        for path in ["", *self.groups]:
            values = self._guarded(lambda path=path, left=left: self._attributes(path, left))
            left -= sum(len(str(value)) for value in values.values())
            if values:
                found[path] = values
        return found

    def _attributes(self, path: str, most: int) -> dict[str, Any]:
        place = self._file[path] if path else self._file
        found = {}
        for name in place.attrs:
            attribute = place.attrs.get_id(name)
            text = self._h5py.check_string_dtype(attribute.dtype) is not None
            if attribute.shape is None or not (text or attribute.dtype.kind in "fiub"):
                continue
            if prod(attribute.shape) * max(attribute.dtype.itemsize, 1) > most:
                raise ValueError(f"{path}: the attribute {name} is too long")
            value = place.attrs[name]
            if isinstance(value, np.ndarray):
                found[name] = [_text(part) for part in value.reshape(-1).tolist()]
            else:
                found[name] = _text(value.item() if isinstance(value, np.generic) else value)
        return found

    def read(self) -> dict[str, Array]:
        """Return all arrays by path.

        Raises
        ------
        ValueError
            If the file is damaged.
        """
        found: dict[str, Array] = {}
        for path, entry in self.entries.items():
            array = np.empty(entry.shape, entry.dtype)
            if array.size:
                self._guarded(lambda path=path, array=array: self._file[path].read_direct(array))
            found[path] = array
        expected = self.attributes().get("", {}).get(CHECKSUM)
        if expected is not None and expected != checksum(found):
            raise ValueError(f"{self.name}: damaged: its arrays differ from their checksum")
        return found


def _text(value: Any) -> Any:
    return value.decode("utf-8") if isinstance(value, bytes) else value


def _checked(array: Any, path: str) -> Stored:
    """Return the dtype and shape of an array, after checks that do not read it."""
    if array.is_virtual or array.external:
        raise ValueError(f"{path}: has its data in another file")
    if array.shape is None or array.dtype.kind not in "fiub" or array.dtype.itemsize not in (1, 2, 4, 8):
        raise ValueError(f"{path}: expected an array of numbers, got {array.dtype}")
    if array.dtype.metadata:
        raise ValueError(f"{path}: expected an array of plain numbers")
    properties = array.id.get_create_plist()
    for number in range(properties.get_nfilters()):
        if properties.get_filter(number)[0] not in _FILTERS:
            raise ValueError(f"{path}: is compressed by an unknown filter")
    if array.chunks is not None and prod(array.chunks) > max(4 * prod(array.shape), 1 << 18):
        raise ValueError(f"{path}: has chunks {array.chunks} that are larger than the array {array.shape}")
    return Stored(array.dtype.newbyteorder("="), tuple(int(n) for n in array.shape))


def main() -> None:
    """Read a file from the standard input, and write what is in it to the standard output: the length of a header, the
    header in JSON, and the arrays one after the other; or an error in JSON, and exit with REFUSED."""
    name, memory, seconds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    try:
        import resource
    except ImportError:  # not on Windows, where only time is limited
        pass
    else:
        for limit, most in ((resource.RLIMIT_AS, memory), (resource.RLIMIT_CPU, seconds), (resource.RLIMIT_CORE, 0)):
            resource.setrlimit(limit, (most, most))
    try:
        with Hdf5Reader(sys.stdin.buffer.read(), name) as file:
            arrays, attributes = file.read(), file.attributes()
            entries = [[path, entry.dtype.str, list(entry.shape)] for path, entry in file.entries.items()]
            found = {"entries": entries, "groups": file.groups, "attributes": attributes}
    except (ValueError, MemoryError) as error:
        text = str(error) or f"{name}: needs more memory than a file of this size may"
        sys.stdout.write(json.dumps({"error": text}))
        sys.exit(REFUSED)
    header = json.dumps(found).encode()
    out = sys.stdout.buffer
    out.write(len(header).to_bytes(8, "little") + header)
    for path in arrays:
        out.write(np.ascontiguousarray(arrays[path]).reshape(-1).view(np.uint8).data)
    out.flush()


if __name__ == "__main__":
    main()
