"""Phases, slices and their meetings; what the executor leaves behind."""

from __future__ import annotations

import os
import platform
import threading
import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbnet.engine.graph.tensor import Call, Tensor
from nbnet.engine.jit import linker
from nbnet.engine.kernels import executor
from nbnet.engine.kernels.abi import attribute, intvec, kernel, vec
from nbnet.engine.kernels.executor import RowRunner
from nbnet.engine.kernels.layout import EVERY, KERNEL, OPERANDS
from nbnet.engine.kernels.thread_pool import shutdown_idle
from nbnet.engine.runtime.program import Linked, lower
from tests.engine.processes import python
from tests.engine.toys import F32, F64, Array, compiled_only, run

x86 = pytest.mark.skipif(platform.machine().lower() not in ("x86_64", "amd64"), reason="only x86 flushes")
forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
CELLS = 24


@kernel
def blend(mem: Any, ins: Any, step: Any) -> None:
    """Cells ``attribute 0 ... attribute 1`` of b from their neighbours in a: late or early neighbours would be noticed.

    A slice dawdles for ``attribute 2`` rounds first.
    """
    a, b, waste = intvec(mem, ins, 0), intvec(mem, ins, 1), vec(mem, ins, 2)
    for k in range(attribute(ins, 2)):
        waste[0] = waste[0] * 0.5 + k
    n = a.size
    for i in range(attribute(ins, 0), attribute(ins, 1)):
        left, right = a[i - 1 if i > 0 else n - 1], a[i + 1 if i + 1 < n else 0]
        b[i] = (3 * a[i] + 5 * left + 7 * right + step + i) % 1000003


def blended(a: Array, step: int) -> Array:
    return (3 * a + 5 * np.roll(a, 1) + 7 * np.roll(a, -1) + step + np.arange(a.size)) % 1000003


def cells() -> Tensor:
    return Tensor((CELLS,), np.int64, np.zeros(CELLS, np.int64))


