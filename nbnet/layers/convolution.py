"""Convolution over sequences and images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from nbnet import activations
from nbnet.base.validation import check_int
from nbnet.engine.graph.parameter import Parameter
from nbnet.engine.graph.tensor import Tensor
from nbnet.layers.arguments import (
    OPTIONS,
    ActivationLike,
    ConstraintLike,
    InitializerLike,
    RegularizerLike,
    check_rank,
    features,
    weight_options,
)
from nbnet.layers.layer import Layer, Shape
from nbnet.ops.conv import conv
from nbnet.ops.windows import check_data_format, check_padding, per_axis

#: The initializer, the regularizer and the constraint of a weight.
WeightOptions = tuple[InitializerLike, RegularizerLike, ConstraintLike]


class Windowed(Layer):
    """Base of the layers with kernels: their windows, their activation and the options of their weights.

    Parameters
    ----------
    kernel_size, strides, padding, data_format, dilation_rate, activation, use_bias
        As for :class:`Conv1D`, one number or one for each axis of space.
    options
        For each name of ``_weight_names``, the initializer, the regularizer and the constraint.
    """

    _shared_docs: ClassVar[dict[str, str]] = {
        "raises": "ValueError\n    If an argument is out of range, or the window is larger than the input.",
    }
    _arguments: ClassVar[tuple[str, ...]] = (
        *("kernel_size", "strides", "padding", "data_format", "dilation_rate", "activation", "use_bias"),
    )
    data_format = "channels_last"
    #: Number of spatial axes.
    rank: ClassVar[int]
    paddings: ClassVar[tuple[str, ...]] = ("valid", "same")

    def __init__(
        self,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int],
        padding: str,
        data_format: str | None,
        dilation_rate: int | Sequence[int],
        activation: ActivationLike,
        use_bias: bool,
        options: Mapping[str, WeightOptions],
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_data_format(data_format)
        self.kernel_size = per_axis(kernel_size, self.rank, "kernel_size")
        self.strides = per_axis(strides, self.rank, "strides")
        self.padding = check_padding(padding, self.paddings)
        self.dilation_rate = per_axis(dilation_rate, self.rank, "dilation_rate")
        self.activation = activations.get(activation)
        self.use_bias = bool(use_bias)
        for name, given in options.items():
            for option, value in zip(OPTIONS, weight_options(name, *given), strict=True):
                setattr(self, f"{name}_{option}", value)
        self.bias: Parameter | None = None

    def _check_input(self, shape: Shape) -> None:
        check_rank(self.name, shape, self.rank)
        super()._check_input(shape)

    def _build_bias(self, outputs: int, channels: int) -> None:
        """Create the bias of the outputs; later inputs have as many channels as the first."""
        if self.use_bias:
            self.bias = self._add_named_weight("bias", (outputs,))
        self._sizes = (None,) * (self.rank + 1) + (channels,)

    def _check_steps(self) -> None:
        """Raise ValueError if windows take steps and have gaps."""
        if max(self.strides) > 1 and max(self.dilation_rate) > 1:
            raise ValueError(
                f"strides: steps above 1 and a dilation above 1 exclude each other, got strides={self.strides} and "
                f"dilation_rate={self.dilation_rate}"
            )


class Convolution(Windowed):
    """Base of :class:`Conv1D`, :class:`Conv2D` and :class:`Conv3D`: ``activation(conv(x, kernel) + bias)``."""

    _shared_docs: ClassVar[dict[str, str]] = Windowed._shared_docs | {
        "first": "filters\n    Channels of the output.",
        "last": """data_format
    ``"channels_last"`` or None.
dilation_rate
    Steps between the elements of a window; above 1 only where strides are 1.
groups
    Number of groups of channels, each of which is convolved with its share of the filters.
