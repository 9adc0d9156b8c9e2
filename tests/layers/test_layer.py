"""Layers: names, weights, configurations, and layers of one's own."""

from __future__ import annotations

import numpy as np
import pytest

import nbnet as nb
from nbnet.base.registry import clear_names
from nbnet.layers import Activation, Dense, Dropout, Flatten, Layer, Reshape

rng = np.random.default_rng(0)
X = rng.normal(size=(5, 4)).astype("float32")


class Scale(Layer):
    """Multiplies by a weight, adds another that is not trained, and drops in training."""

    def __init__(self, rate=0.5, **kwargs):
        super().__init__(**kwargs)
        self.drop = Dropout(rate, name="inner_drop", dtype=self.dtype)

    def build(self, input_shape):
        self.factor = self.add_weight((input_shape[-1],), "ones", name="factor")
        self.offset = self.add_weight((input_shape[-1],), "ones", trainable=False, name="offset")

    def call(self, x, training=False):
        return self.drop(x * self.factor + self.offset, training)


# ---- what every layer has ------------------------------------------------------------------------------------


def test_names_count_as_in_keras():
    clear_names()
    names = [layer.name for layer in (Dense(1), Dense(1), Dropout(0.1), Dense(1), nb.Sequential(), Scale())]
    assert names == ["dense", "dense_1", "dropout", "dense_2", "sequential", "scale"]
    layers = nb.layers
    names = [layer.name for layer in (layers.Conv2D(1, 1), layers.MaxPooling1D(), layers.PReLU(), layers.LeakyReLU())]
    assert names == ["conv2d", "max_pooling1d", "p_re_lu", "leaky_re_lu"]
    assert Dense(1, name="mine").name == "mine"


def test_a_layer_is_built_by_its_first_input():
    layer = Dense(3)
    assert not layer.built
    assert layer.weights == []
    assert layer(X).shape == (5, 3)
    assert layer.built
    assert [w.shape for w in layer.weights] == [(4, 3), (3,)]
    assert layer.count_params() == 15
    kernel = layer.get_weights()[0]
    layer(X)
    np.testing.assert_array_equal(layer.get_weights()[0], kernel)


def test_a_layer_may_build_those_inside_it():
    class Inner(Dense):
        def build(self, input_shape):
            super().build(input_shape)
            assert not self.built
            self.extra = self.add_weight((1,), name="extra")

    class Outer(nb.layers.Layer):
        def __init__(self):
            super().__init__()
            self.inner = Inner(3)

        def build(self, input_shape):
            self.inner.build(input_shape)

        def call(self, x):
            return self.inner(x)

    layer = Outer()
    layer(X)
    assert layer.inner.built
    assert [w.shape for w in layer.weights] == [(4, 3), (3,), (1,)]


def test_the_first_layer_may_say_how_many_features_there_are():
    assert nb.Sequential([Dense(3, input_dim=8), Dense(1)]).input_shape == (None, 8)
    assert nb.Sequential([Dense(3, input_shape=(8,)), Dense(1)]).input_shape == (None, 8)
    with pytest.raises(ValueError, match=r"input_dim: expected None beside input_shape \(8,\), got 8"):
        Dense(3, input_shape=(8,), input_dim=8)


def test_weights_that_are_trained_come_first_in_each_layer():
    class Mixed(Layer):
        def __init__(self):
            super().__init__()
            self.inner = Dense(2, name="inner")

        def build(self, input_shape):
            self.fixed = self.add_weight((1,), trainable=False, name="fixed")
            self.moved = self.add_weight((2,), name="moved")

        def call(self, x):
            return self.inner(x)

    layer = Mixed()
    layer(np.ones((1, 3)))
    wanted = ["moved", "fixed", "kernel", "bias"]
    assert [weight.name.rpartition("/")[2] for weight in layer.weights] == wanted
    layer.trainable = False
    assert [weight.name.rpartition("/")[2] for weight in layer.weights] == wanted


def test_weights_are_variables():
    layer = Dense(3)
    layer(X)
    for ours, keras in ((layer.weights, layer.variables), (layer.trainable_weights, layer.trainable_variables)):
        assert all(a is b for a, b in zip(ours, keras, strict=True))


