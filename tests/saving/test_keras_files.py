"""Files in Keras's formats, without Keras: what comes back, what is refused, and what their layout is."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import nbnet as nb
from nbnet.base import hdf5_file
from nbnet.base.hdf5_file import Hdf5Reader, write_hdf5
from nbnet.saving import keras_graph
from nbnet.saving.keras_config import from_keras
from tests.saving.keras_models import Builder

ENDINGS = [".keras", ".h5"]


def outputs(model: Any, x: Any) -> list[Any]:
    found = model.predict(x, verbose=0)
    return list(found.values()) if isinstance(found, dict) else [found]


def small(*more: Any) -> nb.Sequential:
    return nb.Sequential([nb.Input((4,)), nb.layers.Dense(3, "tanh"), *more, nb.layers.Dense(2, name="top")])


# ---- what comes back ----


@pytest.mark.filterwarnings("ignore:.*drops the mask")
@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("seed", range(6))
def test_random_models_come_back(seed: int, ending: str, tmp_path: Path) -> None:
    builder = Builder(nb, seed)
    model = builder.model()
    x = builder.data(model)
    model.save(tmp_path / f"m{ending}")
    again = nb.load_model(tmp_path / f"m{ending}")
    for got, wanted in zip(outputs(again, x), outputs(model, x), strict=True):
        np.testing.assert_array_equal(got, wanted)
    assert nb.models.model_from_json(again.to_json()).count_params() == model.count_params()


@pytest.mark.parametrize(
    "layer",
    [
        lambda: nb.layers.DropPath(0.2),
        lambda: nb.layers.Masksembles(3, 1.5),
        lambda: nb.layers.DropConnectDense(3, rate=0.3),
        lambda: nb.layers.VariationalDense(3),
        lambda: nb.layers.ConcreteDropout(nb.layers.Dense(3)),
        lambda: nb.layers.Dropout(0.5, batchwise=True),
        lambda: nb.layers.Dropout(nb.dropout_schedules.Linear(0.5, 0.1, 100)),
    ],
)
def test_layers_that_keras_lacks_come_back_and_have_a_name_that_it_refuses(
    layer: Callable[[], Any], tmp_path: Path
) -> None:
    model = small(layer())
    model.save(tmp_path / "m.keras")
    again = nb.load_model(tmp_path / "m.keras")
    x = np.ones((2, 4), "float32")
    np.testing.assert_array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))
    assert again.layers[1].get_config() == model.layers[1].get_config()
    written = json.loads(zipfile.ZipFile(tmp_path / "m.keras").read("config.json"))["config"]["layers"][2]
    name = type(layer()).__name__
    text = json.dumps(written)
    assert "nbnet>" in text
    if name != "Dropout":
        assert (written["module"], written["registered_name"]) == (None, f"nbnet>{name}")


def double(x: Any) -> Any:
    return x + x


def offset(y_true: Any, y_pred: Any) -> Any:
    return nb.ops.mean(nb.ops.abs(y_true - y_pred), axis=-1)


class Scale(nb.layers.Layer):
    def __init__(self, by: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.by = by

    def build(self, input_shape: Any) -> None:
        self.factor = self.add_weight((input_shape[-1],), "ones", name="factor")

    def call(self, x: Any) -> Any:
        return x * self.factor * self.by


class Net(nb.Model):
    def __init__(self, units: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.blocks = [nb.layers.Dense(units), nb.layers.Dense(units)]
        self._hidden = Scale(2.0)
        self.out = nb.layers.Dense(1)

    def call(self, x: Any) -> Any:
        for block in self.blocks:
            x = block(x)
        return self.out(self._hidden(x))


CUSTOM = {"Scale": Scale, "Net": Net, "double": double, "offset": offset}


def test_classes_and_functions_of_the_users_come_back(tmp_path: Path) -> None:
    model = small(Scale(3.0), nb.layers.Activation(double))
    model.compile(nb.optimizers.SGD(0.25, momentum=0.5), offset, metrics=[offset, "mae"])
    x = np.random.default_rng(0).normal(size=(8, 4)).astype("float32")
    model.fit(x, x[:, :2], verbose=0)
    model.save(tmp_path / "m.keras")
    again = nb.load_model(tmp_path / "m.keras", custom_objects=CUSTOM)
    assert again.evaluate(x, x[:, :2], verbose=0) == model.evaluate(x, x[:, :2], verbose=0)
    assert again.optimizer.get_config() == model.optimizer.get_config()
    with pytest.raises(ValueError, match=r"m\.keras: Scale: the class is unknown; pass it as custom_objects="):
        nb.load_model(tmp_path / "m.keras")


def test_a_subclass_comes_back_with_its_layers_in_lists(tmp_path: Path) -> None:
    model = Net(3)
    x = np.ones((2, 4), "float32")
    expected = model(x).numpy()
    model.save(tmp_path / "m.keras")
    again = nb.load_model(tmp_path / "m.keras", custom_objects=CUSTOM)
    np.testing.assert_array_equal(again(x).numpy(), expected)
    with h5py.File(io.BytesIO(zipfile.ZipFile(tmp_path / "m.keras").read("model.weights.h5"))) as file:
        assert {path for path in ("blocks/dense/vars/0", "blocks/dense_1/vars/1", "out/vars/0") if path in file} == {
            "blocks/dense/vars/0", "blocks/dense_1/vars/1", "out/vars/0",
        }  # fmt: skip
        # Keras holds all layers of a layer in _layers, too, which comes before other private attributes.
        assert "_hidden/vars/0" in file


OPTIMIZERS = [
    lambda: nb.optimizers.SGD(0.1), lambda: nb.optimizers.Adam(amsgrad=True), lambda: nb.optimizers.Nadam(),
    lambda: nb.optimizers.RMSprop(momentum=0.5), lambda: nb.optimizers.Adam(use_ema=True),
    lambda: nb.optimizers.Adam(gradient_accumulation_steps=3), lambda: nb.optimizers.Ftrl(),
    lambda: nb.optimizers.SGD(nb.optimizers.schedules.ExponentialDecay(0.1, 5, 0.5), momentum=0.9),
]  # fmt: skip


@pytest.mark.parametrize("make", OPTIMIZERS)
def test_training_goes_on_with_the_state_of_the_optimizer(make: Callable[[], Any], tmp_path: Path) -> None:
    model = small(nb.layers.BatchNormalization())
    model.compile(make(), "mse", metrics=["mae"])
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(16, 4)).astype("float32"), rng.normal(size=(16, 2)).astype("float32")
    model.fit(x, y, batch_size=4, epochs=3, shuffle=False, verbose=0)
    model.save(tmp_path / "m.keras")
    again = nb.load_model(tmp_path / "m.keras")
    for one in (model, again):
        one.fit(x, y, batch_size=4, epochs=2, shuffle=False, verbose=0)
    for got, wanted in zip(again.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-6, atol=1e-7)
    assert again.optimizer.steps == model.optimizer.steps == 20


def test_without_the_optimizer_nothing_is_compiled(tmp_path: Path) -> None:
    model = small()
    model.compile("adam", "mse")
    model.save(tmp_path / "m.keras", include_optimizer=False)
    assert nb.load_model(tmp_path / "m.keras").optimizer is None
    model.save(tmp_path / "m.keras")
    assert nb.load_model(tmp_path / "m.keras", compile=False).optimizer is None
    with pytest.raises(FileExistsError):
        model.save(tmp_path / "m.keras", overwrite=False)


# ---- a file as Keras writes it ----

KERAS_CONFIG: dict[str, Any] = {
    "module": "keras",
    "class_name": "Sequential",
    "config": {
        "name": "net",
        "trainable": True,
        "dtype": {
            "module": "keras", "class_name": "DTypePolicy", "config": {"name": "float32"}, "registered_name": None,
        },
        "layers": [
            {
                "module": "keras.layers",
                "class_name": "InputLayer",
                "config": {
                    "batch_shape": [None, 2], "dtype": "float32", "sparse": False, "ragged": False, "name": "input",
                    "optional": False,
                },
                "registered_name": None,
            },
            {
                "module": "keras.layers",
                "class_name": "Dense",
                "config": {
                    "name": "dense_5", "trainable": True, "units": 2, "activation": "relu", "use_bias": True,
                    "dtype": {
                        "module": "keras", "class_name": "DTypePolicy", "config": {"name": "float32"},
                        "registered_name": None, "shared_object_id": 1,
                    },
                    "kernel_initializer": {
                        "module": "keras.initializers", "class_name": "GlorotUniform",
                        "config": {"seed": None, "input_axes": None}, "registered_name": None,
                    },
                    "bias_initializer": {
                        "module": "keras.initializers", "class_name": "Zeros", "config": {}, "registered_name": None,
                    },
                    "kernel_regularizer": {
                        "module": "keras.regularizers", "class_name": "L2", "config": {"l2": 0.01},
                        "registered_name": None,
                    },
                    "bias_regularizer": None, "kernel_constraint": None, "bias_constraint": None,
                    "quantization_config": None,
                },
                "registered_name": None,
                "build_config": {"input_shape": [None, 2]},
            },
        ],
        "build_input_shape": [None, 2],
    },
    "registered_name": None,
    "build_config": {"input_shape": [None, 2]},
    "compile_config": {
        "optimizer": {
            "module": "keras.optimizers", "class_name": "SGD",
            "config": {
                "name": "sgd", "learning_rate": 0.5, "weight_decay": None, "loss_scale_factor": None, "momentum": 0.9,
                "nesterov": False,
            },
            "registered_name": None,
        },
        "loss": "mse", "loss_weights": None, "metrics": ["mae"], "weighted_metrics": None, "run_eagerly": False,
        "steps_per_execution": 1, "jit_compile": True,
    },
}  # fmt: skip
KERNEL, BIAS = np.array([[1.0, -2.0], [3.0, 0.5]], "f4"), np.array([0.25, 1.0], "f4")
KERAS_ARRAYS = {
    "layers/dense/vars/0": KERNEL, "layers/dense/vars/1": BIAS, "optimizer/vars/0": np.array(7, "i4"),
    "optimizer/vars/1": np.array(0.25, "f4"), "optimizer/vars/2": KERNEL * 0.1, "optimizer/vars/3": BIAS * 0.1,
}  # fmt: skip


def archive(path: Path, config: Any = None, arrays: Any = None, **members: bytes) -> Path:
    """Write a ``.keras`` file without nbnet's code."""
    target = io.BytesIO()
    with h5py.File(target, "w") as file:
        for name, array in (KERAS_ARRAYS if arrays is None else arrays).items():
            file[name] = array
    with zipfile.ZipFile(path, "w") as zipped:
        zipped.writestr("metadata.json", '{"keras_version": "3.9.0", "date_saved": "2025-01-01@00:00:00"}')
        zipped.writestr("config.json", json.dumps(KERAS_CONFIG if config is None else config))
        zipped.writestr("model.weights.h5", members.pop("weights", target.getvalue()))
        for name, content in members.items():
            zipped.writestr(name, content)
    return path


