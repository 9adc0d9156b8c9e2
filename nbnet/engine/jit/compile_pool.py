"""Compile many functions at once, in this process and in worker processes.

A worker starts isolated: neither its working directory nor ``PYTHON...`` variables decide what it imports, and the
standard library comes before everything else. Modules that this process has imported it imports from the same place,
and others from absolute entries of this process's ``sys.path``. It compiles a function only if what it has in hand has
the hash that this process has asked for. Each message is preceded by its length. Functions are pickled, and go through
a pipe that only this process writes to; other data are JSON, and the answers are machine code, which is checked.
"""

from __future__ import annotations

import atexit
import gc
import importlib.util
import json
import os
import pickle
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib.machinery import ModuleSpec
from pathlib import Path
from queue import SimpleQueue
from types import ModuleType
from typing import IO, Any

import numpy as np

from nbnet.base.cpu import processors
from nbnet.engine.jit.compiler import compile_function, is_object, object_key, object_symbol
from nbnet.engine.jit.fingerprint import references
from nbnet.engine.jit.function import Function

#: Functions for which one more process pays: it starts in the time that three or four take, and Numba's import, which
#: this process then does meanwhile, takes about as long.
ENOUGH = 4
ENOUGH_WITH_NUMBA = 8
#: Seconds without work after which an idle worker ends.
IDLE_TIMEOUT = 20.0

CompileWorker = subprocess.Popen[bytes]
Ready = SimpleQueue[tuple[Function, bytes | None]]
_idle: list[CompileWorker] = []

#: A message has its length before it, in so many bytes.
_LENGTH = 8
#: No message is nearly as long.
_LONGEST = 1 << 28

# A worker's program. Until it knows the places of modules it imports nothing but the standard library.
_SCRIPT = """
import json, signal, sys
from importlib.machinery import PathFinder

signal.signal(signal.SIGINT, signal.SIG_IGN)  # The process that started this one ends it.
length = int.from_bytes(sys.stdin.buffer.read(8), "little")
places, path = json.loads(sys.stdin.buffer.read(length))


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
from nbnet.engine.jit.compile_pool import worker_main
worker_main()
"""


def compile_all(
    functions: Sequence[Function], dtype: np.dtype[Any], symbols: Mapping[Function, str]
) -> Iterator[tuple[Function, bytes]]:
    """Machine code of each function, in the order in which it gets ready; see
    :func:`nbnet.engine.jit.compiler.compile_function`."""
    # The longest first, so that none of them is the last to be started.
    functions = sorted(functions, key=lambda function: -_length(function, dtype, set()))
    todo, ready = deque(functions), Ready()
    names = [symbols[function] for function in functions]
    threads: list[threading.Thread] = []
    workers: list[CompileWorker] = []
    completed = False
    # Numba makes millions of small objects that live on, and looking through them again and again would take a tenth of
    # its time.
    collects = gc.isenabled()
    gc.disable()
    try:
        for _ in range(_worker_count(len(functions))):
            work = functions, dtype, names, todo, ready, workers
            threads.append(threading.Thread(target=_feed_worker, args=work, daemon=True, name="nbnet-compile"))
            threads[-1].start()
        for _ in functions:
            function, machine_code = _next(todo, ready)
            # If a worker failed, this process fails as well, with an error that says why; or else it succeeds.
            yield function, machine_code or compile_function(function, dtype, symbols[function])
        completed = True
    finally:
        if collects:
            gc.enable()
        todo.clear()
        if not completed:  # Nobody waits for what they are compiling.
            for worker in workers:
                worker.kill()
        for thread in threads:
            thread.join()


def _length(function: Function, dtype: np.dtype[Any], seen: set[Function]) -> int:
    """Bytes of bytecode of a function and those it calls."""
    if function in seen:
        return 0
    seen.add(function)
    body = function.body(dtype)
    called = [value for value in references(body).values() if isinstance(value, Function)]
    return len(body.__code__.co_code) + sum(_length(one, dtype, seen) for one in called)


