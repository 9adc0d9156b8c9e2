"""Variants of convolution: of each channel by itself, alone or before a mix of channels, and transposed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from nbnet.base.validation import check_int
from nbnet.engine.graph.parameter import Parameter
from nbnet.engine.graph.tensor import Tensor
from nbnet.layers.arguments import OPTIONS, ActivationLike, ConstraintLike, InitializerLike, RegularizerLike, features
from nbnet.layers.convolution import WeightOptions, Windowed
from nbnet.layers.layer import Shape
from nbnet.ops.conv import depthwise_conv, separable_conv
from nbnet.ops.transposed import conv_transpose
from nbnet.ops.windows import per_axis


class ByChannel(Windowed):
    """Base of the layers that convolve each channel by itself."""

    _shared_docs: ClassVar[dict[str, str]] = Windowed._shared_docs | {
        "last": """padding
    ``"valid"``: windows lie inside the input. ``"same"``: as many windows as steps fit in it; zeros surround it.
depth_multiplier
    Number of kernels for each channel of the input.
data_format
    ``"channels_last"`` or None.
dilation_rate
    Steps between the elements of a window.
activation, use_bias, ..., bias_constraint, **kwargs
    As for :class:`Dense`.""",
    }
    _arguments = ("depth_multiplier",)

    def _kernel(self, options: str, name: str, shape: Sequence[int]) -> Parameter:
        """Create a weight with the options of another name."""
        initializer, regularizer, constraint = (getattr(self, f"{options}_{option}") for option in OPTIONS)
        return self.add_weight(shape, initializer, regularizer=regularizer, constraint=constraint, name=name)


class DepthwiseConvolution(ByChannel):
    """Base of :class:`DepthwiseConv1D` and :class:`DepthwiseConv2D`."""

    _weight_names = ("depthwise", "bias")

    def __init__(
        self,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = 1,
        padding: str = "valid",
        depth_multiplier: int = 1,
        data_format: str | None = None,
        dilation_rate: int | Sequence[int] = 1,
        activation: ActivationLike = None,
        use_bias: bool = True,
        depthwise_initializer: InitializerLike = "glorot_uniform",
        bias_initializer: InitializerLike = "zeros",
        depthwise_regularizer: RegularizerLike = None,
        bias_regularizer: RegularizerLike = None,
        activity_regularizer: RegularizerLike = None,
        depthwise_constraint: ConstraintLike = None,
        bias_constraint: ConstraintLike = None,
        **kwargs: Any,
    ) -> None:
        options: dict[str, WeightOptions] = {
            "depthwise": (depthwise_initializer, depthwise_regularizer, depthwise_constraint),
            "bias": (bias_initializer, bias_regularizer, bias_constraint),
        }
        kwargs["activity_regularizer"] = activity_regularizer
        super().__init__(
            kernel_size, strides, padding, data_format, dilation_rate, activation, use_bias, options, **kwargs
        )
        self.depth_multiplier = check_int(depth_multiplier, "depth_multiplier")

    def build(self, input_shape: Shape) -> None:
        channels = features(self.name, input_shape)
        self.kernel = self._kernel("depthwise", "kernel", (*self.kernel_size, channels, self.depth_multiplier))
        self._build_bias(channels * self.depth_multiplier, channels)

    def call(self, x: Tensor) -> Tensor:
        y = depthwise_conv(x, self.kernel, self.strides, self.padding, None, self.dilation_rate, bias=self.bias)
        return self.activation(y)


class DepthwiseConv1D(DepthwiseConvolution):
    """Convolution of each channel of a sequence by itself: (batch, length, channels) to (batch, new length, channels *
    depth_multiplier).

    Parameters
    ----------
    kernel_size
        Length of the window.
    strides
        Steps from window to window.

    Attributes
    ----------
    kernel
        (kernel_size, channels, depth_multiplier)
    bias
        (channels * depth_multiplier,), or None.

    Examples
    --------
    >>> import nbnet as nb
    >>> import numpy as np
    >>> nb.layers.DepthwiseConv1D(3, depth_multiplier=2)(np.zeros((4, 10, 12))).shape
    (4, 8, 24)
    """

    rank = 1


class DepthwiseConv2D(DepthwiseConvolution):
    """Convolution of each channel of an image by itself: (batch, height, width, channels) to (batch, new height, new
    width, channels * depth_multiplier).

    Parameters
    ----------
    kernel_size
        Height and width of the window, or one number for both.
    strides
        Steps down and to the right from window to window, or one number for both.

    Attributes
    ----------
    kernel
        (height, width, channels, depth_multiplier)
    bias
        (channels * depth_multiplier,), or None.

    Examples
    --------
    >>> import nbnet as nb
    >>> import numpy as np
    >>> nb.layers.DepthwiseConv2D(3, padding="same", activation="relu")(np.zeros((4, 10, 10, 12))).shape
    (4, 10, 10, 12)
    """

    rank = 2


class SeparableConvolution(ByChannel):
    """Base of :class:`SeparableConv1D` and :class:`SeparableConv2D`."""

    _shared_docs: ClassVar[dict[str, str]] = ByChannel._shared_docs | {"first": "filters\n    Channels of the output."}
    _arguments = ("filters",)
    _weight_names = ("depthwise", "pointwise", "bias")

    def __init__(
        self,
        filters: int,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: int | Sequence[int] = 1,
        depth_multiplier: int = 1,
        activation: ActivationLike = None,
        use_bias: bool = True,
        depthwise_initializer: InitializerLike = "glorot_uniform",
        pointwise_initializer: InitializerLike = "glorot_uniform",
        bias_initializer: InitializerLike = "zeros",
        depthwise_regularizer: RegularizerLike = None,
        pointwise_regularizer: RegularizerLike = None,
        bias_regularizer: RegularizerLike = None,
        activity_regularizer: RegularizerLike = None,
        depthwise_constraint: ConstraintLike = None,
        pointwise_constraint: ConstraintLike = None,
        bias_constraint: ConstraintLike = None,
        **kwargs: Any,
    ) -> None:
        options: dict[str, WeightOptions] = {
            "depthwise": (depthwise_initializer, depthwise_regularizer, depthwise_constraint),
            "pointwise": (pointwise_initializer, pointwise_regularizer, pointwise_constraint),
            "bias": (bias_initializer, bias_regularizer, bias_constraint),
        }
        kwargs["activity_regularizer"] = activity_regularizer
        super().__init__(
            kernel_size, strides, padding, data_format, dilation_rate, activation, use_bias, options, **kwargs
        )
        self.filters = check_int(filters, "filters")
        self.depth_multiplier = check_int(depth_multiplier, "depth_multiplier")

    def build(self, input_shape: Shape) -> None:
        channels = features(self.name, input_shape)
        shape = (*self.kernel_size, channels, self.depth_multiplier)
        self.depthwise_kernel = self._kernel("depthwise", "depthwise_kernel", shape)
        shape = (*[1] * self.rank, channels * self.depth_multiplier, self.filters)
        self.pointwise_kernel = self._kernel("pointwise", "pointwise_kernel", shape)
        self._build_bias(self.filters, channels)

    def call(self, x: Tensor) -> Tensor:
        kernels = self.depthwise_kernel, self.pointwise_kernel
        y = separable_conv(x, *kernels, self.strides, self.padding, None, self.dilation_rate, bias=self.bias)
        return self.activation(y)


class SeparableConv1D(SeparableConvolution):
    """Convolution of each channel of a sequence by itself, then a mix of channels at each place: (batch, length,
    channels) to (batch, new length, filters).

    Parameters
    ----------
    kernel_size
        Length of the window.
    strides
        Steps from window to window.

    Attributes
    ----------
    depthwise_kernel
        (kernel_size, channels, depth_multiplier)
    pointwise_kernel
        (1, channels * depth_multiplier, filters)
    bias
        (filters,), or None.

    Examples
    --------
    >>> import nbnet as nb
    >>> import numpy as np
    >>> nb.layers.SeparableConv1D(32, 3, activation="relu")(np.zeros((4, 10, 12))).shape
    (4, 8, 32)
    """

    rank = 1


class SeparableConv2D(SeparableConvolution):
    """Convolution of each channel of an image by itself, then a mix of channels at each pixel: (batch, height, width,
    channels) to (batch, new height, new width, filters).

    Parameters
    ----------
    kernel_size
        Height and width of the window, or one number for both.
    strides
        Steps down and to the right from window to window, or one number for both.

    Attributes
    ----------
    depthwise_kernel
        (height, width, channels, depth_multiplier)
    pointwise_kernel
        (1, 1, channels * depth_multiplier, filters)
    bias
        (filters,), or None.

    References
    ----------
    F. Chollet: Xception: deep learning with depthwise separable convolutions. CVPR (2017).

    Examples
    --------
    >>> import nbnet as nb
    >>> import numpy as np
    >>> layer = nb.layers.SeparableConv2D(16, 3)
    >>> layer(np.zeros((4, 10, 10, 8))).shape
    (4, 8, 8, 16)
    >>> [w.shape for w in layer.get_weights()]
    [(3, 3, 8, 1), (1, 1, 8, 16), (16,)]
    """

    rank = 2


# Keras's other names.
SeparableConvolution1D, SeparableConvolution2D = SeparableConv1D, SeparableConv2D


class TransposedConvolution(Windowed):
    """Base of :class:`Conv1DTranspose` and :class:`Conv2DTranspose`."""

    _shared_docs: ClassVar[dict[str, str]] = Windowed._shared_docs | {
        "first": "filters\n    Channels of the output.",
        "last": """padding
    ``"valid"``: the output holds all windows. ``"same"``: it is as long as the input, times the stride.