def changed(**changes: Any) -> Any:
    """Return the configuration with other arguments of the dense layer."""
    config = json.loads(json.dumps(KERAS_CONFIG))
    config["config"]["layers"][1]["config"] |= changes
    return config


def test_a_file_of_keras_is_read(tmp_path: Path) -> None:
    model = nb.load_model(archive(tmp_path / "k.keras"))
    x = np.array([[1.0, 2.0], [-1.0, 0.5]], "f4")
    np.testing.assert_allclose(model.predict(x, verbose=0), np.maximum(x @ KERNEL + BIAS, 0.0), rtol=1e-6)
    assert model.layers[0].kernel_regularizer == nb.regularizers.L2(0.01)
    assert (model.optimizer.iterations, float(model.optimizer.learning_rate)) == (7, 0.25)
    momentum = model.optimizer.state["momentum"]
    np.testing.assert_allclose(momentum[momentum != 0], np.r_[KERNEL.ravel(), BIAS] * 0.1, rtol=1e-6)


def test_json_of_keras_is_read_and_written() -> None:
    model = nb.models.model_from_json(json.dumps({k: v for k, v in KERAS_CONFIG.items() if k != "compile_config"}))
    assert model.layers[0].units == 2
    written = json.loads(model.to_json())
    assert (written["module"], written["class_name"]) == ("keras", "Sequential")
    layer = written["config"]["layers"][1]
    assert (layer["module"], layer["class_name"], layer["config"]["units"]) == ("keras.layers", "Dense", 2)
    assert layer["config"]["kernel_initializer"]["module"] == "keras.initializers"


