"""Many functions compiled at once, in this process and in others that start for it."""

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

from nbnet.core.compiler import compile_function
from nbnet.core.fingerprint import references
from nbnet.core.function import Function
from nbnet.core.processors import processors

#: Functions for which one more process pays: it starts in the time that three or four take, and Numba's import, which
#: this process then does meanwhile, takes about as long.
ENOUGH = 4
ENOUGH_WITH_NUMBA = 8

#: Seconds that an assistant waits for something to do.
PATIENCE = 20.0

Assistant = subprocess.Popen[bytes]
_waiting: list[Assistant] = []

# What an assistant runs. It finds modules where this process does.
_SCRIPT = """
import pickle, sys
sys.path[:] = pickle.load(sys.stdin.buffer)
from nbnet.core.assistants import assist
assist()
"""


def compile_all(
    functions: Sequence[Function], dtype: np.dtype[Any], symbols: Mapping[Function, str]
) -> Iterator[tuple[Function, bytes]]:
    """Machine code of each function, in the order in which it gets ready; see
    :func:`nbnet.core.compiler.compile_function`."""
    # The longest first: nobody shall wait for it at the end.
    functions = sorted(functions, key=lambda function: -_length(function, dtype, set()))
    todo, ready = deque(functions), SimpleQueue[tuple[Function, bytes | None]]()
    names = [symbols[function] for function in functions]
    threads = []
    for _ in range(_assistants(len(functions))):
        work = functions, dtype, names, todo, ready
        threads.append(threading.Thread(target=_employ, args=work, daemon=True, name="nbnet-assistant"))
        threads[-1].start()
    try:
        with _no_collection():
            for _ in functions:
                function, made = _next(todo, ready)
                # Where an assistant failed, so will this process, and says why; or else it does not.
                yield function, made or compile_function(function, dtype, symbols[function])
    finally:
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


def _assistants(functions: int) -> int:
    """How many assistants it takes."""
    enough = ENOUGH if _somebody_waits() or "numba" not in sys.modules else ENOUGH_WITH_NUMBA
    return min(functions // enough, processors() - 1) if _able() else 0


def _next(todo: deque[Function], ready: SimpleQueue[tuple[Function, bytes | None]]) -> tuple[Function, bytes | None]:
    """What is ready; else a function that nobody compiles yet; else what gets ready next."""
    if ready.empty():
        with suppress(IndexError):
            return todo.popleft(), None
    return ready.get()


def _employ(
    functions: Sequence[Function],
    dtype: np.dtype[Any],
    names: Sequence[str],
    todo: deque[Function],
    ready: SimpleQueue[tuple[Function, bytes | None]],
) -> None:
    """Start an assistant and hand it one function after the other, until there are none or it fails."""
    numbers = {function: number for number, function in enumerate(functions)}
    with suppress(Exception), _process() as (send, receive):
        from numba import cloudpickle

        send(cloudpickle.dumps((functions, dtype.name, names)))  # type: ignore[no-untyped-call]
        while todo:
            function = todo.popleft()
            made = None
            try:
                send(numbers[function])
                made = receive()
            finally:
                ready.put((function, made))
            if made is None:
                return


def call() -> None:
    """Start an assistant before there is much to do: it takes a second to get ready. It waits for a while."""
    if not _somebody_waits() and _able() and processors() > 1:
        with suppress(OSError):
            _waiting.append(_start())


def _somebody_waits() -> bool:
    """Whether an assistant waits that has not lost its patience."""
    return any(assistant.poll() is None for assistant in _waiting)


def _able() -> bool:
    """Whether what runs here is Python, and no program that has it inside."""
    return Path(sys.executable or "").name.lower().startswith(("python", "pypy")) and not hasattr(sys, "frozen")


def _start() -> Assistant:
    pipe = subprocess.PIPE
    alone = os.environ | {"OPENBLAS_NUM_THREADS": "1"}
    made = subprocess.Popen(
        [sys.executable, "-c", _SCRIPT], stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, env=alone
    )
    try:
        assert made.stdin is not None
        pickle.dump(sys.path, made.stdin)
        made.stdin.flush()
    except BaseException:  # it may be over already
        _end(made)
        raise
    return made


def _end(assistant: Assistant) -> None:
    with suppress(OSError), assistant:  # closes pipes, even one with something left that nobody reads, and waits
        assistant.kill()


@atexit.register
def _end_all() -> None:
    while _waiting:
        _end(_waiting.pop())


def _leave_all() -> None:
    """To the process that this one was forked from."""
    for assistant in _waiting:
        assistant.returncode = 0
    _waiting.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_all)


def _take() -> Assistant:
    """One that waits, or else a new one."""
    while True:
        try:
            assistant = _waiting.pop()
        except IndexError:
            return _start()
        if assistant.poll() is None:
            return assistant
        _end(assistant)


@contextmanager
def _process() -> Iterator[tuple[Any, Any]]:
    """A process, to which one can send objects and receive others."""
    assistant = _take()
    to, answers = assistant.stdin, assistant.stdout
    assert to is not None
    assert answers is not None

    def send(thing: Any) -> None:
        pickle.dump(thing, to)
        to.flush()

    try:
        yield send, lambda: pickle.load(answers)
    finally:
        _end(assistant)


def assist() -> None:
    """What an assistant does: it receives functions, then their numbers, and compiles each."""
    import signal

    from numba.core.registry import cpu_target

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who started it ends it
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    unwanted = threading.Timer(PATIENCE, os._exit, (0,))
    unwanted.daemon = True
    unwanted.start()
    # Numba reads its tables of what it can compile, as it would in front of the first function.
    cpu_target.typing_context.refresh()
    cpu_target.target_context.refresh()
    gc.disable()
    functions, dtype, names = pickle.loads(pickle.load(sys.stdin.buffer))
    unwanted.cancel()
    while True:
        try:
            number = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        try:
            made = compile_function(functions[number], np.dtype(dtype), names[number])
        except Exception:
            made = None
        pickle.dump(made, answers)
        answers.flush()


@contextmanager
def _no_collection() -> Iterator[None]:
    """Numba makes millions of small objects that live on: looking through them again and again takes a tenth of its
    time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
