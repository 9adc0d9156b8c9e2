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

from nbnet.core import assistants, cache, executor, jit
from nbnet.core.abi import accumulates, device, kernel, vec
from nbnet.core.arena import address
from nbnet.core.compiler import environment
from nbnet.core.function import Function, Kernel, KernelError
from nbnet.core.layout import KERNEL, OPERANDS, WIDTH

F32 = np.dtype(np.float32)
pytestmark = pytest.mark.skipif(jit.DISABLE_JIT, reason="tests compiled code")


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
    row[KERNEL] = jit.link([function], F32)[0]
    executor.run_row(F32, row, 0)
    return y.tolist()


def employ(*functions: Function) -> dict[Function, bytes | None]:
    """What one assistant makes of functions."""
    names = [f"nbnet_{key(function)}" for function in functions]
    ready: SimpleQueue[tuple[Function, bytes | None]] = SimpleQueue()
    assistants._employ(functions, F32, names, deque(functions), ready)
    return dict(ready.get() for _ in range(ready.qsize()))


def key(function: Function) -> str:
    return hashlib.sha256((environment() + jit.fingerprint(function, F32)).encode()).hexdigest()


def working() -> int:
    return [thread.name for thread in threading.enumerate()].count("nbnet-assistant")


def test_an_assistant_compiles_what_this_process_would_have() -> None:
    made = [scaled(0.5), scaled(4.0)]
    for function, machine_code in employ(*made).items():
        assert machine_code is not None
        cache.write(function.name, key(function), machine_code)
    run(scaled(2.0))  # with what every kernel needs
    before = jit.compiled_count
    assert [run(function) for function in made] == [[0, 1, 2], [0, 8, 16]]
    assert jit.compiled_count == before


def test_what_an_assistant_cannot_compile_is_left_to_this_process() -> None:
    function = scaled(8.0)
    assert employ(guilty, function) == {guilty: None}


@pytest.fixture
def many(monkeypatch: pytest.MonkeyPatch) -> None:
    """An assistant if there are two functions, none of which the disk has."""
    monkeypatch.setattr(cache, "read", lambda name, key: None)
    monkeypatch.setattr(assistants, "ENOUGH", 1)
    monkeypatch.setattr(assistants, "ENOUGH_WITH_NUMBA", 1)
    monkeypatch.setattr(assistants, "processors", lambda: 2)


@pytest.mark.usefixtures("many")
@pytest.mark.parametrize("script", [assistants._SCRIPT, "raise SystemExit(3)", "print('no pickle')"])
def test_all_functions_get_ready(script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assistants, "_SCRIPT", script)
    made = [scaled(0.25 + i) for i in range(3)]
    addresses = jit.link(made, F32)
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
    monkeypatch.setattr(assistants, "_SCRIPT", "raise SystemExit(3)")
    # More than a pipe holds: who sends it waits until somebody reads it, or nobody can any more.
    monkeypatch.setattr(sys, "path", [*sys.path, "/" + "x" * 1_000_000])
    with pytest.raises(OSError):  # noqa: PT011 - of a broken pipe, which not every system calls so
        assistants._start()
    (dead,) = started
    assert dead.returncode is not None
    assert dead.stdin is not None
    assert dead.stdin.closed
    assert dead.stdout is not None
    assert dead.stdout.closed


@pytest.mark.usefixtures("many")
def test_an_error_ends_the_assistants() -> None:
    with pytest.raises(KernelError, match="guilty"):
        jit.link([guilty, scaled(16.0), scaled(32.0)], F32)
    assert working() == 0


@pytest.mark.usefixtures("many")
def test_who_stops_waiting_ends_the_assistants() -> None:
    made = [scaled(64.0), scaled(128.0)]
    compiling = assistants.compile_all(made, F32, {f: f"nbnet_{key(f)}" for f in made})
    next(compiling)
    compiling.close()  # type: ignore[attr-defined]
    assert working() == 0


def nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python as it is."""


def one_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assistants, "processors", lambda: 1)


def no_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/opt/program/program")


def frozen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "frozen", True, raising=False)


@pytest.mark.usefixtures("many")
@pytest.mark.parametrize(("where", "count"), [(nothing, 1), (one_processor, 0), (no_python, 0), (frozen, 0)])
def test_assistants_start_where_they_can(
    where: Callable[[pytest.MonkeyPatch], None], count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    where(monkeypatch)
    assert assistants._assistants(5) == count
    if not count:
        assistants.call()
        assert not assistants._waiting


@pytest.mark.usefixtures("many")
def test_one_that_was_called_early_is_employed() -> None:
    assistants.call()
    assistants.call()
    (early,) = assistants._waiting
    (made,) = employ(scaled(256.0)).values()
    assert made is not None
    assert not assistants._waiting
    assert early.returncode is not None


@pytest.mark.usefixtures("many")
def test_another_is_employed_in_place_of_one_that_has_lost_its_patience() -> None:
    assistants.call()
    (gone,) = assistants._waiting
    gone.kill()
    gone.wait()
    assistants.call()
    assert len(assistants._waiting) == 2
    (made,) = employ(scaled(512.0)).values()
    assert made is not None
    assert assistants._waiting == [gone]
    (made,) = employ(scaled(1024.0)).values()
    assert made is not None
    assert not assistants._waiting
