"""Small trainings of many kinds, whose numbers are the same with and without ``NBNET_CHECK=1``.

As a script it prints them as JSON.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

import nbnet as nb

Array = NDArray[Any]
ROWS = 37

Training = Callable[[], list[float]]
CASES: dict[str, Training] = {}


def case(function: Training) -> Training:
    CASES[function.__name__] = function
    return function


def data(*shape: int, classes: int = 3, dtype: str = "float32") -> tuple[Array, Array]:
    rng = np.random.default_rng(1)
    return rng.normal(size=(ROWS, *shape)).astype(dtype), rng.integers(0, classes, ROWS)


def numbers(model: nb.Model, history: Any, x: Any = None) -> list[float]:
    """Losses and metrics of a training, and sums of weights and predictions."""
    found = [value for values in history.history.values() for value in values]
    found += [float(np.abs(w, dtype=np.float64).sum()) for w in model.get_weights()]
    return found if x is None else [*found, float(np.abs(model.predict(x, verbose=0), dtype=np.float64).sum())]


def dense(dtype: str, slices: int) -> Training:
    def train() -> list[float]:
        nb.set_random_seed(2)
        x, y = data(20, dtype=dtype)
        model = nb.Sequential([
            nb.Input((20,), dtype=dtype),
            nb.layers.GaussianNoise(0.1, dtype=dtype),
            nb.layers.Dense(33, "gelu", dtype=dtype),
            nb.layers.Dropout(0.4, dtype=dtype),
            nb.layers.Dense(17, "relu", dtype=dtype),
            nb.layers.Dropout(0.2, noise_shape=(1, None), dtype=dtype),
            nb.layers.Dense(3, "softmax", dtype=dtype),
        ])  # fmt: skip
        model.compile(nb.optimizers.AdamW(0.01, clipnorm=1.0), "sparse_categorical_crossentropy", metrics=["accuracy"],
                      slices=slices)  # fmt: skip
        return numbers(model, model.fit(x, y, epochs=2, batch_size=16, validation_split=0.2, verbose=0), x)

    return train


CASES |= {f"dense_{dtype}_{n}": dense(dtype, n) for dtype in ("float32", "float64") for n in (1, 2, 3)}


@case
def images() -> list[float]:
    nb.set_random_seed(3)
    x, y = data(9, 8, 2)
    model = nb.Sequential([
        nb.Input((9, 8, 2)),
        nb.layers.Conv2D(5, 3, padding="same", activation="relu"),
        nb.layers.BatchNormalization(),
        nb.layers.DropBlock2D(0.2, 3),
        nb.layers.MaxPooling2D(),
        nb.layers.SpatialDropout2D(0.3),
        nb.layers.Flatten(),
        nb.layers.Dense(3),
    ])  # fmt: skip
    model.compile("sgd", nb.losses.SparseCategoricalCrossentropy(from_logits=True))
    return numbers(model, model.fit(x, y, epochs=2, batch_size=8, verbose=0), x)


@case
def words() -> list[float]:
    nb.set_random_seed(4)
    x = np.random.default_rng(0).integers(0, 11, (ROWS, 6))
    model = nb.Sequential([
        nb.Input((6,), dtype="int64"),
        nb.layers.Embedding(11, 7),
        nb.layers.SpatialDropout1D(0.3),
        nb.layers.LayerNormalization(),
        nb.layers.GlobalAveragePooling1D(),
        nb.layers.Dense(1),
    ])  # fmt: skip
    model.compile("rmsprop", "huber")
    return numbers(model, model.fit(x, x.sum(1) / 30.0, epochs=2, batch_size=8, verbose=0), x)


@case
def sparse_rows() -> list[float]:
    nb.set_random_seed(5)
    x, y = data(30)
    rows = sparse.csr_matrix(np.where(x > 1, x, 0))
    model = nb.Sequential([nb.Input((30,)), nb.layers.Dense(9, "tanh"), nb.layers.Dropout(0.5), nb.layers.Dense(3)])
    model.compile("adam", nb.losses.SparseCategoricalCrossentropy(from_logits=True))
    return numbers(model, model.fit(rows, y, epochs=2, batch_size=8, verbose=0), rows)


@case
def stream() -> list[float]:
    nb.set_random_seed(6)
    x, y = data(12)

    def batches() -> Iterator[tuple[Array, Array]]:
        while True:
            for k in range(0, 32, 8):
                yield x[k : k + 8], y[k : k + 8]

    model = nb.Sequential([nb.Input((12,)), nb.layers.Dense(9, "relu"), nb.layers.Dropout(0.5), nb.layers.Dense(3)])
    model.compile("nadam", nb.losses.SparseCategoricalCrossentropy(from_logits=True))
    return numbers(model, model.fit(batches(), epochs=2, steps_per_epoch=4, verbose=0), x)


@case
def batchwise() -> list[float]:
    nb.set_random_seed(7)
    x, y = data(7)
    parts = [part for units in (33, 20) for part in (nb.layers.Dense(units, "relu"),
                                                      nb.layers.Dropout(0.5, batchwise=True))]  # fmt: skip
    model = nb.Sequential([nb.Input((7,)), nb.layers.Dropout(0.3, batchwise=True), *parts, nb.layers.Dense(1)])
    model.compile(nb.optimizers.SGD(0.01, momentum=0.9), "mse")
    return numbers(model, model.fit(x, y * 1.0, epochs=2, batch_size=8, verbose=0), x)


@case
def monte_carlo() -> list[float]:
    nb.set_random_seed(8)
    x, y = data(12)
    model = nb.Sequential([nb.Input((12,)), nb.layers.Dense(9, "relu"), nb.layers.Dropout(0.5), nb.layers.Dense(2)])
    model.compile("adam", "mse")
    history = model.fit(x, np.stack([y, -y], 1) * 1.0, epochs=1, batch_size=8, verbose=0, record_masks=2)
    found = model.predict_mc(x, samples=5, seed=1)
    return [*numbers(model, history), float(np.abs(found.mean).sum()), float(found.std.sum())]


@case
def wide() -> list[float]:
    """Weights of half a megabyte and more, whose update is fused with the product."""
    nb.set_random_seed(9)
    x, y = data(400)
    model = nb.Sequential([nb.Input((400,)), nb.layers.Dense(400, "relu"), nb.layers.Dropout(0.5), nb.layers.Dense(3)])
    model.compile("adam", nb.losses.SparseCategoricalCrossentropy(from_logits=True))
    return numbers(model, model.fit(x, y, epochs=1, batch_size=32, verbose=0), x)


@case
def tape() -> list[float]:
    x, _ = data(6)
    layer = nb.layers.Dense(4, "softplus", kernel_initializer=nb.initializers.GlorotUniform(1))
    drop = nb.layers.Dropout(0.5, seed=3)
    with nb.Tape(step=5) as recorded:
        y = nb.ops.sum(nb.ops.square(drop(layer(x), training=True)))
    gradients = recorded.gradient(y, layer.trainable_weights)
    return [float(y), *(float(np.abs(g.numpy()).sum()) for g in gradients)]


def main() -> None:
    json.dump({name: train() for name, train in CASES.items()}, sys.stdout)


if __name__ == "__main__":
    main()
