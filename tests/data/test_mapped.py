"""Mapped files: which of them are read in blocks, and that blocks hold the rows that were asked for."""

from __future__ import annotations

import mmap
import os
from unittest import mock

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nbnet.base import array_memory
from nbnet.data import Blocks, as_input, mapped


@pytest.fixture
def file(tmp_path):
    np.arange(3000, dtype="float32").tofile(tmp_path / "x")
    return tmp_path / "x"


@pytest.fixture
def small_blocks():
    with mock.patch.object(array_memory, "LARGE", 1200), mock.patch.multiple(mapped, BLOCK=1200, AROUND=100):
        yield


@pytest.mark.parametrize("mode", ["r", "r+", "c"])
def test_memmaps_are_mapped_in_every_mode(file, mode):
    x = np.memmap(file, "float32", mode, shape=(1000, 3))
    for view in (x, np.asarray(x), x[100:], x[100:].reshape(-1), np.asarray(x)[::2], x.T):
        assert mapped.is_mapped(view)


@pytest.mark.parametrize("access", [mmap.ACCESS_READ, mmap.ACCESS_COPY, mmap.ACCESS_WRITE])
def test_other_mapped_memory(file, access):
    with open(file, "r+b") as opened:
        map_ = mmap.mmap(opened.fileno(), 0, access=access)
    assert mapped.is_mapped(np.frombuffer(map_, "float32"))


def test_what_is_not_mapped(file):
    copied = np.memmap(file, "float32", "r").copy()
    for x in (np.ones(3), np.ones((3, 2))[1:], copied, np.memmap(file, "float32", "r") + 1, np.frombuffer(b"12345678")):
        assert not mapped.is_mapped(x)
    small = np.memmap(file, "float32", "r", shape=(1000, 3))
    assert not mapped.is_mapped(as_input(small))


def test_small_arrays_are_read_where_they_lie(file):
    assert Blocks.of([np.memmap(file, "float32", "r", shape=(1000, 3))]) is None
    assert Blocks.of([np.ones(3), None]) is None


@pytest.mark.usefixtures("small_blocks")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 990), st.integers(1, 40), st.sampled_from(["file", "mapping"]), st.integers(0, 9), st.booleans())
def test_blocks_hold_the_rows(file, first, batch, way, seed, consecutive):
    x, y = np.memmap(file, "float32", "r", offset=12, shape=(999, 3))[first:], np.arange(first, 999)
    with mock.patch.object(mapped, "_open", mapped._open if way == "file" else lambda array: (None, 0)):
        blocks = Blocks.of([x, None, y])
    if len(x) * 12 <= 1200:
        assert blocks is None
        return
    rng = np.random.default_rng(seed)
    rows = range(5, len(x) - 7) if consecutive else rng.integers(0, len(x), 2 * len(x))
    found_x, found_y = [], []
    for xs, nothing, ys in blocks.read(rows, batch):
        assert nothing is None
        assert len(xs) == len(ys) <= max(batch, 60)
        found_x.append(xs.copy())
        found_y.append(ys.copy())
    assert all(len(part) % batch == 0 for part in found_x[:-1])
    np.testing.assert_array_equal(np.concatenate(found_x), np.asarray(x)[np.asarray(rows)])
    np.testing.assert_array_equal(np.concatenate(found_y), y[np.asarray(rows)])


@pytest.mark.usefixtures("small_blocks")
def test_changes_are_seen_and_survive(file):
    x = np.memmap(file, "float32", "r+", shape=(1000, 3))
    x[5] = -1
    (block,) = next(Blocks.of([x]).read(np.array([5, 4, 5]), 3))
    assert block.tolist() == [[-1] * 3, [12, 13, 14], [-1] * 3]
    assert (x[5] == -1).all()
    x[7, 1] = np.nan
    with pytest.raises(ValueError, match=r"1 of its 3000 values is .* at row 7, column 1"):
        as_input(x)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("change", ["replaced", "deleted"])
def test_a_file_that_is_another_one_by_now_is_read_through_the_mapping(file, change):
    x = np.memmap(file, "float32", "r", shape=(1000, 3))
    if change == "replaced":
        np.zeros(3000, "float32").tofile(file.with_name("other"))
        os.replace(file.with_name("other"), file)
    else:
        file.unlink()
    (block,) = next(Blocks.of([x]).read(np.array([999, 0]), 2))
    assert block.tolist() == [[2997, 2998, 2999], [0, 1, 2]]


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.skipif(not hasattr(os, "preadv"), reason="this system has no preadv")
def test_a_file_that_has_become_shorter(file):
    blocks = Blocks.of([np.memmap(file, "float32", "r", shape=(1000, 3))])
    os.truncate(file, 100)
    with pytest.raises(OSError, match="has become too short for row 999"):
        next(blocks.read(np.array([0, 999]), 2))
