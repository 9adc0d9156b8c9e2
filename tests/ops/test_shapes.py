"""Ops that move elements or multiply matrices: reshape, transpose, concatenate, matmul; shapes and errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import nbnet as nb
from nbnet.engine.graph.tape import Trace

X = np.arange(12.0).reshape(4, 3)


@pytest.mark.parametrize("shape", [(12,), (2, 6), (-1,), (3, -1), (2, -1, 2), 12, -1, [4, 3], (1, 12, 1)], ids=repr)
def test_reshape(shape: Any) -> None:
    x = nb.Parameter(X)
    with nb.Tape() as tape:
        y = nb.ops.reshape(x, shape)
        z = y * y
    np.testing.assert_array_equal(y.numpy(), X.reshape(shape))
    np.testing.assert_array_equal(tape.gradient(z, x).numpy(), 2 * X)


@pytest.mark.parametrize("shape", [(5,), (5, -1), (-1, -1), (-2, 6), (0, -1)], ids=repr)
def test_reshape_that_does_not_fit(shape: Any) -> None:
    with pytest.raises(ValueError, match=r"shape"):
        nb.ops.reshape(X, shape)


def test_reshape_of_nothing() -> None:
    assert nb.ops.reshape(np.zeros((0, 3)), (3, 0)).shape == (3, 0)
    assert nb.ops.reshape(np.zeros((0, 3)), (0, -1)).shape == (0, 0)


def test_transpose() -> None:
    x = np.random.default_rng(0).normal(size=(37, 50))
    np.testing.assert_array_equal(nb.ops.transpose(x).numpy(), x.T)
    cube = x.reshape(37, 5, 10)
    np.testing.assert_array_equal(nb.ops.transpose(cube).numpy(), cube.T)


@given(
    sizes=st.lists(st.integers(0, 3), min_size=1, max_size=30),
    axis=st.sampled_from([0, 1, 2, -1]),
)
def test_concatenate(sizes: list[int], axis: int) -> None:
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=[n if k == axis % 3 else k + 1 for k in range(3)]) for n in sizes]
    xs = [nb.Parameter(a) for a in arrays]
    wanted = np.concatenate(arrays, axis)
    weights = rng.normal(size=wanted.shape)
    with nb.Tape() as tape:
        y = nb.ops.concatenate(xs, axis)
        z = y * weights
    np.testing.assert_array_equal(y.numpy(), wanted)
    found = [d.numpy() for d in tape.gradient(z, xs)]
    np.testing.assert_array_equal(np.concatenate(found, axis), weights)


def test_concatenate_one_tensor_twice() -> None:
    x = nb.Parameter(X)
    with nb.Tape() as tape:
        y = nb.ops.concatenate([x, x, X], -1) * np.arange(9.0)
    np.testing.assert_array_equal(tape.gradient(y, x).numpy(), np.broadcast_to([3.0, 5.0, 7.0], X.shape))


def test_concatenate_errors() -> None:
    with pytest.raises(ValueError, match="differ elsewhere than in axis 0"):
        nb.ops.concatenate([np.zeros((2, 3)), np.zeros((2, 4))], 0)
    with pytest.raises(ValueError, match="differ elsewhere"):
        nb.ops.concatenate([np.zeros((2, 3)), np.zeros(3)])
    with pytest.raises(ValueError, match="at least one"):
        nb.ops.concatenate([])
    with pytest.raises(ValueError, match="axis: 2 is out of range"):
        nb.ops.concatenate([X], 2)
    with pytest.raises(ValueError, match="axis: 0 is out of range"):
        nb.ops.concatenate([1.0, 2.0], 0)
    with pytest.raises(TypeError, match="one float dtype"):
        nb.ops.concatenate([nb.tensor(X), nb.tensor(X.astype(np.float32))])


@pytest.mark.parametrize("shape", [(3,), (2, 3), (2, 4, 3), (0, 3)])
def test_matmul(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    a, b = nb.Parameter(rng.normal(size=shape)), nb.Parameter(rng.normal(size=(3, 5)))
    with nb.Tape() as tape:
        y = a @ b
    np.testing.assert_allclose(y.numpy(), a.numpy() @ b.numpy(), rtol=1e-12)
    da, db = tape.gradient(y, [a, b])
    np.testing.assert_allclose(da.numpy(), np.broadcast_to(b.numpy().sum(1), shape), rtol=1e-12)
    np.testing.assert_allclose(db.numpy(), np.repeat(a.numpy().reshape(-1, 3).sum(0)[:, None], 5, 1), atol=1e-12)


def test_matmul_one_tensor_twice() -> None:
    a = np.random.default_rng(0).normal(size=(3, 3))
    x = nb.Parameter(a)
    with nb.Tape() as tape:
        y = x @ x
    ones = np.ones((3, 3))
    np.testing.assert_allclose(tape.gradient(y, x).numpy(), ones @ a.T + a.T @ ones, rtol=1e-12)


def test_matmul_over_nothing_is_zero() -> None:
    np.testing.assert_array_equal(nb.ops.matmul(np.zeros((2, 0)), np.zeros((0, 3))).numpy(), np.zeros((2, 3)))


def test_matmul_errors() -> None:
    for a, b in [((2, 3), (4, 2)), ((2, 3), (2,)), ((), (3, 2)), ((2, 3), (2, 4, 3))]:
        with pytest.raises(ValueError, match=r"matmul: expected x1 \(\.\.\., n, k\) and x2 \(\.\.\., k, m\)"):
            nb.ops.matmul(np.zeros(a), np.zeros(b))
    with pytest.raises(ValueError, match="matmul: axes before the last two"):
        nb.ops.matmul(np.zeros((2, 4, 3)), np.zeros((3, 3, 4)))


def test_shapes_alone_are_enough_in_a_trace() -> None:
    with Trace() as trace:
        x, w = nb.Tensor((4, 3), np.float32), nb.Tensor((3, 2), np.float32)
        y = nb.ops.concatenate([nb.ops.transpose(x @ w), nb.ops.reshape(x, (3, -1))[:2]])
        z = nb.ops.sum(nb.ops.mean(y, 0) ** 2 + 1)
    assert z.shape == ()
    assert all(t.data is None for node in trace.nodes for t in node.outputs)
