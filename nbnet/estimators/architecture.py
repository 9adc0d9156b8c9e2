"""Architectures of the multi-layer perceptrons with initial weights as scikit-learn draws them, and default models of
the wrappers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from nbnet import activations, constraints, layers
from nbnet.estimators.base import Array, next_seed
from nbnet.estimators.categories import UNKNOWN, embedding_dim
from nbnet.layers import Input
from nbnet.layers.dense import Dense
from nbnet.layers.dropout import Dropout
from nbnet.layers.reshaping import Flatten
from nbnet.models import Model, Sequential

#: Bound of the uniform distribution of initial embeddings, as in Keras.
_EMBEDDING_BOUND = 0.05
#: scikit-learn's names of activations that have another name here.
_ACTIVATIONS = {"identity": "linear", "logistic": "sigmoid", "exp": "exponential"}


class Architecture(NamedTuple):
    """The layers of a network; fields without a comment are parameters of the estimator."""

    features: int  # numeric features of a row
    tables: tuple[int, ...]  # rows of the embedding of each categorical column
    hidden: tuple[int, ...]  # units of the hidden layers, as activations and dropout one for each
    outputs: int
    out_activation: str
    activations: tuple[Any, ...]
    dropout: tuple[Any, ...]
    input_dropout: Any = 0.0
    batch_norm: bool = False
    max_norm: float | None = None
    dtype: Any = "float32"

    def build(self, rng: np.random.RandomState) -> tuple[Model, list[layers.Dense]]:
        """Return the network with initial weights, and its dense layers."""
        # Weights are drawn first, in scikit-learn's order: equal seeds give equal weights.
        drawn = [self._draw(rng, *size) for size in self._sizes()]
        stack = list(self._layers(rng))
        model = self._with_embeddings(stack, rng) if self.tables else self._sequential(stack)
        dense = [layer for layer in stack if isinstance(layer, layers.Dense)]
        for layer, (kernel, bias) in zip(dense, drawn, strict=True):
            layer.set_weights([kernel, bias])
        return model, dense

    def _sequential(self, stack: Sequence[layers.Layer]) -> Model:
        return Sequential([Input((self.features,), dtype=self.dtype), *stack], name="network", dtype=self.dtype)

    def _with_embeddings(self, stack: Sequence[layers.Layer], rng: np.random.RandomState) -> Model:
        """Put the layers on top of the numeric features and the embeddings, concatenated."""
        inputs = [Input((self.features,), dtype=self.dtype, name="numbers")] if self.features else []
        parts = list(inputs)
        for k, size in enumerate(self.tables):
            inputs.append(Input((1,), dtype="int64", name=f"category_{k}"))
            table = layers.Embedding(size, embedding_dim(size - 1), name=f"table_{k}", dtype=self.dtype)
            parts.append(layers.Flatten(name=f"vector_{k}", dtype=self.dtype)(table(inputs[-1])))
            vectors = rng.uniform(-_EMBEDDING_BOUND, _EMBEDDING_BOUND, table.embeddings.shape)
            vectors[UNKNOWN] = 0.0
            table.embeddings.assign(vectors)
        joined = layers.Concatenate(name="row", dtype=self.dtype)(parts) if len(parts) > 1 else parts[0]
        for layer in stack:
            joined = layer(joined)
        return Model(inputs, joined, name="network")

    def _layers(self, rng: np.random.RandomState) -> Iterator[layers.Layer]:
        """Yield the layers; kernels are zeros."""
        if _is_active(self.input_dropout):
            yield self._dropout(self.input_dropout, rng, "input_dropout")
        norm = None if self.max_norm is None else constraints.MaxNorm(self.max_norm)
        for k, (units, activation, rate) in enumerate(zip(self.hidden, self.activations, self.dropout, strict=True), 1):
            yield self._dense(units, None if self.batch_norm else activation, norm, f"hidden_{k}")
            if self.batch_norm:
                yield layers.BatchNormalization(name=f"batch_norm_{k}", dtype=self.dtype)
                yield layers.Activation(activation, name=f"activation_{k}", dtype=self.dtype)
            if _is_active(rate):
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
        features = self.features + sum(embedding_dim(size - 1) for size in self.tables)
        units = [features, *self.hidden, self.outputs]
        functions = [*self.activations, self.activations[-1] if self.activations else activations.linear]
        return list(zip(units[:-1], units[1:], functions, strict=True))

    def _draw(self, rng: np.random.RandomState, inputs: int, units: int, activation: Any) -> tuple[Array, Array]:
        """Draw kernel and bias from Glorot's uniform distribution, with scikit-learn's bound."""
        bound = np.sqrt((2.0 if activation is activations.sigmoid else 6.0) / (inputs + units))
        return rng.uniform(-bound, bound, (inputs, units)), rng.uniform(-bound, bound, units)


def copy_weights(old: Model, new: Model) -> None:
    """Give a network the weights of another one, to continue its training; raise ValueError if shapes differ."""
    shapes = [[w.shape for w in model.weights] for model in (old, new)]
    if shapes[0] != shapes[1]:
        raise ValueError(
            "warm_start and partial_fit continue with the weights of the last call, whose shapes were "
            f"{shapes[0]}; for these parameters and data they are {shapes[1]}."
        )
    new.set_weights(old.get_weights())


def _is_active(rate: Any) -> bool:
    return not (isinstance(rate, (int, float)) and rate == 0)


def layer_sizes(hidden_layer_sizes: Any) -> tuple[int, ...]:
    """Return the units of each hidden layer; raise ValueError if one is not a whole number above 0."""
    given = hidden_layer_sizes if hasattr(hidden_layer_sizes, "__iter__") else [hidden_layer_sizes]
    units = list(given)
    if np.any(np.array(units) <= 0):
        raise ValueError(f"hidden_layer_sizes must be > 0, got {units}.")
    if any(int(n) != n for n in units):
        raise ValueError(f"hidden_layer_sizes must be whole numbers, got {units}.")
    return tuple(int(n) for n in units)


def per_layer(value: Any, count: int, name: str, make: Callable[[Any], Any] = lambda value: value) -> tuple[Any, ...]:
    """Return one value for each of ``count`` hidden layers, from one for all or from a list of this length.

    Examples
    --------
    >>> from nbnet.estimators.architecture import per_layer
    >>> per_layer(0.5, 2, "dropout"), per_layer([0.2, 0.5], 2, "dropout")
    ((0.5, 0.5), (0.2, 0.5))
    """
    if isinstance(value, (str, bytes)) or not isinstance(value, (Sequence, np.ndarray)):
        return (make(value),) * count
    if len(value) != count:
        raise ValueError(f"{name} must have a value for each of the {count} hidden layers, got {len(value)}.")
    return tuple(make(one) for one in value)


def activation_of(identifier: Any) -> Any:
    """Return the activation for a function, or for a name, scikit-learn's names among them."""
    return activations.get(_ACTIVATIONS.get(identifier, identifier) if isinstance(identifier, str) else identifier)


