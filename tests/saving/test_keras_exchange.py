"""Random models that nbnet saves and Keras loads, and the other way round; training continued in both."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nbnet as nb
from nbnet.layers.serialization import known
from nbnet.saving.keras_config import _OWN_CLASSES
from tests.saving.keras_models import LAYERS, PLACED, Builder

os.environ.setdefault("KERAS_BACKEND", "jax")

SEEDS = 200


@pytest.mark.slow
def test_every_layer_is_in_random_models() -> None:
    # In Keras they need TensorFlow, or have another shape in inference.
    others = {"HashedCrossing", "Hashing", "IntegerLookup", "RandomCrop", "StringLookup", "TextVectorization"}
    public = {cls.__name__ for name, cls in known.items() if hasattr(nb.layers, name)}
    assert not public - LAYERS.keys() - PLACED - _OWN_CLASSES - others


def outputs(model: Any, x: Any) -> list[Any]:
    found = model.predict(x, verbose=0)
    return [np.asarray(found[key]) for key in sorted(found)] if isinstance(found, dict) else [np.asarray(found)]


def randomize(model: Any, seed: int) -> None:
    rng = np.random.default_rng(seed)
    weights = [np.asarray(w) for w in model.get_weights()]
    model.set_weights([np.abs(rng.normal(size=w.shape)) * 0.5 + 0.1 for w in weights])


@pytest.fixture(scope="module")
def keras() -> Any:
    module = pytest.importorskip("keras", reason="needs the extra keras")
    if module.backend.backend() != "jax":
        pytest.skip("needs Keras on JAX")
    return module


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("ending", [".keras", ".h5"])
@pytest.mark.parametrize("seed", range(SEEDS))
def test_models_are_the_same_in_both(keras: Any, seed: int, ending: str, tmp_path: Path) -> None:
    if ending == ".h5" and seed % 4:
        pytest.skip("every fourth model")
    builder = Builder(nb, seed, [name for name in LAYERS if hasattr(nb.layers, name)])
    try:
        ours = builder.model()
    except ValueError as error:
        pytest.skip(f"no model: {error}")
    if ending == ".h5" and any(call.get("op") for call in ours.get_config().get("calls", ())):
        pytest.skip("Keras does not read operations in .h5 files")
    randomize(ours, seed)
    x = builder.data(ours)
    expected = outputs(ours, x)
    ours.save(tmp_path / f"ours{ending}")
    theirs = keras.models.load_model(tmp_path / f"ours{ending}")
    for got, wanted in zip(outputs(theirs, x), expected, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-5)
    theirs.save(tmp_path / f"theirs{ending}")
    again = nb.load_model(tmp_path / f"theirs{ending}")
    for got, wanted in zip(outputs(again, x), expected, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-6, atol=1e-6)
    built = Builder(keras, seed, [name for name in LAYERS if hasattr(nb.layers, name)]).model()
    randomize(built, seed + 1)
    built.save(tmp_path / f"built{ending}")
    read = nb.load_model(tmp_path / f"built{ending}")
    for got, wanted in zip(outputs(read, x), outputs(built, x), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-5)
    built.save_weights(tmp_path / "built.weights.h5")
    ours.load_weights(tmp_path / "built.weights.h5")
    for got, wanted in zip(outputs(ours, x), outputs(built, x), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-5)


OPTIMIZERS: dict[str, dict[str, Any]] = {
    "sgd": {"name": "SGD"},
    "momentum": {"name": "SGD", "momentum": 0.9, "nesterov": True},
    "adam": {"name": "Adam"},
    "amsgrad": {"name": "Adam", "amsgrad": True, "clipnorm": 1.0},
    "adamw": {"name": "AdamW", "weight_decay": 0.01},
    "adamax": {"name": "Adamax"},
    "nadam": {"name": "Nadam"},
    "rmsprop": {"name": "RMSprop"},
    "rmsprop full": {"name": "RMSprop", "momentum": 0.5, "centered": True},
    "rmsprop momentum": {"name": "RMSprop", "momentum": 0.5},
    "adagrad": {"name": "Adagrad"},
    "adadelta": {"name": "Adadelta", "learning_rate": 0.5},
    "ftrl": {"name": "Ftrl", "learning_rate": 0.05},
    "lion": {"name": "Lion"},
    "ema": {"name": "Adam", "use_ema": True, "ema_momentum": 0.9},
    "accumulated": {"name": "Adam", "gradient_accumulation_steps": 3},
}


def stateless(known: dict[str, Any]) -> list[str]:
    """Return the layers without random numbers."""
    drawn = ("Dropout", "Noise", "Random")
    return [name for name in known if hasattr(nb.layers, name) and not any(word in name for word in drawn)]


@pytest.fixture
def float64(keras: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    import jax
    from keras.src.backend.common import dtypes

    # Keras computes means, roots and the like of float64 in float32 on JAX.
    monkeypatch.setitem(dtypes.BIT64_TO_BIT32_DTYPE, "float64", "float64")
    jax.config.update("jax_enable_x64", True)
    before = keras.config.floatx()
    keras.config.set_floatx("float64")
    nb.set_floatx("float64")
    yield
    keras.config.set_floatx(before)
    nb.set_floatx(before)
    jax.config.update("jax_enable_x64", False)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("seed", range(4))
def test_training_continues_alike_in_both(keras: Any, float64: None, seed: int, optimizer: str, tmp_path: Path) -> None:
    # Keras applies constraints in steps that only accumulate gradients, too, and its max_norm shrinks each time.
    constrained = "gradient_accumulation_steps" not in OPTIMIZERS[optimizer]
    builder = Builder(nb, 1000 + seed, stateless(LAYERS), assigns=False, constrained=constrained)
    ours = builder.model("float64")
    x = builder.data(ours, 12, "float64")
    settings = dict(OPTIMIZERS[optimizer])
    rng = np.random.default_rng(seed)
    y: Any = [rng.normal(size=(12, *shape.shape[1:])) for shape in ours.outputs]
    y = dict(zip(ours.output_names, y, strict=True)) if len(y) > 1 else y[0]
    losses: Any = {name: "mse" for name in y} if isinstance(y, dict) else "mse"
    ours.compile(getattr(nb.optimizers, settings.pop("name"))(**settings), losses)
    ours.fit(x, y, batch_size=4, epochs=3, shuffle=False, verbose=0)
    ours.save(tmp_path / "ours.keras")
    theirs = keras.models.load_model(tmp_path / "ours.keras")
    theirs.save(tmp_path / "theirs.keras")
    again = nb.load_model(tmp_path / "theirs.keras")
    for model in (ours, theirs, again):
        model.fit(x, y, batch_size=4, epochs=7, shuffle=False, verbose=0)  # 21 steps
    assert again.optimizer.steps == ours.optimizer.steps == 30
    for mine, other, read in zip(ours.get_weights(), theirs.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_allclose(other, mine, rtol=1e-9, atol=1e-9)
        np.testing.assert_array_equal(read, mine)
