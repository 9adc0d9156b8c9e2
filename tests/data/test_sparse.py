"""Sparse features: compressed rows that a program reads, checked as far as a kernel relies on them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from nbnet.data import SparseRows, as_features, as_input, train_validation_split
from nbnet.engine.graph.tensor import Tensor
from nbnet.engine.runtime import batch_io
from nbnet.engine.runtime.program import Linked, lower

FORMATS = ["csr", "csc", "coo", "lil", "dok", "dia", "bsr"]


def held(array, name=""):
    return Tensor(array.shape, array.dtype, array, name=name)


def gathered(rows: SparseRows, order=None, start=0, count=None, dtype=np.float32):
    """The batch that a program makes of rows."""
    batch = held(np.full((count or len(rows), rows.columns), np.nan, dtype))
    parts = [held(part.reshape(-1, 1)) for part in rows.parts("x").values()]
    cursor = held(np.array([start], np.int64))
    call = batch_io.gather_sparse_call(*parts, None if order is None else held(order), cursor, batch, dtype)
    Linked(lower([[[call]]], [0], np.dtype(dtype))).run(1, 0)
    return batch.numpy()


def matrix(rows=7, columns=5, dtype="float32", density=0.4):
    values = np.random.default_rng(0).integers(1, 100, (rows, columns))
    return (values * (np.random.default_rng(1).random((rows, columns)) < density)).astype(dtype)


@pytest.mark.parametrize("kind", [sparse.csr_array, sparse.csr_matrix])
@pytest.mark.parametrize("model", ["float32", "float64"])
@pytest.mark.parametrize("dtype", ["bool", "uint8", "int64", "float32", "float64"])
def test_batches_are_those_of_the_dense_array(dtype, model, kind):
    x, order = matrix(dtype=dtype), np.array([6, 0, 3, 3, 1, 2, 5])
    rows = as_features(kind(x), dtype=model)
    assert rows.dtype == dtype
    np.testing.assert_array_equal(gathered(rows, dtype=model), x.astype(model))
    np.testing.assert_array_equal(gathered(rows, order, 2, 4, model), x[order[2:6]].astype(model))
    np.testing.assert_array_equal(rows.dense(), x)
    np.testing.assert_array_equal(rows.dense(order), x[order])


@pytest.mark.parametrize("name", FORMATS)
def test_every_format(name):
    x = matrix()
    np.testing.assert_array_equal(gathered(as_features(sparse.csr_array(x).asformat(name))), x)


@pytest.mark.parametrize("index", [np.int32, np.int64])
def test_both_kinds_of_indices(index):
    x = sparse.csr_array(matrix())
    made = sparse.csr_array((x.data, x.indices.astype(index), x.indptr.astype(index)), shape=x.shape)
    made.indices = made.indices.astype(index)
    rows = as_features(made)
    assert rows.indices.dtype == index
    assert np.shares_memory(rows.values, made.data)
    assert not np.shares_memory(rows.indices, made.indices)
    np.testing.assert_array_equal(gathered(rows), x.toarray())


def test_unsorted_columns_and_duplicates():
    given = sparse.csr_array(
        (np.array([1.0, 2, 4, 8, 16]), np.array([2, 0, 2, 1, 1]), np.array([0, 3, 3, 5])), shape=(3, 4)
    )
    before = given.data.copy(), given.indices.copy()
    rows = as_features(given)
    np.testing.assert_array_equal(gathered(rows), [[2, 0, 5, 0], [0, 0, 0, 0], [0, 24, 0, 0]])
    np.testing.assert_array_equal(given.data, before[0])
    np.testing.assert_array_equal(given.indices, before[1])


def test_float16_and_foreign_byte_order():
    x = sparse.csr_array(matrix())
    x.data = x.data.astype(">f4")
    assert as_features(x).dtype == np.float32
    np.testing.assert_array_equal(gathered(as_features(x)), matrix())


def test_nothing_stored():
    np.testing.assert_array_equal(gathered(as_features(sparse.csr_array((3, 2)))), np.zeros((3, 2)))


@given(st.integers(1, 8), st.integers(1, 6), st.floats(0, 1), st.integers(0, 8), st.integers(0, 8))
def test_rows_are_sliced_without_a_copy(rows, columns, density, start, stop):
    x = matrix(rows, columns, density=density)
    made = as_features(sparse.csr_array(x))
    part = made[start:stop]
    assert part.shape == x[start:stop].shape
    assert part.values is made.values
    if len(part):
        np.testing.assert_array_equal(gathered(part), x[start:stop])


def test_validation_split():
    made = as_features(sparse.csr_array(matrix(10)))
    (train,), (held_out,) = train_validation_split([made], 0.3)
    np.testing.assert_array_equal(np.concatenate([gathered(train), gathered(held_out)]), matrix(10))
    with pytest.raises(ValueError, match="expected consecutive rows"):
        made[::2]


def damaged(**changes):
    x = sparse.csr_array(matrix())
    for name, (place, value) in changes.items():
        getattr(x, name)[place] = value
    return x


def test_dense_arrays_go_on_as_before():
    assert as_features([1.0, 2.0]).shape == (2, 1)
    with pytest.raises(TypeError, match=r"x: expected a dense array, got a sparse matrix: pass x\.toarray\(\)"):
        as_input(sparse.csr_array(matrix()))


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (sparse.csr_array(np.eye(3) * 1j), TypeError, "x: expected .* got dtype complex128"),
        (sparse.csr_array((0, 4)), ValueError, r"x: expected a non-empty array, got shape \(0, 4\)"),
        (sparse.csr_array((4, 6)), ValueError, "x: expected 5 columns, got 6"),
        (sparse.coo_array(np.ones(5)), ValueError, r"x: expected rows and columns, got a sparse array of shape \(5,\)"),
        (damaged(indices=(3, 5)), ValueError, "x: expected a valid sparse matrix, it has a value in column 5 of 5"),
        (damaged(indices=(3, -1)), ValueError, "x: expected a valid sparse matrix, it has a value in column -1 of 5"),
        (damaged(indptr=(-1, 10**6)), ValueError, "x: expected a valid sparse matrix, its indptr does not divide"),
        (damaged(indptr=(2, 10**6)), ValueError, "x: expected a valid sparse matrix, its indptr does not divide"),
        (damaged(indptr=(0, 1)), ValueError, "x: expected a valid sparse matrix, its indptr does not divide"),
        (sparse.csr_array(np.full((2, 5), 1e300)), ValueError, "x: .* within the range of float32; 10 of its 10"),
    ],
    ids=range(10),
)
def test_refused(x, error, message):
    with pytest.raises(error, match=f"^{message}"):
        as_features(x, shape=(5,))


def test_not_finite_says_where():
    x = matrix()
    x[3, 4] = np.nan
    with pytest.raises(ValueError, match=r"^x: expected finite values; 1 of .* the first is nan at row 3, column 4$"):
        as_features(sparse.csr_array(x))


def test_the_sum_of_duplicates_may_be_infinite():
    x = sparse.csr_array((np.full(2, 3e38, "float32"), np.array([1, 1]), np.array([0, 2])), shape=(1, 2))
    with pytest.raises(ValueError, match="x: expected finite values"), np.errstate(over="ignore"):
        as_features(x)
