"""Work that no signal handler may interrupt, because it would be half done when the handler asks for the same, and
locks that a fork must not find held by a thread that the child does not have.
"""

from __future__ import annotations

import _thread
import atexit
import operator
import os
import signal
import sys
import threading
from collections.abc import Callable
from contextvars import copy_context
from functools import wraps
from itertools import islice, repeat
from typing import ParamSpec, Protocol, TypeVar

from nbnet.base.cpu import Cancelled, limited, processors

T = TypeVar("T")
P = ParamSpec("P")

#: Signals that a program may handle.
SIGNALS = tuple(signal.valid_signals())
#: Returns the handler of a signal: a function, or else a number or None. Python's wrapper makes an enum of the number.
handler_of: Callable[[int], object] = getattr(sys.modules.get("_signal", signal), "getsignal", signal.getsignal)
#: Held by work that has not ended, even if nobody waits for it any more.
_unfinished: dict[int, threading.Lock] = {}


@atexit.register
def _wait_for_all() -> None:
    """The interpreter must not end while compiled code of others is at work."""
    for ended in list(_unfinished.values()):
        ended.acquire()


if hasattr(os, "register_at_fork"):
    # A child has none of the threads.
    os.register_at_fork(after_in_child=_unfinished.clear)


def _start(work: Callable[[], None], ended: threading.Lock) -> None:
    """Start a thread. No threading.Thread: its start breaks if a signal handler raises an exception in it."""
    try:
        _thread.start_new_thread(work, ())
    except RuntimeError as error:
        if "start new thread" in str(error):  # There is none to wait for.
            _unfinished.pop(id(ended), None)
        raise


def uninterrupted(task: Callable[[], object], wait: bool = False) -> None:
    """Run a task where signal handlers do not interrupt it.

    Python runs handlers in the main thread, which may hold locks then, and may be in the middle of anything. So the
    main thread has another one do such work, holds no lock and waits; a handler that interrupts it may have work done
    as well. In any other thread the task runs right away.

    If a handler raises an exception, Ctrl-C does, the main thread stops waiting, and the task is cancelled: see
    :func:`nbnet.base.cpu.check_cancelled`. With ``wait`` it first waits for the end of a task that must not go on
    meanwhile, unless a second exception comes.

    Examples
    --------
    >>> from nbnet.base.uninterrupted import uninterrupted
    >>> done = []
    >>> uninterrupted(lambda: done.append(1))
    >>> done
    [1]
    """
    if threading.current_thread() is not threading.main_thread():
        task()
        return
    ended, stop, errors, share = threading.Lock(), threading.Event(), list[BaseException](), processors()

    def work() -> None:
        try:
            with limited(share, stop):
                task()
        except Cancelled:
            pass
        except BaseException as error:
            errors.append(error)
        finally:
            _unfinished.pop(id(ended), None)
            ended.release()

    ended.acquire()
    _unfinished[id(ended)] = ended
    try:
        _start(work, ended)
        ended.acquire()
    except BaseException:
        stop.set()
        if wait and id(ended) in _unfinished:
            ended.acquire()
        raise
    if errors:
        raise errors[0]


def _has_handlers() -> bool:
    """Return True if a signal can run code of the program; Ctrl-C's own handler only raises an exception."""
    found = set(filter(callable, map(handler_of, SIGNALS)))
    return not found <= {signal.default_int_handler}


def apart_from_handlers(task: Callable[[], T]) -> T:
    """Return the result of a task that changes what this thread does, as recording operations or loading a file does.

    A signal handler that interrupts it would be recorded as well, or meet the budget and the names of the file; and
    the task might take an exception of the handler for one of its own. So if the program has handlers, another thread
    does it: see :func:`uninterrupted`.

    Examples
    --------
    >>> from nbnet.base.uninterrupted import apart_from_handlers
    >>> apart_from_handlers(lambda: 1 + 1)
    2
    """
    if threading.current_thread() is not threading.main_thread() or not _has_handlers():
        return task()
    context, results = copy_context(), list[T]()
    uninterrupted(lambda: results.append(context.run(task)), wait=True)
    return results[0]


def apart(function: Callable[P, T]) -> Callable[P, T]:
    """Have all of a function done by :func:`apart_from_handlers`.

    Examples
    --------
    >>> from nbnet.base.uninterrupted import apart
    >>> apart(divmod)(7, 2)
    (3, 1)
    """

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        return apart_from_handlers(lambda: function(*args, **kwargs))

    return run


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
    >>> from nbnet.base.uninterrupted import hold_over_forks
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
