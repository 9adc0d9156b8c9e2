"""What the convolution layers share."""

from __future__ import annotations

from typing import Any, ClassVar

from nbnet import activations, constraints, initializers, regularizers
from nbnet.core.graph import Tensor
from nbnet.core.parameter import Parameter
from nbnet.layers.dense import positive_integer
from nbnet.layers.layer import Layer
from nbnet.layers.shapes import Shape
from nbnet.ops.conv import conv
from nbnet.ops.window import check_data_format, check_padding, per_axis


class Convolution(Layer):
    """Base of :class:`Conv1D` and :class:`Conv2D`: ``activation(conv(x, kernel) + bias)``."""

    rank: ClassVar[int]
    paddings: ClassVar[tuple[str, ...]] = ("valid", "same")

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Any = 1,
        groups: int = 1,
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
        check_data_format(data_format)
        if groups != 1:
            raise ValueError(f"groups: nbnet convolves all channels together, groups=1; got {groups!r}")
        self.filters = positive_integer(filters, "filters")
        self.kernel_size = per_axis(kernel_size, self.rank, "kernel_size")
        self.strides = per_axis(strides, self.rank, "strides")
        self.padding = check_padding(padding, self.paddings)
        self.dilation_rate = per_axis(dilation_rate, self.rank, "dilation_rate")
        if max(self.strides) > 1 and max(self.dilation_rate) > 1:
            raise ValueError(
                f"strides: steps above 1 and a dilation above 1 exclude each other, got strides={self.strides} and "
                f"dilation_rate={self.dilation_rate}"
            )
        self.activation = activations.get(activation)
        self.use_bias = bool(use_bias)
        self.kernel_initializer = initializers.get(kernel_initializer, "kernel_initializer")
        self.bias_initializer = initializers.get(bias_initializer, "bias_initializer")
        self.kernel_regularizer = regularizers.get(kernel_regularizer, "kernel_regularizer")
        self.bias_regularizer = regularizers.get(bias_regularizer, "bias_regularizer")
        self.kernel_constraint = constraints.get(kernel_constraint, "kernel_constraint")
        self.bias_constraint = constraints.get(bias_constraint, "bias_constraint")
        self.bias: Parameter | None = None

    def build(self, input_shape: Shape) -> None:
        channels = input_shape[-1]
        if len(input_shape) != self.rank + 2 or channels is None:
            axes = "length" if self.rank == 1 else "height, width"
            raise ValueError(f"{self.name}: wants inputs (batch, {axes}, channels), got shape {input_shape}")
        self.kernel = self.add_weight(
            (*self.kernel_size, channels, self.filters),
            self.kernel_initializer,
            name="kernel",
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )
        if self.use_bias:
            self.bias = self.add_weight(
                (self.filters,),
                self.bias_initializer,
                name="bias",
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )

    def call(self, x: Tensor) -> Tensor:
        y = conv(x, self.kernel, self.strides, self.padding, None, self.dilation_rate, bias=self.bias)
        return self.activation(y)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "filters": self.filters,
            "kernel_size": list(self.kernel_size),
            "strides": list(self.strides),
            "padding": self.padding,
            "data_format": "channels_last",
            "dilation_rate": list(self.dilation_rate),
            "groups": 1,
            "activation": activations.serialize(self.activation),
            "use_bias": self.use_bias,
            "kernel_initializer": initializers.serialize(self.kernel_initializer),
            "bias_initializer": initializers.serialize(self.bias_initializer),
            "kernel_regularizer": regularizers.serialize(self.kernel_regularizer),
            "bias_regularizer": regularizers.serialize(self.bias_regularizer),
            "kernel_constraint": constraints.serialize(self.kernel_constraint),
            "bias_constraint": constraints.serialize(self.bias_constraint),
        }
