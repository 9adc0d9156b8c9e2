"""Functions compiled by several processes are those that one would have compiled."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

import numpy as np
import pytest

from nbnet.base import processes
from nbnet.engine.jit import compile_pool, disk_cache, linker
from nbnet.engine.jit.compiler import environment
from nbnet.engine.jit.function import Function, Kernel, KernelError
from nbnet.engine.kernels import executor
from nbnet.engine.kernels.abi import accumulates, device, kernel, vec
from nbnet.engine.kernels.executor import address
from nbnet.engine.kernels.layout import KERNEL, OPERANDS, WIDTH

F32 = np.dtype(np.float32)
pytestmark = pytest.mark.skipif(linker.DISABLE_JIT, reason="tests compiled code")


@device
def twice(v: Any) -> Any:
    return v * 2.0


def scaled(factor: float) -> Kernel:
    """A kernel that nothing but its closure tells apart."""

    def made(mem: Any, ins: Any, step: Any) -> None:
        x, y = vec(mem, ins, 0), vec(mem, ins, 1)
        for i in range(x.size):
            y[i] = (y[i] if accumulates(ins, 1) else 0.0) + twice(x[i]) * factor

    return Kernel(made, "scaled")


@kernel
def guilty(mem: Any, ins: Any, step: Any) -> None:
    if step < 0:
        raise ValueError(step)


def run(function: Function) -> list[float]:
    x, y = np.arange(3, dtype=F32), np.zeros(3, F32)
    row = np.zeros(WIDTH, np.int64)
    row[OPERANDS : OPERANDS + 6] = [address(x), 1, 3, address(y), 1, 3]
    row[KERNEL] = linker.link([function], F32)[0]
    executor.run_row(F32, row, 0)
    return y.tolist()


def compile_in_worker(*functions: Function) -> dict[Function, bytes | None]:
    """Machine code of functions, from one worker."""
    names = [f"nbnet_{key(function)}" for function in functions]
    ready: SimpleQueue[tuple[Function, bytes | None]] = SimpleQueue()
    compile_pool._feed_worker(functions, F32, names, deque(functions), ready)
    return dict(ready.get() for _ in range(ready.qsize()))


def key(function: Function) -> str:
    return hashlib.sha256((environment() + linker.fingerprint(function, F32)).encode()).hexdigest()


def working() -> int:
    return [thread.name for thread in threading.enumerate()].count("nbnet-compile")


def test_a_worker_compiles_to_the_same_code() -> None:
    made = [scaled(0.5), scaled(4.0)]
    for function, machine_code in compile_in_worker(*made).items():
        assert machine_code is not None
        disk_cache.write(function.name, key(function), machine_code)
    run(scaled(2.0))  # with what every kernel needs
    before = linker.compiled_count
    assert [run(function) for function in made] == [[0, 1, 2], [0, 8, 16]]
    assert linker.compiled_count == before


def test_what_a_worker_cannot_compile_is_left_to_this_process() -> None:
    function = scaled(8.0)
    assert compile_in_worker(guilty, function) == {guilty: None}


@pytest.fixture
def many(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker if there are two functions, none of which is on disk."""
    monkeypatch.setattr(disk_cache, "read_all", lambda files: [None] * len(files))
    monkeypatch.setattr(compile_pool, "ENOUGH", 1)
    monkeypatch.setattr(compile_pool, "ENOUGH_WITH_NUMBA", 1)
    monkeypatch.setattr(compile_pool, "processors", lambda: 2)


@pytest.mark.usefixtures("many")
@pytest.mark.parametrize("script", [processes._SCRIPT, "raise SystemExit(3)", "print('no message')"])
def test_all_functions_get_ready(script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "_SCRIPT", script)
    made = [scaled(0.25 + i) for i in range(3)]
    addresses = linker.link(made, F32)
    assert len(set(addresses)) == 3
    assert [run(function)[1] for function in made] == [0.5, 2.5, 4.5]
    assert working() == 0


def test_one_that_dies_at_once_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    started = []

    class Recorded(subprocess.Popen[bytes]):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            started.append(self)

    monkeypatch.setattr(subprocess, "Popen", Recorded)
    monkeypatch.setattr(processes, "_SCRIPT", "raise SystemExit(3)")
    # More than a pipe holds: who sends it waits until somebody reads it, or nobody can any more.
    monkeypatch.setattr(sys, "path", [*sys.path, "/" + "x" * 1_000_000])
    with pytest.raises(OSError):  # noqa: PT011 - of a broken pipe, which not every system calls so
        compile_pool._start()
    (dead,) = started
    assert dead.returncode is not None
    assert dead.stdin is not None
    assert dead.stdin.closed
    assert dead.stdout is not None
    assert dead.stdout.closed


@pytest.mark.usefixtures("many")
def test_an_error_ends_the_workers() -> None:
    with pytest.raises(KernelError, match="guilty"):
        linker.link([guilty, scaled(16.0), scaled(32.0)], F32)
    assert working() == 0


@pytest.mark.usefixtures("many")
def test_leaving_the_loop_ends_the_workers() -> None:
    made = [scaled(64.0), scaled(128.0)]
    compiling = compile_pool.compile_all(made, F32, {f: f"nbnet_{key(f)}" for f in made})
    next(compiling)
    compiling.close()  # type: ignore[attr-defined]
    assert working() == 0


def nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python as it is."""


def one_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compile_pool, "processors", lambda: 1)


def no_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/opt/program/program")


def frozen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "frozen", True, raising=False)


@pytest.mark.usefixtures("many")
@pytest.mark.parametrize(("where", "count"), [(nothing, 1), (one_processor, 0), (no_python, 0), (frozen, 0)])
def test_workers_start_where_they_can(
    where: Callable[[pytest.MonkeyPatch], None], count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    where(monkeypatch)
    assert compile_pool._worker_count(5) == count
    if not count:
        compile_pool.start_early()
        assert not compile_pool._idle


@pytest.mark.usefixtures("many")
def test_a_worker_that_was_started_early_is_used() -> None:
    compile_pool.start_early()
    compile_pool.start_early()
    (early,) = compile_pool._idle
    (made,) = compile_in_worker(scaled(256.0)).values()
    assert made is not None
    assert not compile_pool._idle
    assert early.returncode is not None


@pytest.mark.usefixtures("many")
def test_a_worker_that_has_ended_is_replaced() -> None:
    compile_pool.start_early()
    (gone,) = compile_pool._idle
    gone.kill()
    gone.wait()
    compile_pool.start_early()
    assert len(compile_pool._idle) == 2
    (made,) = compile_in_worker(scaled(512.0)).values()
    assert made is not None
    assert compile_pool._idle == [gone]
    (made,) = compile_in_worker(scaled(1024.0)).values()
    assert made is not None
    assert not compile_pool._idle