FUNCTIONAL_2 = {
    "class_name": "Functional",
    "config": {
        "name": "old",
        "layers": [
            {
                "class_name": "InputLayer", "name": "in", "inbound_nodes": [],
                "config": {"batch_input_shape": [None, 3], "dtype": "float32", "sparse": False, "name": "in"},
            },
            {
                "class_name": "Dense", "name": "d", "inbound_nodes": [[["in", 0, 0, {}]]],
                "config": {"name": "d", "units": 3, "dtype": "float32", "activation": "relu"},
            },
            {
                "class_name": "Add", "name": "a", "inbound_nodes": [[["in", 0, 0, {}], ["d", 0, 0, {}]]],
                "config": {"name": "a", "trainable": True, "dtype": "float32"},
            },
        ],
        "input_layers": [["in", 0, 0]],
        "output_layers": [["a", 0, 0]],
    },
}  # fmt: skip


def test_json_of_keras_2_is_read() -> None:
    model = nb.models.model_from_json(json.dumps(FUNCTIONAL_2))
    kernel, bias = model.get_weights()
    x = np.array([[1.0, -2.0, 3.0]], "f4")
    np.testing.assert_allclose(model.predict(x, verbose=0), x + np.maximum(x @ kernel + bias, 0.0), rtol=1e-6)


