"""How many threads work may take, and how it is shared out and stopped."""

from __future__ import annotations

import os
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from nbnet.base import cpu as module
from nbnet.base.cpu import Cancelled, available_processors, check_cancelled, limit, limited, processors
from nbnet.engine.runtime.parallel import resolve_n_jobs, run_tasks


@pytest.fixture(autouse=True)
def four(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with four processors, where nobody has set anything."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1, 2, 3}, raising=False)
    monkeypatch.setattr(module, "_quota", lambda: 1000)
    for name in ("NBNET_NUM_THREADS", "OMP_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("nbnet", "openmp", "expected"),
    [
        (None, None, 4),
        ("2", None, 2),
        ("9", None, 4),
        ("0", None, 1),
        ("many", None, 4),
        (None, "1", 1),
        (None, "3", 3),
        (None, "2,1", 4),
        ("3", "1", 3),
    ],
)
def test_the_environment(nbnet: str | None, openmp: str | None, expected: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"NBNET_NUM_THREADS": nbnet, "OMP_NUM_THREADS": openmp}.items():
        if value is not None:
            monkeypatch.setenv(name, value)
    assert processors() == expected


def test_a_limit_is_of_a_thread() -> None:
    found = []
    with limited(2):
        with limited(3):
            assert (processors(), limit()) == (2, 2)
        with limited(1):
            assert processors() == 1
        thread = threading.Thread(target=lambda: found.append((processors(), limit())))
        thread.start()
        thread.join()
    assert found == [(4, None)]
    assert limit() is None


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, 4),
        ({"cpu.max": "max 100000\n"}, 4),
        ({"cpu.max": "200000 100000\n"}, 2),
        ({"cpu.max": "150000 100000\n"}, 2),
        ({"cpu.max": "50000 100000\n"}, 1),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, 4),
        ({"cpu/cpu.cfs_quota_us": "300000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 3),
        ({"cpu.max": "what\n"}, 4),
    ],
)
def test_the_share_of_a_container(
    files: dict[str, str], expected: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1, 2, 3}, raising=False)
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(module, "CONTROL_GROUPS", tmp_path)
    module._quota.cache_clear()
    try:
        assert available_processors() == expected
    finally:
        module._quota.cache_clear()


@pytest.mark.parametrize(("backend", "expected"), [("threading", 1), ("sequential", 4)])
def test_workers_of_joblib(backend: str, expected: int) -> None:
    joblib = pytest.importorskip("joblib", reason="joblib comes with scikit-learn")
    assert joblib.Parallel(2, backend=backend)(joblib.delayed(processors)() for _ in range(3)) == [expected] * 3
    assert processors() == 4


def test_stop() -> None:
    stop = threading.Event()
    with limited(1, stop):
        check_cancelled()
        stop.set()
        with limited(1), pytest.raises(Cancelled):
            check_cancelled()
    check_cancelled()


# ---- tasks on threads -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("n_jobs", "tasks", "expected"),
    [
        (None, 8, (4, 1)),
        (None, 1, (1, 4)),
        (None, 2, (2, 2)),
        (None, 3, (3, 1)),
        (-1, 8, (4, 1)),
        (-2, 8, (3, 1)),
        (-9, 8, (1, 4)),
        (2, 8, (2, 2)),
        (8, 9, (8, 1)),
        (2, 0, (1, 4)),
    ],
)
def test_workers(n_jobs: int | None, tasks: int, expected: tuple[int, int]) -> None:
    assert resolve_n_jobs(n_jobs, tasks) == expected


@pytest.mark.parametrize(("n_jobs", "error"), [(0, ValueError), (1.5, TypeError), (True, TypeError), ("2", TypeError)])
def test_workers_that_are_none(n_jobs: object, error: type[Exception]) -> None:
    with pytest.raises(error, match=f"n_jobs: expected .*got {n_jobs!r}"):
        resolve_n_jobs(n_jobs, 3)  # type: ignore[arg-type]


def test_each_task_is_done_once() -> None:
    began: list[int] = []

    def task(number: int) -> int:
        began.append(number)
        if number % 7 == 3:
            raise ValueError(number)
        return number**2

    found = list(run_tasks([lambda k=k: task(k) for k in range(40)], 3, 2))  # type: ignore[misc]
    assert sorted(began) == list(range(40))
    for number, result, error in sorted(found, key=lambda one: one[0]):
        if number % 7 == 3:
            assert isinstance(error, ValueError)
        else:
            assert (result, error) == (number**2, None)
    assert [number for number, _, _ in run_tasks([], 2, 1)] == []
    assert {limit for _, limit, _ in run_tasks([processors] * 8, 2, 2)} == {2}


def test_nested_tasks_stop_with_the_outer_ones() -> None:
    ended = []

    def endless() -> None:
        try:
            while True:
                time.sleep(0.005)
                check_cancelled()
        finally:
            ended.append(True)

    def inner() -> None:
        list(run_tasks([endless, endless], 2, 1))

    with closing(run_tasks([lambda: None, inner], 2, 1)) as tasks:
        next(tasks)
        time.sleep(0.05)
    assert len(ended) == 2


def test_whoever_leaves_stops_the_rest() -> None:
    ended = []

    def endless() -> None:
        try:
            while True:
                time.sleep(0.005)
                check_cancelled()
        finally:
            ended.append(True)

    before = threading.active_count()
    with closing(run_tasks([lambda: None, endless, endless, endless], 3, 1)) as tasks:
        assert next(tasks)[0] == 0
        time.sleep(0.05)
    assert len(ended) == 3
    assert threading.active_count() == before
