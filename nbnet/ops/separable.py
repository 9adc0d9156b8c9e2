"""The separable convolution: of each channel by itself, then a mix of channels at each place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nbnet.engine.graph.tensor import Tensor
from nbnet.ops.conv import conv
from nbnet.ops.depthwise import depthwise_conv


def separable_conv(
    inputs: Any,
    depthwise_kernel: Any,
    pointwise_kernel: Any,
    strides: int | Sequence[int] = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: int | Sequence[int] = 1,
    *,
    bias: Any = None,
) -> Tensor:
    """Convolution of each channel by itself, then a mix of channels at each place.

    Parameters
    ----------
    inputs
        (batch, length, channels) or (batch, height, width, channels)
    depthwise_kernel
        (width, channels, multiplier) or (height, width, channels, multiplier)
    pointwise_kernel
        (1, channels * multiplier, filters) or (1, 1, channels * multiplier, filters)
    strides, padding, data_format, dilation_rate
        Of the first convolution, as for :func:`nbnet.ops.conv`.
    bias
        (filters,), added; None for none.

    Returns
    -------
    Tensor (batch, ..., filters).

    Raises
    ------
    ValueError
        If the shapes do not fit, or the window is larger than the input.

    Examples
    --------
    >>> from nbnet.ops.separable import separable_conv
    >>> separable_conv([[[1.0, 2.0]]], [[[1.0], [10.0]]], [[[1.0], [1.0]]]).numpy()
    array([[[21.]]], dtype=float32)
    """
    y = depthwise_conv(inputs, depthwise_kernel, strides, padding, data_format, dilation_rate)
    return conv(y, pointwise_kernel, bias=bias)
