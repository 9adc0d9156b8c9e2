"""Helpers: processes that start isolated from the working directory and the environment.

Neither the working directory of a helper, nor ``PYTHON...`` variables, nor options of this interpreter decide what it
imports, and the standard library comes before everything else. Modules that this process has imported it imports from
the same place, and others from absolute entries of this process's ``sys.path``. Each message has its length before it.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import IO, Any

Helper = subprocess.Popen[bytes]

#: A message has its length before it, in so many bytes.
_LENGTH = 8

# A helper's program. Until it knows the places of modules it imports nothing but the standard library.
_SCRIPT = """
import json, signal, sys
from importlib.machinery import PathFinder

signal.signal(signal.SIGINT, signal.SIG_IGN)  # The process that started this one ends it.
length = int.from_bytes(sys.stdin.buffer.read(8), "little")
places, path, code = json.loads(sys.stdin.buffer.read(length))


class Finder:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name not in places:
            return None
        spec = PathFinder.find_spec(name, places[name])
        if spec is None:
            raise ModuleNotFoundError(name, name=name)
        return spec


sys.meta_path.insert(-1, Finder)
sys.path += path
exec(code)
"""


def can_start() -> bool:
    """Return True if the executable is Python, and no program that embeds it."""
    executable = Path(sys.executable or "")
    is_python = executable.name.lower().startswith(("python", "pypy")) and not hasattr(sys, "frozen")
    return is_python and executable.is_absolute()


def start_helper(code: str, needed: Iterable[str] = (), environment: Mapping[str, str] | None = None) -> Helper:
    """Start a helper: a Python process that runs ``code``, after all it needs to import modules.

    Parameters
    ----------
    code
        What it runs.
    needed
        Modules that it imports and this process might not have.
    environment
        Its environment, by default that of this process.

    Raises
    ------
    OSError
        If no process can be started.

    Examples
    --------
    >>> from nbnet.base.processes import end_helper, receive, start_helper
    >>> helper = start_helper("from nbnet.base.processes import answers, send; send(answers(), b'ready')")
    >>> receive(helper.stdout)
    b'ready'
    >>> end_helper(helper)
    """
    if not can_start():
        raise OSError(f"no Python process can be started: {sys.executable!r} is not the path of a Python interpreter")
    pipe = subprocess.PIPE
    variables = os.environ if environment is None else environment
    helper = subprocess.Popen(
        [sys.executable, *_flags(), "-c", _SCRIPT],
        stdin=pipe,
        stdout=pipe,
        stderr=subprocess.DEVNULL,
        cwd=Path(sys.executable).parent,  # which this process trusts anyway
        env={**variables, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
    )
    try:
        path = [entry for entry in sys.path if isinstance(entry, str) and os.path.isabs(entry)]
        places = {name: _portable(folders) for name, folders in _places(needed).items()}
        send_data(helper.stdin, [places, _portable(path), code])
    except BaseException:  # It may have ended already.
        end_helper(helper)
        raise
    return helper


def end_helper(helper: Helper) -> None:
    """End a helper, whatever it is doing."""
    with suppress(OSError), helper:  # Closes pipes, even one with data left that nobody reads, and waits.
        helper.kill()


def answers() -> IO[bytes]:
    """Return the stream to the process that started this one; what else is printed goes nowhere."""
    stream = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return stream


def send(stream: IO[bytes] | None, message: Any) -> None:
    """Write a message of bytes."""
    assert stream is not None
    stream.write(len(message).to_bytes(_LENGTH, "little"))
    stream.write(message)
    stream.flush()


def send_data(stream: IO[bytes] | None, data: Any) -> None:
    """Write a message of JSON."""
    send(stream, json.dumps(data).encode())


def receive(stream: IO[bytes] | None, longest: int = 1 << 28) -> bytes:
    """Read the next message.

    Raises
    ------
    EOFError
        At the end of a stream, or in the middle of a message.
    ValueError
        If the message is longer than it may be.
    """
    length = int.from_bytes(_read(stream, _LENGTH), "little")
    if length > longest:
        raise ValueError(f"expected a message of up to {longest} bytes, got {length}")
    return _read(stream, length)


def receive_into(stream: Any, place: memoryview) -> None:
    """Fill memory with bytes that come without their length; EOFError at the end of the stream."""
    if stream.readinto(place) < len(place):
        raise EOFError


def _read(stream: IO[bytes] | None, length: int) -> bytes:
    assert stream is not None
    found = stream.read(length)
    if len(found) < length:
        raise EOFError
    return found


def _flags() -> list[str]:
    """Return options that isolate an interpreter, and those of this one that change code. Paths of ``site`` come from
    this process; file names are those bytes that they are in this process."""
    own = ["-O"] * sys.flags.optimize + ["-B"] * sys.flags.dont_write_bytecode
    if sys.pycache_prefix and os.path.isabs(sys.pycache_prefix):
        own.append(f"-Xpycache_prefix={sys.pycache_prefix}")
    return [*own, "-I", "-S", "-Xutf8", "-Wignore"]


def _portable(paths: Iterable[str]) -> list[str]:
    """Return paths for a process whose file system's encoding is UTF-8."""
    return [os.fsencode(path).decode("utf-8", "surrogateescape") for path in paths]


def _places(needed: Iterable[str]) -> dict[str, list[str]]:
    """Return the folders in which this process has found its modules, and would find those that are needed."""
    specs = {
        name: vars(module).get("__spec__") for name, module in list(sys.modules.items()) if _is_found(name, module)
    }
    specs |= {name: importlib.util.find_spec(name) for name in needed if name not in sys.modules}
    places = {}
    for name, spec in specs.items():
        if isinstance(spec, ModuleSpec) and (spec.has_location or spec.submodule_search_locations):
            files = [spec.origin] if spec.submodule_search_locations is None else spec.submodule_search_locations
            places[name] = [os.path.dirname(file) for file in files if file and os.path.isabs(file)]
    return places


def _is_found(name: str, module: ModuleType) -> bool:
    """Return True for a module that ``sys.path`` led to, and not to the standard library."""
    standard = name in sys.stdlib_module_names or name == "__main__"
    return isinstance(module, ModuleType) and "." not in name and not standard
