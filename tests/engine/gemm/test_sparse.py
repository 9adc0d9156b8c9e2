"""Products that leave zeros out, against NumPy in float64, and when they are chosen."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nbnet.engine.gemm.dispatch import matmul
from nbnet.engine.gemm.sparse import (
    ACROSS,
    BLAS_TERM,
    FEWEST_ROWS,
    LISTED_BYTES,
    SHALLOW_BYTES,
    TILE_TERM,
    count_nonzero,
    multiply_sparse,
    worthwhile,
)
from nbnet.engine.gemm.tiled import TILES, begin, lanes, part, register_bytes
from nbnet.engine.kernels.abi import attribute, kernel, mat, vec
from tests.engine.toys import F32, F64, Array, compiled_only, run


@kernel
def multiply(mem: Any, ins: Any, step: Any) -> None:
    """c (+)= op(a) @ op(b), by attributes, without zeros of a."""
    a, b, c, ta = mat(mem, ins, 0), mat(mem, ins, 1), mat(mem, ins, 2), attribute(ins, 0) == 1
    k = a.shape[0] if ta else a.shape[1]
    multiply_sparse(
        begin(a), ta, a.shape[1], begin(b), attribute(ins, 1) == 1, begin(c), c.shape[0], c.shape[1], k,
        attribute(ins, 2) == 1, 0, begin(b), begin(b), begin(b),
    )  # fmt: skip


@kernel
def outer(mem: Any, ins: Any, step: Any) -> None:
    """out = rows of x' @ dy, from the one that attribute 0 says."""
    x, dy, out = mat(mem, ins, 0), mat(mem, ins, 1), mat(mem, ins, 2)
    one, two, three = begin(mat(mem, ins, 3)), begin(mat(mem, ins, 4)), begin(mat(mem, ins, 5))
    a, count = part(begin(x), attribute(ins, 0)), attribute(ins, 1)
    multiply_sparse(
        a, True, x.shape[1], begin(dy), False, begin(out), out.shape[0], out.shape[1], x.shape[0], False, count,
        one, two, three,
    )  # fmt: skip


@kernel
def choose(mem: Any, ins: Any, step: Any) -> None:
    """Store whether a product with n columns skips the zeros of a, the number of nonzero elements, tiles, and lanes."""
    a, found, ta, n = mat(mem, ins, 0), vec(mem, ins, 1), attribute(ins, 0) == 1, attribute(ins, 1)
    m, k = (a.shape[1], a.shape[0]) if ta else (a.shape[0], a.shape[1])
    found[0] = worthwhile(begin(a), ta, a.shape[1], m, n, k, attribute(ins, 2))
    found[1] = count_nonzero(begin(a), a.shape[1], a.shape[0], a.shape[1])
    found[2] = TILES and register_bytes(begin(a)) >= 32
    found[3] = lanes(begin(a))


@kernel
def plain(mem: Any, ins: Any, step: Any) -> None:
    """c = a @ b, as every kernel writes it."""
    matmul(mat(mem, ins, 0), False, mat(mem, ins, 1), False, mat(mem, ins, 2), False)


def mostly_zeros(shape: tuple[int, int], share: float, dtype: Any, seed: int = 0) -> Array:
    """Normal numbers, so many of them; the first row and the last column are empty."""
    rng = np.random.default_rng(seed)
    a = rng.normal(size=shape) * (rng.random(shape) < share)
    a[0] = a[:, -1] = 0
    return a.astype(dtype)


def chosen(a: Array, n: int, ta: bool = False, term: int = TILE_TERM) -> Array:
    found = np.empty(4, a.dtype)
    run(choose, a, found, attributes=(int(ta), n, term))
    return found


flags = pytest.mark.parametrize(("ta", "tb"), [(False, False), (True, False), (False, True), (True, True)])
#: Rows and depths around those that are listed at a time, columns around a strip of either dtype and register width.
SHAPES = [
    (1, 1, 1),
    (3, 130, 5),
    (16, 128, 64),
    (17, 31, 31),
    (17, 33, 65),
    (40, 127, 33),
    (127, 129, 130),
    (129, 200, 64),
    (300, 64, 70),
]


@flags
@pytest.mark.parametrize("dtype", [F32, F64])
@pytest.mark.parametrize("share", [0.0, 0.2, 1.0])
def test_every_shape_and_share(ta: bool, tb: bool, dtype: Any, share: float) -> None:
    assert LISTED_BYTES // F32.itemsize == 128
    assert SHALLOW_BYTES // F32.itemsize == 64
    for m, n, k in SHAPES:
        a, rng = mostly_zeros((m, k), share, dtype, m), np.random.default_rng(n)
        b, c = rng.normal(size=(k, n)).astype(dtype), rng.normal(size=(m, n)).astype(dtype)
        x, y = (np.ascontiguousarray(v.T) if turned else v for v, turned in ((a, ta), (b, tb)))
        for add in (False, True):
            memory = np.full(m * n + 64, np.nan, dtype)
            out = memory[: m * n].reshape(m, n)
            if add:
                out[...] = c
            run(multiply, x, y, out, attributes=(int(ta), int(tb), int(add)))
            product = a.astype(F64) @ b.astype(F64)
            bound = 4 * np.sqrt(k + 1) * np.finfo(dtype).eps * (np.abs(product).max(initial=0) + 4)
            np.testing.assert_allclose(out, product + (c if add else 0), rtol=0, atol=bound)
            assert np.isnan(memory[m * n :]).all()


