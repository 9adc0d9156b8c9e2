"""Threads that serve slices: who comes again, who leaves, and what a fork finds."""

from __future__ import annotations

import os
import threading
import time
import warnings

import pytest

from nbnet.engine.kernels import thread_pool
from nbnet.engine.kernels.thread_pool import run_parallel, shutdown_idle


def serving() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "nbnet-slice"]


def meet(count: int) -> list[tuple[int, threading.Thread]]:
    """Run slices that wait for each other; return their numbers and threads."""
    gate, seen = threading.Barrier(count), list[tuple[int, threading.Thread]]()

    def work(t: int) -> None:
        gate.wait(30)
        seen.append((t, threading.current_thread()))

    run_parallel(work, (), count, ())
    return sorted(seen, key=lambda found: found[0])


@pytest.mark.parametrize("slices", [1, 2, 5])
def test_slices_run_at_once(slices: int) -> None:
    shutdown_idle()
    found = meet(slices)
    assert [t for t, _ in found] == list(range(slices))
    assert found[0][1] is threading.current_thread()
    assert len(serving()) == slices - 1


def test_threads_come_again() -> None:
    shutdown_idle()
    first, second = meet(3), meet(2)
    assert second[1][1] in [thread for _, thread in first]
    assert len(serving()) == 2


def test_threads_without_work_end(monkeypatch: pytest.MonkeyPatch) -> None:
    shutdown_idle()
    monkeypatch.setattr(thread_pool, "IDLE_TIMEOUT", 0.02)
    meet(3)
    deadline = time.monotonic() + 10
    while serving() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not serving()
    assert len(meet(2)) == 2


def test_work_in_several_threads() -> None:
    """Nobody waits for threads that serve someone else."""
    together, found = threading.Barrier(3), list[int]()

    def work() -> None:
        together.wait(30)
        found.extend(len(meet(4)) for _ in range(20))

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert found == [4] * 60


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_a_fork_finds_no_threads() -> None:
    meet(4)
    assert serving()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # newer Pythons count the threads of BLAS
        child = os.fork()
    if child == 0:
        code = 1
        try:
            code = 0 if not serving() and len(meet(3)) == 3 else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert not serving()
    assert len(meet(3)) == 3
