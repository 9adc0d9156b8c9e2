"""``train_step`` and ``test_step`` of the user's are compiled inside ``fit``, and compute what they do as Python."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nbnet as nb
from nbnet import layers as L
from nbnet import ops

rng = np.random.default_rng(0)
X = rng.normal(size=(45, 6)).astype("float32")
Z = rng.normal(size=(45, 3)).astype("float32")
LABELS = rng.integers(0, 3, 45)


class Gan(nb.Model):
    """Two models, each with an optimizer; ``call`` fits no data of ``fit``."""

    def __init__(self) -> None:
        super().__init__()
        self.generator = nb.Sequential([nb.Input((3,)), L.Dense(9, "relu"), L.BatchNormalization(), L.Dense(6)])
        self.critic = nb.Sequential([nb.Input((6,)), L.Dense(9, "relu"), L.Dropout(0.2, seed=5), L.Dense(1)])
        self.critics_loss, self.generators_loss = nb.metrics.Mean(name="d"), nb.metrics.Mean(name="g")
        self.loss_of = nb.losses.BinaryCrossentropy(from_logits=True)

    def compile(self, **arguments: Any) -> None:
        super().compile("adam", **arguments)
        self.second = nb.optimizers.RMSprop(0.01)

    def call(self, z: Any) -> Any:
        return self.generator(z)

    def train_step(self, data: Any) -> dict[str, Any]:
        real, z = data
        step = self.optimizer.iterations
        with nb.Tape(step=step) as tape:
            made = self.critic(ops.stop_gradient(self.generator(z, training=True)), training=True)
            loss = self.loss_of(ops.ones_like(made), self.critic(real, training=True))
            loss = loss + self.loss_of(ops.zeros_like(made), made)
        weights = self.critic.trainable_weights
        self.second.apply(tape.gradient(loss, weights), weights)
        with nb.Tape(step=step) as tape:
            made = self.critic(self.generator(z, training=True))
            fooled = self.loss_of(ops.ones_like(made), made)
        weights = self.generator.trainable_weights
        self.optimizer.apply(tape.gradient(fooled, weights), weights)
        self.critics_loss.update_state(loss)
        self.generators_loss.update_state(fooled)
        return {"d": self.critics_loss.result(), "g": self.generators_loss.result()}


class Classifier(nb.Sequential):
    """The default step, changed: adversarial rows, and an entry of its own in the logs."""

    def __init__(self) -> None:
        super().__init__(
            [nb.Input((6,)), L.Dense(8, "relu", kernel_regularizer="l2"), L.Dropout(0.3, seed=1), L.Dense(3)]
        )

    def compile(self, **arguments: Any) -> None:
        super().compile("adam", nb.losses.SparseCategoricalCrossentropy(True), metrics=["accuracy"], **arguments)

    def train_step(self, data: Any) -> dict[str, Any]:
        x, y = data
        with nb.Tape(step=self.optimizer.iterations) as tape:
            loss = self.compute_loss(x, y, self(x))
        moved = x + 0.1 * ops.sign(tape.gradient(loss, x))
        return {**super().train_step((ops.stop_gradient(moved), y)), "clean": loss}

    def test_step(self, data: Any) -> dict[str, Any]:
        return {**super().test_step(data), "largest": ops.max(ops.abs(self(data[0])))}


def trained(make: Callable[[], Any], y: Any, eager: bool, epochs: int = 3) -> tuple[Any, Any]:
    nb.set_random_seed(4)
    model = make()
    model.compile(run_eagerly=eager)
    data = None if y is Z else (X, y)
    history = model.fit(X, y, epochs=epochs, batch_size=10, verbose=0, validation_data=data)
    return model, history.history


@pytest.mark.parametrize(("make", "y"), [(Gan, Z), (Classifier, LABELS), (Classifier, LABELS[:, None] * 1.0)])
def test_compiled_steps_compute_what_python_does(make: Callable[[], Any], y: Any) -> None:
    (eager, expected), (model, history) = trained(make, y, True), trained(make, y, False)
    assert history.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_allclose(history[name], values, rtol=1e-6)
    for a, b in zip(eager.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)


def test_it_runs_python_once_for_each_size_of_batches() -> None:
    sizes = []

    class Counting(Classifier):
        def train_step(self, data: Any) -> dict[str, Any]:
            sizes.append(len(data[0]))
            return super().train_step(data)

    model, _ = trained(Counting, LABELS, False)
    assert sizes == [10, 5]
    model.fit(X, LABELS, batch_size=10, verbose=0)
    assert sizes == [10, 5]
    model.layers[0].trainable = False
    model.compile()
    before = model.layers[0].get_weights()
    model.fit(X, LABELS, batch_size=10, verbose=0)
    assert sizes == [10, 5, 10, 5]
    assert all(np.array_equal(a, b) for a, b in zip(before, model.layers[0].get_weights(), strict=True))


def test_training_that_is_resumed_continues_with_the_same_masks(tmp_path: Path) -> None:
    whole, _ = trained(Classifier, LABELS, False, epochs=4)
    trained(Classifier, LABELS, False, epochs=2)[0].save_weights(tmp_path / "half.weights.h5")
    model, _ = trained(Classifier, LABELS, False, epochs=2)
    model.fit(X, LABELS, initial_epoch=2, epochs=4, batch_size=10, verbose=0)
    for a, b in zip(whole.get_weights(), model.get_weights(), strict=True):
        assert np.array_equal(a, b)


class Counts(Classifier):
    steps = 0

    def train_step(self, data: Any) -> dict[str, Any]:
        self.steps += 1
        return super().train_step(data)


class Collects(Classifier):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Any] = []

    def train_step(self, data: Any) -> dict[str, Any]:
        self.seen.append(len(data[0]))
        return super().train_step(data)


class Reads(Classifier):
    def train_step(self, data: Any) -> dict[str, Any]:
        logs = super().train_step(data)
        return {"loss": float(logs["clean"])}


class Decays(Classifier):
    def train_step(self, data: Any) -> dict[str, Any]:
        if self.optimizer.iterations % 2 == 0:
            return super().train_step(data)
        return {"loss": 0.0}


class UsesRate(Classifier):
    def train_step(self, data: Any) -> dict[str, Any]:
        return {**super().train_step(data), "rate": 2 * self.optimizer.learning_rate}


class DrawsFromNumpy(Classifier):
    def train_step(self, data: Any) -> dict[str, Any]:
        x, y = data
        return super().train_step((x + np.random.normal(size=x.shape).astype("float32"), y))  # noqa: NPY002


class DrawsFromPython(Classifier):
    def train_step(self, data: Any) -> dict[str, Any]:
        return {**super().train_step(data), "drawn": random.random()}


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (Counts, "it changes self.steps"),
        (Collects, "it changes self.seen"),
        (Reads, "has no value"),
        (Decays, "iterations: the optimizer's number changes"),
        (UsesRate, "learning_rate: the optimizer's number changes"),
        (DrawsFromNumpy, "draws random numbers from NumPy"),
        (DrawsFromPython, "draws random numbers from NumPy or Python"),
    ],
)
def test_steps_that_cannot_be_compiled_run_as_python(make: type[Classifier], why: str) -> None:
    np.random.seed(0)  # noqa: NPY002 - what steps of users draw from
    eager, expected = trained(make, LABELS, True)
    np.random.seed(0)  # noqa: NPY002
    with pytest.warns(UserWarning, match=f"train_step is not compiled, and runs as Python: .*{why}") as told:
        model, history = trained(make, LABELS, False)
    assert len(told) == 1
    if make is not DrawsFromPython:
        for name, values in expected.items():
            np.testing.assert_allclose(history[name], values, rtol=1e-6)
    assert vars(model).get("steps", 15) == 15
    assert vars(model).get("seen", vars(eager).get("seen")) == vars(eager).get("seen")


def test_errors_of_a_step_are_its_own() -> None:
    class Fails(Classifier):
        def train_step(self, data: Any) -> dict[str, Any]:
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        trained(Fails, LABELS, False)
