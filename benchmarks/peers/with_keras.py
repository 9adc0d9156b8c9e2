"""Keras 3 on any backend, by its guides: ``fit`` with several steps to a call, compiled where the backend can."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from benchmarks.peers.exercise import Array, Exercise, Network
from benchmarks.peers.threads import choices, named


def settings(network: Network) -> dict[str, dict[str, Any]]:
    """A step or several to a call, XLA or not; on PyTorch, which takes steps one by one and eagerly, threads."""
    backend = keras.backend.backend()
    if backend == "torch":
        return {named(threads): {"jit": "auto", "threads": threads} for threads in choices()}
    found: dict[str, dict[str, Any]] = {}
    for jit in ("auto", False) if backend == "tensorflow" else ("auto",):
        for steps in (1, 16, 64):
            words = f"{steps} step{'s' * (steps > 1)} a call{', no XLA' * (not jit)}"
            found[words] = {"jit": jit, "steps": steps}
    return found


class KerasLearner:
    """A ``Sequential`` model, which ends in logits."""

    def __init__(
        self, exercise: Exercise, jit: bool | str = "auto", steps: int = 1, threads: int | None = None
    ) -> None:
        if threads is not None:
            import torch

            torch.set_num_threads(threads)
        self.exercise = exercise
        network = exercise.network
        keras.config.set_floatx(network.dtype)
        keras.config.set_dtype_policy(network.dtype)
        keras.utils.set_random_seed(0)
        layers: list[Any] = [keras.Input((network.sizes[0],))]
        last = len(network.sizes) - 2
        penalty = network.penalty / 2
        for i, (rate, units) in enumerate(zip(network.rates(), network.sizes[1:], strict=True)):
            if rate:
                layers.append(keras.layers.Dropout(rate))
            activation = None if i == last else "relu"
            regularizer = keras.regularizers.L2(penalty) if penalty else None
            layers.append(keras.layers.Dense(units, activation, kernel_regularizer=regularizer))
        self.model = keras.Sequential(layers)
        self.model.compile(
            keras.optimizers.Adam(network.learning_rate, *network.betas, epsilon=network.epsilon),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            jit_compile=jit,
            steps_per_execution=steps,
        )
        self.reset()

    def reset(self) -> None:
        self.model.set_weights(self.exercise.weights)
        for variable in self.model.optimizer.variables:
            if variable is not self.model.optimizer._learning_rate:
                variable.assign(np.zeros(variable.shape, variable.dtype))

    def train(self, epochs: int) -> list[float]:
        exercise, network = self.exercise, self.exercise.network
        history = self.model.fit(
            exercise.x, exercise.y, network.batch_size, epochs, verbose=0, shuffle=network.shuffle
        ).history
        return list(map(float, history["loss"]))

    def predictors(self, rows: int) -> dict[str, Callable[[Array], Any]]:
        model = keras.Sequential([keras.Input(self.model.input_shape[1:]), *self.model.layers, keras.layers.Softmax()])
        return {
            "predict": lambda x: model.predict(x, verbose=0),
            "predict_on_batch": model.predict_on_batch,
            "call": lambda x: keras.ops.convert_to_numpy(model(x, training=False)),
        }


start = KerasLearner
