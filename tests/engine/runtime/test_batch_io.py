"""Rows at the edges of a program: gather, store, advance, sums."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbnet.engine.graph.tensor import Call, Tensor
from nbnet.engine.jit.linker import DISABLE_JIT
from nbnet.engine.kernels.abi import typed_mat
from nbnet.engine.runtime import batch_io
from nbnet.engine.runtime.program import Linked, lower, verify
from tests.engine.toys import F32, F64, Array, compiled_only

DTYPES = sorted(typed_mat, key=str)


def held(array: Any, name: str = "") -> Tensor:
    array = np.asarray(array)
    return Tensor(array.shape, array.dtype, array, name=name)


def cursor(start: int = 0) -> Tensor:
    return held(np.array([start], np.int64))


def source(dtype: Any, n: int = 10, width: int = 3) -> Array:
    values = np.random.default_rng(0).integers(0, 100, (n, width))
    return (values % 2 == 0) if dtype == np.bool_ else values.astype(dtype)


def run(*calls: Call, first_rows: tuple[int, ...] = (0,), dtype: Any = F32, steps: int = 1) -> Linked:
    """One phase; one call a slice."""
    parts = [[c] for c in calls] if len(first_rows) > 1 else [list(calls)]
    linked = Linked(lower([parts], first_rows, np.dtype(dtype)))
    linked.run(steps, 0)
    return linked


# ---- gather ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("real", [F32, F64])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_gather_casts_rows_in_order(dtype: Any, real: Any) -> None:
    x, order = source(dtype), np.array([7, 0, 9, 9, 1, 2, 3, 4, 5, 6])
    batch = held(np.full((4, 3), np.nan, real))
    run(batch_io.gather_call(held(x), held(order), cursor(2), batch, real), dtype=real)
    np.testing.assert_array_equal(batch.numpy(), x[order[2:6]].astype(real))


@pytest.mark.parametrize("dtype", [F32, np.dtype(np.uint8)], ids=str)
def test_gather_without_an_order_takes_rows_as_they_come(dtype: Any) -> None:
    x, batch = source(dtype), held(np.zeros((4, 3), F32))
    run(batch_io.gather_call(held(x), None, cursor(5), batch, F32))
    np.testing.assert_array_equal(batch.numpy(), x[5:9].astype(F32))


def test_gather_into_slices() -> None:
    x, order = source(F32), np.arange(10)[::-1].copy()
    parts = [held(np.zeros((n, 3), F32)) for n in (2, 3)]
    calls = [batch_io.gather_call(held(x), held(order), cursor(4), part, F32) for part in parts]
    run(*calls, first_rows=(0, 2))
    np.testing.assert_array_equal(np.concatenate([p.numpy() for p in parts]), x[order[4:9]])


@given(st.lists(st.integers(1, 4), min_size=1, max_size=3), st.integers(1, 5), st.integers(0, 5))
def test_gather_of_images(shape: list[int], rows: int, start: int) -> None:
    x = np.random.default_rng(0).integers(0, 255, (10, *shape)).astype(np.uint8)
    order = np.random.default_rng(1).permutation(10)
    batch = held(np.zeros((rows, *shape), F32))
    flat = held(x.reshape(10, -1))
    run(batch_io.gather_call(flat, held(order), cursor(start), batch, F32))
    np.testing.assert_array_equal(batch.numpy(), x[order[start : start + rows]])


def test_integers_beyond_float32_are_rounded_not_broken() -> None:
    x, batch = np.array([[2**53 + 1], [-(2**63)], [2**62]], np.int64), held(np.zeros((3, 1), F32))
    run(batch_io.gather_call(held(x), None, cursor(), batch, F32))
    np.testing.assert_array_equal(batch.numpy(), x.astype(F32))
    x, batch = np.array([[2**64 - 1]], np.uint64), held(np.zeros((1, 1), F64))
    run(batch_io.gather_call(held(x), None, cursor(), batch, F64), dtype=F64)
    assert batch.numpy()[0, 0] == 2.0**64


@pytest.mark.parametrize("ordered", [True, False])
def test_gather_of_labels_keeps_integers(ordered: bool) -> None:
    y = np.array([5, 2**40 + 1, -3, 7, 0])
    order = np.array([4, 1, 0, 3, 2])
    batch = held(np.zeros(3, np.int64))
    call = batch_io.gather_call(held(y.reshape(-1, 1)), held(order) if ordered else None, cursor(1), batch, F32)
    run(call)
    assert batch.numpy().tolist() == (y[order] if ordered else y)[1:4].tolist()


def test_gather_fills_memory_of_the_arena() -> None:
    x, batch = source(F32), Tensor((4, 3), F32)
    call = batch_io.gather_call(held(x), None, cursor(), batch, F32)
    linked = Linked(lower([[[call]]], [0], F32, keep=[batch]))
    linked.run(1, 0)
    np.testing.assert_array_equal(linked.view(batch), x[:4])


# ---- store, advance ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(4,), (4, 3), (4, 2, 3)])
def test_store_writes_its_rows_alone(shape: tuple[int, ...]) -> None:
    y = np.random.default_rng(0).normal(size=shape).astype(F32)
    out = np.full((10, *shape[1:]), 7, F32)
    run(batch_io.store_call(held(y), cursor(3), held(out)))
    np.testing.assert_array_equal(out[3:7], y)
    assert (out[:3] == 7).all()
    assert (out[7:] == 7).all()


def test_store_from_slices() -> None:
    parts = [np.full((2, 3), k, F32) for k in (1, 2)]
    out = np.zeros((6, 3), F32)
    run(*(batch_io.store_call(held(p), cursor(1), held(out)) for p in parts), first_rows=(0, 2))
    assert out[:, 0].tolist() == [0, 1, 1, 2, 2, 0]


def test_what_is_stored_over_is_not_read() -> None:
    # The rest of out may be anything, NaN too: the call reads what it leaves alone.
    call = batch_io.store_call(held(np.ones((1, 2), F32)), cursor(), held(np.full((3, 2), np.nan, F32)))
    verify(lower([[[call]]], [0], F32))
    assert call.accumulate == 1 << 2


def test_batches_follow_each_other() -> None:
    x, out, at = source(F32, 12), np.zeros((12, 3), F32), cursor()
    batch = Tensor((4, 3), F32)
    gather, store = batch_io.gather_call(held(x), None, at, batch, F32), batch_io.store_call(batch, at, held(out))
    run(gather, store, batch_io.advance_call(at, 4, F32), steps=3)
    np.testing.assert_array_equal(out, x)
    assert at.numpy().tolist() == [12]


# ---- sums --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [F32, F64])
def test_sums_of_means(dtype: Any) -> None:
    sums = np.array([10.0, 4.0])
    run(batch_io.add_mean_call(held(np.array(2.5, dtype)), held(sums), 8, 3), dtype=dtype, steps=2)
    assert sums.tolist() == [10 + 2 * 2.5 * 8, 4 + 2 * 3]


@pytest.mark.parametrize("dtype", [F32, F64])
def test_sums_of_values(dtype: Any) -> None:
    sums = np.array([1.0, 0.0])
    values = np.array([1.0, 2.0, 4.5], dtype)
    run(batch_io.add_each_call(held(values), held(sums)), dtype=dtype, steps=2)
    assert sums.tolist() == [16, 6]


def test_sums_are_of_double_precision() -> None:
    sums, values = np.zeros(2), np.full(1000, 0.1, F32)
    run(batch_io.add_each_call(held(values), held(sums)), steps=100)
    assert sums[0] == pytest.approx(1e5 * float(F32.type(0.1)), rel=1e-12)
    sums = np.zeros(2)
    run(batch_io.add_mean_call(held(np.array(0.1, F32)), held(sums), 1, 1), steps=100_000 // 10)
    assert sums[0] == pytest.approx(1e4 * float(F32.type(0.1)), rel=1e-12)


# ---- shuffle -----------------------------------------------------------------------------------------------------


def by_the_book(n: int, key: int) -> list[int]:
    """Fisher and Yates with SplitMix64, in Python's integers."""
    order, state, low = list(range(n)), key, 2**64 - 1
    for i in range(n - 1, 0, -1):
        state = (state + 0x9E3779B97F4A7C15) & low
        z = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & low
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & low
        j = ((z ^ (z >> 31)) * (i + 1)) >> 64
        order[i], order[j] = order[j], order[i]
    return order


