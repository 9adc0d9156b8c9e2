"""Transposed convolution over sequences and images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from nbnet.base.validation import check_int
from nbnet.engine.graph.tensor import Tensor
from nbnet.layers.arguments import ActivationLike, ConstraintLike, InitializerLike, RegularizerLike
from nbnet.layers.convolution import WeightOptions, Windowed
from nbnet.layers.layer import Shape, features
from nbnet.ops.transposed import conv_transpose
from nbnet.ops.windows import per_axis


class TransposedConvolution(Windowed):
    """Base of :class:`Conv1DTranspose` and :class:`Conv2DTranspose`."""

    _shared_docs: ClassVar[dict[str, str]] = {
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
        if self.use_bias:
            self.bias = self._add_named_weight("bias", (self.filters,))
        self._sizes = (None,) * (self.rank + 1) + (channels,)

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
