"""From the parameters of an estimator to a network, and its weights as scikit-learn draws them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nbnet import activations, constraints, layers
from nbnet.estimators.base import next_seed
from nbnet.estimators.categories import UNKNOWN, dimension
from nbnet.layers import Input
from nbnet.models import Model, Sequential

Array = NDArray[Any]

#: Numbers in the vectors of categories are drawn from a uniform distribution up to this, as in Keras.
_SPREAD = 0.05
#: scikit-learn's names of activations that have another one here.
NAMES = {"identity": "linear", "logistic": "sigmoid", "exp": "exponential"}


class Architecture(NamedTuple):
    """What a network is made of.

    Attributes
    ----------
    features
        Numbers in a row.
    tables
        For each column of categories, rows of its table of vectors.
    hidden
        Units of each hidden layer.
    outputs, out_activation
        Of the last layer.
    activations
        One for each hidden layer.
    dropout
        A rate for each hidden layer.
    input_dropout
        The rate of the input.
    batch_norm
        Whether to normalise what goes into the activations of hidden layers.
    max_norm
        Largest norm of the weights of a unit in hidden layers; None: any.
    dtype
        What it computes in.
    """

    features: int
    tables: tuple[int, ...]
    hidden: tuple[int, ...]
    outputs: int
    out_activation: str
    activations: tuple[Any, ...]
    dropout: tuple[Any, ...]
    input_dropout: Any = 0.0
    batch_norm: bool = False
    max_norm: float | None = None
    dtype: Any = "float32"

    def build(self, rng: np.random.RandomState) -> tuple[Model, list[layers.Dense]]:
        """The network, its weights drawn, and its dense layers."""
        # Draws of weights come first, in scikit-learn's order: equal seeds mean equal weights.
        drawn = [self._draw(rng, *size) for size in self._sizes()]
        made = list(self._layers(rng))
        model = self._with_tables(made, rng) if self.tables else self._stack(made)
        dense = [layer for layer in made if isinstance(layer, layers.Dense)]
        for layer, (kernel, bias) in zip(dense, drawn, strict=True):
            layer.kernel.assign(kernel)
            layer.bias.assign(bias)
        return model, dense

    def _stack(self, made: Sequence[layers.Layer]) -> Model:
        return Sequential([Input((self.features,), dtype=self.dtype), *made], name="network", dtype=self.dtype)

    def _with_tables(self, made: Sequence[layers.Layer], rng: np.random.RandomState) -> Model:
        """The layers on top of numbers and vectors of categories side by side."""
        inputs = [Input((self.features,), dtype=self.dtype, name="numbers")] if self.features else []
        parts = list(inputs)
        for k, size in enumerate(self.tables):
            inputs.append(Input((1,), dtype="int64", name=f"category_{k}"))
            table = layers.Embedding(size, dimension(size - 1), name=f"table_{k}", dtype=self.dtype)
            parts.append(layers.Flatten(name=f"vector_{k}", dtype=self.dtype)(table(inputs[-1])))
            vectors = rng.uniform(-_SPREAD, _SPREAD, table.embeddings.shape)
            vectors[UNKNOWN] = 0.0
            table.embeddings.assign(vectors)
        joined = layers.Concatenate(name="row", dtype=self.dtype)(parts) if len(parts) > 1 else parts[0]
        for layer in made:
            joined = layer(joined)
        return Model(inputs, joined, name="network")

    def _layers(self, rng: np.random.RandomState) -> Iterator[layers.Layer]:
        """The layers, weights not drawn."""
        if _drops(self.input_dropout):
            yield self._dropout(self.input_dropout, rng, "input_dropout")
        norm = None if self.max_norm is None else constraints.MaxNorm(self.max_norm)
        for k, (units, activation, rate) in enumerate(zip(self.hidden, self.activations, self.dropout, strict=True), 1):
            yield self._dense(units, None if self.batch_norm else activation, norm, f"hidden_{k}")
            if self.batch_norm:
                yield layers.BatchNormalization(name=f"batch_norm_{k}", dtype=self.dtype)
                yield layers.Activation(activation, name=f"activation_{k}", dtype=self.dtype)
            if _drops(rate):
                yield self._dropout(rate, rng, f"dropout_{k}")
        yield self._dense(self.outputs, activation_of(self.out_activation), None, "output")

    def _dense(self, units: int, activation: Any, norm: Any, name: str) -> layers.Dense:
        return layers.Dense(
            units, activation, kernel_initializer="zeros", kernel_constraint=norm, name=name, dtype=self.dtype
        )

    def _dropout(self, rate: Any, rng: np.random.RandomState, name: str) -> layers.Dropout:
        return layers.Dropout(rate, seed=next_seed(rng), name=name, dtype=self.dtype)

    def _sizes(self) -> list[tuple[int, int, Any]]:
        """Inputs, units and activation of each dense layer; the last one is drawn like the one before it."""
        features = self.features + sum(dimension(size - 1) for size in self.tables)
        units = [features, *self.hidden, self.outputs]
        functions = [*self.activations, self.activations[-1] if self.activations else activations.linear]
        return list(zip(units[:-1], units[1:], functions, strict=True))

    def _draw(self, rng: np.random.RandomState, inputs: int, units: int, activation: Any) -> tuple[Array, Array]:
        """Kernel and bias from Glorot's uniform distribution, its bound as in scikit-learn."""
        bound = np.sqrt((2.0 if activation is activations.sigmoid else 6.0) / (inputs + units))
        return rng.uniform(-bound, bound, (inputs, units)), rng.uniform(-bound, bound, units)