def small_network(
    input_shape: tuple[int, ...], output_units: int, output_activation: str | None = None, dtype: Any = None,
    hidden: int | Sequence[int] = (64,), activation: str = "relu", dropout: float = 0.0,
    kernel_initializer: Any = "glorot_uniform",
) -> Sequential:  # fmt: skip
    """Dense layers with dropout: the default of ``NetClassifier`` and ``NetRegressor``.

    Parameters
    ----------
    input_shape
        Shape of a row.
    output_units, output_activation
        Units and activation of the last layer.
    dtype
        Dtype of the model; None for the default of nbnet.
    hidden
        Units of each hidden layer.
    activation, kernel_initializer
        Activation and initializer of the hidden layers.
    dropout
        Probability of dropping a hidden unit.

    Examples
    --------
    >>> from nbnet.estimators.architecture import small_network
    >>> small_network((4,), 3, "softmax", hidden=(8, 8), dropout=0.2).count_params()
    139
    """
    layers = _flat_input(input_shape, dtype)
    for units in [hidden] if isinstance(hidden, int) else hidden:
        layers.append(Dense(units, activation, kernel_initializer=kernel_initializer, dtype=dtype))
        if dropout:
            layers.append(Dropout(dropout, dtype=dtype))
    layers.append(Dense(output_units, output_activation, name="output", dtype=dtype))
    return Sequential(layers)


def autoencoder(
    input_shape: tuple[int, ...], output_units: int, output_activation: str | None = None, dtype: Any = None,
    code: int = 16, hidden: int | Sequence[int] = (), activation: str = "relu", dropout: float = 0.0,
) -> Sequential:  # fmt: skip
    """A network with a narrow last hidden layer, ``"code"``: the default of ``NetTransformer``.

    Parameters
    ----------
    code
        Units of the narrow layer.
    hidden
        Units of the layers before it.
    dropout
        Probability of dropping an input, for a denoising autoencoder.
    input_shape, output_units, output_activation, dtype, activation
        As for :func:`small_network`.

    Examples
    --------
    >>> from nbnet.estimators.architecture import autoencoder
    >>> [layer.name for layer in autoencoder((4,), 4, code=2).layers]
    ['code', 'output']
    """
    layers = _flat_input(input_shape, dtype)
    if dropout:
        layers.append(Dropout(dropout, dtype=dtype))
    layers += [Dense(units, activation, dtype=dtype) for units in ([hidden] if isinstance(hidden, int) else hidden)]
    layers.append(Dense(code, activation, name="code", dtype=dtype))
    layers.append(Dense(output_units, output_activation, name="output", dtype=dtype))
    return Sequential(layers)


def _flat_input(shape: tuple[int, ...], dtype: Any) -> list[Any]:
    return [Input(shape, dtype=dtype), *([] if len(shape) == 1 else [Flatten(dtype=dtype)])]
