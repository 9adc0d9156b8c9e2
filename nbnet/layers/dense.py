"""The fully connected layer."""

from __future__ import annotations

from typing import Any, ClassVar, cast

import numpy as np

from nbnet import activations
from nbnet.base.loading_budget import reserve
from nbnet.base.validation import check_int
from nbnet.engine.graph.parameter import Parameter
from nbnet.engine.graph.tensor import Tensor
from nbnet.layers.arguments import (
    ActivationLike,
    ConstraintLike,
    InitializerLike,
    RegularizerLike,
    refuse,
    weight_options,
)
from nbnet.layers.layer import Layer, Shape, features
from nbnet.ops.dense import dense


class Dense(Layer):
    """A fully connected layer: ``activation(x @ kernel + bias)``.

    Parameters
    ----------
    units
        Size of the output, above 0.
    activation
        Name or function; None for none.
    use_bias
        If True, add a bias.
    kernel_initializer, bias_initializer
        Names or initializers.
    kernel_regularizer, bias_regularizer, activity_regularizer
        Names, regularizers or functions: penalties on the weights, and on the output for each row of the batch, which
        are added to the loss.
    kernel_constraint, bias_constraint
        Names, constraints or functions that are applied to the weights after each update.
    lora_rank, lora_alpha, quantization_config
        Only None: nbnet trains all weights, in float32 or float64.
    **kwargs
        ``name``, ``trainable``, ``dtype``, ``input_shape`` (see :class:`Layer`).

    Attributes
    ----------
    kernel
        (inputs, units)
    bias
        (units,); zeros that are no weight, without ``use_bias``.

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

    supports_masking = True
    _arguments: ClassVar[tuple[str, ...]] = ("units", "activation", "use_bias")
    _weight_names = ("kernel", "bias")

    def __init__(
        self,
        units: int,
        activation: ActivationLike = None,
        use_bias: bool = True,
        kernel_initializer: InitializerLike = "glorot_uniform",
        bias_initializer: InitializerLike = "zeros",
        kernel_regularizer: RegularizerLike = None,
        bias_regularizer: RegularizerLike = None,
        activity_regularizer: RegularizerLike = None,
        kernel_constraint: ConstraintLike = None,
        bias_constraint: ConstraintLike = None,
        lora_rank: int | None = None,
        lora_alpha: float | None = None,
        quantization_config: Any = None,
        **kwargs: Any,
    ) -> None:
        refuse("train all weights", lora_rank=lora_rank, lora_alpha=lora_alpha)
        refuse("weights are float32 or float64", quantization_config=quantization_config)
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self.units = check_int(units, "units")
        self.activation = activations.get(activation)
        self.use_bias = bool(use_bias)
        self.kernel_initializer, self.kernel_regularizer, self.kernel_constraint = weight_options(
            "kernel", kernel_initializer, kernel_regularizer, kernel_constraint
        )
        self.bias_initializer, self.bias_regularizer, self.bias_constraint = weight_options(
            "bias", bias_initializer, bias_regularizer, bias_constraint
        )

    def build(self, input_shape: Shape) -> None:
        self.kernel = self._add_named_weight("kernel", (features(self.name, input_shape), self.units))
        if self.use_bias:
            self.bias = self._add_named_weight("bias", (self.units,))
        else:
            reserve(self.units, self.name, kept=True)
            zeros = Tensor((self.units,), self.dtype, np.zeros(self.units, self.dtype), name="no_bias")
            self.bias = cast(Parameter, zeros)

    def call(self, x: Tensor) -> Tensor:
        if x.shape[-1:] != self.kernel.shape[:1]:
            raise ValueError(
                f"{self.name}: was built for {self.kernel.shape[0]} features, got an input of shape {x.shape}"
            )
        return self.activation(dense(x, self.kernel, self.bias))
