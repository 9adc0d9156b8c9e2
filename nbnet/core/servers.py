"""Threads that serve the slices of programs, and wait for more for a while."""

from __future__ import annotations

import operator
import os
import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

#: Seconds without work after which a thread ends. To wake one takes some 30 µs less than to start one, and it wakes
#: where it ran before, not beside whoever asks.
PATIENCE = 1.0

Task = Callable[[], Any]


class Server:
    """A thread that does what it is told, one task after the other."""

    def __init__(self) -> None:
        self._task: Task | None = None
        self._done = threading.Lock()
        self._go = threading.Lock()
        self._go.acquire()
        self.start = self._go.release
        self.thread = threading.Thread(target=self._serve, daemon=True, name="nbnet-slice")
        self.thread.start()

    def tell(self, task: Task | None) -> threading.Lock:
        """What to do after the next ``start()``; None: to leave. The lock is held until it is done."""
        done = threading.Lock()
        done.acquire()
        self._task, self._done = task, done
        return done

    def _serve(self) -> None:
        while True:
            if not self._go.acquire(timeout=PATIENCE):
                with _lock:
                    if self in _idle:
                        _idle.remove(self)
                        return
                continue
            task, done = self._task, self._done
            if task is None:
                return
            task()
            with _lock:
                _idle.append(self)
            done.release()


_lock = threading.Lock()
_idle: list[Server] = []


def serve(call: Callable[..., Any], before: tuple[Any, ...], slices: int, after: tuple[Any, ...]) -> None:
    """``call(*before, t, *after)`` for each of so many slices t at once, the first in the calling thread.

    Slices wait for each other, so none starts unless all threads are there.

    Raises
    ------
    RuntimeError
        If a thread cannot be started; then nothing was called.

    Examples
    --------
    >>> from nbnet.core.servers import serve
    >>> found = []
    >>> serve(lambda name, t: found.append((name, t)), ("a",), 3, ())
    >>> sorted(found)
    [('a', 0), ('a', 1), ('a', 2)]
    """
    if slices == 1:
        call(*before, 0, *after)
        return
    crew: list[Server] = []
    begun: list[bool] = []
    try:
        _gather(crew, slices - 1)
        ends = [server.tell(partial(call, *before, t, *after)) for t, server in enumerate(crew, 1)]
        own = partial(call, *before, 0, *after)
        tasks: list[Task] = [partial(begun.append, True), *(server.start for server in crew), own]
        # One after the other without a chance for Ctrl-C to come between: slices would wait for one that never comes.
        deque(map(operator.call, tasks), 0)
    finally:
        if not begun:
            with _lock:
                _idle.extend(crew)
    for done in ends:
        done.acquire()


def _gather(crew: list[Server], count: int) -> None:
    """Add threads to a crew until there are so many: idle ones, then new ones."""
    with _lock:
        while _idle and len(crew) < count:
            crew.append(_idle.pop())
    while len(crew) < count:
        crew.append(Server())


def dismiss() -> None:
    """Let threads without work end, and wait until they have."""
    with _lock:
        leaving = list(_idle)
        _idle.clear()
    for server in leaving:
        server.tell(None)
        server.start()
        server.thread.join()


def _before_fork() -> None:
    dismiss()
    _lock.acquire()


if hasattr(os, "register_at_fork"):
    # A child has none of the threads, and a parent had better have none either.
    os.register_at_fork(before=_before_fork, after_in_parent=_lock.release, after_in_child=_lock.release)
