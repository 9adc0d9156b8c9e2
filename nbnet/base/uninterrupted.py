"""Work that no signal handler may interrupt, because it would be half done when the handler asks for the same."""

from __future__ import annotations

import _thread
import atexit
import os
import threading
from collections.abc import Callable

from nbnet.base.cpu import Cancelled, limited, processors

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


def uninterrupted(task: Callable[[], object]) -> None:
    """Run a task where signal handlers do not interrupt it.

    Python runs handlers in the main thread, which may hold locks then, and may be in the middle of anything. So the
    main thread has another one do such work, holds no lock and waits; a handler that interrupts it may have work done
    as well. In any other thread the task runs right away.

    If a handler raises an exception, Ctrl-C does, the main thread stops waiting, and the task is cancelled: see
    :func:`nbnet.base.cpu.check_cancelled`.

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
        # No threading.Thread: its start breaks if a signal handler raises an exception in it.
        _thread.start_new_thread(work, ())
        ended.acquire()
    except BaseException:
        stop.set()
        raise
    if errors:
        raise errors[0]