def test_h5_of_keras_2_is_read(tmp_path: Path) -> None:
    kernel, bias = np.arange(9.0, dtype="f4").reshape(3, 3), np.ones(3, "f4")
    with h5py.File(tmp_path / "old.h5", "w") as file:
        file.attrs["model_config"] = json.dumps(FUNCTIONAL_2)
        file.attrs["training_config"] = json.dumps(
            {
                "loss": "mse",
                "metrics": ["mae"],
                "loss_weights": None,
                "weighted_metrics": None,
                "optimizer_config": {"class_name": "Adam", "config": {"name": "Adam", "lr": 0.5, "decay": 0.0}},
            }
        )
        group = file.create_group("model_weights")
        group.attrs["layer_names"] = np.array([b"in", b"d", b"a"])
        for name in ("in", "a"):
            group.create_group(name).attrs["weight_names"] = np.array([], "S1")
        group.create_group("d").attrs["weight_names"] = np.array([b"d/kernel:0", b"d/bias:0"])
        group["d"]["d/kernel:0"], group["d"]["d/bias:0"] = kernel, bias
    model = nb.load_model(tmp_path / "old.h5")
    assert float(model.optimizer.learning_rate) == 0.5
    for got, wanted in zip(model.get_weights(), (kernel, bias), strict=True):
        np.testing.assert_array_equal(got, wanted)
    other = nb.Sequential([nb.Input((3,)), nb.layers.Dropout(0.5), nb.layers.Dense(3, name="other")])
    other.load_weights(tmp_path / "old.h5")
    np.testing.assert_array_equal(other.get_weights()[0], kernel)
    named = nb.Sequential([nb.Input((3,)), nb.layers.Dense(3, name="d"), nb.layers.Dense(4, name="new")])
    before = named.get_weights()
    named.load_weights(tmp_path / "old.h5", by_name=True)
    np.testing.assert_array_equal(named.get_weights()[1], bias)
    np.testing.assert_array_equal(named.get_weights()[2], before[2])
    with pytest.raises(ValueError, match="expected 2 layers with weights, the file has 1"):
        named.load_weights(tmp_path / "old.h5")


# ---- weights ----


def test_weights_have_keras_paths(tmp_path: Path) -> None:
    inner = nb.Sequential([nb.layers.Dense(3), nb.layers.BatchNormalization()])
    x = nb.Input((4,))
    y = inner(nb.layers.Dense(3)(x))
    model = nb.Model(x, nb.layers.Dense(2)(y))
    model.save_weights(tmp_path / "m.weights.h5")
    with Hdf5Reader((tmp_path / "m.weights.h5").read_bytes(), "m") as file:
        assert sorted(file.entries) == sorted(
            [
                *(f"layers/dense/vars/{k}" for k in range(2)),
                *(f"layers/dense_1/vars/{k}" for k in range(2)),
                *(f"layers/sequential/layers/dense/vars/{k}" for k in range(2)),
                *(f"layers/sequential/layers/batch_normalization/vars/{k}" for k in range(4)),
            ]
        )


def test_mismatches_are_errors_or_left_out(tmp_path: Path) -> None:
    small().save_weights(tmp_path / "m.weights.h5")
    other = nb.Sequential([nb.Input((4,)), nb.layers.Dense(3), nb.layers.Dense(5)])
    before = other.get_weights()
    with pytest.raises(ValueError, match=r"m\.weights\.h5: .*expected shape \(3, 5\), the file has \(3, 2\)"):
        other.load_weights(tmp_path / "m.weights.h5")
    for got, wanted in zip(other.get_weights(), before, strict=True):
        np.testing.assert_array_equal(got, wanted)
    with pytest.warns(UserWarning, match="left out"):
        other.load_weights(tmp_path / "m.weights.h5", skip_mismatch=True)
    assert (other.get_weights()[0] != before[0]).any()
    np.testing.assert_array_equal(other.get_weights()[2], before[2])
    with pytest.raises(ValueError, match="by_name"):
        small().load_weights(tmp_path / "m.weights.h5", by_name=True)


@pytest.mark.parametrize("ending", [".nbnet", ".keras", ".h5"])
def test_weights_that_are_not_finite_are_named(ending: str, tmp_path: Path) -> None:
    model = small()
    weights = model.get_weights()
    weights[2][0, 0] = np.nan
    model.set_weights(weights)
    model.save(tmp_path / f"m{ending}")
    with pytest.warns(UserWarning, match=r"(top/kernel|dense_1/vars/0|dense_1/kernel).* not finite"):
        nb.load_model(tmp_path / f"m{ending}")
    with pytest.warns(UserWarning, match="not finite"):
        small().load_weights(tmp_path / f"m{ending}")


def test_the_mode_that_keras_records_for_a_call_is_overruled(tmp_path: Path) -> None:
    x = nb.Input((4, 4, 1))
    binned = nb.layers.Discretization([0.5], output_mode="one_hot", name="bins")
    flipped = nb.layers.RandomFlip(name="flip")(x)
    model = nb.Model(x, [flipped, binned(nb.layers.Flatten()(flipped))])
    model.save(tmp_path / "m.keras")
    with zipfile.ZipFile(tmp_path / "m.keras") as zipped:
        members = {name: zipped.read(name) for name in zipped.namelist()}
    config = json.loads(members["config.json"])
    by_name = {layer["config"]["name"]: layer for layer in config["config"]["layers"]}
    by_name["flip"]["inbound_nodes"][0]["kwargs"] = {"training": True}
    del members["metadata.json"]  # with the checksum
    assert "trainable" not in by_name["bins"]["config"]  # Keras's class does not take it.
    with zipfile.ZipFile(tmp_path / "k.keras", "w") as zipped:
        for name, content in (members | {"config.json": json.dumps(config).encode()}).items():
            zipped.writestr(name, content)
    images = np.random.default_rng(0).normal(size=(20, 4, 4, 1)).astype("float32")
    for name in ("m", "k"):
        np.testing.assert_array_equal(nb.load_model(tmp_path / f"{name}.keras").predict(images, verbose=0)[0], images)


