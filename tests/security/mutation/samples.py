"""Valid files of all kinds: models of every layer and of ops, also in Keras's format, weights, states of a training,
and masks."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import nbnet as nb
from tests.layers.test_every_layer import CASES

#: Names of the files of each kind.
FILES = {
    "model": "m.nbnet",
    "weights": "w.weights.nbnet",
    "state": "latest.nbnet",
    "masks": "masks",
    "keras": "m.keras",
}


@dataclass(frozen=True)
class Sample:
    """A file, and for weights and states a function that makes the model that reads it.

    ``kind`` is one of :data:`FILES`.
    """

    name: str
    kind: str
    content: bytes
    make: Callable[[], Any] | None = None

    def load(self, folder: Path, model: Any) -> Any:
        """Load the file of this kind in a folder; returns the model, or the masks."""
        path = folder / FILES[self.kind]
        if self.kind in ("model", "keras"):
            return nb.load_model(path)
        if self.kind == "weights":
            model.load_weights(path)
        elif self.kind == "state":
            resume(model, folder)
        else:
            return nb.load_masks(path)
        return model


def samples(folder: Path) -> list[Sample]:
    """All samples; files are written to the folder on the way."""
    nb.set_random_seed(0)
    found = []
    for name, make in models():
        model = trained(make)
        model.save(folder / FILES["model"])
        found.append(Sample(name, "model", (folder / FILES["model"]).read_bytes()))
        model.save(folder / FILES["keras"])
        found.append(Sample(name, "keras", (folder / FILES["keras"]).read_bytes()))
        if name in KEPT:
            model.save_weights(folder / FILES["weights"])
            found.append(Sample(name, "weights", (folder / FILES["weights"]).read_bytes(), make))
            (folder / FILES["state"]).unlink(missing_ok=True)
            resume(make(), folder)
            found.append(Sample(name, "state", (folder / FILES["state"]).read_bytes(), make))
    rng = np.random.default_rng(0)
    nb.save_masks(folder / FILES["masks"], {"drop": rng.random((5, 13)) < 0.5, "other": rng.random((3, 2, 9)) < 0.5})
    found.append(Sample("masks", "masks", (folder / FILES["masks"]).read_bytes()))
    return found


def resume(model: Any, folder: Path) -> None:
    """Train two epochs with callbacks that have a state, or what is left of them after the backup in the folder."""
    stop = nb.callbacks.EarlyStopping("loss", patience=3, restore_best_weights=True)
    rate = nb.callbacks.ReduceLROnPlateau("loss", patience=2)
    # A schedule leaves no rate to reduce.
    found = [stop] if model.name == "averaged" else [stop, rate]
    backup = nb.callbacks.BackupAndRestore(folder, delete_checkpoint=False)
    x = inputs(model, 6)
    y = np.zeros(6, "int64") if model.name == "network" else np.zeros((6, 2))
    model.fit(x, y, epochs=2, batch_size=3, callbacks=[*found, backup], verbose=0)


def trained(make: Callable[[], Any]) -> Any:
    """A model after two steps of training."""
    model = make()
    use(model)
    return model


def use(model: Any) -> None:
    """Predict with a model and train it, on inputs that fit it."""
    x = inputs(model, 6)
    y = model.predict(x, verbose=0)
    if model.optimizer is not None and isinstance(y, np.ndarray) and y.size < 1 << 20:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.fit(x, targets(model, y), epochs=1, batch_size=3, verbose=0)


def targets(model: Any, y: Any) -> Any:
    """Targets that fit the loss of a model."""
    loss = model._train_state.objective.loss
    sparse = "sparse" in str(getattr(loss, "name", loss)).lower()
    return np.zeros(y.shape[:-1], "int64") if sparse else np.clip(y, 0.0, 1.0)


def inputs(model: Any, rows: int, more: int = 0) -> Any:
    """Inputs of a model; with ``more``, the last axis is longer, or shorter, than it should be."""
    symbols = model.inputs
    arrays = []
    for symbol in symbols:
        shape = [rows, *(5 if n is None else n for n in symbol.shape[1:])]
        if more and len(shape) > 1:
            shape[-1] = max(shape[-1] + more, 1)
        if float(np.prod(shape, dtype=float)) > 1 << 20:
            raise ValueError(f"an input of shape {shape} is too large to try")
        whole = symbol.dtype.kind == "i"
        arrays.append((np.arange(np.prod(shape)) % 2).reshape(shape).astype("int64" if whole else "float32"))
    return arrays[0] if len(arrays) == 1 else arrays


#: Models whose weights and states are samples as well.
KEPT = ("network", "averaged")


def models() -> Iterator[tuple[str, Callable[[], Any]]]:
    """Functions that make compiled models, by name."""
    yield "network", network
    yield "averaged", averaged
    yield "graph", graph
    yield "places", places
    yield "towers", towers
    yield "scored", scored
    for k, case in enumerate(CASES):
        yield f"{case.name}:{k}", lambda case=case: alone(case)


def network() -> Any:
    """A Sequential with a state in every layer."""
    layers = [
        nb.layers.Dense(6, "relu", name="hidden"),
        nb.layers.Dropout(0.5, name="drop", seed=3),
        nb.layers.BatchNormalization(name="norm"),
        nb.layers.Dense(3, "softmax", name="out"),
    ]
    model = nb.Sequential([nb.Input((4,)), *layers], name="network")
    model.compile(nb.optimizers.Adam(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def averaged() -> Any:
    """An optimizer with a schedule, averages, clipping and decay; penalties, constraints, float64."""
    kernel = {"kernel_regularizer": nb.regularizers.L1L2(0.1, 0.2), "kernel_constraint": nb.constraints.MaxNorm(2.0)}
    layers = [nb.layers.Dense(5, "gelu", name="hidden", dtype="float64", **kernel)]
    layers.append(nb.layers.Dense(2, name="out", dtype="float64", bias_initializer=nb.initializers.Constant(0.5)))
    model = nb.Sequential([nb.Input((4,)), *layers], name="averaged")
    rate = nb.optimizers.schedules.PiecewiseConstantDecay([1, 5], [0.1, 0.01, 0.001])
    options = {"weight_decay": 0.1, "clipnorm": 1.0, "use_ema": True, "gradient_accumulation_steps": 2}
    model.compile(nb.optimizers.SGD(rate, momentum=0.9, nesterov=True, **options), nb.losses.Huber(0.5))
    return model


def graph() -> Any:
    """Ops with sizes among their arguments."""
    x = nb.Input((6,), name="x")
    wide = nb.layers.Dense(8, "tanh", name="wide")(x)
    parts = nb.ops.split(wide, [3], axis=1)
    padded = nb.ops.pad(parts[0], ((0, 0), (1, 2)))
    tiled = nb.ops.tile(parts[1], (1, 2))
    turned = nb.ops.transpose(nb.ops.reshape(tiled, (-1, 5, 2)), (0, 2, 1))
    image = nb.ops.reshape(turned, (-1, 2, 5, 1))
    pooled = nb.ops.max_pool(image, (2, 2), padding="same")
    flat = nb.layers.Flatten(name="flat")(pooled)
    rolled = nb.ops.roll(nb.ops.flip(wide, 1), 2, 1)
    more = nb.ops.repeat(wide[:, 1:7:2], 2, axis=1)
    y = nb.ops.concatenate([padded, flat, rolled, more], axis=1)
    y = nb.ops.clip(nb.ops.softmax(y), 0.0, 1.0) * 2.0
    out = nb.layers.Dense(2, name="out")(y)
    model = nb.Model(x, out, name="graph")
    model.compile("rmsprop", "mse")
    return model


def places() -> Any:
    """Layers and ops that take places from attributes and arrays, and integer inputs."""
    ids = nb.Input((4,), dtype="int64", name="ids")
    vectors = nb.layers.Embedding(7, 3, name="table")(ids)
    flat = nb.layers.Flatten(name="flat")(vectors)
    taken = nb.layers.TakeUnits([0, 5, 11, 2], name="taken")(flat)
    put = nb.layers.PutUnits([3, 1, 0, 6], 8, name="put")(taken)
    chosen = nb.ops.take(put, np.array([1, 3, -1]), axis=1)
    both = nb.layers.Concatenate(name="both")([put, chosen, flat[:, [0, 2]]])
    masked = nb.layers.Masksembles(2, 2.0, name="masked")(nb.layers.Dense(8, "relu", name="eight")(both))
    model = nb.Model(ids, nb.layers.Dense(3, name="out")(masked), name="places")
    model.compile("adagrad", nb.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


def towers() -> Any:
    """A model inside a model, called twice; several inputs and outputs by name."""
    inside = nb.Input((3,), name="inside")
    tower = nb.Model(inside, nb.layers.Dense(4, "relu", name="shared")(inside), name="tower")
    left, right = nb.Input((3,), name="left"), nb.Input((3,), name="right")
    merged = nb.layers.Multiply(name="merged")([tower(left), tower(right)])
    model = nb.Model([left, right], nb.layers.Dense(1, name="score")(merged), name="towers")
    model.compile("adamw", "mae", metrics=["mse"])
    return model


def scored() -> Any:
    """Metrics and losses with parameters."""
    x = nb.Input((4,), name="x")
    model = nb.Model(x, nb.layers.Dense(3, "sigmoid", name="out")(x), name="scored")
    metrics = [
        nb.metrics.AUC(num_thresholds=20),
        nb.metrics.MeanIoU(num_classes=3, sparse_y_true=False, sparse_y_pred=False),
        nb.metrics.TopKCategoricalAccuracy(2),
        nb.metrics.Precision(thresholds=[0.2, 0.5]),
        nb.metrics.F1Score(threshold=0.5),
    ]
    model.compile("lion", nb.losses.CategoricalFocalCrossentropy(alpha=0.3, label_smoothing=0.1), metrics=metrics)
    return model


def alone(case: Any) -> Any:
    """A layer between two that are trained, so that its gradient is computed."""
    whole = case.name == "Embedding"
    before = [] if whole else [nb.layers.BatchNormalization(name="before")]
    after = [nb.layers.Flatten(name="flat"), nb.layers.Dense(2, name="after")]
    layers = [nb.Input(case.shape, dtype="int64" if whole else None), *before, case.make(name="layer"), *after]
    model = nb.Sequential(layers, name="alone")
    model.compile(nb.optimizers.SGD(0.01, momentum=0.9), "mse")
    return model
