"""Convolution in blocks: the size of a block changes nothing."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

import nbnet as nb
from nbnet.engine.graph.tape import Trace

CONV = sys.modules["nbnet.ops.conv"]
SHAPES = [
    ((6, 7, 8, 1), (3, 3, 1, 4), 1),
    ((6, 7, 8, 3), (3, 2, 3, 4), 2),
    ((7, 5, 3), (2, 3, 4), 1),
]


def results(x: Any, w: Any, strides: int, padding: str) -> list[Any]:
    tensors = [nb.Parameter(v) for v in (x, w, np.arange(4.0))]
    with nb.Tape() as tape:
        y = nb.ops.conv(tensors[0], tensors[1], strides, padding, bias=tensors[2])
        loss = nb.ops.sum(y * np.cos(np.arange(y.size)).reshape(y.shape))
    return [y.numpy(), *(g.numpy() for g in tape.gradient(loss, tensors))]


@pytest.mark.parametrize(("x", "w", "strides"), SHAPES)
@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("block", [1, 150, 400, 1000])
def test_blocks(monkeypatch: pytest.MonkeyPatch, x: Any, w: Any, strides: int, padding: str, block: int) -> None:
    rng = np.random.default_rng(0)
    arrays = rng.normal(size=x), rng.normal(size=w)
    wanted = results(*arrays, strides, padding)
    monkeypatch.setattr(CONV, "BLOCK", block)
    for found, y in zip(results(*arrays, strides, padding), wanted, strict=True):
        np.testing.assert_allclose(found, y, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("rows", [1, 31, 97])
def test_block_fits_in_the_cache_and_divides_the_rows(rows: int) -> None:
    with Trace() as trace:
        nb.ops.conv(nb.Tensor((rows, 28, 28, 1), "float32"), np.zeros((3, 3, 1, 32), "float32"))
    (node,) = trace.nodes
    assert rows * 26 % node.attributes[CONV.BLOCK_ROWS] == 0
    assert node.saved[0].size <= CONV.BLOCK


def test_one_row_of_an_image_may_be_larger_than_a_block() -> None:
    y = nb.ops.conv(np.ones((1, 2, 3000, 16), "float32"), np.ones((1, 3, 16, 2), "float32")).numpy()
    np.testing.assert_array_equal(y, 48)
