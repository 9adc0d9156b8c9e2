"""Rows of a table by number, where numbers may be wrong."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import nbnet as nb
from nbnet.engine.graph.autodiff import differentiate
from nbnet.engine.graph.op import INT
from nbnet.engine.graph.tape import Trace
from nbnet.engine.graph.tensor import Tensor, apply
from nbnet.engine.runtime.program import Linked, lower
from nbnet.ops.gather import EMBEDDING, EMBEDDING_FLOAT, check_ids

W = np.arange(12.0).reshape(4, 3)


@pytest.mark.parametrize("dtype", [INT, np.dtype(np.float64), np.dtype(np.float32)])
def test_program_reads_nothing_out_of_range(dtype: np.dtype[Any]) -> None:
    real = np.dtype(np.float64) if dtype == INT else dtype
    wrong = [4, -1, 1 << 40] if dtype == INT else [4, -1, 1e30, -1e30, np.nan, np.inf, 3.6]
    ids = np.array([0, 3, *wrong], dtype)
    table, numbers = Tensor(W.shape, real, W.astype(real)), Tensor(ids.shape, dtype, ids)
    with Trace() as trace:
        y = apply(EMBEDDING if dtype == INT else EMBEDDING_FLOAT, table, numbers)
    linked = Linked(lower([[[trace.nodes[0].call()]]], [0], real, keep={y}))
    linked.run(1, 0)
    found = linked.view(y)
    np.testing.assert_array_equal(found[:2], W[[0, 3]])
    assert np.isnan(found[2:]).all()


def test_floats_are_rounded_in_a_program() -> None:
    numbers = Tensor((3,), np.float64, np.array([0.9999999, 2.0000001, -0.4]))
    with Trace() as trace:
        y = apply(EMBEDDING_FLOAT, Tensor(W.shape, np.float64, W), numbers)
    linked = Linked(lower([[[trace.nodes[0].call()]]], [0], np.dtype(np.float64), keep={y}))
    linked.run(1, 0)
    np.testing.assert_array_equal(linked.view(y), W[[1, 2, 0]])


def test_wrong_numbers_get_no_gradient() -> None:
    ids = np.array([0, 9, 0, -3])
    table, numbers = Tensor(W.shape, np.float64, W, requires_grad=True), Tensor(ids.shape, INT, ids)
    with Trace() as trace:
        y = apply(EMBEDDING, table, numbers)
    dy = Tensor(y.shape, np.float64, np.ones(y.shape))
    calls, gradients = differentiate(trace.nodes, {y: dy}, [table])
    linked = Linked(lower([[[trace.nodes[0].call(), *calls]]], [0], np.dtype(np.float64), keep=set(gradients.values())))
    linked.run(1, 0)
    np.testing.assert_array_equal(linked.view(gradients[table]), [[2] * 3, [0] * 3, [0] * 3, [0] * 3])


def test_a_table_too_large_for_floats_is_refused() -> None:
    table = Tensor(((1 << 24) + 1, 1), np.float32)
    with Trace(), pytest.raises(ValueError, match="use int64"):
        nb.ops.embedding(Tensor((3,), np.float32), table)
    with Trace():
        assert nb.ops.embedding(Tensor((3,), INT), table).shape == (3, 1)


@pytest.mark.parametrize("ids", [[0, 3], np.array([[0.0, 3.0]]), [], np.zeros((0, 2))])
def test_good_numbers(ids: Any) -> None:
    check_ids(ids, 4)


@pytest.mark.parametrize("ids", [[4], [-1], [0.5], [np.inf]])
def test_bad_numbers(ids: Any) -> None:
    with pytest.raises(ValueError, match="ids: "):
        check_ids(ids, 4)
