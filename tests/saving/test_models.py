"""Models of every kind, saved and loaded again."""

from __future__ import annotations

import json
import os
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

import nbnet as nb
from nbnet.layers import Add, BatchNormalization, Concatenate, Dense, Dropout, Embedding, Flatten, Normalization

rng = np.random.default_rng(1)
X = rng.normal(size=(12, 4)).astype("float32")
IDS = rng.integers(0, 7, (12, 3))


def plain() -> tuple[nb.Model, Any]:
    return nb.Sequential([nb.Input((4,)), Dense(8, "relu"), BatchNormalization(), Dropout(0.5), Dense(2)]), X


def without_input() -> tuple[nb.Model, Any]:
    model = nb.Sequential([Dense(8, "gelu"), Dense(2)])
    model.predict(X)
    return model, X


def adapted() -> tuple[nb.Model, Any]:
    layer = Normalization()
    layer.adapt(X)
    fixed = Normalization(mean=[1.0, 2.0, 3.0, 4.0], variance=0.5)
    return nb.Sequential([nb.Input((4,)), layer, fixed, Dense(2)]), X


def embedded() -> tuple[nb.Model, Any]:
    return nb.Sequential([Embedding(7, 2, input_shape=(3,)), Flatten(), Dense(2)]), IDS


def residual() -> tuple[nb.Model, Any]:
    x = nb.Input((4,))
    y = Dense(4, "tanh")(x)
    y = Add()([x, Dense(4)(y)]) * 2.0 - y
    return nb.Model(x, nb.ops.concatenate([nb.ops.relu(y), y], axis=-1)), X


def shared() -> tuple[nb.Model, Any]:
    layer = Dense(3, name="both")
    a, b = nb.Input((4,), name="a"), nb.Input((4,), name="b")
    return nb.Model({"b": b, "a": a}, {"z": layer(a), "y": Concatenate()([layer(a), layer(b)])}), {"a": X, "b": X[::-1]}


def models_in_models() -> tuple[nb.Model, Any]:
    inner = nb.Sequential([nb.Input((4,)), Dense(4, "relu"), Dense(4)], name="inner")
    x = nb.Input((4,))
    middle = nb.Model(x, inner(inner(x)) + x, name="middle")
    return nb.Sequential([nb.Input((4,)), middle, Dense(2), nb.Sequential([Dense(3), Dense(2)])]), X


def tabular() -> tuple[nb.Model, Any]:
    number, job = nb.Input((4,), name="number"), nb.Input((3,), dtype="int32", name="job")
    both = Concatenate()([number, Flatten()(Embedding(7, 2)(job))])
    return nb.Model([number, job], [Dense(1, name="one")(both), Dense(2, name="two")(both)]), [X, IDS]


def part_of_a_model() -> tuple[nb.Model, Any]:
    model = nb.Sequential([nb.Input((4,)), Dense(8, "relu", name="deep"), Dense(2)])
    return nb.Model(model.inputs, model.get_layer("deep").output), X


def rest_of_a_model() -> tuple[nb.Model, Any]:
    model = nb.Sequential([nb.Input((6,)), Dense(4, "relu"), Dense(2)])
    return nb.Model(model.layers[0].output, model.output), X


def with_constants() -> tuple[nb.Model, Any]:
    x = nb.Input((4,))
    y = nb.ops.sum(x * np.array([1.0, 2.0, 3.0, 4.0], "float32") + 1, axis=(1,), keepdims=True)
    return nb.Model(x, 1.0 / (nb.ops.square(y) + 1.0) + x), X


def called_for_training() -> tuple[nb.Model, Any]:
    x = nb.Input((4,))
    return nb.Model(x, BatchNormalization()(Dense(3)(x), training=False)), X


def penalised() -> tuple[nb.Model, Any]:
    layer = Dense(
        3, kernel_regularizer="l2", bias_regularizer=nb.regularizers.L1(0.1), kernel_constraint="max_norm",
        activity_regularizer="l1", kernel_initializer=nb.initializers.RandomNormal(stddev=0.3, seed=2),
    )  # fmt: skip
    return nb.Sequential([nb.Input((4,)), layer]), X


MODELS: list[Callable[[], tuple[nb.Model, Any]]] = [
    plain, without_input, adapted, embedded, residual, shared, models_in_models, tabular, part_of_a_model,
    rest_of_a_model, with_constants, called_for_training, penalised,
]  # fmt: skip


