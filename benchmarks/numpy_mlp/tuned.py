"""The tuned opponent: ``benchmarks.numpy_mlp.plain`` rewritten until nothing more was to be gained in NumPy.

One flat vector of parameters, Adam in blocks that fit the cache on moments kept rescaled, buffers made once, gradients
that overwrite activations. Few would write it; it shows what is left to gain when NumPy is used as well as it can be.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from benchmarks.harness.workloads import layer_by_layer
from benchmarks.numpy_mlp.plain import BETA_1, BETA_2, EPSILON, Array

BLOCK = 65536
"""Parameters Adam updates at a time: its five operands then stay in cache for all ten passes."""


@dataclass(frozen=True)
class _Workspace:
    """Arrays for one batch size; ``noise`` and ``keep`` are views of memory that all layers share."""

    values: list[Array]  # the dropped-out input, then each layer's output, overwritten by its gradient on the way back
    noise: list[Array]
    keep: list[Array]
    ones: Array
    offsets: NDArray[np.int64]  # of each row in the flattened output


class TunedNumpyMLP:
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
        self.sizes, self.dtype, self.learning_rate = tuple(sizes), np.dtype(dtype), learning_rate
        self.input_dropout, self.hidden_dropout = input_dropout, hidden_dropout
        self.rng = np.random.default_rng(seed)
        self.steps = 0

        shapes = [shape for n, m in pairwise(self.sizes) for shape in ((n, m), (m,))]
        initial = layer_by_layer(weights, biases)
        if [array.shape for array in initial] != shapes:
            raise ValueError(f"weights and biases must have the shapes {shapes}")
        parameters = np.concatenate([array.ravel() for array in initial]).astype(self.dtype)
        gradient, m, v = (np.zeros_like(parameters) for _ in range(3))
        temporary = np.empty(min(BLOCK, parameters.size), self.dtype)
        self._blocks = [
            (*(flat[i : i + BLOCK] for flat in (parameters, gradient, m, v)), temporary[: parameters.size - i])
            for i in range(0, parameters.size, BLOCK)
        ]
        ends = np.cumsum([math.prod(shape) for shape in shapes])[:-1]
        self._parameters, self._gradients = (
            [part.reshape(shape) for part, shape in zip(np.split(flat, ends), shapes, strict=True)]
            for flat in (parameters, gradient)
        )
        self._zero = np.zeros((), self.dtype)  # ufuncs take arrays of their own type faster than Python's numbers
        self._ones = np.ones(self.sizes[-1], self.dtype)
        self._workspaces: dict[int, _Workspace] = {}

    @property
    def weights(self) -> list[Array]:
        """Copies of the parameters: [w0, b0, w1, b1, ...]."""
        return [array.copy() for array in self._parameters]

    @property
    def gradients(self) -> list[Array]:
        """Copies of the gradients ``compute_gradients`` left, ordered like ``weights``."""
        return [array.copy() for array in self._gradients]

    def train_epoch(self, x: Array, y: Array, order: NDArray[np.integer[Any]], batch_size: int) -> float:
        """Train on rows ``order`` of ``x`` and ``y``, the last batch being what is left; return the mean loss."""
        total = 0.0
        for start in range(0, len(order), batch_size):
            rows = order[start : start + batch_size]
            total += len(rows) * self.train_batch(x.take(rows, axis=0), y.take(rows))
        return total / len(order)

    def train_batch(self, x: Array, y: Array) -> float:
        """Take one step; return the mean loss before it."""
        loss = self.compute_gradients(x, y)
        self.steps += 1
        # m and v are kept divided by (1 - beta), which saves two passes; rate and epsilon make up for it.
        rate = self.learning_rate * math.sqrt(1 - BETA_2**self.steps) / (1 - BETA_1**self.steps)
        rate *= (1 - BETA_1) / math.sqrt(1 - BETA_2)
        epsilon = EPSILON / math.sqrt(1 - BETA_2)
        for p, g, m, v, t in self._blocks:
            m *= BETA_1
            m += g
            v *= BETA_2
            v += np.square(g, out=t)
            np.sqrt(v, out=t)
            t += epsilon
            np.divide(m, t, out=t)
            t *= rate
            p -= t
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
        parameters, gradients, work = self._parameters, self._gradients, self._workspace(len(x))
        inputs = [x.astype(self.dtype, copy=False), *work.values[1:]]
        if self.input_dropout:
            inputs[0] = self._drop(inputs[0], work, 0, self.input_dropout)
        last = len(self.sizes) - 2
        for k in range(last + 1):
            out = inputs[k + 1]
            np.dot(inputs[k], parameters[2 * k], out=out)
            out += parameters[2 * k + 1]
            if k < last:
                np.maximum(out, self._zero, out=out)
                if self.hidden_dropout:
                    self._drop(out, work, k + 1, self.hidden_dropout)

        delta = inputs[-1]
        flat, picked = delta.ravel(), work.offsets + y
        delta -= np.maximum.reduce(delta, axis=1, keepdims=True)
        chosen = flat.take(picked)
        np.exp(delta, out=delta)
        sums = np.dot(delta, self._ones)
        delta /= sums[:, None]
        flat[picked] -= 1
        delta *= 1 / len(x)
        loss = float(np.dot(work.ones, np.log(sums, out=sums) - chosen)) / len(x)

        for k in range(last, -1, -1):
            values = inputs[k]
            np.dot(values.T, delta, out=gradients[2 * k])
            np.dot(work.ones, delta, out=gradients[2 * k + 1])
            if k:
                keep = np.greater(values, self._zero, out=work.keep[k])  # neither clipped nor dropped
                np.dot(delta, parameters[2 * k].T, out=values)
                values *= keep
                if self.hidden_dropout:
                    values *= 1 / (1 - self.hidden_dropout)
                delta = values
        return loss

    def predict(self, x: Array) -> Array:
        """Return the probability of each class for each row."""
        values = x.astype(self.dtype, copy=False)
        for k in range(len(self.sizes) - 1):
            values = np.dot(values, self._parameters[2 * k])
            values += self._parameters[2 * k + 1]
            if k < len(self.sizes) - 2:
                np.maximum(values, self._zero, out=values)
        values -= values.max(axis=1, keepdims=True)
        np.exp(values, out=values)
        values /= values.sum(axis=1, keepdims=True)
        return values

    def _drop(self, values: Array, work: _Workspace, k: int, rate: float) -> Array:
        noise, keep, out = work.noise[k], work.keep[k], work.values[k]
        self.rng.random(out=noise, dtype=np.float32)
        np.greater_equal(noise, rate, out=keep)
        np.multiply(values, keep, out=out)
        out *= 1 / (1 - rate)
        return out

    def _workspace(self, batch: int) -> _Workspace:
        if batch not in self._workspaces:
            noise, keep = (np.empty(batch * max(self.sizes), dtype) for dtype in (np.float32, np.bool_))
            self._workspaces[batch] = _Workspace(
                [np.empty((batch, n), self.dtype) for n in self.sizes],
                [noise[: batch * n].reshape(batch, n) for n in self.sizes],
                [keep[: batch * n].reshape(batch, n) for n in self.sizes],
                np.ones(batch, self.dtype),
                np.arange(batch, dtype=np.int64) * self.sizes[-1],
            )
        return self._workspaces[batch]
