"""Worker threads, one for each slice of a program; idle ones wait for more work for a while.

No lock guards the idle ones, for a signal handler may run programs while the code that it interrupts looks for threads.
One call into C adds threads to the list or takes them out, and nothing runs in between.
"""

from __future__ import annotations

import contextlib
import operator
import os
import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from itertools import repeat
from typing import Any
from weakref import ref

from nbnet.base.uninterrupted import uninterrupted

#: Seconds without work after which a thread ends. Waking an idle thread costs less than starting one, and it wakes on
#: the processor where it ran before, not on the caller's (figures: engine/README.md, Slices).
IDLE_TIMEOUT = 1.0

Task = Callable[[], Any]
#: At most one task, None to end the thread, and the lock that is held until it is done.
Inbox = list[tuple[Task | None, threading.Lock]]


class WorkerThread:
    """A thread that runs tasks, one after the other.

    It ends if nobody holds this object any more: an exception may have kept the code that took it from using it.
    """

    def __init__(self) -> None:
        self._inbox: Inbox = []
        go = threading.Lock()
        go.acquire()
        self.start = go.release
        arguments = ref(self), go, self._inbox
        self.thread = threading.Thread(target=_serve, args=arguments, daemon=True, name="nbnet-slice")
        # An exception of a signal handler in the middle of it would break the thread.
        uninterrupted(self.thread.start)

    def assign(self, task: Task | None) -> threading.Lock:
        """Set the task of the next ``start()``; None ends the thread. The lock is held until the task is done."""
        done = threading.Lock()
        done.acquire()
        self._inbox[:] = [(task, done)]
        return done


_idle: list[WorkerThread] = []


def _serve(worker: ref[WorkerThread], go: threading.Lock, inbox: Inbox) -> None:
    wanted = True
    while wanted:
        wanted = _work(worker, *inbox.pop()) if go.acquire(timeout=IDLE_TIMEOUT) else not _leave(worker)


def _work(worker: ref[WorkerThread], task: Task | None, done: threading.Lock) -> bool:
    """Run a task; return True if there may be others."""
    if task is None:
        return False
    task()
    if (known := worker()) is not None:
        _idle.append(known)
    done.release()
    return known is not None


def _leave(worker: ref[WorkerThread]) -> bool:
    """Return True if the thread is to end: it was idle, and is so no longer, or nobody holds it."""
    if (known := worker()) is None:
        return True
    try:
        _idle.remove(known)
    except ValueError:  # Somebody has just taken it.
        return False
    return True


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
        with contextlib.suppress(IndexError):
            workers.extend(map(list.pop, repeat(_idle, slices - 1)))
        while len(workers) < slices - 1:
            workers.append(WorkerThread())
        ends = [worker.assign(partial(call, *before, t, *after)) for t, worker in enumerate(workers, 1)]
        own = partial(call, *before, 0, *after)
        tasks: list[Task] = [partial(begun.append, True), *(worker.start for worker in workers), own]
        # One after the other, with no chance for Ctrl-C in between: slices would wait for one that never comes.
        deque(map(operator.call, tasks), 0)
    finally:
        if not begun:
            _idle.extend(workers)
    for done in ends:
        done.acquire()


def shutdown_idle() -> None:
    """End idle threads, and wait until they have ended."""
    leaving: list[WorkerThread] = []
    with contextlib.suppress(IndexError):
        leaving.extend(map(list.pop, repeat(_idle)))
    for worker in leaving:
        worker.assign(None)
        worker.start()
        worker.thread.join()


if hasattr(os, "register_at_fork"):
    # A child has none of the threads, so the parent ends its own before the fork.
    os.register_at_fork(before=shutdown_idle, after_in_child=_idle.clear)