def with_assets(path: Path, model: Any, assets: dict[str, bytes], sizes: dict[str, int]) -> None:
    """Write the file as Keras does, with vocabularies beside the configuration."""
    model.save(path)
    with zipfile.ZipFile(path) as zipped:
        members = {name: zipped.read(name) for name in zipped.namelist()} | {"metadata.json": b"{}"}
    config = json.loads(members["config.json"])
    for layer in config["config"]["layers"]:
        if layer["config"]["name"] in sizes:
            layer["config"] |= {"vocabulary": None, "vocabulary_size": sizes[layer["config"]["name"]]}
            layer["config"].pop("idf_weights", None)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as zipped:
        for name, content in (members | {"config.json": json.dumps(config).encode()} | assets).items():
            zipped.writestr(name, content)


def test_vocabularies_beside_the_configuration_are_read(tmp_path: Path) -> None:
    texts, whole = np.array([["a b"], ["b c b"], ["d"]]), np.array([[7], [3], [7]])
    words = nb.layers.TextVectorization(output_mode="tf_idf", name="words", max_tokens=7, pad_to_max_tokens=True)
    word, number = (
        nb.layers.StringLookup(output_mode="count", name="word"),
        nb.layers.IntegerLookup(output_mode="multi_hot", name="number"),
    )
    for layer, data in ((words, texts[:, 0]), (word, texts), (number, whole)):
        layer.adapt(data)
    s, n = nb.Input((1,), dtype="string", name="s"), nb.Input((1,), dtype="int64", name="n")
    model = nb.Model([s, n], nb.layers.Dense(2)(nb.layers.concatenate([words(s), word(s), number(n)])))
    files = {"text_vectorization": words, "string_lookup": word, "integer_lookup": number}
    assets = {
        f"assets/layers/{name}/vocabulary.txt": "\n".join(map(str, layer.get_vocabulary())).encode()
        for name, layer in files.items()
    }
    sizes = {layer.name: layer.vocabulary_size() for layer in files.values()}
    with_assets(tmp_path / "m.keras", model, assets, sizes)
    again = nb.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(again.predict([texts, whole], verbose=0), model.predict([texts, whole], verbose=0))
    again.get_layer("words").adapt(["e"])  # They were learned, and can be learned anew.
    first = next(iter(assets))
    for part in (b"x\ny", b"\xff", b"a\na"):
        with_assets(tmp_path / "bad.keras", model, assets | {first: part}, sizes)
        with pytest.raises(ValueError, match=r"bad\.keras"):
            nb.load_model(tmp_path / "bad.keras")
    with_assets(tmp_path / "bomb.keras", model, assets | {first: b"a\n" * (1 << 27)}, sizes)
    with pytest.raises(ValueError, match="more than a file of this size can hold"):
        nb.load_model(tmp_path / "bomb.keras")


