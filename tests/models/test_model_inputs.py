"""Inputs of a model: arrays of all kinds, dtypes, images."""

from __future__ import annotations

import numpy as np
import pytest

import nbnet as nb
from nbnet import config
from nbnet.layers import Dense, Dropout, Flatten, Reshape
from tests.networks import BCE, CCE, LABELS, ONE_HOT, SCCE, X, close, equal, network, rng

# ---- dtypes, and arrays of all kinds -------------------------------------------------------------------------


@pytest.fixture
def floatx64(monkeypatch):
    monkeypatch.setattr(config, "_floatx", np.dtype("float64"))


def check_float64(model):
    assert {w.dtype for w in model.weights} == {np.dtype("float64")}
    w0, b0, w1, b1 = model.get_weights()
    x = rng.normal(size=(9, 4))
    y = model.predict(x)
    assert y.dtype == np.float64
    np.testing.assert_allclose(y, np.tanh(x @ w0 + b0) @ w1 + b1, rtol=1e-13)
    np.testing.assert_array_equal(model(x).numpy(), y)
    model.fit(x, y + 1e-9, epochs=2, verbose=0)
    assert {w.dtype for w in model.get_weights()} == {np.dtype("float64")}
    assert 0 < model.evaluate(x, y, verbose=0) < 1e-17


def test_set_floatx(floatx64):
    model = nb.Sequential([nb.Input((4,)), Dense(8, "tanh"), Dropout(0.0), Dense(2)])
    model.compile("sgd", "mse")
    check_float64(model)


@pytest.mark.parametrize("options", [{}, {"dtype": "float64"}])
def test_dtype_of_layers_is_the_dtype_of_the_model(options):
    layers = [Dense(8, "tanh", dtype="float64"), Dropout(0.0, dtype="float64"), Dense(2, dtype="float64")]
    model = nb.Sequential([nb.Input((4,)), *layers], **options)
    model.compile("sgd", "mse")
    check_float64(model)


def test_one_dtype_a_model():
    with pytest.raises(
        ValueError, match=r"layer: b computes in float32, the model in float64: give all layers one dtype"
    ):
        nb.Sequential([Dense(2, dtype="float64"), Dense(2, name="b")])
    with pytest.raises(ValueError, match=r"layer: b computes in float32, the model in float64"):
        nb.Sequential([Dense(2, name="b")], dtype="float64")


def memmap(x, folder):
    made = np.memmap(folder / "x", x.dtype, "w+", shape=x.shape)
    made[:] = x
    made.flush()
    return np.memmap(folder / "x", x.dtype, "r", shape=x.shape)


def read_only(x):
    x = x.copy()
    x.flags.writeable = False
    return x


KINDS = {
    **{
        name: lambda x, _, name=name: x.astype(name)
        for name in ["uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64"]
    },
    **{name: lambda x, _, name=name: x.astype(name) for name in ("float16", "float64", "longdouble", ">f4", ">i8")},
    "list": lambda x, _: x.tolist(),
    "memmap": memmap,
    "memmap of bytes": lambda x, folder: memmap(x.astype("uint8"), folder),
    "fortran": lambda x, _: np.asfortranarray(x),
    "read-only": lambda x, _: read_only(x),
    "strided": lambda x, _: np.repeat(np.repeat(x, 2, axis=0), 3, axis=1)[::2, ::3],
    "backwards": lambda x, _: x[::-1].copy()[::-1],
    "tensor": lambda x, _: nb.tensor(x),
}


@pytest.mark.parametrize("kind", KINDS)
def test_inputs_of_all_kinds(kind, tmp_path):
    """The same numbers train the same weights, however they are handed over."""
    whole = rng.integers(0, 10, (40, 4)).astype("float32")
    given, plain = network(), network()
    x = KINDS[kind](whole, tmp_path)
    logs = given.fit(x, LABELS[:40], epochs=2, batch_size=16, validation_split=0.2, shuffle=False, verbose=0).history
    expected = plain.fit(
        whole, LABELS[:40], epochs=2, batch_size=16, validation_split=0.2, shuffle=False, verbose=0
    ).history
    assert logs == expected
    assert equal(given.get_weights(), plain.get_weights())
    np.testing.assert_array_equal(given.predict(x), plain.predict(whole))
    np.testing.assert_array_equal(given(x).numpy(), plain(whole).numpy())
    assert given.evaluate(x, LABELS[:40], verbose=0) == plain.evaluate(whole, LABELS[:40], verbose=0)


