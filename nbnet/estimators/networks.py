"""The networks that wrappers make when they are given none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nbnet.layers.dense import Dense
from nbnet.layers.dropout import Dropout
from nbnet.layers.input import Input
from nbnet.layers.reshape import Flatten
from nbnet.models.sequential import Sequential


def small_network(
    input_shape: tuple[int, ...],
    output_units: int,
    output_activation: str | None = None,
    dtype: Any = None,
    hidden: int | Sequence[int] = (64,),
    activation: str = "relu",
    dropout: float = 0.0,
    kernel_initializer: Any = "glorot_uniform",
) -> Sequential:
    """Dense layers, each with dropout behind it: what ``NetClassifier()`` and ``NetRegressor()`` train.

    Parameters
    ----------
    input_shape
        Of a row.
    output_units, output_activation
        Of the last layer.
    dtype
        What it computes in; None: the default of nbnet.
    hidden
        Units of each hidden layer.
    activation, kernel_initializer
        Of the hidden layers.
    dropout
        Probability to drop a unit.

    Examples
    --------
    >>> from nbnet.estimators.networks import small_network
    >>> small_network((4,), 3, "softmax", hidden=(8, 8), dropout=0.2).count_params()
    139
    """
    layers: list[Any] = [Input(input_shape, dtype=dtype)]
    if len(input_shape) != 1:
        layers.append(Flatten(dtype=dtype))
    for units in [hidden] if isinstance(hidden, int) else hidden:
        layers.append(Dense(units, activation, kernel_initializer=kernel_initializer, dtype=dtype))
        if dropout:
            layers.append(Dropout(dropout, dtype=dtype))
    layers.append(Dense(output_units, output_activation, name="output", dtype=dtype))
    return Sequential(layers)


def autoencoder(
    input_shape: tuple[int, ...],
    output_units: int,
    output_activation: str | None = None,
    dtype: Any = None,
    code: int = 16,
    hidden: int | Sequence[int] = (),
    activation: str = "relu",
    dropout: float = 0.0,
) -> Sequential:
    """A network whose last hidden layer, ``"code"``, is narrow: what ``NetTransformer()`` trains.

    Parameters
    ----------
    code
        Units of the layer.
    hidden
        Units of the layers before it.
    input_shape, output_units, output_activation, dtype, activation, dropout
        As for :func:`small_network`; the dropout is of the inputs, which makes a denoising autoencoder.

    Examples
    --------
    >>> from nbnet.estimators.networks import autoencoder
    >>> [layer.name for layer in autoencoder((4,), 4, code=2).layers]
    ['code', 'output']
    """
    layers: list[Any] = [Input(input_shape, dtype=dtype)]
    if len(input_shape) != 1:
        layers.append(Flatten(dtype=dtype))
    if dropout:
        layers.append(Dropout(dropout, dtype=dtype))
    layers += [Dense(units, activation, dtype=dtype) for units in ([hidden] if isinstance(hidden, int) else hidden)]
    layers.append(Dense(code, activation, name="code", dtype=dtype))
    layers.append(Dense(output_units, output_activation, name="output", dtype=dtype))
    return Sequential(layers)