activation, use_bias, ..., bias_constraint, **kwargs
    As for :class:`Dense`.""",
    }
    _arguments = ("filters", "groups")
    _weight_names = ("kernel", "bias")

    def __init__(
        self,
        filters: int,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: int | Sequence[int] = 1,
        groups: int = 1,
        activation: ActivationLike = None,
        use_bias: bool = True,
        kernel_initializer: InitializerLike = "glorot_uniform",
        bias_initializer: InitializerLike = "zeros",
        kernel_regularizer: RegularizerLike = None,
        bias_regularizer: RegularizerLike = None,
        activity_regularizer: RegularizerLike = None,
        kernel_constraint: ConstraintLike = None,
        bias_constraint: ConstraintLike = None,
        **kwargs: Any,
    ) -> None:
        options: dict[str, WeightOptions] = {
            "kernel": (kernel_initializer, kernel_regularizer, kernel_constraint),
            "bias": (bias_initializer, bias_regularizer, bias_constraint),
        }
        kwargs["activity_regularizer"] = activity_regularizer
        super().__init__(
            kernel_size, strides, padding, data_format, dilation_rate, activation, use_bias, options, **kwargs
        )
        self._check_steps()
        self.filters, self.groups = check_int(filters, "filters"), check_int(groups, "groups")
        if self.filters % self.groups:
            raise ValueError(f"groups: expected a divisor of the filters, {self.filters}, got {self.groups}")

    def build(self, input_shape: Shape) -> None:
        channels = features(self.name, input_shape)
        if channels % self.groups:
            raise ValueError(f"groups: expected a divisor of the input's channels, {channels}, got {self.groups}")
        self.kernel = self._add_named_weight("kernel", (*self.kernel_size, channels // self.groups, self.filters))
        self._build_bias(self.filters, channels)

    def call(self, x: Tensor) -> Tensor:
        y = conv(x, self.kernel, self.strides, self.padding, None, self.dilation_rate, bias=self.bias)
        return self.activation(y)


class Conv1D(Convolution):
    """Convolution along a sequence: (batch, length, channels) to (batch, new length, filters).

    Parameters
    ----------
    kernel_size
        Length of the window.
    strides
        Steps from window to window.
    padding
        ``"valid"``: windows lie inside the sequence. ``"same"``: as many windows as steps fit in it; zeros surround
        it. ``"causal"``: the zeros stand before it, so that the output at a time does not see later ones.

    Attributes
    ----------
    kernel
        (kernel_size, channels / groups, filters)
    bias
        (filters,), or None.

    Examples
    --------
    >>> import nbnet as nb
    >>> import numpy as np
    >>> nb.layers.Conv1D(32, 3, activation="relu")(np.zeros((4, 10, 128))).shape
    (4, 8, 32)
    """

    rank = 1
    paddings = ("valid", "same", "causal")


class Conv2D(Convolution):
    """Convolution over images: (batch, height, width, channels) to (batch, new height, new width, filters).

    Parameters
    ----------
    kernel_size
        Height and width of the window, or one number for both.
    strides
        Steps down and to the right from window to window, or one number for both.
    padding
        ``"valid"``: windows lie inside the image. ``"same"``: as many windows as steps fit in it; zeros surround it.

    Attributes
    ----------
    kernel
        (height, width, channels / groups, filters)
    bias
        (filters,), or None.

    Examples
    --------
    >>> import nbnet as nb
    >>> import numpy as np
    >>> layer = nb.layers.Conv2D(2, 3, activation="relu")
    >>> layer(np.zeros((4, 28, 28, 3))).shape
    (4, 26, 26, 2)
    >>> [w.shape for w in layer.get_weights()]
    [(3, 3, 3, 2), (2,)]
    """

    rank = 2


class Conv3D(Convolution):
    """Convolution over volumes: (batch, depth, height, width, channels) to (batch, new depth, new height, new width,
    filters).

    It is computed as a convolution of images whose channels are those of all slices that a window spans.

    Parameters
    ----------
    kernel_size
        Depth, height and width of the window, or one number for all.
    strides
        Steps from window to window along each axis, or one number for all.
    padding
        ``"valid"``: windows lie inside the volume. ``"same"``: as many windows as steps fit in it; zeros surround it.

    Attributes
    ----------
    kernel
        (depth, height, width, channels / groups, filters)
    bias
        (filters,), or None.

    Examples
    --------
    >>> import nbnet as nb
    >>> import numpy as np
    >>> nb.layers.Conv3D(2, 3, activation="relu")(np.zeros((4, 8, 9, 10, 1))).shape
    (4, 6, 7, 8, 2)
    """

    rank = 3