# ---- what is refused ----


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            changed(activation={"class_name": "__lambda__", "config": {"value": "4wEAAAA="}}),
            "a lambda is stored as code",
        ),
        (changed(activation={"module": "os", "class_name": "function", "config": "system"}), "system"),
        (changed(new_option=4), "Dense: new_option=4 is not supported"),
        (changed(units="many"), "units"),
        (changed(units=1 << 40), "the file has none"),
        (changed(dtype="mixed_float16"), "dtype"),
        ({"module": "os", "class_name": "Dense", "config": {}, "registered_name": None}, "the class is unknown"),
        ({"module": "keras.layers", "class_name": "LSTM", "config": {}, "registered_name": None}, "LSTM"),
        ({"module": "keras.layers", "class_name": "Dense", "config": {"units": 2}}, "not a model"),
        ({"class_name": "Sequential", "config": []}, "expected an object"),
        ([], "expected an object"),
    ],
)
def test_configurations_that_are_refused(config: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        nb.load_model(archive(tmp_path / "k.keras", config))


def test_calls_in_a_circle_are_refused() -> None:
    config = json.loads(json.dumps(FUNCTIONAL_2))
    config["config"]["layers"][1]["inbound_nodes"] = [[["a", 0, 0, {}]]]
    with pytest.raises(ValueError, match="or on itself"):
        nb.models.model_from_json(json.dumps(config))


def operation(op: str, *args: Any) -> Any:
    """Return a model that calls a function of nbnet's with these arguments."""
    config = json.loads(json.dumps(FUNCTIONAL_2))
    config["config"]["layers"][1:] = [
        {
            "module": None, "class_name": op, "name": "q", "config": {"name": "q"},
            "registered_name": f"nbnet>ops.{op}", "inbound_nodes": [{"args": list(args), "kwargs": {}}],
        }
    ]  # fmt: skip
    config["config"]["output_layers"] = [["q", 0, 0]]
    return config


MANY = [1.0] * 30_000


@pytest.mark.parametrize(
    "config",
    [
        operation("outer", MANY, MANY), operation("add", [[v] for v in MANY], [MANY]),
        operation("einsum", "i,j->ij", MANY, MANY), operation("stack", [[MANY[:9], MANY[:9]]]),
        operation("kron", [MANY, MANY], [MANY]), operation("isin", {"class_name": "__numpy__", "config": {
            "value": MANY, "dtype": "float32"}}, MANY),
    ],
)  # fmt: skip
def test_calls_of_constants_alone_are_refused_before_they_compute(
    config: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keras_graph, "_called", lambda *args: pytest.fail("it was called"))
    with pytest.raises(ValueError, match=r"k\.keras: q: the call depends on no input"):
        nb.load_model(archive(tmp_path / "k.keras", config))
    with pytest.raises(ValueError, match="q: the call depends on no input"):
        nb.models.model_from_json(json.dumps(config))


@pytest.mark.parametrize(
    "metric",
    [
        {"class_name": "AUC", "config": {"num_thresholds": 10**8}},
        {"class_name": "AUC", "config": {"num_thresholds": 10**4, "multi_label": True, "num_labels": 10**5}},
        {"class_name": "PrecisionAtRecall", "config": {"recall": 0.5, "num_thresholds": 10**9}},
        {"class_name": "MeanIoU", "config": {"num_classes": 10**12}},
    ],
)
def test_compiling_is_charged_to_the_budget_of_the_file(metric: Any, tmp_path: Path) -> None:
    config = json.loads(json.dumps(KERAS_CONFIG))
    config["compile_config"]["metrics"] = [metric]
    with pytest.raises(ValueError, match="values, more than the file can need"):
        nb.load_model(archive(tmp_path / "k.keras", config))
    assert nb.load_model(archive(tmp_path / "k.keras", config), compile=False).optimizer is None
    with pytest.raises(ValueError, match="values, more than the file can need"):
        nb.models.model_from_json(json.dumps(config))
    model = small()
    model.compile("adam", "mse")
    model.save(tmp_path / "k.h5")
    with h5py.File(tmp_path / "k.h5", "a") as file:  # no longer one of nbnet's
        del file.attrs["nbnet_sha256"]
        file.attrs["backend"] = file["model_weights"].attrs["backend"] = "jax"
        compiled = json.loads(file.attrs["training_config"]) | {"metrics": [metric]}
        file.attrs["training_config"] = json.dumps(compiled)
    with pytest.raises(ValueError, match="values, more than the file can need"):
        nb.load_model(tmp_path / "k.h5")


def linked(kind: str) -> bytes:
    target = io.BytesIO()
    with h5py.File(target, "w", userblock_size=512 if kind == "user block" else 0) as file:
        for name, array in KERAS_ARRAYS.items():
            if name != "layers/dense/vars/1":
                file[name] = array
        group = file["layers/dense/vars"]
        if kind == "soft link":
            group["1"] = h5py.SoftLink("/layers/dense/vars/0")
        elif kind == "external link":
            group["1"] = h5py.ExternalLink("/etc/passwd", "/x")
        elif kind == "hard link":
            group["1"] = file["layers/dense/vars/0"]
        elif kind == "circle":
            group["1"] = file["layers"]
        elif kind == "external data":
            group.create_dataset("1", (2,), "f4", external=[("/etc/hostname", 0, 8)])
        elif kind == "virtual":
            layout = h5py.VirtualLayout((2,), "f4")
            layout[:] = h5py.VirtualSource("/etc/hostname", "x", (2,))
            group.create_virtual_dataset("1", layout)
        elif kind == "strings":
            group.create_dataset("1", data=["a", "b"], dtype=h5py.string_dtype())
        elif kind == "references":
            group.create_dataset("1", (2,), h5py.ref_dtype)
        elif kind == "records":
            group.create_dataset("1", (2,), [("a", "f4"), ("b", "i4")])
        elif kind == "bomb":
            group.create_dataset("1", (1 << 40,), "f4", chunks=(1 << 16,), compression="gzip", fillvalue=1.0)
        elif kind == "chunk":
            group.create_dataset("1", (2,), "f4", maxshape=(None,), chunks=(1 << 24,), compression="gzip")
        else:
            group["1"] = BIAS
    return target.getvalue()


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("soft link", "link to another place"), ("external link", "link to another place"),
        ("hard link", "two places"), ("circle", "two places"), ("external data", "another file"),
        ("virtual", "another file"), ("strings", "array of numbers"), ("references", "array of numbers"),
        ("records", "array of numbers"), ("bomb", "larger than a file"), ("chunk", "chunks"),
        ("user block", "not an HDF5 file"),
    ],
)  # fmt: skip
def test_hdf5_that_is_refused(kind: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=rf"k\.keras: .*{message}"):
        nb.load_model(archive(tmp_path / "k.keras", weights=linked(kind)))
    (tmp_path / "k.weights.h5").write_bytes(linked(kind))
    model = nb.Sequential([nb.Input((2,)), nb.layers.Dense(2)])
    with pytest.raises(ValueError, match=message):
        model.load_weights(tmp_path / "k.weights.h5")


