"""Threads that share out work."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Iterable
from contextvars import copy_context
from typing import Any

from nbnet.core.processors import Stopped, go_on, limited, processors

#: Longest wait in seconds for which Ctrl-C may go unheard, where waiting cannot be interrupted.
PATIENCE = 0.2


def workers(n_jobs: int | None, tasks: int) -> tuple[int, int]:
    """How many threads to start, and how many processors each may use.

    Parameters
    ----------
    n_jobs
        None: as many as there are processors for the calling thread; negative numbers count from there, -1 being all.
    tasks
        There are no more threads than these.

    Raises
    ------
    TypeError, ValueError
        If ``n_jobs`` is no such number.

    Examples
    --------
    >>> from nbnet.core.crew import workers
    >>> from nbnet.core.processors import limited
    >>> with limited(1):
    ...     workers(None, 8), workers(3, 2)
    ((1, 1), (2, 1))
    """
    available = processors()
    if n_jobs is not None and (not isinstance(n_jobs, int) or isinstance(n_jobs, bool)):
        raise TypeError(f"n_jobs: wants None or a whole number, got {n_jobs!r}")
    if n_jobs == 0:
        raise ValueError("n_jobs: wants None, a number from 1, or from -1 down; got 0")
    wanted = available if n_jobs is None else n_jobs if n_jobs > 0 else max(1, available + 1 + n_jobs)
    count = max(1, min(wanted, tasks))
    return count, max(1, available // count)


def share_out(
    tasks: Iterable[Callable[[], Any]], threads: int, each: int
) -> Generator[tuple[int, Any, BaseException | None], None, None]:
    """Run tasks in threads; yields number, result and error of each as it ends.

    Whoever leaves the loop early (by Ctrl-C, too) stops what is running: within a tenth of a second, unless the task is
    busy with something else than compiled training.

    Parameters
    ----------
    threads, each
        What :func:`workers` returned.

    Examples
    --------
    >>> from nbnet.core.crew import share_out
    >>> sorted(share_out([lambda: "a", lambda: "b"], threads=2, each=1))
    [(0, 'a', None), (1, 'b', None)]
    """
    waiting, lock, stop = enumerate(tasks), threading.Lock(), threading.Event()
    ended: queue.SimpleQueue[tuple[int, Any, BaseException | None] | None] = queue.SimpleQueue()

    def work() -> None:
        try:
            with limited(each, stop):
                while not stop.is_set():
                    with lock:
                        number, task = next(waiting, (-1, None))
                    if task is None:
                        break
                    try:
                        ended.put((number, task(), None))
                    except Stopped:
                        break
                    except BaseException as error:
                        ended.put((number, None, error))
                    del task
        finally:
            ended.put(None)

    crew = [threading.Thread(target=copy_context().run, args=(work,), daemon=True) for _ in range(threads)]
    started = 0
    try:
        for thread in crew:
            thread.start()
            started += 1
        running = threads
        while running:
            try:
                one = ended.get(timeout=PATIENCE)
            except queue.Empty:
                go_on()  # This may be a thread of another crew.
                continue
            if one is None:
                running -= 1
            else:
                yield one
    finally:
        stop.set()
        for thread in crew[:started]:
            thread.join()
