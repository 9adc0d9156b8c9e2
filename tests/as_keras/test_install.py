"""``import keras`` means nbnet while it is installed as Keras, and names lead where they do in Keras."""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import nbnet as nb
from nbnet.as_keras import old_keras, places
from nbnet.as_keras.tf import nn as tf_nn


@pytest.fixture
def installed() -> Iterator[None]:
    with nb.install_as_keras(), warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield


def find(path: str) -> object:
    """Import a name from its module."""
    module, _, name = path.rpartition(".")
    names: dict[str, object] = {}
    exec(f"from {module} import {name}", names)
    return names[name]


PATHS = {
    "keras.layers.Dense": nb.layers.Dense,
    "keras.Model": nb.Model,
    "keras_core.layers.Dense": nb.layers.Dense,
    "keras.layers.regularizers.L2": nb.regularizers.L2,
    "tensorflow.losses.MSE": nb.losses.mean_squared_error,
    "tensorflow.compat.v1.nn.conv2d": tf_nn.conv2d,
    "keras.models.Sequential": nb.Sequential,
    "keras.optimizers.schedules.ExponentialDecay": nb.optimizers.schedules.ExponentialDecay,
    "keras.datasets.mnist.load_data": nb.datasets.mnist.load_data,
    "keras.preprocessing.sequence.pad_sequences": nb.utils.pad_sequences,
    "keras.src.layers.core.dense.Dense": nb.layers.Dense,
    "keras.src.utils.numerical_utils.to_categorical": nb.utils.to_categorical,
    "keras.api.layers.Dense": nb.layers.Dense,
    "keras._tf_keras.keras.layers.Dense": nb.layers.Dense,
    "tensorflow.keras.layers.Dense": nb.layers.Dense,
    "tensorflow.python.keras.layers.core.Dense": nb.layers.Dense,
    "tensorflow.compat.v2.keras.layers.Dense": nb.layers.Dense,
    "tf_keras.layers.Dense": nb.layers.Dense,
    "keras.layers.core.Dense": nb.layers.Dense,
    "keras.layers.normalization.BatchNormalization": nb.layers.BatchNormalization,
    "keras.layers.advanced_activations.LeakyReLU": nb.layers.LeakyReLU,
    "keras.layers.experimental.preprocessing.Rescaling": nb.layers.Rescaling,
    "keras.engine.topology.Layer": nb.layers.Layer,
    "keras.optimizers.legacy.Adam": nb.optimizers.Adam,
    "keras.optimizers.adam": nb.optimizers.Adam,
    "keras.objectives.mean_squared_error": nb.losses.mean_squared_error,
    "keras.constraints.maxnorm": nb.constraints.MaxNorm,
    "keras.regularizers.l1l2": nb.regularizers.L1L2,
    "keras.utils.np_utils.to_categorical": nb.utils.to_categorical,
    "keras.losses.mse": nb.losses.mean_squared_error,
    "keras.metrics.MAE": nb.losses.mean_absolute_error,
}


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.usefixtures("installed")
def test_names_lead_where_they_do_in_keras(path: str) -> None:
    assert find(path) is PATHS[path]


@pytest.mark.usefixtures("installed")
def test_names_are_imported_from_modules() -> None:
    names: dict[str, object] = {}
    exec("import keras, tensorflow as tf\nfrom keras.layers import *\nfrom keras.losses import *", names)
    assert names["Dense"] is nb.layers.Dense
    assert names["MeanSquaredError"] is nb.losses.MeanSquaredError
    assert "Convolution2D" in dir(names["keras"].layers)  # type: ignore[attr-defined]


@pytest.mark.parametrize("place", places.PLACES)
@pytest.mark.usefixtures("installed")
def test_all_names_of_a_module_can_be_imported(place: str) -> None:
    names: dict[str, object] = {}
    exec(f"from {place} import *", names)
    assert not {"Any", "annotations", "TYPE_CHECKING"} & set(names)


