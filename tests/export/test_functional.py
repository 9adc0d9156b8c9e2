"""Models of symbols and subclasses: several inputs and outputs, shared layers, models in models."""

from __future__ import annotations

import numpy as np
import pytest

import nbnet as nb
from nbnet import layers as L
from nbnet.export import to_onnx
from tests.export.runtime import run, session

pytest.importorskip("onnx", reason="onnx, which writes the files, is not installed")

rng = np.random.default_rng(0)
A, B = rng.normal(size=(7, 4)).astype("float32"), rng.normal(size=(7, 3)).astype("float32")
IDS = rng.integers(0, 9, (7, 2))


def inputs():
    return nb.Input((4,), name="a"), nb.Input((3,), name="b")


def agree(model, feed, signature=None):
    """Compare predictions, for all rows and for one; feed: arrays by name of input."""
    made = to_onnx(model, signature)
    wants = [x.name for x in made.graph.input]
    for rows in (7, 1):
        part = {name: array[:rows] for name, array in feed.items()}
        given = part if len(part) > 1 else next(iter(part.values()))
        predicted = model.predict(given)
        flat = predicted.values() if isinstance(predicted, dict) else predicted
        flat = list(flat) if isinstance(predicted, (dict, list, tuple)) else [predicted]
        for found, wanted in zip(run(made, *(part[name] for name in wants)), flat, strict=True):
            np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)
    return made


def test_several_inputs():
    a, b = inputs()
    y = L.Dense(2, "softmax", name="classes")(L.Concatenate()([L.Dense(5, "tanh")(a), b]))
    made = agree(nb.Model([a, b], y), {"a": A, "b": B})
    assert [x.name for x in made.graph.input] == ["a", "b"]
    assert [y.name for y in made.graph.output] == ["classes"]


@pytest.mark.parametrize("kind", [L.Add, L.Subtract, L.Multiply, L.Average, L.Maximum, L.Minimum])
def test_merging(kind):
    a, b = inputs()
    agree(nb.Model([a, b], kind()([L.Dense(3)(a), b])), {"a": A, "b": B})


def test_dot_products():
    a, b = inputs()
    agree(nb.Model([a, b], L.Dot(axes=1, normalize=True)([L.Dense(3)(a), b])), {"a": A, "b": B})


def test_several_outputs_by_name():
    a, b = inputs()
    h = L.Dense(6, "relu")(L.concatenate([a, b]))
    model = nb.Model({"a": a, "b": b}, {"mean": L.Dense(1)(h), "spread": L.Dense(1, "softplus")(h)})
    made = agree(model, {"a": A, "b": B})
    assert [y.name for y in made.graph.output] == ["mean", "spread"]


def test_a_shared_layer():
    a = nb.Input((4,), name="a")
    shared = L.Dense(4, "gelu", name="shared")
    made = agree(nb.Model(a, [shared(shared(a)), shared(a)]), {"a": A})
    assert sorted(x.name for x in made.graph.initializer if x.name.startswith("shared")) == [
        "shared/bias",
        "shared/kernel",
    ]


def test_a_residual_block_with_a_model_inside():
    block = nb.Sequential([nb.Input((4,)), L.BatchNormalization(), L.Dense(4, "relu"), L.Dropout(0.5)])
    a = nb.Input((4,), name="a")
    model = nb.Model(a, L.Dense(2)(L.Add()([a, block(block(a))])))
    agree(model, {"a": A})


def test_an_output_in_the_middle():
    model = nb.Sequential([nb.Input((4,), name="a"), L.Dense(5, "relu", name="features"), L.Dense(2)])
    features = nb.Model(model.inputs, model.get_layer("features").output)
    made = agree(features, {"a": A})
    assert made.graph.output[0].name == "features"


def test_numbers_and_values():
    a, ids = nb.Input((4,), name="a"), nb.Input((2,), dtype="int32", name="ids")
    vectors = L.Flatten()(L.Embedding(9, 3)(ids))
    model = nb.Model([a, ids], L.Dense(2)(L.concatenate([a, vectors])))
    made = agree(model, {"a": A, "ids": IDS})
    assert [x.type for x in session(made).get_inputs()] == ["tensor(float)", "tensor(int64)"]


def test_functions_of_symbols():
    a, b = inputs()
    y = nb.ops.exp(-nb.ops.square(a[:, :3] - b)) + nb.ops.mean(b, axis=1, keepdims=True)
    agree(nb.Model([a, b], y), {"a": A, "b": B})


def test_sequences_of_any_length():
    x = nb.Input((None, 2), name="x")
    model = nb.Model(x, L.Dense(1)(L.GlobalMaxPooling1D()(L.Conv1D(3, 2, activation="relu")(x))))
    made = to_onnx(model)
    for length in (5, 11):
        data = rng.normal(size=(3, length, 2)).astype("float32")
        np.testing.assert_allclose(run(made, data)[0], model.predict(data), rtol=1e-5, atol=1e-5)


class Net(nb.Model):
    def __init__(self):
        super().__init__()
        self.hidden, self.drop, self.out = L.Dense(5, "relu"), L.Dropout(0.5), L.Dense(2)

    def call(self, inputs, training=None):
        return self.out(self.drop(self.hidden(inputs), training=training))


def test_a_subclass():
    model = Net()
    model.predict(A)
    agree(model, {"input": A})


def test_a_subclass_that_a_signature_builds():
    model = Net()
    with pytest.raises(ValueError, match="is not built"):
        to_onnx(model)
    with pytest.raises(ValueError, match="expected all sizes but the batch's"):
        to_onnx(model, (None, None))
    agree(model, {"input": A}, (None, 4))


@pytest.mark.parametrize("signature", [[(None, 4), (None, 3)], {"b": (None, 3), "a": (None, 4)}])
def test_signatures_of_several_inputs(signature):
    a, b = inputs()
    made = to_onnx(nb.Model([a, b], L.concatenate([a, b])), signature)
    assert [x.name for x in made.graph.input] == ["a", "b"]


def test_a_method_of_models(tmp_path):
    a, b = inputs()
    model = nb.Model([a, b], L.concatenate([a, b]))
    model.export(tmp_path / "m.onnx", input_signature=model.inputs)
    onnx = pytest.importorskip("onnx")
    np.testing.assert_allclose(run(onnx.load(tmp_path / "m.onnx"), A, B)[0], model.predict([A, B]))
    with pytest.raises(ValueError, match="format: expected 'onnx', got 'tf'"):
        model.export(tmp_path / "m.onnx", "tf")
