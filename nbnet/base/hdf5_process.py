"""HDF5 files that nobody vouches for, read in a process of their own.

The library of HDF5 is written in C, and damaged files have made it loop for ever (one of 2,500 mutated files) or crash.
So it reads them in a child process with limits of memory and time, which sends back plain arrays.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbnet.base import hdf5_file
from nbnet.base.hdf5_file import Stored
from nbnet.base.json_record import loads

Array = NDArray[Any]

#: Seconds that a file may take, and beside that for each 10 MB of it.
SECONDS = 30
#: Bytes that the child may allocate, beside what arrays take: an interpreter, NumPy and h5py need less.
_MEMORY = 2 << 30
#: Starts the script with the paths of this process; h5py may be anywhere among them.
_START = (
    "import json,runpy,sys;sys.path[:]=json.loads(sys.argv.pop(1));runpy.run_path(sys.argv.pop(1),run_name='__main__')"
)
#: The script.
SCRIPT = hdf5_file.__file__


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


def read_hdf5(content: bytes, name: str) -> Hdf5Content:
    """Return the content of an HDF5 file.

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

    Examples
    --------
    >>> import numpy as np
    >>> from nbnet.base.hdf5_file import write_hdf5
    >>> from nbnet.base.hdf5_process import read_hdf5
    >>> read_hdf5(write_hdf5({"a/b": np.arange(3.0)}), "some.h5").arrays
    {'a/b': array([0., 1., 2.])}
    """
    hdf5_file.library()
    if not content.startswith(hdf5_file.MAGIC):
        raise ValueError(f"{name}: is not an HDF5 file")
    allowed = hdf5_file.allowance(len(content))
    seconds = SECONDS + len(content) // 10_000_000
    command = [sys.executable, "-c", _START, json.dumps(sys.path), SCRIPT, name]
    try:
        done = subprocess.run(
            [*command, str(_MEMORY + 3 * allowed), str(seconds)],
            input=content, capture_output=True, timeout=seconds, env=_environment(), check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise ValueError(f"{name}: damaged: reading it took more than {seconds} seconds") from None
    if done.returncode == hdf5_file.REFUSED:
        raise ValueError(str(loads(done.stdout, name)["error"]))
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise ValueError(f"{name}: damaged: the process that read it ended with status {done.returncode} {said}")
    return _parsed(done.stdout)


def _environment() -> dict[str, str]:
    """Return the environment of the child: one thread, and no plugins of HDF5's."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("HDF5_")}
    return kept | {"HDF5_PLUGIN_PRELOAD": "::", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}


def _parsed(answer: bytes) -> Hdf5Content:
    """Return the content that the child has sent."""
    at = 8 + int.from_bytes(answer[:8], "little")
    header = json.loads(answer[8:at])
    arrays: dict[str, Array] = {}
    for path, dtype, shape in header["entries"]:
        kind = np.dtype(dtype)
        size = prod(shape) * kind.itemsize
        arrays[path] = np.frombuffer(answer, kind, prod(shape), at).reshape(shape) if size else np.empty(shape, kind)
        at += size
    return Hdf5Content(arrays, header["groups"], header["attributes"])