@pytest.mark.parametrize(
    ("statement", "text"),
    [
        ("from keras.layers import LSTM", "nbnet does not offer layers.LSTM: there are no recurrent layers"),
        ("from keras.layers.recurrent import LSTM", "nbnet does not offer layers.LSTM"),
        ("from tensorflow.keras.layers import GRU, Dense", "nbnet does not offer layers.GRU"),
        ("from keras.layers import Nonsense", "cannot import name 'Nonsense' from 'keras.layers'"),
        ("import keras.nonsense", "No module named 'keras.nonsense'"),
    ],
)
@pytest.mark.usefixtures("installed")
def test_what_is_not_there_says_so_at_import(statement: str, text: str) -> None:
    with pytest.raises(ImportError, match=text):
        exec(statement)


@pytest.mark.usefixtures("installed")
def test_attributes_that_are_not_there() -> None:
    layers = importlib.import_module("keras.layers")
    assert not hasattr(layers, "LSTM")
    assert not hasattr(layers, "Nonsense")
    with pytest.raises(AttributeError, match="there are no recurrent layers"):
        layers.LSTM  # noqa: B018
    with pytest.raises(AttributeError, match=r"'keras.layers', which nbnet stands in for, has no 'dense' here"):
        layers.dense  # noqa: B018 - a file of nbnet's


def test_real_packages_come_back() -> None:
    real = {name: ModuleType(name) for name in ("keras", "keras.layers", "tensorflow")}
    sys.modules.update(real)
    try:
        with nb.install_as_keras():
            nb.install_as_keras()
            assert importlib.import_module("keras.layers").Dense is nb.layers.Dense
            assert importlib.import_module("keras") is not real["keras"]
        assert all(sys.modules[name] is module for name, module in real.items())
        nb.uninstall_as_keras()
    finally:
        for name in real:
            del sys.modules[name]


def test_classes_and_models_are_as_they_were_afterwards() -> None:
    before = nb.layers.Dense.__init__, nb.Model.fit, nb.Model.__init__
    with nb.install_as_keras():
        importlib.import_module("keras.layers").Dense  # noqa: B018
        assert nb.layers.Dense.__init__ is not before[0]
        assert hasattr(nb.Model, "fit_generator")
    assert (nb.layers.Dense.__init__, nb.Model.fit, nb.Model.__init__) == before
    assert not hasattr(nb.Model, "fit_generator")
    with pytest.raises(TypeError, match="output_dim"):
        nb.layers.Dense(3, output_dim=3)


#: Calls in the words of older versions, and what they give.
OLD_CALLS = {
    "layers.Dense(output_dim=3, init='he_normal', W_regularizer='l2', bias=False)": {
        "units": 3, "kernel_initializer": nb.initializers.HeNormal, "use_bias": False},
    "layers.Dropout(p=0.3)": {"rate": 0.3},
    "layers.GaussianNoise(sigma=0.3)": {"stddev": 0.3},
    "layers.Conv2D(nb_filter=4, nb_row=3, nb_col=2, border_mode='same', subsample=(2, 2), dim_ordering='tf')": {
        "filters": 4, "kernel_size": (3, 2), "padding": "same", "strides": (2, 2)},
    "layers.Convolution2D(4, 3, 2)": {"filters": 4, "kernel_size": (3, 2)},
    "layers.Embedding(output_dim=3, input_dim=5, init='zeros', input_length=7)": {
        "output_dim": 3, "input_dim": 5, "embeddings_initializer": nb.initializers.Zeros,
        "batch_input_shape": (None, 7)},
    "layers.Dense(3, batch_input_shape=(None, 4))": {"units": 3, "batch_input_shape": (None, 4)},
    "optimizers.Adam(lr=0.5, epsilon=None)": {"learning_rate": 0.5, "epsilon": 1e-7},
    "constraints.maxnorm(m=2)": {"max_value": 2},
    "regularizers.l2(l=0.5)": {"l2": 0.5},
    "callbacks.ReduceLROnPlateau(epsilon=0.5)": {"min_delta": 0.5},
}  # fmt: skip


@pytest.mark.parametrize("call", OLD_CALLS)
@pytest.mark.usefixtures("installed")
def test_old_arguments_have_their_meaning(call: str) -> None:
    made = eval(call, {name: importlib.import_module(f"keras.{name}") for name in call.split(".")[:1]})
    for name, wanted in OLD_CALLS[call].items():
        value = getattr(made, name)
        assert isinstance(value, wanted) if isinstance(wanted, type) else value == wanted, name


