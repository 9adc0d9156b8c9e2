"""Exported files hold names, shapes and versions; models that cannot be exported are refused with a reason."""

from __future__ import annotations

import builtins
import os

import numpy as np
import pytest

import nbnet as nb
from nbnet import layers as L
from nbnet.export import export, to_onnx
from tests.export.runtime import run, session

onnx = pytest.importorskip("onnx", reason="onnx, which writes the files, is not installed")
rng = np.random.default_rng(0)
X = rng.normal(size=(6, 4)).astype("float32")


def network(*layers, shape=(4,)):
    return nb.Sequential([nb.Input(shape, name="x"), *layers])


def small():
    return network(L.Dense(3, "relu", name="hidden"), L.Dropout(0.5), L.Dense(2, name="scores"))


class Written(L.Layer):
    """A layer that applies a function."""

    def __init__(self, function, **kwargs):
        super().__init__(**kwargs)
        self.function = function

    def call(self, x):
        return self.function(x)


# ---- what a file holds -----------------------------------------------------------------------------------------


def test_versions_names_and_shapes():
    model = small()
    made = to_onnx(model)
    assert made.ir_version == 8
    assert [(s.domain, s.version) for s in made.opset_import] == [("", 17)]
    assert (made.producer_name, made.producer_version) == ("nbnet", nb.__version__)
    assert made.graph.name == model.name
    assert [x.name for x in made.graph.input] == ["x"]
    assert [d.dim_param or d.dim_value for d in made.graph.input[0].type.tensor_type.shape.dim] == ["batch", 4]
    assert [d.dim_param or d.dim_value for d in made.graph.output[0].type.tensor_type.shape.dim] == ["batch", 2]
    assert {a.name for a in made.graph.initializer} == {w.name for w in model.weights}
    assert [n.op_type for n in made.graph.node] == ["Gemm", "Relu", "Gemm"]


def test_constants_are_the_weights():
    model = small()
    stored = {a.name: onnx.numpy_helper.to_array(a) for a in to_onnx(model).graph.initializer}
    for w in model.weights:
        np.testing.assert_array_equal(stored[w.name], w.numpy())


def test_the_kernel_of_a_convolution_is_stored_turned():
    model = network(L.Conv2D(3, (2, 1), name="conv"), shape=(4, 4, 2))
    stored = {a.name: onnx.numpy_helper.to_array(a) for a in to_onnx(model).graph.initializer}
    np.testing.assert_array_equal(stored["conv/kernel"], model.weights[0].numpy().transpose(3, 2, 0, 1))


def test_models_with_one_name_for_two_weights():
    inner = nb.Sequential([nb.Input((4,)), L.Dense(4, name="same")], name="inner")
    made = to_onnx(network(L.Dense(4, name="same"), inner))
    assert len({a.name for a in made.graph.initializer}) == 4


def test_a_layer_used_twice_is_stored_once():
    layer = L.Dense(4)
    model = network(layer, Written(lambda x: layer(x)))
    assert len(to_onnx(model).graph.initializer) == 2
    np.testing.assert_allclose(run(to_onnx(model), X)[0], model.predict(X), rtol=1e-5, atol=1e-6)


def test_the_identity():
    model = network(L.Dropout(0.5))
    np.testing.assert_array_equal(run(to_onnx(model), X)[0], X)


