"""Weights that are updated a few rows at a time: which they are, and that nothing else differs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import nbnet as nb
from nbnet import layers
from nbnet.engine.kernels.layout import DEPTH_BYTES, PANEL_BYTES
from nbnet.ops.dense import dense_weights_backward
from nbnet.train import graph_passes, program_report
from tests.engine.toys import F32, F64, run

rng = np.random.default_rng(9)
ROWS = 300
X = rng.normal(size=(ROWS, 40))
LABELS = rng.integers(0, 5, ROWS)


def network(*hidden: layers.Layer, optimizer: Any = "adam", dtype: str = "float32", **settings: Any) -> nb.Sequential:
    nb.set_random_seed(3)
    floatx = nb.config.floatx()
    nb.config.set_floatx(dtype)
    try:
        parts = hidden or (layers.Dropout(0.2), layers.Dense(70, "tanh"), layers.Dropout(0.5), layers.Dense(35, "relu"))
        model = nb.Sequential([nb.Input((40,)), *parts, layers.Dense(5, "softmax")])
        model.compile(optimizer, "sparse_categorical_crossentropy", **settings)
    finally:
        nb.config.set_floatx(floatx)
    return model


def calls(model: nb.Model, rows: int = 64) -> list[Any]:
    """The calls of its training program that compute rows of gradients."""
    return [call for call in model.program("train", rows).calls if call.kernel is dense_weights_backward]


def trained(model: nb.Sequential, batch_size: int = 64) -> list[Any]:
    model.fit(X, LABELS, batch_size, 3, verbose=0)
    return [*model.get_weights(), np.array(model.history.history["loss"])]


@pytest.fixture
def all_released(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph_passes, "LEAST_BYTES", 0)
    monkeypatch.setattr(graph_passes, "BLOCK_BYTES", 4096)


OPTIMIZERS = {
    "sgd": {},
    "sgd, momentum": {"momentum": 0.9, "nesterov": True},
    "adam": {"amsgrad": True},
    "adamw": {"weight_decay": 0.1},
    "rmsprop": {"clipvalue": 0.01},
    "lion": {},
    "ftrl": {},
}


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("batch_size", [64, 300])
def test_updates_are_the_same(name: str, batch_size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Dropout, schedules, decay and limits included; but where the ends of loops lie, rounding may differ."""
    found = []
    for least in (1 << 40, 0):
        monkeypatch.setattr(graph_passes, "LEAST_BYTES", least)
        monkeypatch.setattr(graph_passes, "BLOCK_BYTES", 4096)
        monkeypatch.setattr(graph_passes, "LARGE_BLOCK_BYTES", 4096)
        schedule = nb.optimizers.schedules.ExponentialDecay(0.01, 4, 0.9)
        settings = OPTIMIZERS[name] | {"learning_rate": schedule}
        optimizer = nb.optimizers.get({"class_name": name.split(",")[0], "config": settings})
        model = network(optimizer=optimizer, slices=1, dtype="float64")
        found.append(trained(model, batch_size))
        assert (len(calls(model)) > 3) == (least == 0)
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("slices", [2, 3])
def test_slices_share_rows(slices: int, dtype: str, all_released: None) -> None:
    alone = trained(network(slices=1, dtype=dtype))
    model = network(slices=slices, dtype=dtype)
    rtol = 1e-9 if dtype == "float64" else 2e-3
    for a, b in zip(trained(model), alone, strict=True):
        np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol / 10)
    found = calls(model)
    # Every row of every matrix once.
    for w in (layer.kernel for layer in model.layers if isinstance(layer, layers.Dense)):
        rows = [range(c.attributes[0], sum(c.attributes)) for c in found if c.name == w.name]
        assert sorted(i for part in rows for i in part) == list(range(w.shape[0]))


def tied() -> nb.Model:
    nb.set_random_seed(0)
    x = nb.Input((40,))
    layer = layers.Dense(40)
    model = nb.Model(x, layers.Dense(5, "softmax")(layer(layer(x))))
    model.compile("adam", "sparse_categorical_crossentropy")
    return model


NOT = {
    "global norm": lambda: network(optimizer=nb.optimizers.Adam(global_clipnorm=1.0)),
    "norm": lambda: network(optimizer=nb.optimizers.Adam(clipnorm=1.0)),
    "average": lambda: network(optimizer=nb.optimizers.Adam(use_ema=True)),
    "accumulation": lambda: network(optimizer=nb.optimizers.Adam(gradient_accumulation_steps=2)),
}


@pytest.mark.parametrize("name", NOT)
def test_an_update_that_needs_all_gradients_gets_them(name: str, all_released: None) -> None:
    model = NOT[name]()
    trained(model)
    assert not calls(model)


def test_weights_that_are_read_elsewhere_have_whole_gradients(all_released: None) -> None:
    model = tied()
    model.fit(X, LABELS, 64, verbose=0)
    assert {call.name for call in calls(model)} == {model.layers[-1].kernel.name}
    for slices in (1, 2):
        penalised = network(layers.Dense(20, kernel_regularizer="l2"), slices=slices)
        trained(penalised)
        assert {call.name for call in calls(penalised)} == {penalised.layers[-1].kernel.name}