def relay(slices: int, phases: int, dawdle: int) -> tuple[Linked, list[Tensor]]:
    """A program that carries cells through a ring of buffers, each phase from one to the next."""
    ring = [cells() for _ in range(phases)]
    waste = [Tensor((8,), F64, np.zeros(8)) for _ in range(slices)]
    bounds = [CELLS * t // slices for t in range(slices + 1)]
    plan = []
    for p in range(phases):
        plan.append([])
        for t in range(slices):
            operands = (ring[p - 1], ring[p], waste[t])
            late = dawdle * ((t * 7 + p) % 3)
            plan[-1].append([Call(blend, operands, (1, 2), 4, 0, (bounds[t], bounds[t + 1], late), "blend", F64)])
    return Linked(lower(plan, [0] * slices, F64)), ring


def expected(phases: int, steps: int, first: int) -> Array:
    a = np.zeros(CELLS, np.int64)
    for step in range(first, first + steps):
        for _ in range(phases):
            a = blended(a, step)
    return a


@pytest.mark.parametrize("phases", [2, 3])
@pytest.mark.parametrize("slices", [1, 2, 4, 8])
def test_slices_meet_between_phases(slices: int, phases: int) -> None:
    steps = 20 if linker.DISABLE_JIT else 300
    linked, ring = relay(slices, phases, 0 if linker.DISABLE_JIT else 300)
    linked.run(steps, 5)
    np.testing.assert_array_equal(ring[-1].numpy(), expected(phases, steps, 5))


@given(st.lists(st.integers(1, 5), min_size=1, max_size=4), st.sampled_from([1, 2, 3]), st.integers(1, 3))
@settings(max_examples=10)
def test_runs_go_on_where_the_last_one_ended(lengths: list[int], slices: int, phases: int) -> None:
    linked, ring = relay(slices, max(phases, 2), 0)
    step = 0
    for n in lengths:
        linked.run(n, step)
        step += n
    np.testing.assert_array_equal(ring[-1].numpy(), expected(max(phases, 2), step, 0))


def test_no_steps() -> None:
    linked, ring = relay(2, 2, 0)
    linked.run(0, 0)
    assert not ring[-1].numpy().any()


def test_slices_without_rows_wait_too() -> None:
    a, b, waste = cells(), cells(), Tensor((8,), F64, np.zeros(8))
    there = Call(blend, (a, b, waste), (1, 2), 4, 0, (0, CELLS, 0), "blend", F64)
    back = Call(blend, (b, a, waste), (1, 2), 4, 0, (0, CELLS, 0), "blend", F64)
    linked = Linked(lower([[[there], [], []], [[], [], [back]]], [0, 1, 2], F64))
    linked.run(50, 0)
    np.testing.assert_array_equal(a.numpy(), expected(2, 50, 0))


@kernel
def note(mem: Any, ins: Any, step: Any) -> None:
    """Append the step to a list: cell 0 counts."""
    seen = vec(mem, ins, 0)
    seen[0] += 1.0
    seen[np.int64(seen[0])] = step


@pytest.mark.parametrize(
    ("every", "steps", "first", "turns"),
    [(1, 4, 2, [2, 3, 4, 5]), (2, 6, 0, [0, 1, 2]), (3, 7, 0, [0, 1]), (3, 4, 2, [0, 1]), (4, 3, 0, [])],
)
def test_rows_with_turns(every: int, steps: int, first: int, turns: list[int]) -> None:
    seen = Tensor((16,), F64, np.zeros(16))
    linked = Linked(lower([[[Call(note, (seen,), (0,), 1, 0, (), "note", F64, every=every)]]], [0], F64))
    assert linked.rows[0, EVERY] == every
    linked.run(steps, first)
    assert seen.numpy()[0] == len(turns)
    assert seen.numpy()[1 : 1 + len(turns)].tolist() == turns


def test_rows_are_run_in_order() -> None:
    seen = Tensor((16,), F64, np.zeros(16))
    calls = [Call(note, (seen,), (0,), 1, 0, (), "note", F64) for _ in range(3)]
    linked = Linked(lower([[calls[:2]], [calls[2:]]], [0], F64))
    linked.run(2, 7)
    assert seen.numpy()[:7].tolist() == [6, 7, 7, 7, 8, 8, 8]


def test_a_row_may_be_pointed_elsewhere() -> None:
    seen, other = Tensor((8,), F64, np.zeros(8)), np.zeros(8)
    linked = Linked(lower([[[Call(note, (seen,), (0,), 1, 0, (), "note", F64)]]], [0], F64))
    linked.rows[0, OPERANDS] = other.ctypes.data - linked.mem
    linked.run(1, 3)
    assert other[:2].tolist() == [1, 3]
    assert not seen.numpy().any()


# ---- threads -----------------------------------------------------------------------------------------------------


@compiled_only
@pytest.mark.parametrize("slices", [1, 2])
def test_the_interpreter_is_free_meanwhile(slices: int) -> None:
    linked, _ = relay(slices, 2, 0)
    linked.run(1, 0)
    ticks, stop = [], threading.Event()

    def tick() -> None:
        while not stop.wait(0.002):
            ticks.append(time.perf_counter())

    thread = threading.Thread(target=tick)
    thread.start()
    began, ended, steps = 0.0, 0.0, 50
    try:
        # However busy the machine is, the last call lasts long enough.
        while ended - began < 0.3:
            steps *= 2
            began = time.perf_counter()
            linked.run(steps, 0)
            ended = time.perf_counter()
    finally:
        stop.set()
        thread.join()
    assert sum(began < t < ended for t in ticks) >= 10


def test_programs_run_in_several_threads() -> None:
    made = [relay(slices, 2, 0) for slices in (1, 2, 1, 2)]
    steps = 5 if linker.DISABLE_JIT else 2000
    threads = [threading.Thread(target=linked.run, args=(steps, 0)) for linked, _ in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for _, ring in made:
        np.testing.assert_array_equal(ring[-1].numpy(), expected(2, steps, 0))


@compiled_only
def test_no_slice_starts_when_a_thread_cannot(monkeypatch: pytest.MonkeyPatch) -> None:
    linked, ring = relay(4, 2, 0)
    shutdown_idle()
    start, started = threading.Thread.start, []

    def fails(self: threading.Thread) -> None:
        if len(started) == 2:
            raise RuntimeError("can't start new thread")
        started.append(self)
        start(self)

    monkeypatch.setattr(threading.Thread, "start", fails)
    with pytest.raises(RuntimeError, match="can't start"):
        linked.run(3, 0)
    shutdown_idle()
    assert not any(thread.is_alive() for thread in started)
    assert not ring[-1].numpy().any()
    monkeypatch.undo()
    linked.run(3, 0)
    np.testing.assert_array_equal(ring[-1].numpy(), expected(2, 3, 0))


# ---- denormals ---------------------------------------------------------------------------------------------------


@kernel
def halve_and_grow(mem: Any, ins: Any, step: Any) -> None:
    """y = x / 2; z = 1e10 x"""
    x, y, z = vec(mem, ins, 0), vec(mem, ins, 1), vec(mem, ins, 2)
    for i in range(x.size):
        y[i] = x[i] * 0.5
        z[i] = x[i] * 1e10


def denormals_exist() -> bool:
    return bool(np.float32(1.5e-38) * np.float32(0.5) != 0) and bool(np.float64(3e-308) * np.float64(0.5) != 0)


@compiled_only
@x86
@pytest.mark.parametrize(("dtype", "smallest"), [(F32, 1.5e-38), (F64, 3e-308)])
def test_denormals_are_zero_inside_and_restored_after(dtype: Any, smallest: float) -> None:
    assert denormals_exist()
    x = np.full(33, smallest, dtype)
    x[1] = x[0] * dtype.type(0.25)
    assert x[1] != 0
    y, z = np.ones(33, dtype), np.ones(33, dtype)
    run(halve_and_grow, x, y, z)
    assert not y.any()  # results
    assert z[1] == 0  # operands
    assert z[0] == pytest.approx(smallest * 1e10)
    assert denormals_exist()


@compiled_only
@x86
def test_denormals_are_restored_after_slices_and_in_every_thread() -> None:
    linked, _ = relay(2, 2, 0)
    linked.run(5, 0)
    assert denormals_exist()
    found = []

    def other() -> None:
        linked.run(5, 0)
        found.append(denormals_exist())

    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    assert found == [True]


@compiled_only
@x86
def test_denormals_are_flushed_in_every_slice() -> None:
    x = Tensor((8,), F32, np.full(8, 1.5e-38, F32))
    out = [[Tensor((8,), F32, np.ones(8, F32)) for _ in range(2)] for _ in range(4)]
    calls = [[Call(halve_and_grow, (x, y, z), (1, 2), 0, 0, (), "halve", F32)] for y, z in out]
    Linked(lower([calls], [0] * 4, F32)).run(1, 0)
    assert not any(y.numpy().any() for y, _ in out)


# ---- forks -------------------------------------------------------------------------------------------------------

FORK = """
    import os, sys, threading, warnings
    import numpy as np
    import nbnet as nb
    from nbnet.engine.jit import linker as jit
    from nbnet.engine.kernels.abi import attribute, kernel, vec
    from nbnet.engine.graph.tensor import Call, Tensor
    from nbnet.engine.runtime.program import Linked, lower

    warnings.simplefilter("ignore")  # newer Pythons warn of forks beside threads

    @kernel
    def add(mem, ins, step):
        a, b = vec(mem, ins, 0), vec(mem, ins, 1)
        b[attribute(ins, 0)] = a[1 - attribute(ins, 0)] + 1.0

    @kernel
    def late(mem, ins, step):
        vec(mem, ins, 0)[0] = 1.0

    def work():
        a, b = (Tensor((2,), "float64", np.zeros(2)) for _ in range(2))
        def phase(x, y):
            return [[Call(add, (x, y), (1,), 2, 0, (t,), "add", x.dtype)] for t in range(2)]

        Linked(lower([phase(a, b), phase(b, a)], [0, 1], a.dtype)).run(100, 0)
        return a.numpy().tolist()

    def train():
        nb.set_random_seed(0)
        model = nb.Sequential([nb.Input((4,)), nb.layers.Dense(8, "relu"), nb.layers.Dropout(0.5), nb.layers.Dense(1)])
        model.compile("sgd", "mse")
        x = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
        return model.fit(x, x[:, :1], epochs=2, verbose=0).history["loss"]

    def in_child(f):
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                os.write(writing, repr(f()).encode())
            finally:
                os._exit(0)
        os.close(writing)
        with os.fdopen(reading) as stream:
            said = stream.read()
        os.waitpid(child, 0)
        return said
"""


@compiled_only
@forks
def test_a_fork_in_the_middle_of_life() -> None:
    script = (
        FORK
        + """
    before = work(), train()
    assert before[0] == [200.0, 200.0], before
    assert in_child(lambda: (work(), train())) == repr(before)
    assert in_child(lambda: in_child(lambda: (work(), train()))) == repr(repr(before))
    assert (work(), train()) == before
    print("well")
    """
    )
    assert python(script) == "well"


@compiled_only
@forks
def test_a_fork_while_another_thread_compiles() -> None:
    script = (
        FORK
        + """
    compiling, compile_, forked = threading.Event(), jit._load, threading.Event()

    def slowly(*args):
        compiling.set()
        forked.wait(1.0)  # the fork comes now, and must wait
        compile_(*args)

    jit._load = slowly
    cell = Tensor((1,), "float64", np.zeros(1))
    thread = threading.Thread(target=jit.link, args=([late], cell.dtype))
    thread.start()
    compiling.wait()
    jit._load = compile_
    assert in_child(work) == "[200.0, 200.0]"
    forked.set()
    thread.join()
    assert work() == [200.0, 200.0]
    print("well")
    """
    )
    assert python(script) == "well"


# ---- one row -----------------------------------------------------------------------------------------------------


def test_run_row() -> None:
    seen = np.zeros(8)
    run(note, seen, step=11)
    assert seen[:2].tolist() == [1, 11]


@compiled_only
def test_runner_takes_raw_addresses() -> None:
    seen = np.zeros(8)
    row = np.zeros((1, executor.WIDTH), np.int64)
    row[0, KERNEL], row[0, EVERY] = linker.link([note], F64)[0], 1
    row[0, OPERANDS : OPERANDS + 3] = 0, 1, 8
    RowRunner(seen.ctypes.data, F64, row, np.array([[[0, 1]]]))(2, 4)
    assert seen[:3].tolist() == [2, 4, 5]