def test_boolean_inputs_and_targets():
    bits = rng.random((40, 4)) < 0.5
    given, plain = network(BCE, "sigmoid", 4), network(BCE, "sigmoid", 4)
    histories = [
        m.fit(x, y, shuffle=False, verbose=0).history
        for m, x, y in ((given, bits, ~bits), (plain, bits * 1.0, 1.0 - bits))
    ]
    assert histories[0] == histories[1]
    assert equal(given.get_weights(), plain.get_weights())


@pytest.mark.parametrize(
    "labels", [LABELS.astype("uint8"), LABELS * 1.0, LABELS[:, None], LABELS.tolist(), LABELS[::-1].copy()[::-1]]
)
def test_labels_of_all_kinds(labels):
    given, plain = network(), network()
    given.fit(X, labels, shuffle=False, verbose=0)
    plain.fit(X, LABELS, shuffle=False, verbose=0)
    assert equal(given.get_weights(), plain.get_weights())


def test_data_are_never_written_to():
    x, y, w = X.copy(), ONE_HOT.copy(), np.ones(60, "float32")
    for array in (x, y, w):
        array.flags.writeable = False
    network(CCE).fit(x, y, sample_weight=w, class_weight={0: 2.0}, epochs=2, validation_split=0.1, verbose=0)
    np.testing.assert_array_equal(x, X)
    np.testing.assert_array_equal(y, ONE_HOT)
    assert (w == 1).all()


def test_one_column_may_be_flat():
    nb.set_random_seed(0)
    model = nb.Sequential([nb.Input((1,)), Dense(1)])
    model.compile("sgd", "mse")
    x = np.linspace(0, 1, 10)
    flat = model.fit(x, 2 * x, shuffle=False, verbose=0).history
    assert model.predict(x).shape == (10, 1)
    nb.set_random_seed(0)
    again = nb.Sequential([nb.Input((1,)), Dense(1)])
    again.compile("sgd", "mse")
    assert again.fit(x[:, None], 2 * x[:, None], shuffle=False, verbose=0).history == flat


def test_images():
    """uint8 images (n, h, w) through Flatten; Reshape; a Dense on the last axis."""
    images = rng.integers(0, 256, (30, 5, 6), dtype="uint8")
    labels = rng.integers(0, 3, 30)

    def train(x, *front):
        nb.set_random_seed(2)
        model = nb.Sequential([*front, Dense(8, "relu"), Dense(3, "softmax")])
        model.compile(nb.optimizers.SGD(1e-3), SCCE)
        model.fit(x, labels, batch_size=8, epochs=2, shuffle=False, verbose=0)
        return model.get_weights(), model.predict(x)

    flat = train(images.reshape(30, 30), nb.Input((30,)))
    for front in ((nb.Input((5, 6)), Flatten()), (nb.Input((5, 6)), Reshape((3, 10)), Reshape((-1,))), (Flatten(),)):
        weights, predicted = train(images, *front)
        assert equal(weights, flat[0])
        np.testing.assert_array_equal(predicted, flat[1])


def test_outputs_with_more_axes():
    x, y = rng.normal(size=(12, 5, 4)), rng.normal(size=(12, 5, 2))

    def make(shape):
        nb.set_random_seed(0)
        model = nb.Sequential([nb.Input(shape), Dense(6, "tanh", dtype="float64"), Dense(2, dtype="float64")])
        model.compile(nb.optimizers.SGD(0.1), "mse", metrics=["mae"])
        return model

    deep, flat = make((5, 4)), make((4,))
    logs = deep.fit(x, y, batch_size=4, epochs=2, shuffle=False, verbose=0).history
    expected = flat.fit(x.reshape(60, 4), y.reshape(60, 2), batch_size=20, epochs=2, shuffle=False, verbose=0).history
    close([logs["loss"], logs["mae"]], [expected["loss"], expected["mae"]], 1e-12)
    close(deep.get_weights(), flat.get_weights(), 1e-12, 1e-14)
    assert deep.predict(x, batch_size=5).shape == (12, 5, 2)
    assert deep.output_shape == (None, 5, 2)
    np.testing.assert_allclose(deep.predict(x, batch_size=5).reshape(60, 2), flat.predict(x.reshape(60, 4)), rtol=1e-12)


# ---- structures ----------------------------------------------------------------------------------------------


