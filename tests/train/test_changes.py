"""Changes that callbacks make in layers and losses count from the next batch on, though programs hold constants."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import nbnet as nb

L = nb.layers
X = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
Y = X.sum(1, keepdims=True)
WORDS = np.random.default_rng(0).integers(0, 9, (64, 4))


class Gain(L.Layer):
    """A layer of the user's whose constant a callback changes, as in annealing."""

    def __init__(self, gain: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.gain = gain
        self.count = 0

    def call(self, x: Any) -> Any:
        return x * self.gain


class Scaled(nb.losses.Loss):
    def __init__(self, scale: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.scale = scale

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return self.scale * nb.ops.mean(nb.ops.square(y_true - y_pred), axis=-1)


def adapted(layer: Any, data: Any) -> Any:
    layer.adapt(data)
    return layer


def set_to(name: str, value: Any) -> Callable[[Any], None]:
    return lambda layer: setattr(layer, name, value)


LOOKUP = {"max_tokens": 6, "output_mode": "multi_hot", "pad_to_max_tokens": True}
CASES: dict[str, tuple[Callable[[], Any], Callable[[Any], None]]] = {
    "BatchNormalization.momentum": (lambda: L.BatchNormalization(), set_to("momentum", 0.1)),
    "Dense.activation": (lambda: L.Dense(3), set_to("activation", nb.activations.get("relu"))),
    "Discretization.adapt": (
        lambda: adapted(L.Discretization(num_bins=4, output_mode="count"), X), lambda layer: layer.adapt(3 * X + 2)),
    "Dropout.rate": (lambda: L.Dropout(0.5, seed=1), set_to("rate", 0.0)),
    "IntegerLookup.adapt": (lambda: adapted(L.IntegerLookup(**LOOKUP), WORDS), lambda layer: layer.adapt(WORDS % 3)),
    "IntegerLookup.set_vocabulary": (
        lambda: adapted(L.IntegerLookup(**LOOKUP), WORDS), lambda layer: layer.set_vocabulary([8, 7, 6, 5])),
    "LeakyReLU.negative_slope": (lambda: L.LeakyReLU(0.3), set_to("negative_slope", 0.9)),
    "Normalization.adapt": (lambda: adapted(L.Normalization(), X), lambda layer: layer.adapt(3 * X + 2)),
    "Rescaling.scale": (lambda: L.Rescaling(2.0), set_to("scale", 0.1)),
    "a layer of the user's": (Gain, set_to("gain", 0.1)),
    "inside of another": (
        lambda: nb.Sequential([L.Dense(3), Gain()]), lambda model: set_to("gain", 3.0)(model.layers[1])),
}  # fmt: skip


class Change(nb.callbacks.Callback):
    """Calls a function after the second batch of the second epoch, or before the third epoch."""

    def __init__(self, change: Callable[[], None], batch: bool) -> None:
        super().__init__()
        self.change, self.batch, self.epoch = change, batch, -1

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.epoch = epoch
        if epoch == 2 and not self.batch:
            self.change()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if (self.epoch, batch) == (1, 1) and self.batch:
            self.change()


def trained(
    make: Callable[[], Any], change: Callable[[Any], None], batch: bool, eagerly: bool, loss: Any = "mse"
) -> Any:
    nb.set_random_seed(1)
    layer = make()
    whole = isinstance(layer, L.IntegerLookup)
    model = nb.Sequential([nb.Input((4,), dtype="int64" if whole else None), layer, L.Dense(1)])
    model.compile("sgd", loss, run_eagerly=eagerly)
    callback = Change(lambda: change(layer), batch)
    model.fit(WORDS if whole else X, Y, epochs=4, batch_size=16, verbose=0, callbacks=[callback])
    return model.get_weights()


def differ(first: list[Any], second: list[Any]) -> bool:
    return any(not np.allclose(a, b, 1e-4, 1e-5) for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize("batch", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_changes_of_a_layer_count_from_the_next_batch(case: str, batch: bool) -> None:
    make, change = CASES[case]
    found = trained(make, change, batch, False)
    assert not differ(found, trained(make, change, batch, True))
    assert differ(found, trained(make, lambda layer: None, batch, False))


@pytest.mark.parametrize("batch", [False, True])
def test_changes_of_a_loss_count_from_the_next_batch(batch: bool) -> None:
    def run(scale: float, eagerly: bool) -> Any:
        loss = Scaled()
        return trained(lambda: L.Dense(3), lambda layer: set_to("scale", scale)(loss), batch, eagerly, loss)

    assert not differ(run(0.1, False), run(0.1, True))
    assert differ(run(0.1, False), run(1.0, False))


def test_attributes_that_are_no_arguments_leave_programs_as_they_are() -> None:
    from nbnet.engine.graph.parameter import layout_version

    layer, loss = Gain(2.0), Scaled(2.0)
    layer(X)
    before = layout_version()
    layer.count, layer.gain, loss.scale = 5, 2.0, 2.0
    Gain(3.0), Scaled(3.0)
    assert layout_version() == before
    layer.gain = 2.5
    assert layout_version() == before + 1
