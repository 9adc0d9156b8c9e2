"""The three that learn a workload, each made anew from the same weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

import nbnet as nb
from benchmarks.harness.workloads import Data, Workload, glorot_weights, layer_by_layer
from benchmarks.numpy_mlp.plain import NumpyMLP
from benchmarks.numpy_mlp.tuned import TunedNumpyMLP

Array = NDArray[Any]
#: Trains for so many epochs, rows shuffled; returns the mean loss of the last.
Train = Callable[[int], float]

OPPONENTS: dict[str, Callable[..., NumpyMLP | TunedNumpyMLP]] = {"NumPy": NumpyMLP, "tuned": TunedNumpyMLP}
NAMES = ("nbnet", *OPPONENTS)


def build(load: Workload, dropout: bool = True, dtype: str = "float32") -> nb.Sequential:
    """The workload's network in nbnet, compiled, with its initial weights."""
    rate_in, rate = (load.input_dropout, load.hidden_dropout) if dropout else (0.0, 0.0)
    model = nb.Sequential([nb.Input((load.sizes[0],), dtype=dtype)], dtype=dtype)
    if rate_in:
        model.add(nb.layers.Dropout(rate_in, dtype=dtype))
    for units in load.sizes[1:-1]:
        model.add(nb.layers.Dense(units, activation="relu", dtype=dtype))
        if rate:
            model.add(nb.layers.Dropout(rate, dtype=dtype))
    model.add(nb.layers.Dense(load.sizes[-1], activation="softmax", dtype=dtype))
    model.compile("adam", "sparse_categorical_crossentropy")
    model.set_weights(layer_by_layer(*glorot_weights(load.sizes, 0)))
    return model


def oppose(name: str, load: Workload, dropout: bool = True, dtype: str = "float32") -> NumpyMLP | TunedNumpyMLP:
    """The same network in NumPy."""
    rates = (load.input_dropout, load.hidden_dropout) if dropout else (0.0, 0.0)
    return OPPONENTS[name](load.sizes, *glorot_weights(load.sizes, 0), *rates, dtype=dtype)


def start(name: str, load: Workload, data: Data) -> Train:
    """A learner with fresh weights that has made a step of each size, so that its buffers or programs exist."""
    x, y = data
    size = load.batch_size
    few = min(len(x), size + len(x) % size)
    if name == "nbnet":
        nb.set_random_seed(0)
        model = build(load)
        model.fit(x[:few], y[:few], size, verbose=0)
        return lambda epochs: float(model.fit(x, y, size, epochs, verbose=0).history["loss"][-1])
    opponent, rng = oppose(name, load), np.random.default_rng(0)
    opponent.train_epoch(x, y, np.arange(few), size)

    def train(epochs: int) -> float:
        return [opponent.train_epoch(x, y, rng.permutation(len(x)), size) for _ in range(epochs)][-1]

    return train


def difference(load: Workload, data: Data, dtype: str, epochs: int, steps: int) -> dict[str, float]:
    """How far each opponent's losses are from nbnet's without dropout: the largest relative difference of an epoch.

    An epoch is the first ``steps`` batches and a short one. Same weights, same batches: what remains is rounding.
    """
    size = load.batch_size
    x, y = (array[: steps * size + size // 2] for array in data)
    model, order = build(load, False, dtype), np.arange(len(x))
    losses = np.array(model.fit(x, y, size, epochs, verbose=0, shuffle=False).history["loss"])
    found = {}
    for name in OPPONENTS:
        opponent = oppose(name, load, False, dtype)
        theirs = [opponent.train_epoch(x, y, order, size) for _ in losses]
        found[name] = float(np.max(np.abs(losses / theirs - 1)))
    return found


def slices(load: Workload, data: Data) -> int:
    """How many threads nbnet cuts a batch for."""
    model, (x, _) = build(load), data
    rows = min(load.batch_size, len(x))
    return int(model.program("train", rows, x.dtype).spans.shape[1])