def nested_call(parts):
    together = nb.ops.concatenate([parts["main"], parts["others"]["x"], parts["others"]["y"][0]], axis=-1)
    return {"sum": nb.ops.sum(together, axis=-1, keepdims=True), "inner": {"double": 2 * together}}


class Nested(nb.Model):
    def call(self, inputs):
        return nested_call(inputs)


def test_nested_inputs_and_outputs():
    """Dicts and lists in dicts, of models of symbols and of subclasses, as arrays and in batches."""
    main, x, y = nb.Input((3,), name="main"), nb.Input((2,), name="x"), nb.Input((2,), name="y")
    symbols = {"main": main, "others": {"x": x, "y": [y]}}
    data = {"main": X[:8, :3], "others": {"x": X[:8, 1:3], "y": [X[:8, 2:4]]}}
    expected = nested_call(data)
    for model in (nb.Model(symbols, nested_call(symbols)), Nested()):
        model.compile("sgd", "mse")
        for found in (model(data), model.predict(data, verbose=0)):
            close(found["sum"], expected["sum"], 1e-6)
            close(found["inner"]["double"], expected["inner"]["double"], 1e-6)
        targets = {"sum": expected["sum"].numpy() + 1, "inner": {"double": expected["inner"]["double"].numpy() + 2}}
        for given in ((data, targets), (iter([(data, targets)]),)):
            assert model.evaluate(*given, verbose=0)[0] == pytest.approx(5)
        with pytest.raises(ValueError, match=r"x\['others'\]: expected data for each input, and 'y' is missing"):
            model.predict({"main": X[:8, :3], "others": {"x": X[:8, 1:3]}})


def test_a_structure_that_is_not_the_models():
    """Entries that are not read, silently for a model of a list; a list for a dict, if Keras has the same order."""
    a, b = nb.Input((3,), name="a"), nb.Input((1,), name="b")
    data = {"a": X[:, :3], "b": X[:, 3:], "more": X}
    listed, named = nb.Model([a, b], a + b), nb.Model({"a": a, "b": b}, a + b)
    expected = X[:, :3] + X[:, 3:]
    close(listed.predict(data, verbose=0), expected, 1e-6)
    for given in (data, list(data.values())[:2]):
        with pytest.warns(UserWarning, match="'more', which is not read|expected a dict"):
            close(named.predict(given, verbose=0), expected, 1e-6)
    with pytest.raises(ValueError, match=r"x: expected a dict with \['z', 'a'\], got a list"):
        nb.Model({"z": a, "a": b}, a + b).predict(list(data.values())[:2])
    with pytest.raises(ValueError, match="x: the model has no input 'c'"):
        listed.predict({"a": X[:, :3], "c": X[:, 3:]})


class Pooled(nb.Model):
    def __init__(self, layers):
        super().__init__()
        self.parts = layers

    def call(self, x, training=False):
        for layer in self.parts:
            x = layer(x)
        return x


@pytest.mark.parametrize("make", [nb.Sequential, Pooled])
def test_lengths_that_differ_from_the_first_are_open(make):
    def results(make, *first):
        parts = [nb.layers.Conv1D(3, 2, kernel_initializer="ones"), nb.layers.GlobalAveragePooling1D()]
        model = make([*first, *parts, nb.layers.Dense(1, kernel_initializer="ones")])
        model.compile(nb.optimizers.Adam(0.1), "mse")
        arrays = [np.random.default_rng(n).normal(size=(4, n, 2)) for n in (5, 9, 7)]
        losses = model.fit(((x, x[:, 0, :1]) for x in arrays), epochs=1, verbose=0).history["loss"]
        found = [
            losses,
            *(model.predict(x, verbose=0).tolist() for x in arrays),
            model(arrays[0][:, :4]).numpy().tolist(),
        ]
        return model, found

    model, found = results(make)
    assert found == results(nb.Sequential, nb.Input((None, 2)))[1]
    assert model.input_shape == (None, None, 2)
    for shape in (4, 5, 3), (4, 5):
        with pytest.raises(ValueError, match=r"x: expected rows of shape \(None, 2\)"):
            model.predict(np.ones(shape))


def test_lengths_that_a_layer_needs_stay():
    model = nb.Sequential([nb.layers.Flatten(), nb.layers.Dense(2)])
    model.predict(np.ones((2, 3, 4)), verbose=0)
    with pytest.raises(ValueError, match=r"x: expected rows of shape \(3, 4\), got \(5, 4\)"):
        model.predict(np.ones((2, 5, 4)))
    assert model.input_shape == (None, 3, 4)
