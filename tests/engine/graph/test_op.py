"""Facts about ops that other rooms read from their records."""

from __future__ import annotations

import numpy as np
import pytest

import nbnet as nb
from nbnet.engine.graph.op import Op, registry

OPS = [op for op in registry.values() if not op.name.startswith("readme")]


@pytest.mark.parametrize("op", OPS, ids=lambda op: op.name)
def test_facts_fit_together(op: Op) -> None:
    assert op.draws == bool(op.mask or op.noise)
    assert (op.window is not None) == (op.role == "pool")
    if op.role in ("product", "lookup"):
        assert len(op.inputs) >= 2
    if op.outer is not None:
        assert op.role == "product"
    if op.moves_values:
        assert op.linear
        assert op.role in ("move", "lookup", "elementwise")
    if op.role == "noise":
        assert op.draws


def test_roles_of_some_ops() -> None:
    names = {
        "dense": "product", "conv": "product", "add": "elementwise", "relu": "elementwise", "sum": "reduction",
        "batch_norm": "normalization", "reshape": "move", "embedding": "lookup", "max_pool": "pool", "dropout": "noise",
        "mean_squared_error": "loss", "accuracy": "metric", "l1_l2": "penalty", "softmax": "other",
    }  # fmt: skip
    assert {name: registry[name].role for name in names} == names


@pytest.mark.parametrize("name", ["take", "take_batch"])
def test_only_parameters_are_tables(name: str) -> None:
    assert registry[name].lookup == (name == "take")


def test_a_pool_counts_the_elements_of_its_windows() -> None:
    x = nb.tensor(np.zeros((2, 4, 4, 3)))
    with nb.Tape() as tape:
        nb.ops.max_pool(x, 2)
        nb.ops.square(x)
    pool, square = tape.nodes
    assert pool.pooled == pool.call().pooled == 2 * 2 * 2 * 3 * 4
    assert square.pooled == square.call().pooled == 0
