"""The other end of the pipes: processes that work for the benchmark, one at a time."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from benchmarks.peers.libraries import LIBRARIES

ROOT = Path(__file__).resolve().parents[2]
#: Each library is to use the processors as it would by itself.
THREADS = ("NBNET_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
#: Seconds after which a process that does not answer is given up.
PATIENCE = 300.0


class PeerError(RuntimeError):
    """A library could not do what it was asked for."""


def environment(name: str, dtype: str = "float32", **more: str) -> dict[str, str]:
    """Of a library's process."""
    kept = {key: value for key, value in os.environ.items() if key not in THREADS}
    # An empty variable turns it off: with .pyc files half the time of an import would be spent compiling Python.
    own = {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "", "JAX_ENABLE_X64": str(int(dtype == "float64"))}
    return kept | own | dict(LIBRARIES[name].environment) | more


class Peer:
    """A library's process.

    Parameters
    ----------
    name
        Name of the library.
    python
        Path of the interpreter.
    dtype
        Dtype of its computations; JAX needs it before the process starts.
    """

    def __init__(self, name: str, python: str = sys.executable, dtype: str = "float32") -> None:
        self.name = name
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115
        self._command = [python, "-m", "benchmarks.peers.worker", name]
        self._environment = environment(name, dtype)
        try:
            self._begin()
        except PeerError:
            self._errors.close()
            raise

    def _begin(self) -> None:
        self._process = _started(
            self.name, self._command, self._environment, stdin=subprocess.PIPE, stderr=self._errors
        )

    def ask(self, do: str, patience: float = PATIENCE, **arguments: Any) -> Any:
        """Return the answer of the process. If it has ended, a new process is started, which knows nothing.

        Raises
        ------
        PeerError
            If the process ends or answers with an error, or if it takes more than ``patience`` seconds and is killed.
        """
        if self._process.poll() is not None:
            _end(self._process)
            self._begin()
        with contextlib.suppress(BrokenPipeError):
            print(json.dumps({"do": do, **arguments}), file=self._process.stdin, flush=True)
        assert self._process.stdout is not None
        if not select.select([self._process.stdout], [], [], patience)[0]:
            _end(self._process)
            raise PeerError(f"{self.name}: no answer to {do} within {patience:g} seconds")
        line = self._process.stdout.readline()
        if not line:
            raise PeerError(f"{self.name}: the process ended with {self._process.wait()}: {self._last_words()}")
        answer = json.loads(line)
        if "error" in answer:
            raise PeerError(f"{self.name}: {answer['error']}")
        return answer["found"]

    def _last_words(self) -> str:
        self._errors.seek(0)
        return next((line.strip() for line in reversed(self._errors.readlines()) if line.strip()), "")

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(10)
        _end(self._process)
        self._errors.close()


def _started(name: str, command: Sequence[str], variables: Mapping[str, str], **files: Any) -> subprocess.Popen[str]:
    """A process whose output is read, with a group of its own: it may start others, which are to end with it."""
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, **files}
    try:
        return subprocess.Popen(command, cwd=ROOT, env=dict(variables), text=True, process_group=0, **pipes)
    except OSError as error:
        raise PeerError(f"{name}: {error}") from None


def _end(process: subprocess.Popen[str]) -> None:
    """End a process, whatever it is doing, and those that it has started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    pipes: list[IO[str] | None] = [process.stdin, process.stdout, process.stderr]
    for pipe in pipes:
        if pipe is not None:
            with contextlib.suppress(BrokenPipeError):
                pipe.close()


def process(
    pythons: Mapping[str, str], name: str, *arguments: str, patience: float = PATIENCE, **variables: str
) -> str:
    """Return the output of a process that runs a library's interpreter.

    Raises
    ------
    PeerError
        If it fails, with the last line it printed, or takes more than ``patience`` seconds.
    """
    command = [pythons.get(name, sys.executable), *arguments]
    running = _started(name, command, environment(name) | variables, stderr=subprocess.PIPE)
    try:
        out, errors = running.communicate(timeout=patience)
    except subprocess.TimeoutExpired:
        raise PeerError(f"{name}: the process did not end within {patience:g} seconds") from None
    finally:
        _end(running)
    if running.returncode:
        words = errors.strip().splitlines() or ["it did not say why"]
        raise PeerError(f"{name}: the process ended with {running.returncode}: {words[-1]}")
    return out


def versions(peers: Mapping[str, Peer]) -> dict[str, Any]:
    """Of those that are still alive."""
    found = {}
    for name, peer in peers.items():
        with contextlib.suppress(PeerError):
            found[name] = peer.ask("versions")
    return found


def importable(names: Sequence[str], pythons: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    """Versions of those libraries that can be imported, and why the others cannot."""
    with together(names, pythons) as (peers, missing):
        return versions(peers), missing


@contextlib.contextmanager
def together(
    names: Sequence[str], pythons: Mapping[str, str], dtype: str = "float32"
) -> Iterator[tuple[dict[str, Peer], dict[str, str]]]:
    """Processes of those libraries that can be imported, and why the others cannot."""
    peers: dict[str, Peer] = {}
    missing: dict[str, str] = {}
    try:
        # They import their libraries side by side.
        for name in names:
            try:
                peers[name] = Peer(name, pythons.get(name, sys.executable), dtype)
            except PeerError as error:
                missing[name] = str(error)
        for name in list(peers):
            try:
                peers[name].ask("versions")
            except PeerError as error:
                missing[name] = str(error)
                peers.pop(name).close()
        yield peers, missing
    finally:
        for peer in peers.values():
            peer.close()