@pytest.mark.usefixtures("installed")
def test_decay_is_that_of_keras_2() -> None:
    optimizers = importlib.import_module("keras.optimizers")
    rate = optimizers.SGD(lr=0.5, decay=0.1)
    schedule = nb.optimizers.schedules.InverseTimeDecay(0.5, 1, 0.1)
    # lr / (1 + decay * iterations)
    assert [round(float(schedule(k)), 6) for k in range(3)] == [0.5, 0.454545, 0.416667]
    w = nb.Parameter([1.0])
    for _ in range(2):
        rate.apply([[1.0]], [w])
    assert np.allclose(w.numpy(), 1 - 0.5 - 0.5 / 1.1)


@pytest.mark.usefixtures("installed")
def test_models_have_their_old_methods() -> None:
    keras = importlib.import_module("keras")
    a = keras.Input((2,))
    model = keras.Model(
        input=a, output=keras.layers.Dense(1, activation="sigmoid", weights=[[[1.0], [-1.0]], [0.0]])(a)
    )
    assert model.predict_classes(np.array([[2.0, 1.0], [1.0, 2.0]])).tolist() == [[1], [0]]
    model.compile("sgd", "binary_crossentropy", metrics=["acc"], class_mode="binary")

    def batches() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        while True:
            yield np.ones((4, 2), "float32"), np.ones((4, 1), "float32")

    history = model.fit_generator(batches(), steps_per_epoch=3, nb_epoch=2, verbose=0, workers=4)
    assert len(history.history["acc"]) == len(history.history["accuracy"]) == 2
    with pytest.raises(KeyError, match="auc"):
        history.history["auc"]
    assert len(model.evaluate_generator(batches(), steps=2, verbose=0)) == 2
    assert model.predict_generator(iter([np.ones((4, 2))]), 1).shape == (4, 1)
    model.optimizer.lr = 0.25
    assert model.optimizer.lr == model.optimizer.learning_rate == 0.25


def test_each_old_name_is_told_once_at_the_line_that_uses_it() -> None:
    places._told.clear()
    with nb.install_as_keras(), warnings.catch_warnings(record=True, action="always") as caught:
        keras = importlib.import_module("keras")
        for _ in range(2):
            keras.layers.Dense(output_dim=3)
    assert [str(w.message) for w in caught] == ["Dense(output_dim=...) is an old name: today it is units=..."]
    assert caught[0].filename == __file__


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("name", ["weights.h5", "weights", "folder/weights.ckpt"])
def test_weights_are_kept_under_names_of_keras_2(tmp_path: Path, name: str) -> None:
    if name.endswith(".h5"):
        pytest.importorskip("h5py")
    first, second = (nb.Sequential([nb.Input((2,)), nb.layers.Dense(1)]) for _ in range(2))
    first.save_weights(filepath=str(tmp_path / name))
    second.load_weights(str(tmp_path / name))
    assert (first.get_weights()[0] == second.get_weights()[0]).all()
    assert [path.name for path in (tmp_path / name).parent.iterdir()] == [name.rpartition("/")[2]]


@pytest.mark.usefixtures("installed")
def test_models_are_kept_under_any_name(tmp_path: Path) -> None:
    keras = importlib.import_module("keras")
    model = keras.Sequential([keras.layers.Dense(1, input_shape=(2,))])
    model.compile("sgd", "mse")
    model.save(str(tmp_path / "saved/model/"), save_format="tf")
    keras.models.save_model(model, tmp_path / "other")
    for name in ("saved/model", "other"):
        assert (keras.models.load_model(str(tmp_path / name)).get_weights()[0] == model.get_weights()[0]).all()
    for only, name in ((True, "w-{epoch:02d}.ckpt"), (False, "m-{epoch}")):
        keep = keras.callbacks.ModelCheckpoint(str(tmp_path / "kept" / name), save_weights_only=only, period=1)
        model.fit(np.ones((4, 2)), np.ones(4), verbose=0, callbacks=[keep])
    assert sorted(path.name for path in (tmp_path / "kept").iterdir()) == ["m-1", "w-01.ckpt"]
    assert keras.models.model_from_yaml(model.to_yaml()).count_params() == 3


