"""Kernels sum and fill the rows of a matrix."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nbnet.engine.kernels.abi import accumulates, fill_rows, kernel, mat, sum_rows, vec
from tests.engine.toys import F32, F64, run


@kernel
def column_sums(mem: Any, ins: Any, step: Any) -> None:
    """y = sum of the rows of x, t += the same."""
    x, y, t = mat(mem, ins, 0), vec(mem, ins, 1), vec(mem, ins, 2)
    sum_rows(x, y, accumulates(ins, 1))
    sum_rows(x, t, True)


@kernel
def copies(mem: Any, ins: Any, step: Any) -> None:
    fill_rows(mat(mem, ins, 0), vec(mem, ins, 1))


TYPES = pytest.mark.parametrize("dtype", [F32, F64])
COLUMNS = pytest.mark.parametrize("columns", [1, 2, 7, 8, 15, 16, 17, 33, 100])


@TYPES
@pytest.mark.parametrize("rows", [1, 2, 3, 4, 5, 16, 131])
@COLUMNS
def test_columns_are_summed_and_nothing_else_is_touched(rows: int, columns: int, dtype: Any) -> None:
    rng = np.random.default_rng(rows)
    x = rng.normal(size=(rows, columns)).astype(dtype)
    y, t = np.full(columns + 9, np.nan, dtype), np.full(columns + 9, 3, dtype)
    run(column_sums, x, y[:columns], t[:columns])
    exact, precision = x.astype(np.float64).sum(axis=0), rows * 4 * np.finfo(dtype).eps
    np.testing.assert_allclose(y[:columns], exact, rtol=0, atol=precision)
    np.testing.assert_allclose(t[:columns], 3 + exact, rtol=0, atol=precision)
    assert np.isnan(y[columns:]).all()
    np.testing.assert_array_equal(t[columns:], 3)


@TYPES
@pytest.mark.parametrize("rows", [0, 1, 3, 50])
@COLUMNS
def test_rows_are_filled_and_nothing_else_is_touched(rows: int, columns: int, dtype: Any) -> None:
    row = np.random.default_rng(columns).normal(size=columns).astype(dtype)
    memory = np.full(rows * columns + 9, np.nan, dtype)
    run(copies, memory[: rows * columns].reshape(rows, columns), row)
    np.testing.assert_array_equal(memory[: rows * columns].reshape(rows, columns), np.tile(row, (rows, 1)))
    assert np.isnan(memory[rows * columns :]).all()
