"""The planner: pure arithmetic on lifetimes, no kernel in sight."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbnet.engine.kernels.executor import ALIGNMENT, address, aligned, round_up
from nbnet.engine.runtime.program import Buffer, plan_memory


@st.composite
def buffers(draw: st.DrawFn) -> Buffer:
    first = draw(st.integers(0, 20))
    return Buffer(draw(st.integers(0, 3000)), first, draw(st.integers(first, 20)))


def size(buffer: Buffer) -> int:
    return round_up(max(buffer.nbytes, 1))


def peak(lives: list[Buffer]) -> int:
    """The most bytes alive at one instruction: no plan does with less."""
    return max(
        (
            sum(size(b) for b in lives if b.first <= i <= b.last)
            for i in range(1 + max((b.last for b in lives), default=0))
        ),
        default=0,
    )


@given(st.lists(buffers(), max_size=30))
def test_plan(lives: list[Buffer]) -> None:
    offsets, nbytes = plan_memory(lives)
    assert len(offsets) == len(lives)
    for a, start in zip(lives, offsets, strict=True):
        assert start % ALIGNMENT == 0
        assert 0 <= start <= start + a.nbytes <= nbytes
        for b, other in zip(lives, offsets, strict=True):
            together = a is not b and a.first <= b.last and b.first <= a.last
            assert not together or start + size(a) <= other or other + size(b) <= start
    assert peak(lives) <= nbytes <= sum(map(size, lives))


@given(st.lists(buffers(), max_size=30))
def test_plan_is_repeatable(lives: list[Buffer]) -> None:
    assert plan_memory(lives) == plan_memory(list(lives))


def training_lives(widths: list[int]) -> list[Buffer]:
    """Return the buffers of a chain of layers: outputs kept until backward reads them, gradients until the next."""
    n = len(widths)
    kept = [Buffer(w, i, 2 * n - i) for i, w in enumerate(widths)]
    return kept + [Buffer(w, 2 * n - i - 1, 2 * n - i) for i, w in enumerate(widths)]


def test_plans_of_networks_are_tight() -> None:
    rng, ratios = np.random.default_rng(0), []
    for _ in range(300):
        lives = training_lives([int(w) * 128 for w in rng.integers(1, 1025, rng.integers(2, 10))])
        ratios.append(plan_memory(lives).nbytes / peak(lives))
    assert max(ratios) < 1.25
    assert np.mean(ratios) < 1.02


def test_a_long_chain_of_equals_takes_two() -> None:
    assert plan_memory([Buffer(1000, i, i + 1) for i in range(100)]).nbytes == 2 * 1024


def test_lives_that_touch_do_not_share() -> None:
    assert plan_memory([Buffer(64, 0, 3), Buffer(64, 3, 5)]).nbytes == 128
    assert plan_memory([Buffer(64, 0, 3), Buffer(64, 4, 5)]).nbytes == 64


def test_the_tightest_gap_is_taken() -> None:
    # At instruction 9 gaps of 512 and 256 bytes are free; the newcomer leaves the wide one whole.
    sizes = [640, 512, 448, 256, 192]
    lives = [Buffer(n, 0, 8 if n in (512, 256) else 9) for n in sizes]
    made = plan_memory([*lives, Buffer(100, 9, 9)])
    assert made.offsets[5] == made.offsets[3]
    assert made.nbytes == sum(sizes)


def test_nothing_takes_nothing() -> None:
    assert plan_memory([]) == ([], 0)


def test_empty_buffers_have_places_of_their_own() -> None:
    offsets, nbytes = plan_memory([Buffer(0, 0, 1), Buffer(0, 0, 1)])
    assert sorted(offsets) == [0, 64]
    assert nbytes == 128


@pytest.mark.parametrize("count", [0, 1, 7, 64, 1000])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64, np.int64])
def test_aligned(count: int, dtype: type) -> None:
    vector = aligned(count, dtype)
    assert vector.shape == (count,)
    assert vector.dtype == dtype
    assert vector.flags.writeable
    assert not vector.any()
    assert address(vector) % ALIGNMENT == 0 or count == 0


@pytest.mark.parametrize(("nbytes", "rounded"), [(0, 0), (1, 64), (64, 64), (65, 128)])
def test_round_up(nbytes: int, rounded: int) -> None:
    assert round_up(nbytes) == rounded
