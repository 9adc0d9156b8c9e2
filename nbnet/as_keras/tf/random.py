"""``tf.random``: numbers drawn by nbnet.random, under TensorFlow's names and arguments."""

from __future__ import annotations

from typing import Any

import numpy as np

from nbnet import random
from nbnet.as_keras.tf.tensors import as_tensor, cast, known_dtype, sizes


def set_seed(seed: int) -> None:
    """Seed everything random in nbnet."""
    random.set_random_seed(int(seed))


def normal(
    shape: Any, mean: float = 0.0, stddev: float = 1.0, dtype: Any = "float32", seed: Any = None, name: Any = None
) -> Any:
    """Normal numbers."""
    return random.normal(sizes(shape), 0.0, 1.0, known_dtype(dtype), seed) * stddev + mean


def truncated_normal(
    shape: Any, mean: float = 0.0, stddev: float = 1.0, dtype: Any = "float32", seed: Any = None, name: Any = None
) -> Any:
    """Normal numbers no further from the mean than two standard deviations."""
    return random.truncated_normal(sizes(shape), mean, stddev, known_dtype(dtype), seed)


def uniform(
    shape: Any, minval: Any = 0, maxval: Any = None, dtype: Any = "float32", seed: Any = None, name: Any = None
) -> Any:
    """Uniform numbers; integers if the dtype is one."""
    kind = known_dtype(dtype)
    if np.dtype(kind).kind in "iu":
        return random.randint(sizes(shape), int(minval), int(maxval), kind, seed)
    return random.uniform(sizes(shape), float(minval), 1.0 if maxval is None else float(maxval), kind, seed)


def shuffle(value: Any, seed: Any = None, name: str | None = None) -> Any:
    """Rows in a random order."""
    return random.shuffle(as_tensor(value), seed=seed)


def categorical(logits: Any, num_samples: int, dtype: Any = "int64", seed: Any = None, name: str | None = None) -> Any:
    """Class numbers, drawn by logits."""
    return random.categorical(as_tensor(logits), int(num_samples), seed=seed)


def bernoulli(shape: Any, p: float, dtype: Any = "float32") -> Any:
    """1 with a probability, else 0."""
    return cast(random.uniform(sizes(shape)).numpy() < p, dtype)


class Generator:
    """A sequence of draws of its own: ``tf.random.Generator.from_seed(1)``."""

    def __init__(self, seed: Any = None) -> None:
        self._seeds = random.SeedGenerator(seed)

    @classmethod
    def from_seed(cls, seed: int, alg: Any = None) -> Generator:
        """A generator that always draws the same."""
        return cls(int(seed))

    @classmethod
    def from_non_deterministic_state(cls, alg: Any = None) -> Generator:
        """A generator with a seed of nbnet's own."""
        return cls()

    def normal(self, shape: Any, mean: float = 0.0, stddev: float = 1.0, dtype: Any = "float32") -> Any:
        """Normal numbers."""
        return normal(shape, mean, stddev, dtype, self._seeds)

    def uniform(self, shape: Any, minval: Any = 0, maxval: Any = None, dtype: Any = "float32") -> Any:
        """Uniform numbers."""
        return uniform(shape, minval, maxval, dtype, self._seeds)

    def truncated_normal(self, shape: Any, mean: float = 0.0, stddev: float = 1.0, dtype: Any = "float32") -> Any:
        """Normal numbers no further from the mean than two standard deviations."""
        return truncated_normal(shape, mean, stddev, dtype, self._seeds)


def __getattr__(name: str) -> Any:
    raise AttributeError(f"nbnet's tf.random has no {name!r}: see nbnet.random", name=name)
