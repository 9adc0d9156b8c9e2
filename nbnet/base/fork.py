"""Locks that a fork must not find held by a thread that the child does not have."""

from __future__ import annotations

import operator
import os
from itertools import islice, repeat
from typing import Protocol


class Lock(Protocol):
    """A lock that its holder may take again."""

    def acquire(self) -> bool: ...
    def release(self) -> None: ...


def hold_over_forks(lock: Lock) -> None:
    """Have each fork take a lock before, and free it after, in the parent and in the child.

    A fork takes locks from the last registered to the first. An exception of a signal handler, such as Ctrl-C, does not
    end the wait for the lock: Python would fork without it. It is raised when the lock is held, and Python reports it.

    Examples
    --------
    >>> import threading
    >>> from nbnet.base.fork import hold_over_forks
    >>> hold_over_forks(threading.RLock())
    """

    def take() -> None:
        taken: list[bool] = []
        acquired = map(operator.call, repeat(lock.acquire))
        interrupted: BaseException | None = None
        while not taken:
            try:
                taken.extend(islice(acquired, 1))  # One call into C: the lock is taken and counted, or neither.
            except BaseException as error:
                interrupted = error
        if interrupted is not None:
            raise interrupted

    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=take, after_in_parent=lock.release, after_in_child=lock.release)