def outputs(model: nb.Model, x: Any) -> list[Any]:
    found = model.predict(x)
    return list(found.values()) if isinstance(found, dict) else found if isinstance(found, list) else [found]


def layer_names(model: nb.Model) -> list[str]:
    return [layer.name for layer in model.layers if not isinstance(layer, nb.layers.InputLayer)]


def equal(first: list[Any], second: list[Any]) -> bool:
    return len(first) == len(second) and all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize("make", MODELS, ids=lambda make: make.__name__)
def test_save_and_load(make: Callable[[], Any], tmp_path: Path) -> None:
    model, x = make()
    path = tmp_path / "m.nbnet"
    model.save(path)
    again = nb.load_model(path)
    assert type(again) is type(model)
    assert again.name == model.name
    assert layer_names(again) == layer_names(model)
    assert equal(again.get_weights(), model.get_weights())
    assert equal(outputs(again, x), outputs(model, x))
    again.save(tmp_path / "again.nbnet")
    assert (tmp_path / "again.nbnet").read_bytes() == path.read_bytes()


@pytest.mark.parametrize("make", MODELS, ids=lambda make: make.__name__)
def test_configurations(make: Callable[[], Any]) -> None:
    model, x = make()
    config = json.loads(json.dumps(model.get_config()))
    assert config == model.get_config()
    read = nb.models.model_from_json(model.to_json())
    assert nb.models.model_from_json(read.to_json()).to_json() == read.to_json()
    for again in (type(model).from_config(config), read, nb.clone_model(model)):
        assert again is read or again.get_config() == config
        outputs(again, x)
        assert [w.shape for w in again.get_weights()] == [w.shape for w in model.get_weights()]
        again.set_weights(model.get_weights())
        assert equal(outputs(again, x), outputs(model, x))


@pytest.mark.parametrize("make", MODELS, ids=lambda make: make.__name__)
def test_weights_alone(make: Callable[[], Any], tmp_path: Path) -> None:
    """A model that is made a second time has layers of other names, and takes them."""
    model, x = make()
    for name in ("m.weights.nbnet", "m.safetensors"):
        model.save_weights(tmp_path / name)
        again, _ = make()
        again.load_weights(tmp_path / name)
        assert equal(outputs(again, x), outputs(model, x))
    model.save(tmp_path / "m.nbnet")
    again, _ = make()
    again.load_weights(tmp_path / "m.nbnet")
    assert equal(outputs(again, x), outputs(model, x))
    with pytest.raises(ValueError, match=r"m\.weights\.nbnet|load_weights"):
        nb.load_model(tmp_path / "m.weights.nbnet")


def test_shared_layers_stay_shared(tmp_path: Path) -> None:
    model, _ = shared()
    model.save(tmp_path / "m.nbnet")
    assert list(load_file(tmp_path / "m.nbnet")) == ["both/bias", "both/kernel"]
    again = nb.load_model(tmp_path / "m.nbnet")
    assert len(again.weights) == 2
    assert list(again.predict({"a": X, "b": X})) == ["z", "y"]


def test_the_safetensors_package_reads_it(tmp_path: Path) -> None:
    model, x = plain()
    model.compile(nb.optimizers.Adam(0.01), "mse")
    model.fit(x, np.ones((12, 2)), verbose=0)
    model.save(tmp_path / "m.nbnet")
    found = load_file(tmp_path / "m.nbnet")
    np.testing.assert_array_equal(found["dense/kernel"], model.get_weights()[0])
    np.testing.assert_array_equal(found["batch_normalization/moving_mean"], model.get_weights()[4])
    assert found["optimizer:velocity:dense/kernel"].shape == (4, 8)


# ---- compilation ----


def test_compilation_comes_back(tmp_path: Path) -> None:
    model, x = plain()
    optimizer = nb.optimizers.Adam(nb.optimizers.schedules.ExponentialDecay(0.1, 10, 0.5), beta_1=0.8, clipnorm=1.0)
    loss = nb.losses.Huber(2.0)
    model.compile(optimizer, loss, metrics=["mae", nb.metrics.R2Score()], weighted_metrics=["mse"])
    model.fit(x, np.ones((12, 2)), verbose=0)
    model.save(tmp_path / "m.nbnet")
    again = nb.load_model(tmp_path / "m.nbnet")
    assert again.get_compile_config() == model.get_compile_config()
    assert again.optimizer is not None
    assert again.optimizer.get_config() == optimizer.get_config()
    y = rng.normal(size=(12, 2))
    assert again.evaluate(x, y, verbose=0, return_dict=True) == model.evaluate(x, y, verbose=0, return_dict=True)
    assert nb.load_model(tmp_path / "m.nbnet", compile=False).optimizer is None
    model.save(tmp_path / "bare.nbnet", include_optimizer=False)
    assert nb.load_model(tmp_path / "bare.nbnet").optimizer is None


