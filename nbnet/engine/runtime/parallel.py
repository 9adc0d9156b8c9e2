"""Run independent tasks, each a training of its own, on several threads."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Iterable
from contextvars import copy_context
from typing import Any

from nbnet.base.cpu import Cancelled, check_cancelled, limited, processors

#: Longest delay of Ctrl-C in seconds, on systems where waiting cannot be interrupted.
POLL_INTERVAL = 0.2


def resolve_n_jobs(n_jobs: int | None, tasks: int) -> tuple[int, int]:
    """Number of threads to start, at most one for each of the tasks, and number of processors that each may use.

    With ``n_jobs=None`` it is one for each processor of the calling thread; negative numbers count back from there, -1
    being all.

    Raises
    ------
    TypeError, ValueError
        If ``n_jobs`` is anything else.

    Examples
    --------
    >>> from nbnet.engine.runtime.parallel import resolve_n_jobs
    >>> from nbnet.base.cpu import limited
    >>> with limited(1):
    ...     resolve_n_jobs(None, 8), resolve_n_jobs(3, 2)
    ((1, 1), (2, 1))
    """
    available = processors()
    if n_jobs is not None and (not isinstance(n_jobs, int) or isinstance(n_jobs, bool)):
        raise TypeError(f"n_jobs: expected None or a whole number, got {n_jobs!r}")
    if n_jobs == 0:
        raise ValueError("n_jobs: expected None or a nonzero integer, got 0")
    wanted = available if n_jobs is None else n_jobs if n_jobs > 0 else max(1, available + 1 + n_jobs)
    count = max(1, min(wanted, tasks))
    return count, max(1, available // count)


def run_tasks(
    tasks: Iterable[Callable[[], Any]], threads: int, each: int
) -> Generator[tuple[int, Any, BaseException | None], None, None]:
    """Run tasks in threads; yields number, result and error of each as it ends.

    ``threads`` and ``each`` are from :func:`resolve_n_jobs`. Leaving the loop early (also by Ctrl-C) stops running
    tasks: within a tenth of a second if they are in compiled training.

    Examples
    --------
    >>> from nbnet.engine.runtime.parallel import run_tasks
    >>> sorted(run_tasks([lambda: "a", lambda: "b"], threads=2, each=1))
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
                    except Cancelled:
                        break
                    except BaseException as error:
                        ended.put((number, None, error))
                    del task
        finally:
            ended.put(None)

    workers = [threading.Thread(target=copy_context().run, args=(work,), daemon=True) for _ in range(threads)]
    started = 0
    try:
        for thread in workers:
            thread.start()
            started += 1
        running = threads
        while running:
            try:
                one = ended.get(timeout=POLL_INTERVAL)
            except queue.Empty:
                check_cancelled()  # This thread may itself be a worker.
                continue
            if one is None:
                running -= 1
            else:
                yield one
    finally:
        stop.set()
        for thread in workers[:started]:
            thread.join()