def _worker_count(functions: int) -> int:
    """Number of workers that pay off for a number of functions."""
    enough = ENOUGH if _has_idle_worker() or "numba" not in sys.modules else ENOUGH_WITH_NUMBA
    return min(functions // enough, processors() - 1) if _can_start() else 0


def _next(todo: deque[Function], ready: Ready) -> tuple[Function, bytes | None]:
    """A function that is ready; else one that nobody compiles yet, with None; else wait for the next that is ready."""
    if ready.empty():
        with suppress(IndexError):
            return todo.popleft(), None
    return ready.get()


def _feed_worker(
    functions: Sequence[Function],
    dtype: np.dtype[Any],
    names: Sequence[str],
    todo: deque[Function],
    ready: Ready,
    workers: list[CompileWorker] | None = None,
) -> None:
    """Hand one function after the other to a worker, until there are none or it fails; note the worker in a list."""
    numbers = {function: number for number, function in enumerate(functions)}
    with suppress(Exception), _worker() as worker:
        if workers is not None:
            workers.append(worker)
        assert worker.stdin is not None
        assert worker.stdout is not None
        from numba import cloudpickle

        _send_data(worker.stdin, [dtype.name, list(names)])
        _send(worker.stdin, cloudpickle.dumps(functions))  # type: ignore[no-untyped-call]
        while todo:
            function = todo.popleft()
            machine_code = None
            try:
                _send_data(worker.stdin, numbers[function])
                answer = _receive(worker.stdout)
                if is_object(answer, names[numbers[function]]):
                    machine_code = answer
            finally:
                ready.put((function, machine_code))
            if machine_code is None:
                return


def _send(stream: IO[bytes], message: bytes) -> None:
    stream.write(len(message).to_bytes(_LENGTH, "little") + message)
    stream.flush()


def _send_data(stream: IO[bytes], data: Any) -> None:
    _send(stream, json.dumps(data).encode())


def _receive(stream: IO[bytes]) -> bytes:
    """The next message; EOFError at the end of a stream or in the middle of a message."""
    length = int.from_bytes(_read(stream, _LENGTH), "little")
    if length > _LONGEST:
        raise ValueError(f"expected a message of up to {_LONGEST} bytes, got {length}")
    return _read(stream, length)


def _read(stream: IO[bytes], length: int) -> bytes:
    found = stream.read(length)
    if len(found) < length:
        raise EOFError
    return found


def start_early() -> None:
    """Start a worker before there is much to do: it takes a second to get ready, then waits for a while."""
    if not _has_idle_worker() and _can_start() and processors() > 1:
        with suppress(Exception):  # Nothing needs it.
            _idle.append(_start())


def _has_idle_worker() -> bool:
    """True if an idle worker is alive."""
    return any(worker.poll() is None for worker in _idle)


def _can_start() -> bool:
    """True if the executable is Python, and no program that embeds it."""
    executable = Path(sys.executable or "")
    is_python = executable.name.lower().startswith(("python", "pypy")) and not hasattr(sys, "frozen")
    return is_python and executable.is_absolute()


def _start() -> CompileWorker:
    pipe = subprocess.PIPE
    worker = subprocess.Popen(
        [sys.executable, *_flags(), "-c", _SCRIPT],
        stdin=pipe,
        stdout=pipe,
        stderr=subprocess.DEVNULL,
        cwd=Path(sys.executable).parent,  # which this process trusts anyway
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
    )
    try:
        assert worker.stdin is not None
        path = [entry for entry in sys.path if isinstance(entry, str) and os.path.isabs(entry)]
        _send_data(worker.stdin, [_places(), path])
    except BaseException:  # It may have ended already.
        _end(worker)
        raise
    return worker


def _flags() -> list[str]:
    """Options of this interpreter, and those that isolate another one. Paths of ``site`` come from this process."""
    own: list[str] = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
    if sys.pycache_prefix and os.path.isabs(sys.pycache_prefix):
        own.append(f"-Xpycache_prefix={sys.pycache_prefix}")
    return [*own, "-I", "-S"]


def _places() -> dict[str, list[str]]:
    """The folders in which this process has found its modules, and would find Numba."""
    specs = {
        name: vars(module).get("__spec__") for name, module in list(sys.modules.items()) if _is_found(name, module)
    }
    if "numba" not in sys.modules:
        specs["numba"] = importlib.util.find_spec("numba")
    places = {}
    for name, spec in specs.items():
        if isinstance(spec, ModuleSpec) and (spec.has_location or spec.submodule_search_locations):
            files = [spec.origin] if spec.submodule_search_locations is None else spec.submodule_search_locations
            places[name] = [os.path.dirname(file) for file in files if file and os.path.isabs(file)]
    return places


def _is_found(name: str, module: ModuleType) -> bool:
    """True for a module that ``sys.path`` led to, and not to the standard library."""
    standard = name in sys.stdlib_module_names or name == "__main__"
    return isinstance(module, ModuleType) and "." not in name and not standard


def _end(worker: CompileWorker) -> None:
    with suppress(OSError), worker:  # Closes pipes, even one with data left that nobody reads, and waits.
        worker.kill()


@atexit.register
def _end_all() -> None:
    while _idle:
        _end(_idle.pop())


def _forget_all() -> None:
    """Leave idle workers to the process that this one was forked from."""
    for worker in _idle:
        worker.returncode = 0
    _idle.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)


def _take() -> CompileWorker:
    """An idle worker, or else a new one."""
    while True:
        try:
            worker = _idle.pop()
        except IndexError:
            return _start()
        if worker.poll() is None:
            return worker
        _end(worker)


@contextmanager
def _worker() -> Iterator[CompileWorker]:
    """A worker, which is ended afterwards."""
    worker = _take()
    try:
        yield worker
    finally:
        _end(worker)


def worker_main() -> None:
    """Run a worker: it receives functions, then their numbers, and compiles each."""
    from numba.core.registry import cpu_target

    messages = sys.stdin.buffer
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    timeout = threading.Timer(IDLE_TIMEOUT, os._exit, (0,))
    timeout.daemon = True
    timeout.start()
    # Numba reads its tables of what it can compile, as it would before the first function.
    cpu_target.typing_context.refresh()
    cpu_target.target_context.refresh()
    gc.disable()
    name, symbols = json.loads(_receive(messages))
    functions, dtype = pickle.loads(_receive(messages)), np.dtype(name)
    timeout.cancel()
    with suppress(EOFError):
        while True:
            number = json.loads(_receive(messages))
            _send(answers, _compiled(functions[number], dtype, symbols[number]))


def _compiled(function: Function, dtype: np.dtype[Any], symbol: str) -> bytes:
    """Machine code, or nothing if the function does not compile, or is not the one that a symbol stands for."""
    with suppress(Exception):
        if object_symbol(object_key(function, dtype)) == symbol:
            return compile_function(function, dtype, symbol)
    return b""