def test_losses_of_several_outputs_come_back(tmp_path: Path) -> None:
    model, x = tabular()
    model.compile("sgd", {"one": "mse", "two": "mae"}, {"one": 0.5, "two": 2.0}, {"two": ["mse", "cosine_similarity"]})
    y = [np.ones((12, 1)), np.ones((12, 2))]
    model.fit(x, y, verbose=0)
    model.save(tmp_path / "m.nbnet")
    again = nb.load_model(tmp_path / "m.nbnet")
    assert again.evaluate(x, y, verbose=0, return_dict=True) == model.evaluate(x, y, verbose=0, return_dict=True)


@pytest.mark.parametrize("metric", ["accuracy", "acc", "crossentropy"])
def test_names_whose_meaning_depends_on_the_model(metric: str, tmp_path: Path) -> None:
    model = nb.Sequential([nb.Input((4,)), Dense(3, "softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=[metric])
    y = np.arange(12) % 3
    model.fit(X, y, verbose=0)
    model.save(tmp_path / "m.nbnet")
    again = nb.load_model(tmp_path / "m.nbnet")
    assert again.evaluate(X, y, verbose=0, return_dict=True) == model.evaluate(X, y, verbose=0, return_dict=True)


# ---- what the user wrote ----


class Scale(nb.layers.Layer):
    """A layer with a layer inside whose name is numbered."""

    def __init__(self, factor: float = 2.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.factor, self.inner, self.more = factor, Dense(4), [Dense(4), Dense(4)]

    def call(self, x: Any) -> Any:
        x = self.inner(x) * self.factor
        for layer in self.more:
            x = layer(x)
        return x

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"factor": self.factor}


class Tower(nb.Model):
    def __init__(self, width: int = 8, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.width, self.stem, self.drop = width, Dense(width, "relu"), Dropout(0.3)
        self.heads = {"a": Dense(1), "b": Dense(2)}

    def call(self, inputs: Any) -> Any:
        x = self.drop(self.stem(inputs))
        return {name: head(x) for name, head in self.heads.items()}

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"width": self.width}


class Pair(nb.Model):
    """Its inputs are in a dict; one of its attributes has a name that the training loop might want."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.position, self.optimizers = Dense(3), [Dense(2)]

    def call(self, inputs: Any) -> Any:
        return self.optimizers[0](self.position(inputs["b"]) - self.position(inputs["a"]))


def double(x: Any) -> Any:
    return x + x


def cubic(y_true: Any, y_pred: Any) -> Any:
    return nb.ops.mean(nb.ops.abs(y_true - y_pred) ** 3.0, axis=-1)


def test_custom_objects(tmp_path: Path) -> None:
    def make() -> nb.Model:
        return nb.Sequential([nb.Input((4,)), Scale(3.0), Dense(2, double)])

    model = make()
    model.compile("sgd", cubic, metrics=[cubic])
    model.fit(X, np.ones((12, 2)), verbose=0)
    model.save(tmp_path / "m.nbnet")
    with pytest.raises(ValueError, match=r"m\.nbnet: layer: 'Scale' is not known"):
        nb.load_model(tmp_path / "m.nbnet")
    with pytest.raises(ValueError, match="'double' is not known"):
        nb.load_model(tmp_path / "m.nbnet", custom_objects={"Scale": Scale})
    mine = {"Scale": Scale, "double": double, "cubic": cubic}
    again = nb.load_model(tmp_path / "m.nbnet", custom_objects=mine)
    assert equal(outputs(again, X), outputs(model, X))
    assert again.evaluate(X, np.ones((12, 2)), verbose=0) == model.evaluate(X, np.ones((12, 2)), verbose=0)
    with nb.saving.custom_object_scope(mine):
        assert equal(outputs(nb.load_model(tmp_path / "m.nbnet"), X), outputs(model, X))
    other = make()
    other.load_weights(tmp_path / "m.nbnet")
    assert equal(outputs(other, X), outputs(model, X))
    with pytest.raises(TypeError, match="custom_objects"):
        nb.load_model(tmp_path / "m.nbnet", custom_objects=[Scale])  # type: ignore[arg-type]


def test_subclassed_models(tmp_path: Path) -> None:
    model = Tower(6)
    model.compile("adam", {"a": "mse", "b": "mae"})
    y = {"a": np.ones((12, 1)), "b": np.ones((12, 2))}
    model.fit(X, y, verbose=0)
    model.save(tmp_path / "m.nbnet")
    again = nb.load_model(tmp_path / "m.nbnet", custom_objects={"Tower": Tower})
    assert isinstance(again, Tower)
    assert again.width == 6
    assert equal(outputs(again, X), outputs(model, X))
    model.fit(X, y, epochs=2, initial_epoch=1, verbose=0)
    again.fit(X, y, epochs=2, initial_epoch=1, verbose=0)
    assert equal(again.get_weights(), model.get_weights())


def test_inputs_of_a_subclass_in_a_dict(tmp_path: Path) -> None:
    model, x = Pair(), {"b": X, "a": X[:, :4] * 2}
    model.compile("sgd", "mse")
    model.fit(x, np.ones((12, 2)), verbose=0)
    model.save(tmp_path / "m.nbnet")
    again = nb.load_model(tmp_path / "m.nbnet", custom_objects={"Pair": Pair})
    assert equal(outputs(again, x), outputs(model, x))
    assert list(load_file(tmp_path / "m.nbnet")) == ["optimizers/0/bias", "optimizers/0/kernel", "position/bias",
                                                     "position/kernel"]  # fmt: skip


class Both(nb.layers.Layer):
    def call(self, x: Any) -> Any:
        return x * 2.0, x + 1.0


def test_an_input_beside_what_it_was_computed_with(tmp_path: Path) -> None:
    x = nb.Input((4,))
    a, b = Both(name="both")(x)
    model = nb.Model([x, a], Dense(3)(a) + Dense(3)(b))
    model.save(tmp_path / "m.nbnet")
    again = nb.load_model(tmp_path / "m.nbnet", custom_objects={"Both": Both})
    assert equal(outputs(again, [X, X * 3]), outputs(model, [X, X * 3]))


def test_registered_classes(tmp_path: Path) -> None:
    @nb.saving.register_keras_serializable("Tests")
    class Halve(nb.layers.Layer):
        def call(self, x: Any) -> Any:
            return x * 0.5

    model = nb.Sequential([nb.Input((4,)), Halve(), Dense(2)])
    model.save(tmp_path / "m.nbnet")
    assert model.get_config()["layers"][1]["class_name"] == "Tests>Halve"
    assert equal(outputs(nb.load_model(tmp_path / "m.nbnet"), X), outputs(model, X))
    assert nb.saving.get_registered_object("Tests>Halve") is Halve
    with pytest.raises(ValueError, match="stands for"):
        nb.saving.register_keras_serializable("Tests", "Halve")(double)


def test_a_class_with_the_name_of_ours_is_not_taken_for_it(tmp_path: Path) -> None:
    mine = type("Dense", (nb.layers.Layer,), {"call": lambda self, x: x * 2.0})
    model = nb.Sequential([nb.Input((4,)), mine()])
    with pytest.raises(ValueError, match="has the name of one of nbnet's"):
        model.save(tmp_path / "m.nbnet")
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_saved_says_so(tmp_path: Path) -> None:
    path = tmp_path / "m.nbnet"
    model = nb.Sequential([nb.Input((4,)), Dense(3), Dense(2)])
    model.compile("adam", "mse")
    model.fit(X, np.ones((12, 2)), verbose=0)
    model.pop()
    with pytest.raises(ValueError, match="no longer belong to the model"):
        model.save(path)
    with pytest.raises(ValueError, match=r"activation: .*lambda"):
        nb.Sequential([nb.Input((4,)), Dense(2, lambda x: x + x)]).save(path)
    with pytest.raises(ValueError, match="factor: inf"):
        nb.Sequential([nb.Input((4,)), Scale(float("inf"))]).save(path)
    odd = Scale()
    model = nb.Sequential([nb.Input((4,)), odd])
    odd.factor = object()  # type: ignore[assignment]
    with pytest.raises(TypeError, match="factor: <object"):
        model.save(path)
    assert not list(tmp_path.iterdir())


# ---- copies ----


def test_clones_are_apart() -> None:
    model, x = plain()
    again = nb.clone_model(model)
    assert not equal(again.get_weights(), model.get_weights())
    assert again.optimizer is None
    lambdas = nb.Sequential([nb.Input((4,)), Scale(), Dense(2, lambda x: x + x)])
    nb.clone_model(lambdas).predict(x)


def test_clone_function() -> None:
    def wider(layer: nb.layers.Layer) -> nb.layers.Layer:
        config = layer.get_config()
        if "units" in config and config["units"] == 4:
            config["activation"] = "relu"
        return type(layer).from_config(config)

    for make in (plain, residual, shared, models_in_models):
        model, x = make()
        again = nb.clone_model(model, clone_function=wider)
        assert [w.shape for w in again.weights] == [w.shape for w in model.weights]
        outputs(again, x)
    assert nb.clone_model(residual()[0], clone_function=wider).layers[2].activation is nb.activations.relu
    with pytest.raises(TypeError, match="clone_function"):
        nb.clone_model(plain()[0], clone_function=lambda layer: 3)  # type: ignore[arg-type, return-value]


def test_clone_of_calls():
    """Input tensors, calls and models inside, as in Keras; a copy of a compiled model is compiled, with functions of
    the user's."""

    def call(layer, *args, **kwargs):
        y = layer(*args, **kwargs)
        return nb.layers.Dropout(0.5)(y) if isinstance(layer, nb.layers.Dense) else y

    inner = nb.Sequential([nb.Input((3,)), nb.layers.Dense(3, name="inside")])
    x = {"a": nb.Input((3,), name="a"), "b": nb.Input((3,), name="b")}
    model = nb.Model(x, nb.ops.relu(inner(nb.layers.Dense(3, name="first")(x["a"] + x["b"]))))
    model.compile("adam", lambda t, p: nb.ops.mean(nb.ops.square(t - p)), metrics=["mae"])
    data = {name: np.ones((4, 3), "float32") for name in x}
    same = nb.clone_model(model, clone_function=lambda layer: layer, call_function=call, recursive=True)
    assert [type(layer).__name__ for layer in same.layers[2:]] == ["Dense", "Dropout", "Sequential"]
    np.testing.assert_array_equal(same.predict(data, verbose=0), model.predict(data, verbose=0))
    for recursive in (False, True):
        again = nb.clone_model(model, recursive=recursive, clone_function=lambda layer: layer)
        assert (again.get_layer(inner.name) is inner) is not recursive
    y = {name: nb.Input((3,), name=name.upper()) for name in x}
    for again in (nb.clone_model(model, input_tensors=y), nb.clone_model(model)):
        assert again.compiled
        assert again.optimizer is not model.optimizer
        again.set_weights(model.get_weights())
        assert again.evaluate(data, np.ones((4, 3)), verbose=0) == model.evaluate(data, np.ones((4, 3)), verbose=0)
    assert nb.clone_model(inner, input_tensors=nb.Input((3,), name="z")).input_names == ["z"]
    for mistake, names in (({"input_tensors": list(y.values())}, "input_tensors"), ({"clone_function": 3}, "clone_f")):
        with pytest.raises((ValueError, TypeError), match=names):
            nb.clone_model(model, **mistake)
    with pytest.raises(ValueError, match="call_function"):
        nb.clone_model(inner, call_function=call)


# ---- weights that do not fit ----


def test_weights_that_do_not_fit(tmp_path: Path) -> None:
    model, _ = plain()
    path = tmp_path / "m.weights.nbnet"
    model.save_weights(path)
    other = nb.Sequential([nb.Input((4,)), Dense(8, "relu"), BatchNormalization(), Dense(3), Dense(2)])
    before = other.get_weights()
    with pytest.raises(ValueError, match=r"m\.weights\.nbnet: dense_1/bias: .*and 3 more"):
        other.load_weights(path)
    assert equal(before, other.get_weights())
    with pytest.warns(UserWarning, match="dense_2/kernel: is missing"):
        other.load_weights(path, skip_mismatch=True)
    np.testing.assert_array_equal(other.get_weights()[0], model.get_weights()[0])
    np.testing.assert_array_equal(other.get_weights()[6], before[6])
    wide = nb.Sequential([nb.Input((4,)), Dense(8, dtype="float64")])
    wide.save_weights(path)
    with pytest.raises(ValueError, match=r"float32.*, the file has .*float64"):
        nb.Sequential([nb.Input((4,)), Dense(8)]).load_weights(path)


def test_weights_of_others(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    model = nb.Sequential([nb.Input((4,)), Dense(2, name="mine")])
    save_file({"mine/kernel": np.ones((4, 2), "f4"), "mine/bias": np.zeros(2, "f4")}, tmp_path / "m.safetensors")
    model.load_weights(tmp_path / "m.safetensors")
    assert (model.predict(np.ones((1, 4))) == 4.0).all()


# ---- files ----


@pytest.mark.parametrize("name", ["m", "m.pickle", "m.tf", "m.keras.zip"])
def test_other_endings(name: str, tmp_path: Path) -> None:
    model, _ = plain()
    for call in (model.save, model.save_weights, model.load_weights, nb.load_model):
        with pytest.raises(ValueError, match=r"path: expected a name that ends in '\.nbnet'"):
            call(tmp_path / name)
    with pytest.raises(TypeError, match="path"):
        model.save(3)  # type: ignore[arg-type]


def test_others_may_read_the_file(tmp_path: Path) -> None:
    model, _ = plain()
    model.save(tmp_path / "m.nbnet")
    (tmp_path / "other").touch()
    assert (tmp_path / "m.nbnet").stat().st_mode == (tmp_path / "other").stat().st_mode


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    model, _ = plain()
    (tmp_path / "folder").mkdir()
    (tmp_path / "m.nbnet").symlink_to(tmp_path / "folder" / "real.nbnet")
    model.save(tmp_path / "m.nbnet")
    assert (tmp_path / "m.nbnet").is_symlink()
    assert os.listdir(tmp_path / "folder") == ["real.nbnet"]


def test_files_that_are_there(tmp_path: Path) -> None:
    model, _ = plain()
    path = tmp_path / "m.nbnet"
    model.save(path)
    content = path.read_bytes()
    with pytest.raises(FileExistsError, match="overwrite"):
        model.save(path, overwrite=False)
    (tmp_path / "folder.nbnet").mkdir()
    with pytest.raises(IsADirectoryError):
        model.save(tmp_path / "folder.nbnet")
    with pytest.raises(OSError, match="missing"):
        model.save(tmp_path / "missing" / "m.nbnet")
    with pytest.raises(FileNotFoundError):
        nb.load_model(tmp_path / "none.nbnet")
    assert path.read_bytes() == content
    assert sorted(os.listdir(tmp_path)) == ["folder.nbnet", "m.nbnet"]


def test_loading_takes_no_more_memory_than_the_file_is_large(tmp_path: Path) -> None:
    model = nb.Sequential([nb.Input((300,)), Dense(2000), Dense(1)])
    model.compile("adam", "mse")
    model.fit(np.ones((4, 300)), np.ones(4), verbose=0)
    tracemalloc.start()
    try:
        model.save(tmp_path / "m.nbnet")
        assert tracemalloc.get_traced_memory()[1] < 2 << 20
        tracemalloc.reset_peak()
        nb.load_model(tmp_path / "m.nbnet")
        assert tracemalloc.get_traced_memory()[1] < (tmp_path / "m.nbnet").stat().st_size + (2 << 20)
    finally:
        tracemalloc.stop()


def test_a_model_without_weights_yet(tmp_path: Path) -> None:
    model = nb.Sequential([Dense(2)])
    with pytest.raises(ValueError, match="not built"):
        model.save_weights(tmp_path / "m.weights.nbnet")
    model.save(tmp_path / "m.nbnet")
    assert not nb.load_model(tmp_path / "m.nbnet").built


def test_frozen_layers_stay_frozen(tmp_path: Path) -> None:
    model, x = plain()
    model.layers[0].trainable = False
    model.compile("adam", "mse")
    model.fit(x, np.ones((12, 2)), verbose=0)
    model.save(tmp_path / "m.nbnet")
    again = nb.load_model(tmp_path / "m.nbnet")
    assert [w.name for w in again.trainable_weights] == [w.name for w in model.trainable_weights]
    again.fit(x, np.ones((12, 2)), epochs=2, initial_epoch=1, verbose=0)
    model.fit(x, np.ones((12, 2)), epochs=2, initial_epoch=1, verbose=0)
    assert equal(again.get_weights(), model.get_weights())
