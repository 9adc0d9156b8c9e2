"""Models of symbols: their structure, what they compute, and models inside models."""

from __future__ import annotations

import numpy as np
import pytest

import nbnet as nb
from nbnet.layers import Add, Concatenate, Dense, Dropout, Flatten, InputLayer
from tests.networks import LABELS, SCCE, X, equal


def stack():
    """Layers of a small net."""
    return [Dense(8, "relu", name="hidden"), Dropout(0.3, seed=1, name="drop"), Dense(3, "softmax", name="output")]


def functional(layers, name="x"):
    x = y = nb.Input((4,), name=name)
    for layer in layers:
        y = layer(y)
    return nb.Model(x, y)


def pair():
    """The same net, as a stack and as a model of symbols, with the same weights."""
    stacked, described = nb.Sequential([nb.Input((4,)), *stack()]), functional(stack())
    described.set_weights(stacked.get_weights())
    for model in (stacked, described):
        model.compile("adam", SCCE, metrics=["accuracy"])
    return stacked, described


# ---- what it computes ----------------------------------------------------------------------------------------


def test_functional_is_sequential_bit_for_bit():
    stacked, described = pair()
    histories = []
    for model in (stacked, described):
        nb.set_random_seed(5)
        histories.append(model.fit(X, LABELS, 16, 3, validation_split=0.2, verbose=0).history)
    assert histories[0] == histories[1]
    assert equal(stacked.get_weights(), described.get_weights())
    np.testing.assert_array_equal(stacked.predict(X), described.predict(X))
    np.testing.assert_array_equal(described(X).numpy(), stacked(X).numpy())
    assert stacked.evaluate(X, LABELS, verbose=0) == described.evaluate(X, LABELS, verbose=0)


def test_residual_net():
    x = nb.Input((4,))
    first, second = Dense(4, "tanh"), Dense(4)
    model = nb.Model(x, Add()([x, second(first(x))]))
    w0, b0, w1, b1 = model.get_weights()
    np.testing.assert_allclose(model.predict(X), X + np.tanh(X @ w0 + b0) @ w1 + b1, rtol=1e-5, atol=1e-6)


def test_functions_and_operators():
    x = nb.Input((4,))
    y = nb.ops.relu(x) * 2.0 - nb.ops.sum(x, axis=-1, keepdims=True) / 3.0
    y = 1.0 + (-y) ** 2.0
    model = nb.Model(x, y)
    expected = 1 + (2 * np.maximum(X, 0) - X.sum(1, keepdims=True) / 3) ** 2
    np.testing.assert_allclose(model.predict(X), expected, rtol=1e-5)
    assert y.shape == (None, 4)
    constant = np.arange(4, dtype="float32")
    np.testing.assert_allclose(nb.Model(x, constant * x).predict(X), constant * X, rtol=1e-6)
    np.testing.assert_allclose(nb.Model(x, nb.tensor(constant) + x).predict(X), constant + X, rtol=1e-6)


def test_a_shared_layer_has_one_set_of_weights():
    a, b = nb.Input((4,)), nb.Input((4,))
    shared, drop = Dense(3, name="shared"), Dropout(0.5, seed=2, name="drop")
    model = nb.Model([a, b], [drop(shared(a)), drop(shared(b))])
    assert [w.shape for w in model.weights] == [(4, 3), (3,)]
    with nb.Tape(step=0) as tape:
        first, second = model([X, X], training=True)
    assert list(tape.masks) == ["drop", "drop:1"]
    assert (tape.masks["drop"] != tape.masks["drop:1"]).any()
    assert not np.array_equal(first.numpy(), second.numpy())


