"""The exercise of every library: a network, its initial weights and its data. Reading it takes nothing but NumPy."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass(frozen=True)
class Network:
    """A multilayer perceptron of ReLU units with a softmax on top, and how Adam trains it.

    Parameters
    ----------
    sizes
        Units per layer, from the features to the classes.
    input_dropout, hidden_dropout
        Probabilities to DROP a feature, and an output of a hidden layer.
    batchwise
        True if all rows of a batch share a mask. Only nbnet can; the others draw a mask for each row.
    betas, epsilon
        Parameters of Adam.
    penalty
        Half of it times the sum of the squared weights, without biases, is added to the loss.
    shuffle
        True if each epoch takes the rows in a new random order.
    """

    sizes: tuple[int, ...]
    batch_size: int
    input_dropout: float = 0.0
    hidden_dropout: float = 0.0
    batchwise: bool = False
    learning_rate: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.999)
    epsilon: float = 1e-7
    penalty: float = 0.0
    shuffle: bool = True
    dtype: str = "float32"

    def without_dropout(self) -> Network:
        """The same with rates of 0."""
        return replace(self, input_dropout=0.0, hidden_dropout=0.0, batchwise=False)

    def rates(self) -> list[float]:
        """The dropout rate before each layer."""
        return [self.input_dropout] + [self.hidden_dropout] * (len(self.sizes) - 2)


@dataclass(frozen=True)
class Exercise:
    """A network, and what it learns.

    Parameters
    ----------
    x
        Features, (n, sizes[0]), of the network's dtype.
    y
        Class numbers, (n,), int64.
    weights
        Initial ones: [w0, b0, w1, b1, ...], of shapes (inputs, units) and (units,).
    """

    network: Network
    x: Array
    y: Array
    weights: Sequence[Array]

    @property
    def steps(self) -> int:
        """Of an epoch, the short last batch being one."""
        return -(-len(self.x) // self.network.batch_size)

    def save(self, path: Path) -> Path:
        """Write it to a file, and return that."""
        arrays: dict[str, Any] = {f"w{i}": w for i, w in enumerate(self.weights)}
        arrays |= {"network": np.array(json.dumps(asdict(self.network))), "x": self.x, "y": self.y}
        np.savez(path, **arrays)
        return path


def load(path: Path) -> Exercise:
    """Read a file written by :meth:`Exercise.save`."""
    with np.load(path) as arrays:
        described = json.loads(str(arrays["network"]))
        network = Network(**described | {name: tuple(described[name]) for name in ("sizes", "betas")})
        weights = [arrays[f"w{i}"] for i in range(2 * len(network.sizes) - 2)]
        return Exercise(network, arrays["x"], arrays["y"], weights)
