"""Default models of the wrappers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nbnet.layers.dense import Dense
from nbnet.layers.dropout import Dropout
from nbnet.layers.input import Input
from nbnet.layers.reshaping import Flatten
from nbnet.models.sequential import Sequential


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
    >>> from nbnet.estimators.default_models import small_network
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
    >>> from nbnet.estimators.default_models import autoencoder
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