@given(st.integers(0, 300), st.integers(0, 2**64 - 1))
def test_shuffle_by_the_book(n: int, key: int) -> None:
    assert batch_io.shuffled(n, key).tolist() == by_the_book(n, key)


def test_shuffle_of_many_is_a_permutation() -> None:
    n = 1000 if DISABLE_JIT else 1_000_000
    order = batch_io.shuffled(n, 7)
    assert order.dtype == np.int64
    np.testing.assert_array_equal(np.sort(order), np.arange(n))
    assert not np.array_equal(order, batch_io.shuffled(n, 8))
    # As far from its place as chance has it: a third of n, and no trend.
    distance = np.abs(order - np.arange(n)).mean() / n
    assert abs(distance - 1 / 3) < 5 * np.sqrt(1 / 18 / n) * 2
    assert abs(np.corrcoef(order, np.arange(n))[0, 1]) < 5 / np.sqrt(n)


@compiled_only
def test_every_order_of_four_is_as_frequent() -> None:
    n = 24_000
    counts: dict[tuple[int, ...], int] = {}
    for key in range(n):
        order = tuple(batch_io.shuffled(4, key).tolist())
        counts[order] = counts.get(order, 0) + 1
    assert len(counts) == 24
    chi = sum((c - n / 24) ** 2 / (n / 24) for c in counts.values())
    assert chi < 23 + 5 * np.sqrt(2 * 23)