@flags
def test_the_python_twin_computes_the_same(ta: bool, tb: bool) -> None:
    for m, n, k in ((3, 40, 5), (70, 33, 40), (9, 31, 33)):
        a, b = mostly_zeros((m, k), 0.3, F64), np.random.default_rng(1).normal(size=(k, n))
        out = np.ones((m, n))
        x, y = np.ascontiguousarray(a.T if ta else a), np.ascontiguousarray(b.T if tb else b)
        flat = y.reshape(-1)
        multiply_sparse(x.reshape(-1), ta, x.shape[1], flat, tb, out.reshape(-1), m, n, k, True, 0, flat, flat, flat)
        np.testing.assert_allclose(out, 1 + a @ b, rtol=1e-12, atol=1e-12)
    assert ACROSS * lanes(a) < 40
    assert LISTED_BYTES // 8 < 70


@pytest.mark.parametrize("dtype", [F32, F64])
@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_a_few_columns_of_a_batch(dtype: Any, count: int) -> None:
    """More of them than are listed at a time, and what is fetched meanwhile is left alone."""
    for batch, features, first, rows, n in ((128, 60, 7, 40, 130), (33, 400, 100, 300, 70), (70, 20, 0, 20, 128)):
        x, dy = mostly_zeros((batch, features), 0.3, dtype), np.random.default_rng(2).normal(size=(batch, n))
        dy, out = dy.astype(dtype), np.full((rows, n), np.nan, dtype)
        held = [np.full((rows, n), i, dtype) for i in range(3)]
        run(outer, x, dy, out, *held, attributes=(first, count))
        want = x[:, first : first + rows].T.astype(F64) @ dy.astype(F64)
        np.testing.assert_allclose(out, want, rtol=0, atol=300 * np.finfo(dtype).eps)
        assert all((v == i).all() for i, v in enumerate(held))


def test_only_zeros_are_left_out() -> None:
    """NaN, infinities and the smallest numbers are none; what zero would have been multiplied with may be anything."""
    a, b = np.zeros((20, 70), F32), np.ones((70, 130), F32)
    a[1, 3], a[2, 4], a[3, 5], a[4, 6] = np.nan, np.inf, np.finfo(F32).tiny, -0.0
    b[60], b[6] = np.nan, np.inf
    out = np.empty((20, 130), F32)
    run(multiply, a, b, out, attributes=(0, 0, 0))
    assert np.isnan(out[1]).all()
    assert (out[2] == np.inf).all()
    assert (out[3] == np.finfo(F32).tiny).all()
    assert (out[4:] == 0).all()
    assert chosen(a, 130)[1] == 3


@compiled_only
@pytest.mark.parametrize("dtype", [F32, F64])
@pytest.mark.parametrize("ta", [False, True])
def test_they_are_chosen_where_most_are_zeros(dtype: Any, ta: bool) -> None:
    def choice(m: int, n: int, k: int, share: float, term: int = TILE_TERM) -> bool:
        a = mostly_zeros((m, k), share, dtype)
        return bool(chosen(np.ascontiguousarray(a.T) if ta else a, n, ta, term)[0])

    wide, side = chosen(np.ones((2, 2), dtype), 1)[2:]
    if not wide:
        assert not choice(128, 1024, 1024, 0.0)
        pytest.skip("registers are narrow, or NBNET_BLAS names a library")
    n, k = ACROSS * int(side), SHALLOW_BYTES // dtype.itemsize
    assert choice(128, 8 * n, 512, 0.25)
    assert not choice(128, 8 * n, 512, 0.8)
    assert not choice(128, 8 * n, 512, 1.0)
    assert not choice(128, 8 * n, 512, 0.62)
    assert choice(128, 8 * n, 512, 0.62, BLAS_TERM)
    assert not choice(128, 8 * n, 512, 0.8, BLAS_TERM)
    # The fewer rows share a strip, the emptier they must be.
    assert choice(FEWEST_ROWS, n, k, 0.1)
    assert not choice(FEWEST_ROWS, n, k, 0.45)
    assert choice(128, n, k, 0.45)
    assert not choice(FEWEST_ROWS - 1, n, k, 0.0)
    assert not choice(128, n - 1, k, 0.0)
    assert not choice(128, n, k - 1, 0.0)
    # A strip that is hardly begun costs as much as a full one.
    assert not choice(128, n + 1, k, 0.4)


@compiled_only
def test_products_of_kernels_leave_them_out() -> None:
    a, b = mostly_zeros((64, 256), 0.2, F32), np.random.default_rng(3).normal(size=(256, 384)).astype(F32)
    b[-1] = np.inf  # the last column of a is empty
    out = np.empty((64, 384), F32)
    run(plain, a, b, out)
    if not chosen(a, 384)[2]:
        assert np.isnan(out).all()
        pytest.skip("registers are narrow, or NBNET_BLAS names a library")
    np.testing.assert_allclose(out, a[:, :-1].astype(F64) @ b[:-1], atol=1e-4)
