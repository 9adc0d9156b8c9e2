"""Graph passes: each takes nodes and a plan, and returns both."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

import nbnet as nb
from nbnet import layers
from nbnet.engine.graph.tape import Trace
from nbnet.engine.graph.tensor import Node, Tensor
from nbnet.ops.dense import PackedDense
from nbnet.train import graph_passes
from nbnet.train.graph_passes import PASSES, Plan, defer_gradients, fuse_layers, pack_gradients, run_passes


def traced(*parts: layers.Layer) -> tuple[nb.Sequential, Sequence[Node], Tensor]:
    """A model, the nodes of its forward pass in training, and its output."""
    model = nb.Sequential([nb.Input((6,)), *parts])
    with Trace() as trace:
        y = model.forward(Tensor((8, 6), np.float32), True)
    return model, trace.nodes, y


def names(nodes: Sequence[Node]) -> list[str]:
    return [node.op.name for node in nodes]


def test_layers_are_fused_but_for_what_is_kept() -> None:
    _, nodes, y = traced(layers.Dense(5, "relu"), layers.Dropout(0.5), layers.Dense(3, "softmax"))
    assert names(nodes) == ["dense", "relu", "dropout", "dense", "softmax"]
    fused, _ = fuse_layers(nodes, Plan(keep={y}))
    assert names(fused) == ["dense_relu_dropout", "dense", "softmax"]
    apart, _ = fuse_layers(nodes, Plan(keep={nodes[0].outputs[0], nodes[1].outputs[0], y}))
    assert names(apart) == names(nodes)


def test_gradients_are_packed_of_weights_that_one_packed_layer_reads() -> None:
    drop: Any = [layers.Dropout(0.5, batchwise=True) for _ in range(2)]
    model, nodes, y = traced(drop[0], layers.Dense(5, "relu"), drop[1], layers.Dense(3))
    nodes, plan = fuse_layers(nodes, Plan(keep={y}, packable=model.weights))
    rewritten, packed = pack_gradients(nodes, plan)
    kernel, bias, last, last_bias = model.weights
    masks = [node.mask_tensor for node in nodes if node.mask_tensor is not None]
    assert dict(packed.packed) == {
        kernel: (masks[0], masks[1]), bias: (None, masks[1]), last: (masks[1], None), last_bias: (None, None),
    }  # fmt: skip
    assert sum(isinstance(node.op, PackedDense) for node in rewritten) == 2
    unchanged, none = pack_gradients(nodes, Plan(keep={y}))
    assert list(unchanged) == list(nodes)
    assert not none.packed


def test_gradients_of_weights_that_are_large_and_read_once_are_deferred(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph_passes, "LEAST_BYTES", 6 * 6 * 4)
    x, first, shared, third = nb.Input((6,)), layers.Dense(6), layers.Dense(6), layers.Dense(6)
    model = nb.Model(x, layers.Dense(2)(shared(third(shared(first(x))))))
    with Trace() as trace:
        model.forward(Tensor((8, 6), np.float32), True)
    nodes = trace.nodes
    found = defer_gradients(nodes, Plan(deferrable=model.weights))[1].deferred
    assert found == (first.weights[0], third.weights[0])
    assert defer_gradients(nodes, Plan(deferrable=third.weights))[1].deferred == (third.weights[0],)
    assert defer_gradients(nodes, Plan())[1].deferred == ()


def test_they_run_one_after_the_other() -> None:
    model, nodes, y = traced(layers.Dense(5, "relu"), layers.Dropout(0.5, batchwise=True), layers.Dense(3))
    plan = Plan(keep={y}, packable=model.weights)
    wanted: Any = (nodes, plan)
    for rewrite in PASSES:
        wanted = rewrite(*wanted)
    found, decided = run_passes(nodes, plan)
    assert names(found) == names(wanted[0])
    assert decided.packed.keys() == wanted[1].packed.keys() == set(model.weights)
