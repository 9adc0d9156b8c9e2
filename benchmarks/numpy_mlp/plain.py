"""The opponent: a multilayer perceptron differentiated by hand, as one writes it in NumPy: vectorised and plain."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from benchmarks.harness.workloads import layer_by_layer

Array = NDArray[Any]

BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-7


class NumpyMLP:
    """ReLU hidden layers, softmax output, sparse categorical cross-entropy, inverted dropout and Keras's Adam.

    Parameters
    ----------
    sizes
        Units per layer, from the features to the classes.
    weights, biases
        Initial parameters, one array per layer: (sizes[k], sizes[k + 1]) and (sizes[k + 1],). They are copied.
    input_dropout, hidden_dropout
        Rate at which features, and outputs of hidden layers, are dropped. Nothing is drawn at rate 0.
    learning_rate
        Of Adam.
    seed
        Of the dropout masks, which are the same for every ``dtype``.
    dtype
        Of all arithmetic: float64 makes this the reference for float32.

    Attributes
    ----------
    parameters, gradients
        Lists of arrays: [w0, b0, w1, b1, ...] and the derivatives that ``compute_gradients`` left.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        weights: Sequence[Array],
        biases: Sequence[Array],
        input_dropout: float = 0.0,
        hidden_dropout: float = 0.0,
        learning_rate: float = 1e-3,
        seed: int = 0,
        dtype: DTypeLike = np.float32,
    ) -> None:
        initial = layer_by_layer(weights, biases)
        shapes = [shape for n, m in pairwise(sizes) for shape in ((n, m), (m,))]
        if [array.shape for array in initial] != shapes:
            raise ValueError(f"weights and biases must have the shapes {shapes}")
        self.dtype: np.dtype[Any] = np.dtype(dtype)
        self.learning_rate = learning_rate
        self.input_dropout, self.hidden_dropout = input_dropout, hidden_dropout
        self.rng = np.random.default_rng(seed)
        self.parameters: list[Array] = [array.astype(self.dtype) for array in initial]
        self.gradients, self.m, self.v = ([np.zeros_like(p) for p in self.parameters] for _ in range(3))
        self.steps = 0

    @property
    def weights(self) -> list[Array]:
        """Copies of the parameters: [w0, b0, w1, b1, ...]."""
        return [p.copy() for p in self.parameters]

    def train_epoch(self, x: Array, y: Array, order: NDArray[np.integer[Any]], batch_size: int) -> float:
        """Train on rows ``order`` of ``x`` and ``y``, the last batch being what is left; return the mean loss."""
        total = 0.0
        for i in range(0, len(order), batch_size):
            rows = order[i : i + batch_size]
            total += len(rows) * self.train_batch(x[rows], y[rows])
        return total / len(order)

    def train_batch(self, x: Array, y: Array) -> float:
        """Take one step; return the mean loss before it."""
        loss = self.compute_gradients(x, y)
        self.steps += 1
        rate = self.learning_rate * math.sqrt(1 - BETA_2**self.steps) / (1 - BETA_1**self.steps)
        for i, g in enumerate(self.gradients):
            self.m[i] = BETA_1 * self.m[i] + (1 - BETA_1) * g
            self.v[i] = BETA_2 * self.v[i] + (1 - BETA_2) * g**2
            self.parameters[i] -= rate * self.m[i] / (np.sqrt(self.v[i]) + EPSILON)
        return loss

    def compute_gradients(self, x: Array, y: Array) -> float:
        """Return the mean loss of one batch in training mode, leaving its derivatives in ``gradients``.

        Parameters
        ----------
        x
            Rows of features, of any type.
        y
            Class numbers, which are not checked.
        """
        weights, biases = self.parameters[::2], self.parameters[1::2]
        a = x.astype(self.dtype, copy=False)
        if self.input_dropout:
            a = a * self._mask(a.shape, self.input_dropout)
        inputs, masks = [a], []
        for w, b in zip(weights[:-1], biases[:-1], strict=True):
            a = np.maximum(a @ w + b, 0)
            if self.hidden_dropout:
                masks.append(self._mask(a.shape, self.hidden_dropout))
                a *= masks[-1]
            inputs.append(a)
        z = a @ weights[-1] + biases[-1]

        n, rows = len(x), np.arange(len(x))
        z -= z.max(axis=1, keepdims=True)
        e = np.exp(z)
        s = e.sum(axis=1, keepdims=True)
        loss = float((np.log(s[:, 0]) - z[rows, y]).mean())

        delta = e / s
        delta[rows, y] -= 1
        delta /= n
        for k in range(len(weights) - 1, -1, -1):
            self.gradients[2 * k] = inputs[k].T @ delta
            self.gradients[2 * k + 1] = delta.sum(axis=0)
            if k:
                delta = (delta @ weights[k].T) * (inputs[k] > 0)  # where a unit was dropped its mask is 0, too
                if self.hidden_dropout:
                    delta *= masks[k - 1]
        return loss

    def predict(self, x: Array) -> Array:
        """Return the probability of each class for each row."""
        a = x.astype(self.dtype, copy=False)
        for w, b in zip(self.parameters[:-2:2], self.parameters[1:-2:2], strict=True):
            a = np.maximum(a @ w + b, 0)
        z = a @ self.parameters[-2] + self.parameters[-1]
        e = np.exp(z - z.max(axis=1, keepdims=True))
        probabilities: Array = e / e.sum(axis=1, keepdims=True)
        return probabilities

    def _mask(self, shape: tuple[int, ...], rate: float) -> Array:
        """0 where a unit is dropped, 1 / (1 - rate) where it is kept."""
        keep = self.rng.random(shape, dtype=np.float32) >= rate
        return np.asarray(keep / self.dtype.type(1 - rate))
