"""Compile many functions at once, in this process and in worker processes.

A worker is a helper of :mod:`nbnet.base.processes`. It compiles a function only if what it has in hand has the hash
that this process has asked for. Functions are pickled, and go through a pipe that only this process writes to; other
data are JSON, and the answers are machine code, which is checked.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import pickle
import sys
import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from queue import SimpleQueue
from typing import Any

import numpy as np

from nbnet.base.cpu import processors
from nbnet.base.processes import Helper, answers, can_start, end_helper, receive, send, send_data, start_helper
from nbnet.engine.jit.compiler import compile_function, is_object, object_key, object_symbol
from nbnet.engine.jit.fingerprint import references
from nbnet.engine.jit.function import Function

#: Functions for which one more process pays: it starts in the time that three or four take, and Numba's import, which
#: this process then does meanwhile, takes about as long.
ENOUGH = 4
ENOUGH_WITH_NUMBA = 8
#: Seconds without work after which an idle worker ends.
IDLE_TIMEOUT = 20.0

Ready = SimpleQueue[tuple[Function, bytes | None]]
_idle: list[Helper] = []

#: A worker's program.
_PROGRAM = "from nbnet.engine.jit.compile_pool import worker_main; worker_main()"


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
    workers: list[Helper] = []
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
    return min(functions // enough, processors() - 1) if can_start() else 0


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
    workers: list[Helper] | None = None,
) -> None:
    """Hand one function after the other to a worker, until there are none or it fails; note the worker in a list."""
    numbers = {function: number for number, function in enumerate(functions)}
    with suppress(Exception), _worker() as worker:
        if workers is not None:
            workers.append(worker)
        assert worker.stdin is not None
        assert worker.stdout is not None
        from numba import cloudpickle

        send_data(worker.stdin, [dtype.name, list(names)])
        send(worker.stdin, cloudpickle.dumps(functions))  # type: ignore[no-untyped-call]
        while todo:
            function = todo.popleft()
            machine_code = None
            try:
                send_data(worker.stdin, numbers[function])
                answer = receive(worker.stdout)
                if is_object(answer, names[numbers[function]]):
                    machine_code = answer
            finally:
                ready.put((function, machine_code))
            if machine_code is None:
                return


def start_early() -> None:
    """Start a worker before there is much to do: it takes a second to get ready, then waits for a while."""
    if not _has_idle_worker() and can_start() and processors() > 1:
        with suppress(Exception):  # Nothing needs it.
            _idle.append(_start())


def _has_idle_worker() -> bool:
    """True if an idle worker is alive."""
    return any(worker.poll() is None for worker in _idle)


def _start() -> Helper:
    return start_helper(_PROGRAM, ["numba"])


@atexit.register
def _end_all() -> None:
    while _idle:
        end_helper(_idle.pop())


def _forget_all() -> None:
    """Leave idle workers to the process that this one was forked from."""
    for worker in _idle:
        worker.returncode = 0
    _idle.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)


def _take() -> Helper:
    """An idle worker, or else a new one."""
    while True:
        try:
            worker = _idle.pop()
        except IndexError:
            return _start()
        if worker.poll() is None:
            return worker
        end_helper(worker)


@contextmanager
def _worker() -> Iterator[Helper]:
    """A worker, which is ended afterwards."""
    worker = _take()
    try:
        yield worker
    finally:
        end_helper(worker)


def worker_main() -> None:
    """Run a worker: it receives functions, then their numbers, and compiles each."""
    from numba.core.registry import cpu_target

    messages = sys.stdin.buffer
    out = answers()
    timeout = threading.Timer(IDLE_TIMEOUT, os._exit, (0,))
    timeout.daemon = True
    timeout.start()
    # Numba reads its tables of what it can compile, as it would before the first function.
    cpu_target.typing_context.refresh()
    cpu_target.target_context.refresh()
    gc.disable()
    name, symbols = json.loads(receive(messages))
    functions, dtype = pickle.loads(receive(messages)), np.dtype(name)
    timeout.cancel()
    with suppress(EOFError):
        while True:
            number = json.loads(receive(messages))
            send(out, _compiled(functions[number], dtype, symbols[number]))


def _compiled(function: Function, dtype: np.dtype[Any], symbol: str) -> bytes:
    """Machine code, or nothing if the function does not compile, or is not the one that a symbol stands for."""
    with suppress(Exception):
        if object_symbol(object_key(function, dtype)) == symbol:
            return compile_function(function, dtype, symbol)
    return b""
