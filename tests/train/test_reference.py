"""Training without dropout follows Keras's formulas, written out here in float64 NumPy: each loss, each optimizer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from sklearn.datasets import load_digits

import nbnet as nb

STEPS, BATCH, CLASSES = 50, 32, 10
DIGITS = load_digits()
X = DIGITS.data / 16.0
LABELS = DIGITS.target
ONE_HOT = np.eye(CLASSES)[LABELS]
EPSILON = 1e-7


# ---- losses: of a batch, and its derivative by the last layer's pre-activation -------------------------------


def softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def categorical_crossentropy(z, t):
    p = softmax(z)
    return -(t * np.log(p)).sum(axis=1).mean(), (p - t) / len(z)


def binary_crossentropy(z, t):
    p = 1 / (1 + np.exp(-z))
    return -(t * np.log(p) + (1 - t) * np.log(1 - p)).mean(), (p - t) / z.size


def mean_squared_error(z, t):
    return ((z - t) ** 2).mean(), 2 * (z - t) / z.size


def mean_absolute_error(z, t):
    return np.abs(z - t).mean(), np.sign(z - t) / z.size


def huber(z, t, delta=0.5):
    e = np.abs(z - t)
    losses = np.where(e <= delta, 0.5 * e**2, delta * e - 0.5 * delta**2)
    return losses.mean(), np.clip(z - t, -delta, delta) / z.size


@dataclass(frozen=True)
class Loss:
    """A loss, the activation before it, and its reference."""

    made: Callable[[], nb.losses.Loss]
    output: str | None
    reference: Callable[..., tuple[float, np.ndarray]]
    hidden: str = "tanh"

    @property
    def targets(self):
        return LABELS if self.made().sparse else ONE_HOT


LOSSES = {
    "scce": Loss(nb.losses.SparseCategoricalCrossentropy, "softmax", categorical_crossentropy),
    "scce from logits": Loss(
        lambda: nb.losses.SparseCategoricalCrossentropy(from_logits=True), None, categorical_crossentropy, "relu"
    ),
    "cce": Loss(nb.losses.CategoricalCrossentropy, "softmax", categorical_crossentropy, "relu"),
    "bce": Loss(nb.losses.BinaryCrossentropy, "sigmoid", binary_crossentropy, "relu"),
    "mse": Loss(nb.losses.MeanSquaredError, None, mean_squared_error, "relu"),
    "mae": Loss(nb.losses.MeanAbsoluteError, None, mean_absolute_error),
    "huber": Loss(lambda: nb.losses.Huber(delta=0.5), None, huber),
}


# ---- optimizers: ``update(p, g, t)``, t counts from 1 --------------------------------------------------------


class SGD:
    def __init__(self, learning_rate=0.01, momentum=0.0, nesterov=False):
        self.lr, self.momentum, self.nesterov, self.m = learning_rate, momentum, nesterov, 0.0

    def update(self, p, g, t):
        self.m = self.m * self.momentum - g * self.lr
        return p + (self.m * self.momentum - g * self.lr if self.nesterov else self.m)


class RMSprop:
    def __init__(self, learning_rate=0.001, rho=0.9, momentum=0.0, epsilon=EPSILON, centered=False):
        self.lr, self.rho, self.momentum, self.epsilon, self.centered = learning_rate, rho, momentum, epsilon, centered
        self.velocity = self.average = self.m = 0.0

    def update(self, p, g, t):
        self.velocity = self.rho * self.velocity + (1 - self.rho) * g**2
        self.average = self.rho * self.average + (1 - self.rho) * g
        denominator = self.velocity - (self.average**2 if self.centered else 0) + self.epsilon
        self.m = self.momentum * self.m + self.lr * g / np.sqrt(denominator)
        return p - self.m


class Adam:
    def __init__(self, learning_rate=0.001, beta_1=0.9, beta_2=0.999, epsilon=EPSILON, amsgrad=False):
        self.lr, self.b1, self.b2, self.epsilon, self.amsgrad = learning_rate, beta_1, beta_2, epsilon, amsgrad
        self.m = self.v = self.top = 0.0

    def update(self, p, g, t):
        alpha = self.lr * np.sqrt(1 - self.b2**t) / (1 - self.b1**t)
        self.m = self.m + (g - self.m) * (1 - self.b1)
        self.v = self.v + (g**2 - self.v) * (1 - self.b2)
        self.top = np.maximum(self.top, self.v)
        return p - self.m * alpha / (np.sqrt(self.top if self.amsgrad else self.v) + self.epsilon)


OPTIMIZERS = {
    "sgd": (SGD, nb.optimizers.SGD, {}),
    "sgd 0.1": (SGD, nb.optimizers.SGD, {"learning_rate": 0.1}),
    "momentum": (SGD, nb.optimizers.SGD, {"learning_rate": 0.05, "momentum": 0.9}),
    "nesterov": (SGD, nb.optimizers.SGD, {"learning_rate": 0.05, "momentum": 0.9, "nesterov": True}),
    "rmsprop": (RMSprop, nb.optimizers.RMSprop, {}),
    "rmsprop with momentum": (RMSprop, nb.optimizers.RMSprop, {"learning_rate": 0.0005, "rho": 0.8, "momentum": 0.5}),
    "rmsprop, centered": (RMSprop, nb.optimizers.RMSprop, {"centered": True}),
    "rmsprop, all": (RMSprop, nb.optimizers.RMSprop, {"learning_rate": 0.0005, "momentum": 0.5, "centered": True}),
    "adam": (Adam, nb.optimizers.Adam, {}),
    "adam 0.01": (Adam, nb.optimizers.Adam, {"learning_rate": 0.01, "beta_1": 0.8, "beta_2": 0.99, "epsilon": 1e-6}),
    "amsgrad": (Adam, nb.optimizers.Adam, {"learning_rate": 0.01, "beta_2": 0.9, "amsgrad": True}),
}


# ---- the network ---------------------------------------------------------------------------------------------


def reference_training(weights, loss, make_optimizer):
    """50 steps in float64; returns the weights, and the loss of every step."""
    weights, optimizers = [w.astype("float64") for w in weights], [make_optimizer() for _ in weights]
    losses = []
    for t in range(1, STEPS + 1):
        rows = slice((t - 1) * BATCH, t * BATCH)
        w0, b0, w1, b1 = weights
        x, targets = X[rows], ONE_HOT[rows]
        z = x @ w0 + b0
        h = np.tanh(z) if loss.hidden == "tanh" else np.maximum(z, 0)
        value, dz1 = loss.reference(h @ w1 + b1, targets)
        dh = dz1 @ w1.T
        dz0 = dh * (1 - h**2 if loss.hidden == "tanh" else h > 0)
        gradients = [x.T @ dz0, dz0.sum(axis=0), h.T @ dz1, dz1.sum(axis=0)]
        weights = [o.update(p, g, t) for o, p, g in zip(optimizers, weights, gradients, strict=True)]
        losses.append(value)
    return weights, losses


def network(loss, optimizer, dtype):
    nb.set_random_seed(11)
    first = nb.layers.Dense(32, loss.hidden, dtype=dtype)
    model = nb.Sequential([nb.Input((64,)), first, nb.layers.Dense(CLASSES, loss.output, dtype=dtype)])
    # float32 numbers, so that every dtype starts from the same weights.
    model.set_weights([w.astype("float32") for w in model.get_weights()])
    model.compile(optimizer, loss.made())
    return model


def distance(found, wanted):
    """Relative difference of weight matrices, in the Euclidean norm."""
    moved = zip(found, wanted, strict=True)
    return max(np.linalg.norm(a - b) / np.linalg.norm(b) for a, b in moved)


@pytest.fixture(scope="module")
def references():
    """Trained once for both dtypes."""
    return {}


def trained_reference(references, loss, optimizer, weights):
    if (loss, optimizer) not in references:
        theirs, _, options = OPTIMIZERS[optimizer]
        references[loss, optimizer] = reference_training(weights, LOSSES[loss], lambda: theirs(**options))
    return references[loss, optimizer]


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("loss", LOSSES)
def test_float64_follows_the_reference(loss, optimizer, references):
    """Every step's loss, and each weight after the last, to 1e-10."""
    _, ours, options = OPTIMIZERS[optimizer]
    model = network(LOSSES[loss], ours(**options), "float64")
    start = model.get_weights()
    weights, losses = trained_reference(references, loss, optimizer, start)
    targets = LOSSES[loss].targets
    found = []
    for t in range(STEPS):
        rows = slice(t * BATCH, (t + 1) * BATCH)
        found.append(model.train_on_batch(X[rows], targets[rows]))
    np.testing.assert_allclose(found, losses, rtol=1e-10)
    for a, b, before in zip(model.get_weights(), weights, start, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)
        assert not np.allclose(before, b, rtol=1e-3, atol=0)
    assert model.optimizer.iterations == STEPS


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("loss", LOSSES)
def test_float32_follows_the_reference(loss, optimizer, references):
    """The mean loss to 1e-6, and each array of weights to 1e-5 in its norm."""
    _, ours, options = OPTIMIZERS[optimizer]
    model = network(LOSSES[loss], ours(**options), "float32")
    weights, losses = trained_reference(references, loss, optimizer, model.get_weights())
    n = STEPS * BATCH
    history = model.fit(X[:n], LOSSES[loss].targets[:n], batch_size=BATCH, shuffle=False, verbose=0).history
    np.testing.assert_allclose(history["loss"], [np.mean(losses)], rtol=1e-6)
    assert distance(model.get_weights(), weights) < 1e-5
