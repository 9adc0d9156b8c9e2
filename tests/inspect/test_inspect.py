"""``nb.inspect``: what units compute, and when they were dropped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nbnet as nb
from nbnet.inspect.plots import grid
from nbnet.layers import BatchNormalization, Conv2D, Dense, Dropout, Flatten

rng = np.random.default_rng(0)
X = rng.normal(size=(20, 6)).astype("float32")


def network() -> nb.Sequential:
    nb.set_random_seed(1)
    layers = [Dense(9, "relu", name="hidden"), BatchNormalization(name="norm"), Dropout(0.5, name="drop")]
    return nb.Sequential([nb.Input((6,)), *layers, Dense(2, name="out")])


# ---- activity ----------------------------------------------------------------------------------------------------


def test_activations_are_those_of_the_layers() -> None:
    model = network()
    found = nb.inspect.activations(model, X)
    assert list(found) == ["hidden", "norm", "drop", "out"]
    hidden, norm = (model.get_layer(name) for name in ("hidden", "norm"))
    wanted = np.maximum(X @ hidden.kernel.numpy() + hidden.bias.numpy(), 0)
    np.testing.assert_allclose(found["hidden"], wanted, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(found["norm"], norm(wanted := found["hidden"]))
    np.testing.assert_array_equal(found["drop"], found["norm"])
    np.testing.assert_array_equal(found["out"], model(X))
    assert list(nb.inspect.activations(model, X, layers=["out"])) == ["out"]
    assert wanted.shape == (20, 9)


def test_activations_in_training_leave_no_trace() -> None:
    model = network()
    before = [w.copy() for w in model.get_weights()]
    with nb.Tape() as outside:
        found = nb.inspect.activations(model, X, training=True, step=5)
    assert outside.nodes == []
    for w, old in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(w, old)
    mask = model.masks(5, X)["drop"]
    np.testing.assert_array_equal(found["drop"], found["norm"] * mask * np.float32(2))
    with nb.Tape(step=5):
        np.testing.assert_array_equal(found["out"], model(X, training=True))


def test_activations_of_a_model_of_symbols() -> None:
    x, shared = nb.Input((6,)), Dense(6, name="shared")
    model = nb.Model(x, nb.layers.Add(name="sum")([shared(shared(x)), nb.ops.tanh(x)]))
    found = nb.inspect.activations(model, X)
    assert set(found) == {"shared", "shared:1", "sum"}
    np.testing.assert_allclose(found["sum"], found["shared:1"] + np.tanh(X), rtol=1e-5, atol=1e-6)


def test_activity() -> None:
    model = network()
    values = nb.inspect.activations(model, X)["hidden"]
    found = nb.inspect.activity(model, X, ["hidden"])["hidden"]
    np.testing.assert_array_equal(found.values, values)
    np.testing.assert_allclose(found.means, values.mean(0), rtol=1e-6)
    assert found.mean == pytest.approx(values.mean())
    assert found.sparsity == np.mean(values == 0)
    assert found.dead == np.mean((values == 0).all(0))
    near = nb.inspect.activity(model, X, ["hidden"], threshold=0.5)["hidden"]
    assert near.sparsity == np.mean(values <= 0.5)
    images = nb.Sequential([nb.Input((5, 5, 1)), Conv2D(3, 2, name="conv")])
    assert nb.inspect.activity(images, np.ones((2, 5, 5, 1)))["conv"].values.shape == (32, 3)


def test_correlations() -> None:
    values = rng.normal(size=(50, 5))
    values[:, 1] = -3 * values[:, 0] + 1
    values[:, 4] = 2
    found = nb.inspect.correlations(values)
    np.testing.assert_allclose(found[:4, :4], np.corrcoef(values[:, :4].T), atol=1e-12)
    np.testing.assert_array_equal(found[4], [0, 0, 0, 0, 1])


# ---- masks -------------------------------------------------------------------------------------------------------


def test_keep_rates_of_recorded_steps() -> None:
    model = network()
    model.compile("sgd", "mse")
    recorded = model.fit(X, np.ones((20, 2)), batch_size=8, verbose=0, record_masks=3).masks
    rows = np.concatenate([masks["drop"] for _, masks in recorded])
    assert rows.shape == (20, 9)
    np.testing.assert_array_equal(nb.inspect.keep_rates(recorded)["drop"], rows.mean(0))
    np.testing.assert_array_equal(nb.inspect.keep_rates(recorded[0].masks)["drop"], rows[:8].mean(0))
    images = {"maps": np.array([[[[True, False]]], [[[True, True]]]])}
    np.testing.assert_array_equal(nb.inspect.keep_rates(images)["maps"], [1, 0.5])
    raster = nb.inspect.mask_raster(recorded, "drop")
    np.testing.assert_array_equal(raster[1], rows[8:16].mean(0))
    np.testing.assert_array_equal(nb.inspect.mask_raster(recorded, "drop", row=2)[0], rows[2])


# ---- features ----------------------------------------------------------------------------------------------------


def test_features() -> None:
    model = nb.Sequential([nb.Input((4, 3)), Flatten(), Dense(7, name="first"), Dense(4, name="second")])
    kernel = model.get_layer("first").kernel.numpy()
    found = nb.inspect.features(model)
    assert found.shape == (7, 4, 3)
    np.testing.assert_array_equal(found[2].ravel(), kernel[:, 2])
    strongest = nb.inspect.features(model, count=2)
    norms = (kernel**2).sum(0)
    np.testing.assert_array_equal(strongest[0].ravel(), kernel[:, norms.argmax()])
    assert strongest.shape == (2, 4, 3)
    assert nb.inspect.features(model, "second").shape == (4, 1, 7)
    assert nb.inspect.features(model, shape=(2, 2, 3)).shape == (7, 2, 2, 3)
    squares = nb.Sequential([nb.Input((16,)), Dense(3)])
    assert nb.inspect.features(squares).shape == (3, 4, 4)
    images = nb.Sequential([nb.Input((9, 9, 3)), Conv2D(5, (3, 4), name="one"), Conv2D(6, 2, name="two")])
    found = nb.inspect.features(images)
    assert found.shape == (5, 3, 4, 3)
    np.testing.assert_array_equal(found[1], images.layers[0].kernel.numpy()[..., 1])
    assert nb.inspect.features(images, "two").shape == (6, 2, 10)


# ---- bad input ---------------------------------------------------------------------------------------------------


class Written(nb.Model):
    def call(self, x: Any) -> Any:
        return x


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: nb.inspect.activations(Written(), X), r"^model: .*is a subclass that defines call"),
        (lambda: nb.inspect.activations(network(), X, layers=["nobody"]), r"^layers: .* has no layer 'nobody'"),
        (lambda: nb.inspect.activity(network(), X, threshold=-1.0), r"^threshold"),
        (lambda: nb.inspect.correlations(np.ones(3)), r"^values: expected two rows or more"),
        (lambda: nb.inspect.correlations(np.ones((1, 3))), r"^values: expected two rows or more"),
        (lambda: nb.inspect.keep_rates({}), r"^masks: expected at least one"),
        (lambda: nb.inspect.keep_rates([]), r"^masks: expected at least one"),
        (lambda: nb.inspect.mask_raster([], "drop"), r"^masks: expected at least one"),
        (lambda: nb.inspect.mask_raster([{"drop": [[True]]}], "no"), r"^layer: expected one of \['drop'\], got 'no'"),
        (
            lambda: nb.inspect.mask_raster([{"drop": [[True]]}], "drop", row=1),
            r"^row: expected .* 1 rows, got 1",
        ),
        (lambda: nb.inspect.features(network(), "drop"), r"^layer: .* has no Dense or convolution layer 'drop'"),
        (lambda: nb.inspect.features(nb.Sequential([nb.Input((2,)), Flatten()])), r"^layer: .* no Dense or"),
        (lambda: nb.inspect.features(nb.Sequential([Dense(2)])), r"^model: .* is not built"),
        (lambda: nb.inspect.features(network(), shape=(2, 2)), r"^shape: expected one of 6 weights a unit of hidden"),
        (lambda: nb.inspect.features(network(), count=0), r"^count: expected an integer from 1"),
    ],
)
def test_bad_input(call: Any, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        call()


# ---- figures -----------------------------------------------------------------------------------------------------


def test_grid() -> None:
    images = np.zeros((3, 2, 2))
    images[0, 0, 0], images[1, 1, 1] = 5, -1
    made = grid(images, columns=2)
    assert made.shape == (7, 7, 3)
    assert made[1, 1].max() < 0.2
    assert made[2, 5, 0] > made[2, 5, 2] + 0.5
    np.testing.assert_array_equal(made[4, 1], [1, 1, 1])
    np.testing.assert_array_equal(made[4, 4], [0.86] * 3)
    colours = grid(rng.random((1, 2, 2, 3)), columns=1)
    assert colours[1:3, 1:3].min() == 0
    assert colours[1:3, 1:3].max() == 1


def test_every_figure_is_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="figures need matplotlib (the extra 'plot')")
    model = network()
    model.compile("sgd", "mse")
    recorded = model.fit(X, np.ones((20, 2)), batch_size=8, epochs=2, verbose=0, record_masks=5).masks
    found = nb.inspect.activity(model, X)
    matrix = nb.inspect.correlations(found["norm"].values)
    figures = {
        "features": nb.inspect.plot_features(nb.inspect.features(model), title="t"),
        "two": nb.inspect.plot_features({"a": nb.inspect.features(model), "b": np.zeros((1, 2, 2))}, columns=4),
        "activity": nb.inspect.plot_activity(found["hidden"]),
        "activities": nb.inspect.plot_activity({"a": found["hidden"], "b": found["norm"]}, bins=7, title="t"),
        "rates": nb.inspect.plot_keep_rates(recorded, {"drop": 0.5}),
        "rates of 1": nb.inspect.plot_keep_rates({"a": np.ones((4, 2), bool), "b": np.ones((1, 2), bool)}, {"a": 0.0}),
        "raster": nb.inspect.plot_mask_raster(recorded, "drop", units=5),
        "raster of shares": nb.inspect.plot_mask_raster(list(recorded), "drop", row=None, title="t"),
        "correlations": nb.inspect.plot_correlations({"a": matrix, "b": np.eye(1)}),
        "correlation": nb.inspect.plot_correlations(matrix, title="t"),
    }
    for name, made in figures.items():
        made.savefig(tmp_path / f"{name}.png", dpi=40)
        assert (tmp_path / f"{name}.png").stat().st_size > 1000
    raster = figures["raster"].axes[0]
    assert raster.get_ylim() == (5.5, 0.5)
    assert raster.images[0].get_array().shape == (5, 5, 3)
    assert figures["rates"].axes[0].get_title(loc="left").startswith("drop: ")
    assert len(figures["two"].axes) == 2


def test_without_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"nbnet\[plot\]"):
        nb.inspect.plot_features(np.eye(4).reshape(4, 2, 2))
