"""Compile many functions at once, in this process and in worker processes."""

from __future__ import annotations

import atexit
import gc
import os
import pickle
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np

from nbnet.base.cpu import processors
from nbnet.engine.jit.compiler import compile_function
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

# A worker's program. It finds modules where this process does.
_SCRIPT = """
import pickle, sys
sys.path[:] = pickle.load(sys.stdin.buffer)
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
    threads = []
    for _ in range(_worker_count(len(functions))):
        work = functions, dtype, names, todo, ready
        threads.append(threading.Thread(target=_feed_worker, args=work, daemon=True, name="nbnet-compile"))
        threads[-1].start()
    # Numba makes millions of small objects that live on, and looking through them again and again would take a tenth of
    # its time.
    collects = gc.isenabled()
    gc.disable()
    try:
        for _ in functions:
            function, machine_code = _next(todo, ready)
            # If a worker failed, this process fails as well, with an error that says why; or else it succeeds.
            yield function, machine_code or compile_function(function, dtype, symbols[function])
    finally:
        if collects:
            gc.enable()
        todo.clear()
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
    functions: Sequence[Function], dtype: np.dtype[Any], names: Sequence[str], todo: deque[Function], ready: Ready
) -> None:
    """Hand one function after the other to a worker, until there are none or it fails."""
    numbers = {function: number for number, function in enumerate(functions)}
    with suppress(Exception), _worker() as (send, receive):
        from numba import cloudpickle

        send(cloudpickle.dumps((functions, dtype.name, names)))  # type: ignore[no-untyped-call]
        while todo:
            function = todo.popleft()
            machine_code = None
            try:
                send(numbers[function])
                machine_code = receive()
            finally:
                ready.put((function, machine_code))
            if machine_code is None:
                return


def start_early() -> None:
    """Start a worker before there is much to do: it takes a second to get ready, then waits for a while."""
    if not _has_idle_worker() and _can_start() and processors() > 1:
        with suppress(OSError):
            _idle.append(_start())


def _has_idle_worker() -> bool:
    """True if an idle worker is alive."""
    return any(worker.poll() is None for worker in _idle)


def _can_start() -> bool:
    """True if the executable is Python, and no program that embeds it."""
    return Path(sys.executable or "").name.lower().startswith(("python", "pypy")) and not hasattr(sys, "frozen")


def _start() -> CompileWorker:
    pipe = subprocess.PIPE
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1"}
    worker = subprocess.Popen(
        [sys.executable, "-c", _SCRIPT], stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, env=environment
    )
    try:
        assert worker.stdin is not None
        pickle.dump(sys.path, worker.stdin)
        worker.stdin.flush()
    except BaseException:  # It may have ended already.
        _end(worker)
        raise
    return worker


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
def _worker() -> Iterator[tuple[Any, Any]]:
    """Functions that send an object to a worker and receive one from it."""
    worker = _take()
    to, answers = worker.stdin, worker.stdout
    assert to is not None
    assert answers is not None

    def send(thing: Any) -> None:
        pickle.dump(thing, to)
        to.flush()

    try:
        yield send, lambda: pickle.load(answers)
    finally:
        _end(worker)


def worker_main() -> None:
    """Run a worker: it receives functions, then their numbers, and compiles each."""
    import signal

    from numba.core.registry import cpu_target

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # The process that started it ends it.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    timeout = threading.Timer(IDLE_TIMEOUT, os._exit, (0,))
    timeout.daemon = True
    timeout.start()
    # Numba reads its tables of what it can compile, as it would before the first function.
    cpu_target.typing_context.refresh()
    cpu_target.target_context.refresh()
    gc.disable()
    functions, dtype, names = pickle.loads(pickle.load(sys.stdin.buffer))
    timeout.cancel()
    while True:
        try:
            number = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        try:
            machine_code = compile_function(functions[number], np.dtype(dtype), names[number])
        except Exception:
            machine_code = None
        pickle.dump(machine_code, answers)
        answers.flush()
