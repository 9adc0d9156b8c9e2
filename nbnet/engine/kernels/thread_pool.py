"""Worker threads, one for each slice of a program; idle ones wait for more work for a while."""

from __future__ import annotations

import operator
import os
import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

#: Seconds without work after which a thread ends. Waking an idle thread costs less than starting one, and it wakes on
#: the processor where it ran before, not on the caller's (figures: engine/README.md, Slices).
IDLE_TIMEOUT = 1.0

Task = Callable[[], Any]


class WorkerThread:
    """A thread that runs tasks, one after the other."""

    def __init__(self) -> None:
        self._task: Task | None = None
        self._done = threading.Lock()
        self._go = threading.Lock()
        self._go.acquire()
        self.start = self._go.release
        self.thread = threading.Thread(target=self._serve, daemon=True, name="nbnet-slice")
        self.thread.start()

    def assign(self, task: Task | None) -> threading.Lock:
        """Set the task of the next ``start()``; None ends the thread. The lock is held until the task is done."""
        done = threading.Lock()
        done.acquire()
        self._task, self._done = task, done
        return done

    def _serve(self) -> None:
        while True:
            if not self._go.acquire(timeout=IDLE_TIMEOUT):
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
_idle: list[WorkerThread] = []


def run_parallel(call: Callable[..., Any], before: tuple[Any, ...], slices: int, after: tuple[Any, ...]) -> None:
    """Call ``call(*before, t, *after)`` for each slice t at once, for the first one in the calling thread.

    Slices wait for each other, so none starts unless there is a thread for each.

    Raises
    ------
    RuntimeError
        If a thread cannot be started; then nothing was called.

    Examples
    --------
    >>> from nbnet.engine.kernels.thread_pool import run_parallel
    >>> calls = []
    >>> run_parallel(lambda name, t: calls.append((name, t)), ("a",), 3, ())
    >>> sorted(calls)
    [('a', 0), ('a', 1), ('a', 2)]
    """
    if slices == 1:
        call(*before, 0, *after)
        return
    workers: list[WorkerThread] = []
    begun: list[bool] = []
    try:
        with _lock:
            while _idle and len(workers) < slices - 1:
                workers.append(_idle.pop())
        while len(workers) < slices - 1:
            workers.append(WorkerThread())
        ends = [worker.assign(partial(call, *before, t, *after)) for t, worker in enumerate(workers, 1)]
        own = partial(call, *before, 0, *after)
        tasks: list[Task] = [partial(begun.append, True), *(worker.start for worker in workers), own]
        # One after the other, with no chance for Ctrl-C in between: slices would wait for one that never comes.
        deque(map(operator.call, tasks), 0)
    finally:
        if not begun:
            with _lock:
                _idle.extend(workers)
    for done in ends:
        done.acquire()


def shutdown_idle() -> None:
    """End idle threads, and wait until they have ended."""
    with _lock:
        leaving = list(_idle)
        _idle.clear()
    for worker in leaving:
        worker.assign(None)
        worker.start()
        worker.thread.join()


def _before_fork() -> None:
    shutdown_idle()
    _lock.acquire()


if hasattr(os, "register_at_fork"):
    # A child has none of the threads, so the parent ends its own before the fork.
    os.register_at_fork(before=_before_fork, after_in_parent=_lock.release, after_in_child=_lock.release)