def test_exporting_changes_nothing():
    model = small()
    before, weights = model.predict(X), model.get_weights()
    to_onnx(model)
    np.testing.assert_array_equal(model.predict(X), before)
    for now, then in zip(model.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(now, then)


def test_numbers_that_pass_by_other_layers_stay_integers():
    model = network(L.Reshape((2, 2)), L.Permute((2, 1)), L.Embedding(9, 3), shape=(4,))
    made = to_onnx(model)
    assert session(made).get_inputs()[0].type == "tensor(int64)"
    ids = rng.integers(0, 9, (5, 4))
    np.testing.assert_array_equal(run(made, ids)[0], model.predict(ids.astype("float32")))


def test_numbers_that_are_read_as_values_too_are_floats():
    table = L.Embedding(9, 4)
    model = network(Written(lambda x: table(x) + nb.ops.reshape(x, (*x.shape, 1))))
    made = to_onnx(model)
    assert session(made).get_inputs()[0].type == "tensor(float)"
    ids = rng.integers(0, 9, (5, 4)).astype("float32")
    np.testing.assert_allclose(run(made, ids)[0], model(ids).numpy(), rtol=1e-6)


# ---- files -----------------------------------------------------------------------------------------------------


def test_a_file(tmp_path, capsys):
    model, path = small(), tmp_path / "m.onnx"
    export(model, path)
    assert capsys.readouterr().out == ""
    export(model, str(path), verbose=True)
    assert str(path) in capsys.readouterr().out
    onnx.checker.check_model(str(path), full_check=True)
    np.testing.assert_allclose(run(onnx.load(path), X)[0], model.predict(X), rtol=1e-5, atol=1e-6)
    assert os.listdir(tmp_path) == ["m.onnx"]


def test_a_file_is_replaced_as_a_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "m.onnx"
    export(small(), path)
    before = path.read_bytes()

    def fail(handle):
        raise OSError("no space left")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="no space left"):
        export(small(), path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["m.onnx"]


def test_without_the_package(tmp_path, monkeypatch):
    plain = builtins.__import__

    def without(name, *args, **kwargs):
        if name == "onnx" or name.startswith("onnx."):
            raise ImportError(name)
        return plain(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=r"pip install 'nbnet\[onnx\]'"):
        export(small(), tmp_path / "m.onnx")
    assert not os.listdir(tmp_path)


# ---- signatures ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("signature", [(None, 4), [(None, 4)], [None, 4], [X[:, :]], X])
def test_signatures(signature):
    model = nb.Sequential([L.Dense(2)])
    if signature is X or (isinstance(signature, list) and signature[0] is not None and hasattr(signature[0], "shape")):
        made = to_onnx(model, signature)
        assert made.graph.input[0].type.tensor_type.shape.dim[0].dim_value == 6
    else:
        made = to_onnx(model, signature)
        assert made.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"
    np.testing.assert_allclose(run(made, X)[0], model.predict(X), rtol=1e-5, atol=1e-6)


BAD_SIGNATURES = [
    (7, "input_signature: expected shapes"),
    ("x", "input_signature: expected shapes"),
    ((), "input_signature"),
    ((None, 0), "input_signature: expected shapes"),
    ((None, 4.0), "input_signature: expected shapes"),
    ((None, 5), r"x has the shape \(None, 4\), got \(None, 5\)"),
    ((None, 4, 1), r"x has the shape \(None, 4\)"),
    ({"y": (None, 4)}, r"has the inputs \['x'\], got \['y'\]"),
    ([(None, 4), (None, 4)], r"has 1 input\(s\), got 2 shape\(s\)"),
]


@pytest.mark.parametrize(("signature", "message"), BAD_SIGNATURES)
def test_bad_signatures(signature, message):
    with pytest.raises(ValueError, match=message):
        to_onnx(small(), signature)


# ---- refusals --------------------------------------------------------------------------------------------------

BAD_ARGUMENTS = [
    ({"format": "tf_saved_model"}, ValueError, "format: expected 'onnx', got 'tf_saved_model'"),
    ({"opset_version": 13}, ValueError, "opset_version: expected 17, got 13"),
    ({"filepath": 3}, TypeError, "filepath: expected a path, got 3"),
    ({"filepath": "nowhere/m.onnx"}, ValueError, "filepath: nowhere is not a folder"),
    ({"filepath": "."}, ValueError, r"filepath: \. is a folder"),
]


@pytest.mark.parametrize(("arguments", "error", "message"), BAD_ARGUMENTS)
def test_bad_arguments(arguments, error, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=message):
        export(small(), **({"filepath": "m.onnx"} | arguments))
    assert not os.listdir(tmp_path)


def test_a_model_that_is_not_built():
    with pytest.raises(ValueError, match="is not built"):
        to_onnx(nb.Sequential([L.Dense(2)]))


REFUSED = [
    (lambda x: nb.ops.dropout(x, 0.5), "odd applies the op 'dropout': it draws random numbers"),
    (lambda x: nb.losses.MeanSquaredError().losses(x, x), "odd applies the op 'mean_squared_error': it is a loss"),
    (
        lambda x: nb.ops.leaky_relu(x, nb.ops.exp(nb.Parameter(0.1))),
        "odd.* applies the op 'leaky_relu' with a computed parameter",
    ),
]


@pytest.mark.parametrize(("function", "message"), REFUSED)
def test_ops_that_cannot_be_written(function, message, tmp_path):
    with pytest.raises(NotImplementedError, match=message):
        export(network(Written(function, name="odd")), tmp_path / "m.onnx")
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize(
    ("layers", "shape"),
    [([L.Conv2D(2, 3)], (4, 4, 1)), ([L.AveragePooling1D(2)], (4, 2)), ([L.Activation("gelu")], (4,))],
)
def test_float64_where_onnxruntime_has_only_float32(layers, shape):
    nb.set_floatx("float64")
    try:
        model = network(*[type(layer).from_config(layer.get_config() | {"dtype": "float64"}) for layer in layers],
                        shape=shape)  # fmt: skip
        with pytest.raises(NotImplementedError, match="float32 only"):
            to_onnx(model)
    finally:
        nb.set_floatx("float32")