@pytest.mark.parametrize("slices", [2, 3])
def test_weights_that_the_first_slice_leaves_whole_are_whole_in_all(
    slices: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Penalties are part of the first slice alone; here no other weights are large enough."""
    found = []
    monkeypatch.setattr(graph_passes, "LEAST_BYTES", 4096)
    for count in (1, slices):
        model = network(
            layers.Dense(70, "relu", kernel_regularizer="l2", dtype="float64"), slices=count, dtype="float64"
        )
        found.append(trained(model))
        assert not calls(model)
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


def test_a_layer_without_anything_below_and_without_bias(all_released: None) -> None:
    """Nothing but the gradient of the weights is wanted there."""
    frozen = layers.Dense(30, "relu", use_bias=False)
    found = []
    for slices in (1, 2):
        model = network(layers.Dense(30, "relu", use_bias=False), layers.Dense(12, use_bias=False), slices=slices)
        found.append(trained(model))
        assert calls(model)
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)
    frozen.trainable = False
    model = network(frozen, layers.Dense(12))
    before = frozen.get_weights()
    trained(model)
    np.testing.assert_array_equal(frozen.get_weights(), before)


def test_an_input_that_others_change_in_place(all_released: None) -> None:
    """The first layer's input is needed until the end, and nothing but the update of its weights says so."""
    found = []
    for slices in (1, 2, 3):
        nb.set_random_seed(0)
        x = nb.Input((40,))
        y = layers.Activation("tanh")(x)
        both = layers.Add()([layers.Dense(30, use_bias=False)(y), layers.Dense(30)(layers.Activation("relu")(y))])
        model = nb.Model(x, layers.Dense(5, "softmax")(layers.Activation("relu")(both)))
        model.compile("sgd", "sparse_categorical_crossentropy", slices=slices)
        model.fit(X, LABELS, 64, 2, verbose=0)
        assert len({call.name for call in calls(model)}) == 3
        found.append(model.get_weights())
    for other in found[1:]:
        for a, b in zip(found[0], other, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)


def test_sequences_of_rows(all_released: None) -> None:
    """A dense layer on (batch, time, features)."""
    x, found = rng.normal(size=(60, 4, 10)), []
    for slices in (1, 2):
        nb.set_random_seed(0)
        parts = [layers.Dense(12, "relu"), layers.Flatten(), layers.Dense(5, "softmax")]
        model = nb.Sequential([nb.Input((4, 10)), *parts])
        model.compile("adam", "sparse_categorical_crossentropy", slices=slices)
        model.fit(x, LABELS[:60], 20, 2, verbose=0)
        assert len({call.name for call in calls(model)}) == 2
        found.append(model.get_weights())
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)


def test_a_large_network_needs_no_room_for_gradients() -> None:
    model = nb.Sequential([nb.Input((1000,)), layers.Dense(800, "relu"), layers.Dense(10, "softmax")])
    model.compile("adam", "sparse_categorical_crossentropy", slices=2)
    found = program_report.training_memory(model, 32)
    assert found is not None
    rest = 800 + 8000 + 10
    assert 2 * rest * 4 <= found.gradients <= 2 * (rest + 64) * 4
    # A block's gradient for each slice; batches, activations and what is sent back.
    assert found.arena < 2 * graph_passes.BLOCK_BYTES + 32 * 4 * (1000 + 2 * 800) * 2


@pytest.mark.parametrize("dtype", [F32, F64])
@pytest.mark.parametrize("batch", [1, 3, 32, 127, 128, 130, 300])
def test_rows_of_a_gradient(batch: int, dtype: Any) -> None:
    """Beside NumPy: tiles, remainders, and batches deeper than a panel."""
    size = np.dtype(dtype).itemsize
    assert 300 * size > DEPTH_BYTES
    assert PANEL_BYTES > 130 * (60 + 16) * 4
    for first, rows, columns in ((0, 16, 32), (5, 37, 70), (20, 8, 16), (3, 1, 40), (7, 30, 7), (0, 60, 256)):
        x, dz = rng.normal(size=(batch, 60)).astype(dtype), rng.normal(size=(batch, columns)).astype(dtype)
        rows = min(rows, 60 - first)
        memory = np.full(rows * columns + 64, np.nan, dtype)
        ahead = [np.ones((1, rows * columns), dtype) for _ in range(3)]
        for count in (0, 1, 3):
            memory[:] = np.nan
            out = memory[: rows * columns].reshape(1, -1)
            run(dense_weights_backward, x, dz, out, *ahead[:count], attributes=(first, rows))
            want = x[:, first : first + rows].astype(F64).T @ dz.astype(F64)
            np.testing.assert_allclose(out.reshape(rows, columns), want, atol=1000 * np.finfo(dtype).eps, rtol=0)
            assert np.isnan(memory[rows * columns :]).all()