def test_program_is_eager_with_dropout_in_shared_layers():
    a, b = nb.Input((4,)), nb.Input((4,))
    shared, drop = Dense(6, "relu", name="shared"), Dropout(0.5, seed=2, name="drop")
    y = Dense(1, name="out")(Concatenate()([drop(shared(a)), drop(shared(b))]))
    model = nb.Model([a, b], y)
    model.compile(nb.optimizers.SGD(0.1), "mse")
    start = model.get_weights()
    inputs, targets = [X, X[::-1].copy()], X[:, :1]
    for _ in range(3):
        model.train_on_batch(inputs, targets)
    fitted = model.get_weights()
    model.set_weights(start)
    optimizer = nb.optimizers.SGD(0.1)
    for step in range(3):
        with nb.Tape(step=step) as tape:
            loss = nb.losses.MeanSquaredError()(targets, model(inputs, training=True))
        optimizer.apply(tape.gradient(loss, model.trainable_weights), model.trainable_weights)
    for got, expected in zip(fitted, model.get_weights(), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("wrap", [lambda x: x, lambda x: [x], lambda x: {"x": x}], ids=["single", "list", "dict"])
def test_structures_of_one_input_and_output(wrap):
    x = nb.Input((4,), name="x")
    model = nb.Model(wrap(x), wrap(Dense(2)(x)))
    y = model.predict(wrap(X))
    made = y["x"] if isinstance(y, dict) else y
    np.testing.assert_allclose(made, X @ model.get_weights()[0], rtol=1e-5, atol=1e-6)
    if not isinstance(wrap(1), dict):
        np.testing.assert_array_equal(model.predict({"x": X}), made)
        np.testing.assert_array_equal(model.predict([X]), made)


def test_inputs_of_one_number():
    """Rows of shape (): data (n,) or (n, 1) fit, in eager calls, training and prediction alike."""
    age, job = nb.Input((), name="age"), nb.Input((), dtype="int32", name="job")
    embedded = nb.layers.Embedding(3, 2)(job)
    assert embedded.shape == (None, 2)
    model = nb.Model([age, job], Dense(1)(Concatenate()([nb.ops.expand_dims(age, -1), embedded])))
    x = {"age": np.linspace(0, 1, 20), "job": np.arange(20) % 3}
    model.compile("sgd", "mse")
    loss = model.evaluate(x, x["age"], verbose=0)
    assert model.fit(x, x["age"], epochs=5, verbose=0).history["loss"][-1] < loss
    columns = {name: column[:, None] for name, column in x.items()}
    expected = model.predict(x)
    np.testing.assert_array_equal(model.predict(columns), expected)
    np.testing.assert_allclose(model({k: v.astype("f4") if k == "age" else v for k, v in x.items()}), expected, 1e-5)


@pytest.mark.parametrize(("sizes", "wanted"), [((4, 5), (4, 5, 1)), ((4, 5, 1), (4, 5)), ((1,), ()), ((), (1,))])
def test_a_last_axis_of_length_1_may_be_there_or_not(sizes, wanted):
    """As in Keras."""
    x = nb.Input(wanted)
    model = nb.Model(x, nb.ops.reshape(x, (-1, int(np.prod(wanted)))) * 2.0)
    data = np.random.default_rng(0).random((6, *sizes), np.float32)
    np.testing.assert_array_equal(model.predict(data), 2 * data.reshape(6, -1))


def test_an_open_axis():
    x = nb.Input((None, 4))
    y = nb.layers.GlobalAveragePooling1D()(Dense(3)(x))
    assert y.shape == (None, 3)
    model = nb.Model(x, y)
    assert model.input_shape == (None, None, 4)
    for length in (5, 9):
        assert model.predict(np.ones((2, length, 4))).shape == (2, 3)


def test_layers_take_the_training_mode_of_the_call_they_are_in():
    class Forgets(nb.layers.Layer):
        def __init__(self):
            super().__init__(name="forgets")
            self.drop = Dropout(0.5, seed=1, name="inner")

        def call(self, x):
            return self.drop(x)

    x = nb.Input((4,))
    layer = Forgets()
    model = nb.Model(x, layer(x))
    ones = np.ones((50, 4), "float32")
    np.testing.assert_array_equal(model(ones).numpy(), ones)
    assert set(np.unique(model(ones, training=True).numpy())) == {0, 2}
    assert set(np.unique(layer(ones, training=True).numpy())) == {0, 2}
    np.testing.assert_array_equal(model.predict(ones), ones)
    frozen = nb.Model(x, layer(x, training=False))
    np.testing.assert_array_equal(frozen(ones, training=True).numpy(), ones)
    always = nb.Model(x, layer(x, training=True))
    assert set(np.unique(always.predict(ones))) == {0, 2}


# ---- models as layers ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["functional", "sequential"])
def test_a_model_in_a_model(kind):
    inner = functional(stack()[:2]) if kind == "functional" else nb.Sequential([nb.Input((4,)), *stack()[:2]])
    x = nb.Input((4,))
    head = Dense(3, "softmax", name="output")
    outer = nb.Model(x, head(inner(x)))
    flat = functional(stack())
    flat.set_weights(outer.get_weights())
    for model in (outer, flat):
        nb.set_random_seed(4)
        model.compile("sgd", SCCE)
        model.fit(X, LABELS, epochs=2, verbose=0)
    assert equal(outer.get_weights(), flat.get_weights())
    with nb.Tape() as tape:
        outer(X, training=True)
    assert list(tape.masks) == ["drop"]
    assert outer.layers[1] is inner


def test_a_model_first_in_a_stack():
    inner = functional(stack()[:1])
    model = nb.Sequential([inner, Dense(3, "softmax")])
    assert model.built
    assert model.input_shape == (None, 4)
    np.testing.assert_allclose(model.predict(X), model(X).numpy(), rtol=1e-5)


def test_adding_to_an_inner_stack_reaches_the_outer_model():
    inner = nb.Sequential([nb.Input((4,)), Dense(4, name="a")])
    x = nb.Input((4,))
    outer = nb.Model(x, inner(x))
    before = outer.predict(X)
    inner.add(nb.layers.Rescaling(2.0))
    np.testing.assert_allclose(outer.predict(X), 2 * before, rtol=1e-6)


# ---- features ------------------------------------------------------------------------------------------------


def test_outputs_of_layers_inside():
    stacked, described = pair()
    for model in (stacked, described):
        features = nb.Model(model.inputs, model.get_layer("hidden").output)
        w, b = model.get_weights()[:2]
        np.testing.assert_allclose(features.predict(X), np.maximum(X @ w + b, 0), rtol=1e-5, atol=1e-6)
        every = nb.Model(model.inputs, [layer.output for layer in model.layers])
        assert [y.shape for y in every.predict(X)][-1] == (60, 3)
    rest = nb.Model(described.get_layer("hidden").output, described.output)
    hidden = nb.Model(described.input, described.get_layer("hidden").output).predict(X)
    np.testing.assert_allclose(rest.predict(hidden), described.predict(X), rtol=1e-6)


def test_a_stack_without_an_input_has_symbols_once_it_has_seen_data():
    model = nb.Sequential(stack())
    with pytest.raises(ValueError, match="is not built"):
        _ = model.inputs
    with pytest.raises(AttributeError, match="hidden has no symbolic input and output"):
        _ = model.get_layer("hidden").output
    model.predict(X)
    assert nb.Model(model.inputs, model.get_layer("hidden").output).predict(X).shape == (60, 8)


def test_attributes():
    a, b = nb.Input((4,), name="a"), nb.Input((2,), name="b")
    y = Dense(3, name="out")(Concatenate(name="both")([a, b]))
    model = nb.Model(inputs=[a, b], outputs=y, name="mine")
    assert model.name == "mine"
    assert model.inputs == [a, b]
    assert model.outputs == [y]
    assert model.input == [a, b]
    assert model.output is y
    assert model.input_names == ["a", "b"]
    assert model.output_names == ["out"]
    assert model.input_shape == [(None, 4), (None, 2)]
    assert model.output_shape == (None, 3)
    assert [layer.name for layer in model.layers] == ["a", "b", "both", "out"]
    assert isinstance(model.layers[0], InputLayer)
    assert model.get_layer(index=-1).name == "out"
    with pytest.raises(ValueError, match="has no layer 'c'; it has"):
        model.get_layer("c")
    assert model.count_params() == 21


def test_weights_come_in_keras_order():
    """By depth: layers farthest from the output first."""
    x = nb.Input((4,))
    side = Dense(7, name="side")(x)
    main = Dense(6, name="late")(Dense(5, name="early")(x))
    model = nb.Model(x, Concatenate()([side, main]))
    assert [w.name for w in model.weights[::2]] == ["early/kernel", "side/kernel", "late/kernel"]


def test_outputs_in_a_dict_are_met_by_the_order_of_their_keys():
    x = nb.Input((4,))
    model = nb.Model(x, {"sum": Dense(3, name="sum")(x), "larger": Dense(1, name="larger")(x)})
    assert [w.name for w in model.weights[::2]] == ["larger/kernel", "sum/kernel"]
    assert list(model(np.ones((2, 4)))) == ["sum", "larger"]


# ---- summaries -----------------------------------------------------------------------------------------------


def test_summary_says_what_is_connected():
    a, b = nb.Input((4,), name="a"), nb.Input((4,), name="b")
    shared = Dense(3, name="shared")
    model = nb.Model([a, b], nb.ops.relu(shared(a) + shared(b)), name="two")
    lines: list[str] = []
    model.summary(print_fn=lines.append)
    text = lines[0]
    assert text.startswith('Model: "two"')
    rows = {line.split()[0]: line.split() for line in text.splitlines() if "(" in line}
    assert rows["shared"][-2:] == ["a[0],", "b[0]"]
    assert rows["add"][-2:] == ["shared[0],", "shared[0]"]
    assert rows["relu"][-1] == "add[0]"
    assert rows["a"][-1] == "-"
    assert "Total params: 15" in text


# ---- errors --------------------------------------------------------------------------------------------------


def test_disconnected_graphs_are_refused():
    a, b = nb.Input((4,), name="a"), nb.Input((4,), name="b")
    with pytest.raises(ValueError, match="the outputs depend on 'b', which is not among the inputs"):
        nb.Model(a, Dense(2)(Add()([a, b])))


def test_names_that_collide():
    x = nb.Input((4,))
    with pytest.raises(ValueError, match="two layers named 'same'; names in a model differ"):
        nb.Model(x, Dense(2, name="same")(Dense(2, name="same")(x)))
    a, b = nb.Input((1,), name="n"), nb.Input((1,), name="n")
    with pytest.raises(ValueError, match="inputs: expected different names"):
        nb.Model([a, b], Add()([a, b]))


def test_what_is_no_symbol():
    x = nb.Input((4,))
    with pytest.raises(ValueError, match=r"outputs: expected what nbnet.Input or layers called with it return"):
        nb.Model(x, X)
    with pytest.raises(ValueError, match="inputs: expected what"):
        nb.Model("x", Dense(1)(x))
    with pytest.raises(TypeError, match="expected both inputs and outputs"):
        nb.Model(x)
    with pytest.raises(ValueError, match="without an axis of samples"):
        nb.Model(x, nb.ops.sum(x))


def test_lists_tell_symbols_apart_by_identity():
    a, b, c = nb.Input((4,)), nb.Input((4,)), nb.Input((3,))
    model = nb.Model([a, b, c], nb.layers.concatenate([a, b, c]))
    assert b in model.inputs
    assert b not in [a, c]
    assert c not in [a, b]
    assert ([a, b, c].index(c), [a, b, a].count(a), [a, b] == [a, b], [a] == [b]) == (2, 2, True, False)
    assert (a == b).shape == (None, 4)  # elementwise, all the same
    assert [bool(found) for found in (a == b, a != b, a == c, a != c)] == [False, True, False, True]
    same = nb.Model([a, b], a == b)
    assert same.predict([np.eye(4), np.ones((4, 4))], verbose=0).tolist() == np.eye(4).tolist()


@pytest.mark.parametrize("use", [np.exp, float, bool, list, lambda x: np.asarray(x) + 1])
def test_symbols_have_no_values(use):
    with pytest.raises(TypeError, match=r"has no value|not iterable|NoneType"):
        use(nb.Input((4,), name="x"))


def test_shapes_that_do_not_fit_are_refused_where_the_model_is_described():
    with pytest.raises(ValueError, match="differ elsewhere"):
        Concatenate(axis=1)([nb.Input((3, 2)), nb.Input((3, 4))])
    with pytest.raises(ValueError, match=r"target_shape: \(3,\) does not fit"):
        nb.layers.Reshape((3,))(nb.Input((4,)))


def test_one_dtype_a_model():
    x = nb.Input((4,))
    with pytest.raises((TypeError, ValueError), match=r"float32|float64"):
        nb.Model(x, Dense(2)(Dense(2, dtype="float64")(x)))
    y = nb.Input((4,))
    model = nb.Model(y, Flatten(dtype="float64")(Dense(2, dtype="float64")(y)))
    assert model.predict(X).dtype == np.float64


def test_no_call():
    with pytest.raises(TypeError, match=r"Empty does not say what it computes: define call\(self, inputs\)"):
        type("Empty", (nb.Model,), {})()(X)
