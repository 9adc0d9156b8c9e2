"""``activation(x @ kernel + bias)``."""

from __future__ import annotations

from typing import Any

import numpy as np

from nbnet import activations, constraints, initializers, regularizers
from nbnet.core.graph import Tensor
from nbnet.layers.layer import Layer
from nbnet.layers.shapes import Shape, features
from nbnet.ops.dense import dense


class Dense(Layer):
    """A fully connected layer.

    Parameters
    ----------
    units
        Size of the output, above 0.
    activation
        Name or function; None for none.
    use_bias
        Whether to add a bias.
    kernel_initializer, bias_initializer
        Names or initializers.
    kernel_regularizer, bias_regularizer, activity_regularizer
        Names, regularizers or functions: penalties on the weights, and on the output for each row of the batch, which
        are added to the loss.
    kernel_constraint, bias_constraint
        Names, constraints or functions: what the weights are held to after each update.
    **kwargs
        ``name``, ``trainable``, ``dtype``, ``input_shape`` (see :class:`Layer`).

    Raises
    ------
    ValueError
        If units is not a positive integer, or a name is not known.

    Examples
    --------
    >>> import nbnet as nb
    >>> layer = nb.layers.Dense(2, activation="relu", kernel_initializer="ones")
    >>> layer([[1.0, 2.0, -4.0]]).numpy()
    array([[0., 0.]], dtype=float32)
    >>> [w.shape for w in layer.get_weights()]
    [(3, 2), (2,)]
    """

    def __init__(
        self,
        units: int,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self.units = positive_integer(units, "units")
        self.activation = activations.get(activation)
        self.use_bias = bool(use_bias)
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer, "kernel_regularizer")
        self.bias_regularizer = regularizers.get(bias_regularizer, "bias_regularizer")
        self.kernel_constraint = constraints.get(kernel_constraint, "kernel_constraint")
        self.bias_constraint = constraints.get(bias_constraint, "bias_constraint")

    def build(self, input_shape: Shape) -> None:
        self.kernel = self.add_weight(
            (features(self.name, input_shape), self.units),
            self.kernel_initializer,
            name="kernel",
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )
        if self.use_bias:
            self.bias = self.add_weight(
                (self.units,),
                self.bias_initializer,
                name="bias",
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )
        else:
            self.bias = Tensor((self.units,), self.dtype, np.zeros(self.units, self.dtype), name="no_bias")  # type: ignore[assignment]

    def call(self, x: Tensor) -> Tensor:
        if x.shape[-1] != self.kernel.shape[0]:
            raise ValueError(
                f"{self.name}: was built for {self.kernel.shape[0]} features, got an input of shape {x.shape}"
            )
        return self.activation(dense(x, self.kernel, self.bias))

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "units": self.units,
            "activation": activations.serialize(self.activation),
            "use_bias": self.use_bias,
            "kernel_initializer": initializers.serialize(self.kernel_initializer),
            "bias_initializer": initializers.serialize(self.bias_initializer),
            "kernel_regularizer": regularizers.serialize(self.kernel_regularizer),
            "bias_regularizer": regularizers.serialize(self.bias_regularizer),
            "kernel_constraint": constraints.serialize(self.kernel_constraint),
            "bias_constraint": constraints.serialize(self.bias_constraint),
        }


def positive_integer(value: Any, name: str, least: int = 1) -> int:
    """An integer from ``least`` on."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise ValueError(f"{name}: wants an integer {'above 0' if least else 'from 0'}, got {value!r}")
    return int(value)
