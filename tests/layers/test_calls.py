"""Calls of layers as Keras makes them: several arguments, shapes by name, None among inputs, weights in call."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

import nbnet as nb

L = nb.layers


class Scaled(L.Layer):
    """Two arguments, whose shapes build takes by name."""

    def build(self, b_shape: Any, a_shape: Any) -> None:
        self.shapes = a_shape[1:], b_shape[1:]
        self.scale = self.add_weight((b_shape[-1],), "ones", name="scale")

    def call(self, a: Any, b: Any) -> Any:
        return a + b * self.scale


@pytest.mark.parametrize("kind", ["arrays", "symbols", "names", "mixed"])
def test_build_takes_shapes_by_name(kind: str) -> None:
    layer, a, b = Scaled(), np.zeros((2, 1)), np.ones((2, 3))
    if kind == "arrays":
        layer(a, b)
    elif kind == "symbols":
        layer(nb.Input((1,)), nb.Input((3,)))
    elif kind == "names":
        layer(b=b, a=a)
    else:
        layer(a, b=b)
    assert layer.shapes == ((1,), (3,))
    np.testing.assert_array_equal(layer(a, b).numpy(), b)


def test_symbols_by_name() -> None:
    x1, x2 = nb.Input((2,), name="x1"), nb.Input((2,), name="x2")
    layer = Scaled()
    model = nb.Model([x1, x2], layer(a=x1, b=x2))
    assert len(model.weights) == 1
    np.testing.assert_array_equal(model.predict([np.ones((3, 2)), np.ones((3, 2))], verbose=0), 2 * np.ones((3, 2)))


def test_names_of_shapes_are_checked() -> None:
    class Wrong(L.Layer):
        def build(self, a_shape: Any, c_shape: Any) -> None: ...

        def call(self, a: Any, b: Any) -> Any:
            return a + b

    with pytest.raises(ValueError, match=r"build: of several arguments, .*got 'c_shape'"):
        Wrong()(np.ones((2, 2)), np.ones((2, 2)))


def test_none_among_inputs() -> None:
    class First(L.Layer):
        def call(self, xs: Any) -> Any:
            parts = list(xs.values()) if isinstance(xs, dict) else xs
            return parts[0] if parts[1] is None else parts[0] + parts[1]

    x = np.ones((2, 3))
    for inputs in ([x, None], {"a": x, "b": None}):
        np.testing.assert_array_equal(First()(inputs).numpy(), x)
    assert First()([nb.Input((3,)), None]).shape == (None, 3)


def test_call_creates_no_weights() -> None:
    class Late(L.Layer):
        def call(self, x: Any) -> Any:
            self.w = self.add_weight((), "zeros")
            return x

    with pytest.raises(ValueError, match="is built, and call creates no weights; create 'weight' in build"):
        Late()(np.ones((2, 2)))


def test_a_layer_may_create_layers_in_call() -> None:
    class Lazy(L.Layer):
        inner: Any = None

        def call(self, x: Any) -> Any:
            if self.inner is None:
                self.inner = L.Dense(2)
            return self.inner(x)

    layer = Lazy()
    layer(np.ones((2, 2)))
    assert len(layer.weights) == 2


@pytest.mark.parametrize("trainable", ["yes", 1, None])
def test_trainable_is_a_boolean(trainable: Any) -> None:
    with pytest.raises(ValueError, match="trainable: expected True or False"):
        L.Dense(2, trainable=trainable)


def test_what_a_bare_layer_lacks() -> None:
    for use in (lambda: L.Layer()(np.ones(2)), lambda: L.Layer().compute_output_shape(None)):
        with pytest.raises(NotImplementedError, match="has no call method"):
            use()
    with pytest.raises(NotImplementedError, match="quantize: weights of d are float32"):
        L.Dense(2, name="d").quantize("int8")
    with pytest.raises(ValueError, match="a name is the keyword argument name="):
        L.Layer().add_weight("matrix")


def test_output_spec_records_nothing() -> None:
    x, layer = nb.Input((4,)), L.Dense(3)
    y = layer.compute_output_spec(x)
    assert (y.shape, y.dtype.name) == ((None, 3), "float32")
    with pytest.raises(ValueError, match="depend on"):
        nb.Model(x, y)
    with pytest.raises(AttributeError, match="no symbolic input"):
        _ = layer.input


def test_one_layer_in_several_places_of_a_sequential(tmp_path: Any) -> None:
    dense = L.Dense(4, "tanh", name="dense")
    model = nb.Sequential(
        [
            nb.Input((4,)),
            dense,
            L.Dropout(0.0, name="drop"),
            dense,
            L.Dense(1, name="last"),
        ]
    )
    assert [layer.name for layer in model.layers] == ["dense", "drop", "dense", "last"]
    assert len(model.weights) == 4
    x = np.random.default_rng(0).normal(size=(8, 4)).astype("float32")
    kernel, bias = dense.get_weights()
    twice = np.tanh(np.tanh(x @ kernel + bias) @ kernel + bias)
    last = model.layers[-1].get_weights()
    np.testing.assert_allclose(model.predict(x, verbose=0), twice @ last[0] + last[1], rtol=1e-5, atol=1e-6)
    model.compile("sgd", "mse")
    model.fit(x, x[:, :1], verbose=0)
    model.save(tmp_path / "m.nbnet")
    for copy in (nb.load_model(tmp_path / "m.nbnet"), nb.clone_model(model), model.thin({"drop": [True] * 4})):
        assert len(copy.weights) == 4
        copy.set_weights(model.get_weights())
        np.testing.assert_allclose(copy.predict(x, verbose=0), model.predict(x, verbose=0), rtol=1e-6)
    with pytest.raises(ValueError, match="has a layer named 'dense' already"):
        model.add(L.Dense(2, name="dense"))


def test_softmax_over_several_axes() -> None:
    x = np.random.default_rng(0).normal(size=(2, 3, 4))
    for axis in (0, 1, (1, 2), [-1, 0]):
        axes = (axis,) if isinstance(axis, int) else tuple(axis)
        e = np.exp(x)
        wanted = e / e.sum(axes, keepdims=True)
        np.testing.assert_allclose(L.Softmax(axis, dtype="float64")(x).numpy(), wanted, rtol=1e-10)
    with pytest.raises(TypeError, match="axis: expected an integer"):
        L.Softmax("last")
    with pytest.raises(ValueError, match="out of range"):
        L.Softmax(3)(x)


def test_shapes_of_outputs_keep_open_axes_and_sizes_of_batches() -> None:
    assert L.Dense(3).compute_output_shape((None, None, 2)) == (None, None, 3)
    assert L.Conv1D(3, 2).compute_output_shape((8, None, 2)) == (8, None, 3)
    assert L.Add().compute_output_shape([(None, 4), (None, 4)]) == (None, 4)


def test_a_layer_that_states_its_shape_is_not_traced() -> None:
    class Stated(L.Layer):
        def call(self, x: Any) -> Any:
            raise RuntimeError

        def compute_output_shape(self, input_shape: Any) -> Any:
            return input_shape, ((*input_shape, 2), {"a": [input_shape]})

    one, (other, rest) = Stated().compute_output_spec(nb.Input((3,)))
    assert (one.shape, other.shape, rest["a"][0].shape) == ((None, 3), (None, 3, 2), (None, 3))


def test_integers_stay_integers_in_a_call_of_the_user_s() -> None:
    class Table(L.Layer):
        def build(self, input_shape: Any) -> None:
            self.table = self.add_weight((5, 2), "ones")

        def call(self, inputs: Any) -> Any:
            rows, factors = inputs
            return nb.ops.take(self.table, rows, axis=0) * factors

    class Scaled(Table):
        def call(self, inputs: Any) -> Any:
            return super().call([inputs, 0.5])

    rows = np.array([[4, 1, 0]])
    np.testing.assert_array_equal(Table()([rows, np.float64(2.0)]), np.full((1, 3, 2), 2.0))
    np.testing.assert_array_equal(Scaled()(rows), np.full((1, 3, 2), 0.5))
    assert L.Flatten()(rows).dtype == "float32"


def test_a_default_of_training_is_of_its_layer_alone() -> None:
    seen: dict[str, bool] = {}

    class Inner(L.Layer):
        def call(self, x: Any, training: bool = False) -> Any:
            seen["inner"] = training
            return x

    class Outer(L.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.inner = Inner()

        def call(self, x: Any, training: bool = True) -> Any:
            seen["outer"] = training
            return self.inner(x)

    for given, outer, inner in ((None, True, False), (True, True, True), (False, False, False)):
        Outer()(np.ones((1, 2)), training=given)
        assert seen == {"outer": outer, "inner": inner}


@pytest.mark.parametrize("name", ["Dense", "Conv1D", "Dropout", "Flatten", "UpSampling1D", "Add"])
def test_the_first_argument_has_keras_s_name(name: str) -> None:
    layer = {"Dense": L.Dense(3), "Conv1D": L.Conv1D(3, 2), "Dropout": L.Dropout(0.5)}.get(name) or getattr(L, name)()
    x = np.ones((2, 4, 3), "float32")
    inputs = [x, x] if name == "Add" else x
    np.testing.assert_array_equal(layer(inputs=inputs).numpy(), layer(inputs).numpy())
    symbol = nb.Input((4, 3))
    given = [symbol, symbol] if name == "Add" else symbol
    assert layer(inputs=given).shape == layer(given).shape


def test_deferred_layers() -> None:
    assert {"Dense", "SeparableConv2D", "ZeroPadding3D"} <= set(dir(L))
    code = (
        "import sys, nbnet as nb; early = 'nbnet.layers.padding' in sys.modules; "
        "layer = nb.layers.deserialize({'class_name': 'ZeroPadding1D', 'config': {'padding': 2}}); "
        "from nbnet.layers import UpSampling2D, Conv1DTranspose; print(early, type(layer).__name__)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ)
    assert out.stdout.split() == ["False", "ZeroPadding1D"]


def test_floats_of_data_become_those_of_the_layer():
    """As Keras casts inputs by itself: tensors of NumPy's float64 in a model of float32."""
    x, y = nb.tensor(np.ones((3, 2))), nb.tensor(np.ones((3, 1)))
    assert x.dtype == np.float64
    model = nb.Sequential([nb.layers.Dense(4), nb.layers.BatchNormalization(), nb.layers.Dense(1)])
    with nb.Tape() as tape:
        p = model(x, training=True)
        loss = nb.losses.MeanSquaredError()(y, p) + nb.ops.sum(nb.losses.binary_crossentropy(y, nb.ops.sigmoid(p)))
    assert p.dtype == loss.dtype == np.float32
    assert all(g.dtype == np.float32 for g in tape.gradient(loss, model.trainable_weights))
    assert nb.layers.Concatenate()([x, x.astype("float32")]).dtype == np.float32
    assert nb.layers.Dense(1, dtype="float64")(x.astype("float32")).dtype == np.float64
