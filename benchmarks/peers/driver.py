"""The other end of the pipes: processes that work for the benchmark, one at a time."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.peers.libraries import LIBRARIES

ROOT = Path(__file__).resolve().parents[2]
#: Each library is to use the processors as it would by itself.
THREADS = ("NBNET_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
#: Seconds after each turn, in which the threads of who had it go to sleep.
PAUSE = 0.2


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
        Of the library.
    python
        The interpreter.
    dtype
        What it computes in; JAX wants to know early.
    """

    def __init__(self, name: str, python: str = sys.executable, dtype: str = "float32") -> None:
        self.name = name
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115
        try:
            self._process = subprocess.Popen(
                [python, "-m", "benchmarks.peers.worker", name],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                cwd=ROOT,
                env=environment(name, dtype),
                text=True,
            )
        except OSError as error:
            self._errors.close()
            raise PeerError(f"{name}: {error}") from None

    def ask(self, do: str, **arguments: Any) -> Any:
        """What it found.

        Raises
        ------
        PeerError
            If it did not find anything, with its reason.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            print(json.dumps({"do": do, **arguments}), file=self._process.stdin, flush=True)
        line = self._process.stdout.readline()
        time.sleep(PAUSE)
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
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._errors.close()


def process(pythons: Mapping[str, str], name: str, *arguments: str, **variables: str) -> str:
    """What a process of a library's interpreter prints before it ends.

    Raises
    ------
    PeerError
        If it fails, with the last it said.
    """
    command = [pythons.get(name, sys.executable), *arguments]
    try:
        done = subprocess.run(command, env=environment(name) | variables, capture_output=True, text=True)
    except OSError as error:
        raise PeerError(f"{name}: {error}") from None
    if done.returncode:
        words = done.stderr.strip().splitlines() or ["it did not say why"]
        raise PeerError(f"{name}: the process ended with {done.returncode}: {words[-1]}")
    return done.stdout


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
        for name in names:
            try:
                peers[name] = Peer(name, pythons.get(name, sys.executable), dtype)
                peers[name].ask("versions")
            except PeerError as error:
                missing[name] = str(error)
                if name in peers:
                    peers.pop(name).close()
        yield peers, missing
    finally:
        for peer in peers.values():
            peer.close()
