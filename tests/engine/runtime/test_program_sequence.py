"""Programs that take turns in one call, and what happens between them."""

from __future__ import annotations

import threading
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from nbnet.base.cpu import Cancelled, limited
from nbnet.engine.graph.tensor import Call, Tensor
from nbnet.engine.kernels.abi import kernel, vec
from nbnet.engine.runtime import batch_io
from nbnet.engine.runtime.program import Linked, ProgramSequence, lower
from tests.engine.toys import F32, affine_call, blank, numbers


@kernel
def note(mem: Any, ins: Any, step: Any) -> None:
    """Write a digit of its own and the step's number behind what is there."""
    x, log = vec(mem, ins, 0), vec(mem, ins, 1)
    log[0] += np.float32(1.0)
    log[int(log[0])] = x[0] + np.float32(step)


def noting(value: float, log: Tensor) -> Call:
    return Call(note, (numbers(value), log), (1,), 2, 0, (), "note", F32)


def linked(phases: list[list[list[Call]]]) -> Linked:
    return Linked(lower(phases, list(range(len(phases[0]))), F32))


def test_segments_in_turn() -> None:
    log = Tensor((20,), F32, np.zeros(20, np.float32))
    first, second = (linked([[[noting(value, log)]]]) for value in (100.0, 200.0))
    sequence = ProgramSequence([first, second], [[noting(300.0, log), noting(400.0, log)], []])
    sequence.run(np.array([[0, 2, 7], [2, 1, 0], [1, 1, 5], [3, 9, 0], [1, 0, 3], [0, 1, 9]]))
    count, *found = log.numpy()
    assert found[: int(count)] == [107, 108, 300, 400, 205, 109]
    sequence.run(np.array([[1, 1, 1]]))
    assert log.numpy()[7] == 201


def test_arenas_of_their_own() -> None:
    """Rows are seen from the first program's arena, wherever that of another lies."""
    x, out = numbers(1.0, 2.0), [numbers(0.0, 0.0) for _ in range(2)]
    programs = []
    for y, count in zip(out, (1, 3), strict=True):
        chain = [x, *(blank(2) for _ in range(count)), y]
        programs.append(linked([[[affine_call(a, b) for a, b in pairwise(chain)]]]))
    ProgramSequence(programs, []).run(np.array([[0, 1, 0], [1, 1, 0]]))
    assert out[0].numpy().tolist() == [7, 11]
    assert out[1].numpy().tolist() == [31, 47]


def test_slices_meet() -> None:
    """A program of one slice runs between those of two; the others wait for it."""
    x, half, whole = numbers(1.0), [numbers(0.0) for _ in range(2)], numbers(0.0)
    two = linked([[[affine_call(x, half[0])], [affine_call(x, half[1])]], [[affine_call(half[1], whole)], []]])
    one = linked([[[affine_call(whole, x)]]])
    assert (two.run.slices, one.run.slices) == (2, 1)
    ProgramSequence([one, two], [[affine_call(x, x)]]).run(np.array([[1, 1, 0], [0, 1, 0], [2, 1, 0], [1, 3, 0]]))
    # 2 x + 1: half 3, whole 7, x 15, x 31, half 63.
    assert [t.numpy()[0] for t in (x, *half, whole)] == [31, 63, 63, 127]


def test_nothing_runs_after_a_stop() -> None:
    log = Tensor((20,), F32, np.zeros(20, np.float32))
    program, stop = linked([[[noting(1.0, log)]]]), threading.Event()
    stop.set()
    with limited(1, stop):
        for run in (lambda: program.run(1, 0), lambda: ProgramSequence([program], []).run(np.array([[0, 1, 0]]))):
            with pytest.raises(Cancelled):
                run()
    assert not log.numpy().any()


# ---- between epochs --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 2, 97])
def test_orders_of_keys(n: int) -> None:
    keys = [0, 1, 2**32 - 1, 2**63 + 5, 2**64 - 1]
    shuffler = batch_io.Shuffler(n)
    calls = shuffler.calls(keys)
    program = linked([[[affine_call(numbers(1.0), numbers(0.0))]]])
    for k, key in enumerate(keys):
        ProgramSequence([program], [calls]).run(np.array([[1, 1, k]]))
        assert shuffler.order.tolist() == batch_io.shuffled(n, key).tolist()


def test_lines_and_sums() -> None:
    order, lines = np.zeros(3, np.int64), np.array([[2, 0, 1], [1, 2, 0]])
    sums, log, cursor = np.array([[1.0, 2.0]]), np.full((3, 1, 2), 9.0), np.array([7])
    made = [Tensor(a.shape, a.dtype, a) for a in (sums, log, cursor)]
    calls = [batch_io.line_call(order, lines), batch_io.close_call(*made, 4, F32)]
    program = linked([[[affine_call(numbers(1.0), numbers(0.0))]]])
    ProgramSequence([program], [calls]).run(np.array([[1, 1, 1]]))
    assert order.tolist() == [1, 2, 0]
    assert log.tolist() == [[[9, 9]], [[1, 2]], [[9, 9]]]
    assert sums.tolist() == [[0, 0]]
    assert cursor.tolist() == [4]