@pytest.mark.usefixtures("installed")
def test_shapes_have_the_methods_of_tensorflow() -> None:
    keras = importlib.import_module("keras")
    seen = []

    class Own(keras.layers.Layer):  # type: ignore[misc]
        def build(self, input_shape):  # type: ignore[no-untyped-def]
            seen.append(input_shape.as_list())
            self.kernel = self.add_weight("kernel", [int(input_shape[-1]), 3], initializer="ones")

        def call(self, x):  # type: ignore[no-untyped-def]
            seen.append(x.shape.as_list()[1:])
            return x @ self.kernel

    x = keras.Input((2,))
    layer = Own()
    y = layer(x)
    assert seen[:2] == [[None, 2], [2]]
    assert (x.shape.as_list(), y.get_shape().as_list(), y.shape.ndims) == ([None, 2], [None, 3], 2)
    assert (layer.input_shape, layer.output_shape, layer.get_output_at(0)) == ((None, 2), (None, 3), y)
    assert keras.Model(x, y).layers[0].input_shape == [(None, 2)]


@pytest.mark.usefixtures("installed")
def test_models_share_an_optimizer_in_keras_2() -> None:
    keras = importlib.import_module("keras")
    optimizer = keras.optimizers.Adam(0.5)
    models = [keras.Sequential([keras.layers.Dense(1, input_shape=(k,))]) for k in (2, 3)]
    for model in models:
        model.compile(loss="mse", optimizer=optimizer)
    for model in (*models, *models):
        model.fit(np.ones((4, model.input_shape[1])), np.ones(4), verbose=0, shuffle=0.5)
    assert models[0].optimizer is optimizer
    assert models[1].optimizer.learning_rate == 0.5
    models[0].compile(optimizer, "mse")
    assert models[0].optimizer is optimizer
    frozen = keras.Sequential([models[0], keras.layers.Dense(1)])
    models[0].trainable = False
    frozen.compile(optimizer, "mse")
    frozen.fit(np.ones((4, 2)), np.ones(4), verbose=0)


@pytest.mark.usefixtures("installed")
def test_random_numbers_of_a_batch_fit_the_rows_at_hand() -> None:
    keras = importlib.import_module("keras")
    backend = importlib.import_module("keras.backend")
    x = keras.Input(batch_shape=(8, 3))
    y = keras.layers.Lambda(lambda x: x + backend.random_normal(shape=(8, 3), mean=0.0, std=0.1))(x)
    assert keras.Model(x, y).predict(np.zeros((13, 3)), batch_size=8).shape == (13, 3)


@pytest.mark.usefixtures("installed")
def test_a_tensorboard_without_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(old_keras, "find_spec", lambda name: None)
    with pytest.warns(UserWarning, match="nothing is written"):
        importlib.import_module("keras").callbacks.TensorBoard(log_dir="logs", histogram_freq=1)


@pytest.mark.usefixtures("installed")
def test_metrics_and_callbacks_of_keras_2() -> None:
    keras = importlib.import_module("keras")
    seen = []

    class Own(keras.callbacks.Callback):  # type: ignore[misc]
        def set_model(self, model):  # type: ignore[no-untyped-def]
            self.model = model

        def on_epoch_end(self, epoch, logs=None):  # type: ignore[no-untyped-def]
            seen.append((self.model.name, self.validation_data[0].shape, logs.get("val_a_acc"), logs["val_a_accuracy"]))

    x = keras.Input((2,))
    outputs = [keras.layers.Dense(1, activation="sigmoid", name=name)(x) for name in "ab"]
    model = keras.Model(x, outputs)
    model.compile("sgd", "binary_crossentropy", metrics=["accuracy"])
    data = np.ones((4, 2)), [np.ones(4), np.ones(4)]
    logs = model.fit(*data, validation_data=data, verbose=0, callbacks=[Own()]).history
    assert {"a_accuracy", "b_accuracy", "val_a_accuracy", "val_b_accuracy"} <= set(logs)
    assert seen == [(model.name, (4, 2), *[logs["val_a_accuracy"][0]] * 2)]
    mean = keras.metrics.Mean()
    mean.update_state(3.0)
    mean.reset_states()
    assert float(mean.result()) == 0