def continued(old: Model, new: Model) -> None:
    """Give a network the weights of another one, for it is to go on from there.

    Raises
    ------
    ValueError
        If they differ in more than rates, functions and dtype.
    """
    shapes = [[w.shape for w in model.weights] for model in (old, new)]
    if shapes[0] != shapes[1]:
        raise ValueError(
            "warm_start and partial_fit go on with the weights of the previous call, whose shapes were "
            f"{shapes[0]}; for these parameters and data they are {shapes[1]}."
        )
    new.set_weights(old.get_weights())


def _drops(rate: Any) -> bool:
    return not (isinstance(rate, (int, float)) and rate == 0)


def sizes(hidden_layer_sizes: Any) -> tuple[int, ...]:
    """Units of each hidden layer.

    Raises
    ------
    ValueError
        If one is not above 0, or no whole number.
    """
    given = hidden_layer_sizes if hasattr(hidden_layer_sizes, "__iter__") else [hidden_layer_sizes]
    units = list(given)
    if np.any(np.array(units) <= 0):
        raise ValueError(f"hidden_layer_sizes must be > 0, got {units}.")
    if any(int(n) != n for n in units):
        raise ValueError(f"hidden_layer_sizes must be whole numbers, got {units}.")
    return tuple(int(n) for n in units)


def each(value: Any, count: int, name: str, make: Callable[[Any], Any] = lambda one: one) -> tuple[Any, ...]:
    """One value for each hidden layer, from one for all or from a list.

    Raises
    ------
    ValueError
        If a list has another length.

    Examples
    --------
    >>> from nbnet.estimators.architecture import each
    >>> each(0.5, 2, "dropout"), each([0.2, 0.5], 2, "dropout")
    ((0.5, 0.5), (0.2, 0.5))
    """
    if isinstance(value, (str, bytes)) or not isinstance(value, (Sequence, np.ndarray)):
        return (make(value),) * count
    if len(value) != count:
        raise ValueError(f"{name} must have a value for each of the {count} hidden layers, got {len(value)}.")
    return tuple(make(one) for one in value)


def activation_of(identifier: Any) -> Any:
    """The function of a name, scikit-learn's names among them, or of a function."""
    return activations.get(NAMES.get(identifier, identifier) if isinstance(identifier, str) else identifier)