output_padding
    Elements that the output has more along each axis, below the stride: ``(n - 1) * stride`` and the length of a window
    is the length with ``"valid"``; with ``"same"`` 1 if that is odd, else 0, takes the place of the window. None for
    the lengths above.
data_format
    ``"channels_last"`` or None.
dilation_rate
    Steps between the elements of a window; above 1 only where strides are 1.
activation, use_bias, ..., bias_constraint, **kwargs
    As for :class:`Dense`.""",
    }
    _arguments = ("filters", "output_padding")
    _weight_names = ("kernel", "bias")

    def __init__(
        self,
        filters: int,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = 1,
        padding: str = "valid",
        output_padding: int | Sequence[int] | None = None,
        data_format: str | None = None,
        dilation_rate: int | Sequence[int] = 1,
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
        self.filters = check_int(filters, "filters")
        self.output_padding: tuple[int, ...] | None = None
        if output_padding is not None:
            self.output_padding = per_axis(output_padding, self.rank, "output_padding", 0)
            if any(extra >= step for extra, step in zip(self.output_padding, self.strides, strict=True)):
                raise ValueError(
                    f"output_padding: expected numbers below the strides, {self.strides}, got {output_padding!r}"
                )

    def build(self, input_shape: Shape) -> None:
        channels = features(self.name, input_shape)
        self.kernel = self._add_named_weight("kernel", (*self.kernel_size, self.filters, channels))
        self._build_bias(self.filters, channels)

    def call(self, x: Tensor) -> Tensor:
        y = conv_transpose(
            x, self.kernel, self.strides, self.padding, self.output_padding, None, self.dilation_rate, bias=self.bias
        )
        return self.activation(y)


class Conv1DTranspose(TransposedConvolution):
    """Transposed convolution along a sequence: (batch, length, channels) to (batch, new length, filters).

    Each element of the input adds a multiple of the kernel to a window of the output: strides make it longer.

    Parameters
    ----------
    kernel_size
        Length of the window.
    strides
        Steps from window to window in the output.

    Attributes
    ----------
    kernel
        (kernel_size, filters, channels)
    bias
        (filters,), or None.

    References
    ----------
    V. Dumoulin, F. Visin: A guide to convolution arithmetic for deep learning. arXiv:1603.07285 (2016), chapter 4.

    Examples
    --------
    >>> import nbnet as nb
    >>> layer = nb.layers.Conv1DTranspose(1, 2, strides=2, kernel_initializer="ones")
    >>> layer([[[1.0], [3.0]]]).numpy().ravel()
    array([1., 1., 3., 3.], dtype=float32)
    """

    rank = 1


class Conv2DTranspose(TransposedConvolution):
    """Transposed convolution over images: (batch, height, width, channels) to (batch, new height, new width, filters).

    Each pixel of the input adds a multiple of the kernel to a window of the output: strides enlarge the image.

    Parameters
    ----------
    kernel_size
        Height and width of the window, or one number for both.
    strides
        Steps down and to the right from window to window in the output, or one number for both.

    Attributes
    ----------
    kernel
        (height, width, filters, channels)
    bias
        (filters,), or None.

    References
    ----------
    V. Dumoulin, F. Visin: A guide to convolution arithmetic for deep learning. arXiv:1603.07285 (2016), chapter 4.

    Examples
    --------
    >>> import nbnet as nb
    >>> import numpy as np
    >>> nb.layers.Conv2DTranspose(16, 3, strides=2, padding="same")(np.zeros((4, 7, 7, 32))).shape
    (4, 14, 14, 16)
    """

    rank = 2


# Keras's other names.
Convolution1DTranspose, Convolution2DTranspose = Conv1DTranspose, Conv2DTranspose
