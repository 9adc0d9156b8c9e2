"""Rows by number: kinds of indices, errors, gradients of rows taken twice."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import nbnet as nb
from nbnet.engine.graph.op import INT
from nbnet.engine.graph.tape import Trace

X = np.arange(12.0).reshape(4, 3)


@pytest.mark.parametrize(
    "rows",
    [
        2,
        -1,
        np.int32(1),
        np.array(3, np.uint8),
        slice(None),
        slice(1, 3),
        slice(None, None, -2),
        slice(-2, 100),
        slice(3, 1),
        [0, 0, -4],
        [],
        np.array([[1, 2], [3, -1]], np.int16),
        np.array([True, False, True, False]),
        [False, False, False, True],
    ],
    ids=repr,
)
def test_agrees_with_numpy(rows: Any) -> None:
    x = nb.Parameter(X)
    with nb.Tape() as tape:
        y = x[rows]
    wanted = X[np.asarray(rows, int) if rows == [] else rows] if isinstance(rows, list) else X[rows]
    np.testing.assert_array_equal(y.numpy(), wanted)
    counts = np.zeros(4)
    np.add.at(counts, np.asarray(rows, int) if isinstance(rows, list) and rows == [] else rows, 1)
    np.testing.assert_array_equal(tape.gradient(y, x).numpy(), np.repeat(counts[:, None], 3, 1))


@given(n=st.integers(1, 5), shape=st.sampled_from([(), (2,), (2, 3)]), data=st.data())
def test_gradient_adds_what_was_taken(n: int, shape: tuple[int, ...], data: st.DataObject) -> None:
    rows = np.array(data.draw(st.lists(st.integers(-n, n - 1), max_size=7)), INT)
    x = nb.Parameter(np.arange(float(n * int(np.prod(shape)))).reshape(n, *shape))
    weights = np.random.default_rng(0).normal(size=(len(rows), *shape))
    with nb.Tape() as tape:
        y = nb.ops.take(x, rows, axis=0) * weights
    wanted = np.zeros_like(x.numpy())
    np.add.at(wanted, rows, weights)
    np.testing.assert_allclose(tape.gradient(y, x).numpy(), wanted, atol=1e-12)


def test_a_vector_gives_scalars() -> None:
    y = nb.tensor([5.0, 7.0])[1]
    assert y.shape == ()
    assert y.item() == 7


def test_iteration_ends() -> None:
    assert [row.numpy().tolist() for row in nb.tensor(X)] == X.tolist()


def test_rows_as_a_tensor() -> None:
    rows = nb.Tensor((2,), INT, np.array([3, -3]))
    np.testing.assert_array_equal(nb.ops.take(X, rows, axis=0).numpy(), X[[3, 1]])
    with pytest.raises(TypeError, match="row numbers are int64"):
        nb.ops.take(X, nb.tensor([1.0]), axis=0)


def test_shapes_in_a_trace() -> None:
    with Trace():
        assert nb.ops.take(X, nb.Tensor((5, 2), INT), axis=0).shape == (5, 2, 3)


def test_an_unchecked_number_out_of_range_reads_as_nan() -> None:
    """Memory outside x is never touched, whatever an index says."""
    x, rows = nb.Parameter(X), nb.Tensor((3,), INT, np.array([0, 1, 2]))
    with nb.Tape() as tape:
        y = nb.ops.take(x, rows, axis=0)
        node = tape.nodes[-1]
    from nbnet.engine.graph.tensor import run_call

    rows.numpy()[...] = [1, 10**12, -(10**12)]
    run_call(node.call(), 0)
    np.testing.assert_array_equal(np.isnan(y.numpy()[:, 0]), [False, True, True])
    np.testing.assert_array_equal(tape.gradient(y, x).numpy()[:, 0], [0, 1, 0, 0])


@pytest.mark.parametrize("rows", [4, -5, [0, 4], np.array([[0, 1], [-5, 0]])], ids=repr)
def test_out_of_range(rows: Any) -> None:
    with pytest.raises(IndexError, match=r"rows: -?\d is out of range for 4 rows"):
        nb.tensor(X)[rows]
    with pytest.raises(IndexError, match="mask of shape"):
        nb.tensor(X)[[True, False]]


@pytest.mark.parametrize("rows", [1.0, [0.5], "a", [None]], ids=repr)
def test_no_integers(rows: Any) -> None:
    with pytest.raises(TypeError, match="rows: "):
        nb.tensor(X)[rows]


def test_a_scalar_has_no_rows() -> None:
    with pytest.raises(ValueError, match="without axes has no rows"):
        nb.tensor(1.0)[0]
