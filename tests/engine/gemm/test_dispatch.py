"""Matrix products by tiles: every edge of a tile, every transposition, against NumPy in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nbnet.engine.gemm.dispatch import GEMM, NEAR_BYTES, matmul
from nbnet.engine.gemm.tiled import lanes, tall
from nbnet.engine.kernels.abi import attribute, kernel, mat, root, vec
from nbnet.engine.kernels.layout import DEPTH_BYTES, PANEL_BYTES
from tests.engine.toys import F32, F64, Array, compiled_only, run


@kernel
def multiply(mem: Any, ins: Any, step: Any) -> None:
    """c (+)= op(a) @ op(b), by attributes."""
    a, b, c = mat(mem, ins, 0), mat(mem, ins, 1), mat(mem, ins, 2)
    matmul(a, attribute(ins, 0) == 1, b, attribute(ins, 1) == 1, c, attribute(ins, 2) == 1)


def operands(m: int, n: int, k: int, ta: bool, tb: bool, dtype: Any) -> tuple[Array, Array, Array]:
    rng = np.random.default_rng(m * 10_007 + n * 101 + k)
    a, b, c = (rng.normal(size=s).astype(dtype) for s in ((m, k), (k, n), (m, n)))
    return np.ascontiguousarray(a.T) if ta else a, np.ascontiguousarray(b.T) if tb else b, c


def check(m: int, n: int, k: int, ta: bool, tb: bool, add: bool, dtype: Any) -> None:
    a, b, c = operands(m, n, k, ta, tb, dtype)
    product = (a.T if ta else a).astype(F64) @ (b.T if tb else b).astype(F64)
    want = product + (c if add else 0)
    # Overwritten, whatever it holds; nothing beyond the end is touched.
    memory = np.full(m * n + 64, np.nan, dtype)
    out = memory[: m * n].reshape(m, n)
    if add:
        out[...] = c
    run(multiply, a, b, out, attributes=(int(ta), int(tb), int(add)))
    bound = 4 * np.sqrt(k + 1) * np.finfo(dtype).eps * (np.abs(product).max(initial=0) + 4)
    np.testing.assert_allclose(out, want, rtol=0, atol=bound)
    assert np.isnan(memory[m * n :]).all()


@kernel
def multiply_part(mem: Any, ins: Any, step: Any) -> None:
    """c = a @ b of some columns of a, or of their transposition."""
    a, b, c, first, end = mat(mem, ins, 0), mat(mem, ins, 1), mat(mem, ins, 2), attribute(ins, 0), attribute(ins, 1)
    matmul(a[:, first:end], attribute(ins, 2) == 1, b, False, c, False)


flags = pytest.mark.parametrize(("ta", "tb"), [(False, False), (True, False), (False, True), (True, True)])


@flags
@pytest.mark.parametrize("dtype", [F32, F64])
@pytest.mark.parametrize("add", [False, True])
def test_every_edge_of_a_tile(ta: bool, tb: bool, add: bool, dtype: Any) -> None:
    for m in (1, 3, 4, 5, 7, 8, 9, 11, 12, 13, 16, 17, 23):
        for n in (1, 2, 4, 7, 8, 9, 15, 16, 17, 31, 32, 33):
            check(m, n, (5 * m + n) % 19 + 1, ta, tb, add, dtype)


@flags
@pytest.mark.parametrize("dtype", [F32, F64])
def test_deep_products_go_strip_by_strip(ta: bool, tb: bool, dtype: Any) -> None:
    depth = DEPTH_BYTES // np.dtype(dtype).itemsize
    for k in (depth - 1, depth, depth + 1, 2 * depth + 5):
        for add in (False, True):
            check(19, 37, k, ta, tb, add, dtype)
            check(2, 3, k, ta, tb, add, dtype)


@flags
@pytest.mark.parametrize(
    ("m", "n", "k"),
    [
        (16, 130, 70),  # the fewest rows; one strip of two columns
        (37, 150, 300),  # a low tile below the tall ones, two parts of the inner length
        (64, 300, 129),
        (300, 145, 260),  # more rows than memory for panels holds
        (17, 128, 68),  # a row left
    ],
)
def test_large_factors_are_packed(ta: bool, tb: bool, m: int, n: int, k: int) -> None:
    assert n * k * 4 > NEAR_BYTES
    assert PANEL_BYTES < 300 * 256 * 4
    check(m, n, k, ta, tb, False, F32)
    check(m, n, k, ta, tb, True, F64)


@flags
@pytest.mark.parametrize("dtype", [F32, F64])
def test_few_columns(ta: bool, tb: bool, dtype: Any) -> None:
    for m in (1, 8, 15, 16, 17, 33, 70):
        for n in (1, 2, 3, 4, 5):
            for k in (0, 1, 16, 31, 32, 63, 64, 65, 130, 1025, 4096):
                check(m, n, k, ta, tb, k % 2 == 1, dtype)


@pytest.mark.parametrize("dtype", [F32, F64])
@pytest.mark.parametrize("across", [False, True])
@pytest.mark.parametrize(("first", "end"), [(0, 5), (3, 70), (40, 170), (170, 300), (299, 300)])
def test_columns_of_a_wider_matrix(across: bool, first: int, end: int, dtype: Any) -> None:
    rng = np.random.default_rng(first)
    for n in (1, 3, 33, 150):
        a = rng.normal(size=(90, 300)).astype(dtype)
        part = a[:, first:end].T if across else a[:, first:end]
        b = rng.normal(size=(part.shape[1], n)).astype(dtype)
        out = np.empty((part.shape[0], n), dtype)
        run(multiply_part, a, b, out, attributes=(first, end, int(across)))
        want = part.astype(F64) @ b.astype(F64)
        np.testing.assert_allclose(out, want, atol=400 * np.finfo(dtype).eps, rtol=0)


@flags
def test_an_empty_inner_length_gives_zeros_or_what_was_there(ta: bool, tb: bool) -> None:
    check(9, 17, 0, ta, tb, False, F32)
    check(9, 17, 0, ta, tb, True, F32)


@flags
def test_a_row_does_not_depend_on_its_neighbours(ta: bool, tb: bool) -> None:
    """NaN in one row or column stays there."""
    a, b, _ = operands(13, 21, 6, ta, tb, F32)
    (a[:, 4] if ta else a[4])[...] = np.nan
    (b[2] if tb else b[:, 2])[...] = np.nan
    c = np.zeros((13, 21), F32)
    run(multiply, a, b, c, attributes=(int(ta), int(tb), 0))
    bad = np.isnan(c)
    assert bad[4].all()
    assert bad[:, 2].all()
    assert bad.sum() == 13 + 21 - 1


@flags
@pytest.mark.parametrize("add", [False, True])
def test_the_python_twin_computes_the_same(ta: bool, tb: bool, add: bool) -> None:
    for m, n, k in ((5, 3, 4), (9, 17, 7), (20, 5, 260), (17, 40, 205), (21, 45, 150), (9, 1, 40)):
        a, b, c = operands(m, n, k, ta, tb, F64)
        want = (a.T if ta else a) @ (b.T if tb else b) + (c if add else 0)
        out = c.copy()
        GEMM(a.reshape(-1), a.shape[1], ta, b.reshape(-1), tb, out.reshape(-1), m, n, k, add)
        np.testing.assert_allclose(out, want, rtol=1e-10, atol=1e-10)
    assert lanes(a) > 1
    assert tall(a) > 1


@kernel
def roots(mem: Any, ins: Any, step: Any) -> None:
    x, y = vec(mem, ins, 0), vec(mem, ins, 1)
    for i in range(x.size):
        y[i] = root(x[i])


@compiled_only
@pytest.mark.parametrize("dtype", [F32, F64])
def test_roots_are_right_to_three_units_in_the_last_place(dtype: Any) -> None:
    info = np.finfo(dtype)
    x = np.exp(np.linspace(np.log(float(info.tiny) * 4), np.log(float(info.max) / 4), 100_003)).astype(dtype)
    x[:3] = 0, 1, 4
    y = np.empty_like(x)
    run(roots, x, y)
    want = np.sqrt(x.astype(np.longdouble))
    assert float(np.max(np.abs(y - want) / np.spacing(want.astype(dtype)))) <= 3
    assert y[0] == 0