@pytest.mark.parametrize(
    "layer",
    [
        Dense(3, "relu", use_bias=False, kernel_initializer=nb.initializers.HeNormal(seed=3), dtype="float64"),
        Dense(3, bias_initializer="ones", trainable=False),
        Dropout(0.3, noise_shape=(None, 1), seed=4),
        Activation("gelu"),
        Flatten(),
        Reshape((2, -1)),
        nb.layers.InputLayer((4,)),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_configurations(layer):
    again = type(layer).from_config(layer.get_config())
    assert type(again) is type(layer)
    assert again.get_config() == layer.get_config()
    assert again.name == layer.name
    if not isinstance(layer, Dropout):
        nb.set_random_seed(0)
        first = layer(X).numpy()
        nb.set_random_seed(0)
        np.testing.assert_array_equal(again(X).numpy(), first)


@pytest.mark.parametrize(
    ("layer", "shape", "expected"),
    [
        (Dense(3), (None, 4), (None, 3)),
        (Dense(3), (None, 7, 4), (None, 7, 3)),
        (Dropout(0.5), (None, 7, 4), (None, 7, 4)),
        (Flatten(), (None, 7, 4), (None, 28)),
        (Flatten(), (None, 7), (None, 7)),
        (Reshape((4, -1)), (None, 2, 6), (None, 4, 3)),
        (Activation("softmax"), (None, 4), (None, 4)),
        (nb.Sequential([Dense(8), Dense(2)]), (None, 4), (None, 2)),
    ],
)
def test_output_shapes(layer, shape, expected):
    assert layer.compute_output_shape(shape) == expected


# ---- Dense ---------------------------------------------------------------------------------------------------


def test_dense():
    layer = Dense(3, "tanh", kernel_initializer=nb.initializers.Constant(0.5), bias_initializer="ones")
    np.testing.assert_allclose(layer(X).numpy(), np.tanh(X.sum(1, keepdims=True) * [[0.5] * 3] + 1), rtol=1e-5)
    bare = Dense(3, use_bias=False, kernel_initializer="ones", dtype="float64")
    for layer in (bare, nb.layers.DropConnectDense(3, 0.5, use_bias=False), nb.layers.StandoutDense(3, use_bias=False)):
        layer(np.ones((1, 4)))
        assert layer.bias is None
        assert len(layer.weights) == 1
    np.testing.assert_allclose(bare(X.astype("float64")).numpy(), X.sum(1, keepdims=True) * np.ones(3), rtol=1e-6)
    assert len(bare.weights) == 1
    assert bare.count_params() == 12


def test_dense_without_a_bias_has_none_to_train():
    model = nb.Sequential([nb.Input((4,)), Dense(2, use_bias=False, kernel_initializer="zeros")])
    model.compile(nb.optimizers.SGD(0.1), "mse")
    model.fit(X, np.ones((5, 2)), epochs=20, verbose=0)
    np.testing.assert_array_equal(model.predict(np.zeros((1, 4))), [[0, 0]])
    with pytest.raises(ValueError, match="has 1 arrays, got 2"):
        model.set_weights([np.ones((4, 2)), np.ones(2)])


def test_keras_defaults():
    layer = Dense(400)
    layer(rng.normal(size=(1, 200)))
    kernel, bias = layer.get_weights()
    limit = np.sqrt(6 / 600)
    assert np.abs(kernel).max() <= limit
    assert kernel.std() == pytest.approx(limit / np.sqrt(3), rel=0.02)
    assert not bias.any()
    assert layer.activation is nb.activations.linear
    assert layer.get_config()["use_bias"] is True
    assert Dropout(0.5).get_config() | {"name": ""} == {
        "name": "", "trainable": True, "dtype": "float32", "rate": 0.5, "noise_shape": None, "seed": None,
        "batchwise": False,
    }  # fmt: skip


# ---- activations ---------------------------------------------------------------------------------------------

REFERENCES = {
    "elu": lambda x: np.where(x > 0, x, np.exp(x) - 1),
    "exponential": np.exp,
    "hard_sigmoid": lambda x: np.clip(x / 6 + 0.5, 0, 1),
    "leaky_relu": lambda x: np.where(x > 0, x, 0.2 * x),
    "linear": lambda x: x,
    "relu": lambda x: np.maximum(x, 0),
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "silu": lambda x: x / (1 + np.exp(-x)),
    "softmax": lambda x: np.exp(x) / np.exp(x).sum(-1, keepdims=True),
    "softplus": lambda x: np.log1p(np.exp(x)),
    "softsign": lambda x: x / (1 + np.abs(x)),
    "swish": lambda x: x / (1 + np.exp(-x)),
    "tanh": np.tanh,
}


@pytest.mark.parametrize("name", REFERENCES)
def test_activations_by_name(name):
    expected = REFERENCES[name](X.astype("float64"))
    function = getattr(nb.activations, name)
    assert nb.activations.get(name) is function
    for activation in (name, function):
        np.testing.assert_allclose(Activation(activation)(X).numpy(), expected, rtol=1e-5, atol=1e-6)
    dense = Dense(4, name, kernel_initializer="identity")
    np.testing.assert_allclose(dense(X).numpy(), expected, rtol=1e-5, atol=1e-6)
    assert nb.activations.get(nb.activations.name_of(function)) is function


def test_activations_of_all_kinds():
    assert nb.activations.get(None) is nb.activations.linear
    own = Dense(4, lambda x: x * 2.0, kernel_initializer="identity")
    np.testing.assert_allclose(own(X).numpy(), 2 * X, rtol=1e-6)
    layered = Dense(4, Activation("relu"), kernel_initializer="identity")
    np.testing.assert_allclose(layered(X).numpy(), np.maximum(X, 0), rtol=1e-6)


# ---- layers of one's own -------------------------------------------------------------------------------------


def test_a_layer_of_ones_own():
    layer = Scale()
    np.testing.assert_allclose(layer(X).numpy(), X + 1, rtol=1e-6)
    with nb.Tape() as tape:
        y = layer(X, training=True)
    (name,) = tape.masks
    assert name.endswith("/inner_drop")
    np.testing.assert_allclose(y.numpy(), np.where(tape.masks[name], 2 * (X + 1), 0), rtol=1e-6)
    assert [w.name.split("/")[-1] for w in layer.trainable_weights] == ["factor"]
    assert [w.name.split("/")[-1] for w in layer.non_trainable_weights] == ["offset"]


def test_a_layer_of_ones_own_is_trained():
    """It trains in a model as by hand, and what is not trainable stays."""

    def make():
        nb.set_random_seed(3)
        model = nb.Sequential([nb.Input((4,)), Scale(name="scale"), Dense(2, name="dense")])
        model.compile(nb.optimizers.SGD(0.1), "mse")
        return model

    fitted, eager = make(), make()
    y = rng.normal(size=(5, 2)).astype("float32")
    for _ in range(3):
        fitted.train_on_batch(X, y)
        with nb.Tape(step=eager.optimizer.iterations) as tape:
            loss = eager.loss(y, eager(X, training=True))
        eager.optimizer.apply(tape.gradient(loss, eager.trainable_weights), eager.trainable_weights)
    for a, b in zip(fitted.get_weights(), eager.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    factor, offset = (w.numpy() for w in fitted.layers[0].weights)
    assert (factor != 1).any()
    assert (offset == 1).all()


def test_trainable():
    layer = Scale()
    layer(X)
    layer.trainable = False
    assert layer.trainable_weights == []
    assert not layer.drop.trainable
    layer.trainable = True
    assert [w.name.split("/")[-1] for w in layer.trainable_weights] == ["factor"]
    frozen = Dense(2, trainable=False)
    frozen(X)
    assert frozen.trainable_weights == []
    assert len(frozen.non_trainable_weights) == 2


def test_a_layer_without_call():
    with pytest.raises(NotImplementedError, match=r"Empty has no call method: define call\(self, x\)"):
        type("Empty", (Layer,), {})()(X)


def test_weights_of_unknown_initializers():
    class Wrong(Layer):
        def build(self, input_shape):
            self.add_weight((2,), "nonsense")

    with pytest.raises(ValueError, match="initializer: 'nonsense' is not known"):
        Wrong()(X)


class Assigned(Layer):
    """Parameters that no add_weight created."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.scale = nb.Parameter(np.ones(3, "float32"), name="scale")
        self.shifts = [
            nb.Parameter(np.zeros(3, "float32")),
            {"fixed": nb.Parameter(np.ones(3, "float32"), trainable=False)},
        ]
        self.again = self.scale

    def call(self, x):
        return x * self.scale + self.shifts[0] + self.shifts[1]["fixed"]


def test_parameters_that_are_attributes_are_weights(tmp_path):
    layer = Assigned()
    assert [w.shape for w in layer.weights] == [(3,)] * 3
    assert len(layer.trainable_weights) == 2
    assert Assigned(trainable=False).trainable_weights == []
    layer.trainable = False
    assert layer.trainable_weights == []
    layer.trainable = True
    model = nb.Sequential([nb.Input((3,)), layer])
    model.compile(nb.optimizers.SGD(0.1), "mse")
    x = np.random.default_rng(0).normal(size=(32, 3)).astype("float32")
    losses = model.fit(x, 2 * x, epochs=150, verbose=0).history["loss"]
    assert losses[-1] < 0.05 * losses[0]
    np.testing.assert_allclose(layer.scale.numpy(), 2, atol=0.2)
    np.testing.assert_array_equal(layer.shifts[1]["fixed"].numpy(), np.ones(3))
    model.save_weights(tmp_path / "m.nbnet")
    other = nb.Sequential([nb.Input((3,)), Assigned()])
    other.load_weights(tmp_path / "m.nbnet")
    np.testing.assert_array_equal(other.predict(x, verbose=0), model.predict(x, verbose=0))


def test_tied_weights_count_once():
    class Tied(Layer):
        def __init__(self):
            super().__init__()
            self.inner = nb.layers.Dense(3)

        def build(self, input_shape):
            self.inner.build(input_shape)
            self.table = self.inner.kernel

        def call(self, x):
            return nb.ops.matmul(self.inner(x), nb.ops.transpose(self.table))

    layer = Tied()
    layer(np.ones((2, 4)))
    assert sorted(w.shape for w in layer.weights) == [(3,), (4, 3)]
    assert layer.count_params() == 15