def test_hdf5_with_compressed_arrays_is_read(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "k.weights.h5", "w") as file:
        file.create_dataset("layers/dense/vars/0", data=KERNEL, compression="gzip", shuffle=True, fletcher32=True)
        file.create_dataset("layers/dense/vars/1", data=BIAS.astype(">f8"), compression="lzf", chunks=(2,))
    model = nb.Sequential([nb.Input((2,)), nb.layers.Dense(2)])
    model.load_weights(tmp_path / "k.weights.h5")
    np.testing.assert_array_equal(model.get_weights()[1], BIAS)


def test_damage_to_arrays_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "m.weights.h5"
    model = small()
    model.save_weights(path)
    content = bytearray(path.read_bytes())
    at = bytes(content).index(model.get_weights()[0].tobytes())
    content[at + 5] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"damaged: the file differs from its checksum"):
        model.load_weights(path)


@pytest.mark.parametrize("kind", ["bomb", "lzma", "twice", "no config", "no weights", "cut", "no archive", "encrypted"])
def test_archives_that_are_refused(kind: str, tmp_path: Path) -> None:
    path = archive(tmp_path / "k.keras")
    if kind == "bomb":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as zipped:
            zipped.writestr("config.json", json.dumps(KERAS_CONFIG))
            zipped.writestr("model.weights.h5", b"\0" * (64 << 20))
    elif kind == "lzma":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as zipped:
            zipped.writestr("config.json", json.dumps(KERAS_CONFIG))
            zipped.writestr("model.weights.h5", linked("none"))
    elif kind == "twice":
        with zipfile.ZipFile(path, "a") as zipped, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            zipped.writestr("config.json", "{}")
    elif kind in ("no config", "no weights"):
        with zipfile.ZipFile(path, "w") as zipped:
            zipped.writestr("config.json" if kind == "no weights" else "model.weights.h5", b"{}")
    elif kind == "cut":
        path.write_bytes(path.read_bytes()[:-30])
    elif kind == "no archive":
        path.write_bytes(b"no archive")
    else:
        content = bytearray(path.read_bytes())
        at = content.rindex(b"PK\x01\x02")
        content[at + 8] |= 1
        path.write_bytes(content)
    with pytest.raises(ValueError, match=r"k\.keras: "):
        nb.load_model(path)


def test_h5py_is_imported_only_for_files_of_keras_and_asked_for_by_name(tmp_path: Path) -> None:
    script = (
        "import sys; import nbnet as nb; m = nb.Sequential([nb.Input((2,)), nb.layers.Dense(1)]);"
        f"m.save(r'{tmp_path}/m.nbnet'); nb.load_model(r'{tmp_path}/m.nbnet');"
        "assert 'h5py' not in sys.modules and 'nbnet.saving.keras_files' not in sys.modules;"
        "sys.modules['h5py'] = None;"
        f"m.save(r'{tmp_path}/m.keras')"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert "need h5py: pip install 'nbnet[h5]'" in done.stderr
    assert not (tmp_path / "m.keras").exists()


def test_from_keras_leaves_plain_values() -> None:
    assert from_keras({"a": [1, None, "x"], "b": {"c": 0.5}}) == {"a": [1, None, "x"], "b": {"c": 0.5}}


def test_a_file_has_what_write_hdf5_was_given() -> None:
    content = write_hdf5({"a/b": np.arange(6.0).reshape(2, 3)}, {"": {"name": "x"}}, ["c"])
    with Hdf5Reader(content, "some.h5") as file:
        assert (file.attributes[""]["name"], "c" in file.groups) == ("x", True)
        np.testing.assert_array_equal(next(file.read()), np.arange(6.0).reshape(2, 3))


@pytest.mark.parametrize(
    ("program", "error", "message"),
    [
        ("ready(); import signal; os.kill(os.getpid(), signal.SIGSEGV)", ValueError, "damaged: .* with status -11"),
        ("ready(); _limit(1 << 28, 1)\nwhile True: pass", ValueError, "damaged: .* with status -9"),
        ("ready(); time.sleep(60)", ValueError, "damaged: .* with status -9"),
        ("ready(); raise KeyError", ValueError, "damaged: .* with status 1"),
        ("ready(); print('noise', flush=True); send_data(out, {'error': 'bad'})", ValueError, "k.keras: bad"),
        ("raise ImportError", OSError, "with status 1 before it could read"),
        ("ready(); send_data(out, {'memory': 'too little'})", MemoryError, "too little"),
    ],
)
def test_a_helper_that_ends_or_never_answers_is_an_error(
    program: str, error: type[Exception], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    head, tail = hdf5_file._PROGRAM.replace("helper_main\nhelper_main()", "_limit").rstrip(), f"\n{program}\n"
    names = "\nimport os, time\nfrom nbnet.base.processes import answers, send, send_data\nout = answers()"
    path = archive(tmp_path / "k.keras")
    monkeypatch.setattr(hdf5_file, "_PROGRAM", f"{head}{names}\nready = lambda: send(out, b''){tail}")
    monkeypatch.setattr(hdf5_file, "SECONDS", 1)
    monkeypatch.setattr(hdf5_file, "PATIENCE", 5)
    with pytest.raises(error, match=message):
        nb.load_model(path)


class Sum(nb.Model):
    """Of inputs and outputs, with one more argument."""

    def __init__(self, *args: Any, gain: float = 1.0, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.gain = gain


class Keywords(nb.Model):
    def __init__(self, gain: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.gain = gain


class Ready(nb.Model):
    """Makes its inputs and outputs itself."""

    def __init__(self, units: int, **kwargs: Any) -> None:
        x = nb.Input((4,))
        super().__init__(inputs=x, outputs=nb.layers.Dense(units)(x), **kwargs)
        self.units = units


class Holder(nb.layers.Layer):
    """Has an object in its configuration, serialized as in Keras."""

    def __init__(self, schedule: Any, loss: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.schedule, self.loss = schedule, loss

    def call(self, x: Any) -> Any:
        return x * 1.0

    def get_config(self) -> dict[str, Any]:
        own = {"schedule": self.schedule, "target": self.loss}
        return super().get_config() | {
            key: nb.saving.serialize_keras_object(value) for key, value in own.items()
        }  # fmt: skip

    @classmethod
    def from_config(cls, config: Any) -> Any:
        own = [nb.saving.deserialize_keras_object(config.pop(key)) for key in ("schedule", "target")]
        return cls(*own, **config)


def model_of(kind: str) -> Any:
    if kind == "sum":
        x = nb.Input((4,))
        return Sum(x, nb.layers.Dense(2)(x), gain=3.0)
    if kind == "keywords":
        x = nb.Input((4,))
        return Keywords(gain=3.0, inputs=x, outputs=nb.layers.Dense(2)(x))
    if kind == "ready":
        return Ready(3)
    return small(Holder(nb.optimizers.schedules.CosineDecay(0.5, 10), nb.losses.Huber(2.0)))


@pytest.mark.parametrize("ending", [".keras", ".h5", ".nbnet", "clone"])
@pytest.mark.parametrize("kind", ["sum", "keywords", "ready", "holder"])
def test_subclasses_with_graphs_and_objects_in_configurations(kind: str, ending: str, tmp_path: Path) -> None:
    model, custom = model_of(kind), {"Sum": Sum, "Keywords": Keywords, "Ready": Ready, "Holder": Holder}
    x = np.ones((2, 4), "float32")
    if ending == "clone":
        again = nb.models.clone_model(model)
        again.set_weights(model.get_weights())
    else:
        model.save(tmp_path / f"m{ending}")
        again = nb.load_model(tmp_path / f"m{ending}", custom_objects=custom)
    np.testing.assert_array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))
    assert type(again) is type(model)
    if kind in ("sum", "keywords"):
        assert again.gain == 3.0
    elif kind == "ready":
        assert again.units == 3
    else:
        assert (again.layers[1].schedule.decay_steps, again.layers[1].loss.delta) == (10, 2.0)


@pytest.mark.parametrize(
    ("module", "name", "config", "expected"),
    [
        ("keras.layers", "Dense", {"units": 3, "dtype": KERAS_CONFIG["config"]["dtype"]}, nb.layers.Dense),
        ("keras.optimizers", "Adam", {"learning_rate": 0.5, "loss_scale_factor": None}, nb.optimizers.Adam),
        ("keras.losses", "MeanSquaredError", {"name": "mse"}, nb.losses.MeanSquaredError),
        ("keras.metrics", "MeanSquaredError", {"name": "mse", "dtype": "float32"}, nb.metrics.MeanSquaredError),
        ("keras.initializers", "Zeros", {}, nb.initializers.Zeros),
    ],
)
def test_objects_in_keras_form(module: str, name: str, config: Any, expected: Any) -> None:
    described = {"module": module, "class_name": name, "config": config, "registered_name": None}
    assert type(nb.saving.deserialize_keras_object(described)) is expected
    assert type(nb.saving.deserialize_keras_object({"a": [described]})["a"][0]) is expected


def test_a_policy_of_keras_is_a_dtype() -> None:
    policy = {"module": "keras", "class_name": "DTypePolicy", "config": {"name": "float64"}}
    assert nb.layers.Dense.from_config({"units": 3, "dtype": policy}).dtype == np.float64
    policy["config"] = {"name": "mixed_float16"}
    with pytest.raises(ValueError, match="dtype: expected float32 or float64, got 'mixed_float16'"):
        nb.layers.Dense.from_config({"units": 3, "dtype": policy})
