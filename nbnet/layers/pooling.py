"""Pooling over windows of sequences and images, and over all of each channel."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np

from nbnet import ops
from nbnet.engine.graph.tensor import Tensor
from nbnet.layers.arguments import check_rank
from nbnet.layers.layer import Layer, Shape
from nbnet.ops.pool import average_pool, max_pool
from nbnet.ops.reduction import mean
from nbnet.ops.reshape import reshape
from nbnet.ops.windows import check_data_format, check_padding, per_axis


class Spatial(Layer):
    """Base of the layers of sequences, images and volumes that treat each channel by itself: (batch, ..., channels)."""

    #: Number of spatial axes.
    rank: ClassVar[int]

    def _check_input(self, shape: Shape) -> None:
        check_rank(self.name, shape, self.rank)


class Pooling(Spatial):
    """Base of the layers that reduce each window of a channel to one number."""

    _shared_docs: ClassVar[dict[str, str]] = {
        "last": """pool_size
    Length of a window of a sequence; height and width of a window of an image, or one number for both; depth, height
    and width of a window of a volume, or one number for all.
strides
    Steps from window to window, along each axis or one number for all; None for the size of a window.
padding
    ``"valid"``: windows lie inside the input. ``"same"``: as many windows as steps fit in it.
data_format
    ``"channels_last"`` or None.""",
        "raises": "ValueError\n    If an argument is out of range, or the window is larger than the input.",
    }
    _arguments = ("pool_size", "strides", "padding", "data_format")
    data_format = "channels_last"
    #: The op, a function of a tensor, window, strides and padding.
    pool: ClassVar[Callable[..., Tensor]]

    def __init__(
        self,
        pool_size: int | Sequence[int] = 2,
        strides: int | Sequence[int] | None = None,
        padding: str = "valid",
        data_format: str | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        check_data_format(data_format)
        self.pool_size = per_axis(pool_size, self.rank, "pool_size")
        self.strides = self.pool_size if strides is None else per_axis(strides, self.rank, "strides")
        self.padding = check_padding(padding)

    def call(self, x: Tensor) -> Tensor:
        return self.pool(x, self.pool_size, self.strides, self.padding)


class MaxPooling1D(Pooling):
    """The largest element of each window of a sequence, channel by channel.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.layers.MaxPooling1D(2)([[[1.0], [3.0], [2.0], [0.0]]]).numpy().ravel()
    array([3., 2.], dtype=float32)
    """

    rank, pool = 1, staticmethod(max_pool)


class MaxPooling2D(Pooling):
    """The largest element of each window of an image, channel by channel.

    Examples
    --------
    >>> import nbnet as nb
    >>> import numpy as np
    >>> nb.layers.MaxPooling2D((2, 2))(np.zeros((4, 26, 26, 32))).shape
    (4, 13, 13, 32)
    """

    rank, pool = 2, staticmethod(max_pool)


class AveragePooling1D(Pooling):
    """The mean of each window of a sequence, channel by channel, over the elements that lie inside the sequence.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.layers.AveragePooling1D(2, padding="same")([[[1.0], [3.0], [2.0]]]).numpy().ravel()
    array([2., 2.], dtype=float32)
    """

    rank, pool = 1, staticmethod(average_pool)


class AveragePooling2D(Pooling):
    """The mean of each window of an image, channel by channel, over the elements that lie inside the image.

    Examples
    --------
    >>> import nbnet as nb
    >>> import numpy as np
    >>> nb.layers.AveragePooling2D()(np.zeros((4, 26, 26, 32))).shape
    (4, 13, 13, 32)
    """

    rank, pool = 2, staticmethod(average_pool)


class MaxPooling3D(Pooling):
    """The largest element of each window of a volume, channel by channel.

    Examples
    --------
    >>> import nbnet as nb
    >>> import numpy as np
    >>> nb.layers.MaxPooling3D()(np.zeros((4, 8, 9, 10, 2))).shape
    (4, 4, 4, 5, 2)
    """

    rank, pool = 3, staticmethod(max_pool)


class AveragePooling3D(Pooling):
    """The mean of each window of a volume, channel by channel, over the elements that lie inside the volume.

    Examples
    --------
    >>> import nbnet as nb
    >>> import numpy as np
    >>> nb.layers.AveragePooling3D()(np.zeros((4, 8, 9, 10, 2))).shape
    (4, 4, 4, 5, 2)
    """

    rank, pool = 3, staticmethod(average_pool)


class GlobalPooling(Spatial):
    """Base of the layers that reduce each channel to one number."""

    _shared_docs: ClassVar[dict[str, str]] = {
        "last": """data_format
    ``"channels_last"`` or None.
keepdims
    If True, the spatial axes stay, with length 1.""",
        "raises": "ValueError\n    If the input has other axes.",
    }
    _arguments = ("data_format", "keepdims")
    data_format = "channels_last"
    #: Function of a tensor and ``keepdims``.
    reduce: ClassVar[Callable[..., Tensor]]

    def __init__(self, data_format: str | None = None, keepdims: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_data_format(data_format)
        self.keepdims = bool(keepdims)

    def call(self, x: Tensor) -> Tensor:
        return self.reduce(x, self.keepdims)


def _average(x: Tensor, keepdims: bool) -> Tensor:
    return mean(x, tuple(range(1, x.ndim - 1)), keepdims)


def _maximum(x: Tensor, keepdims: bool) -> Tensor:
    if 0 in x.shape[1:-1]:
        raise ValueError(f"expected at least one element along each spatial axis, got shape {x.shape}")
    y = max_pool(x, x.shape[1:-1])
    return y if keepdims else reshape(y, (x.shape[0], x.shape[-1]))


class GlobalAveragePooling1D(GlobalPooling):
    """The mean of each channel of a sequence: (batch, length, channels) to (batch, channels).

    Steps whose mask is 0 do not count.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.layers.GlobalAveragePooling1D()([[[1.0], [3.0]]]).numpy()
    array([[2.]], dtype=float32)
    """

    supports_masking = True
    rank, reduce = 1, staticmethod(_average)

    def call(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        if mask is None:
            return super().call(x)
        steps = ops.where(ops.expand_dims(mask, -1), np.ones((1, 1, 1), x.dtype), 0.0)
        total = ops.sum(ops.where(steps, x, 0.0), axis=1, keepdims=self.keepdims)
        return total / ops.sum(steps, axis=1, keepdims=self.keepdims)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        return None


class GlobalAveragePooling2D(GlobalPooling):
    """The mean of each channel of an image: (batch, height, width, channels) to (batch, channels).

    Examples
    --------
    >>> import nbnet as nb
    >>> import numpy as np
    >>> nb.layers.GlobalAveragePooling2D()(np.zeros((2, 4, 5, 3))).shape
    (2, 3)
    """

    rank, reduce = 2, staticmethod(_average)


class GlobalMaxPooling1D(GlobalPooling):
    """The largest element of each channel of a sequence: (batch, length, channels) to (batch, channels).

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.layers.GlobalMaxPooling1D()([[[1.0], [3.0]]]).numpy()
    array([[3.]], dtype=float32)
    """

    rank, reduce = 1, staticmethod(_maximum)


class GlobalMaxPooling2D(GlobalPooling):
    """The largest element of each channel of an image: (batch, height, width, channels) to (batch, channels).

    Examples
    --------
    >>> import nbnet as nb
    >>> import numpy as np
    >>> nb.layers.GlobalMaxPooling2D(keepdims=True)(np.zeros((2, 4, 5, 3))).shape
    (2, 1, 1, 3)
    """

    rank, reduce = 2, staticmethod(_maximum)


class GlobalAveragePooling3D(GlobalPooling):
    """The mean of each channel of a volume: (batch, depth, height, width, channels) to (batch, channels).

    Examples
    --------
    >>> import nbnet as nb
    >>> import numpy as np
    >>> nb.layers.GlobalAveragePooling3D()(np.zeros((2, 4, 5, 6, 3))).shape
    (2, 3)
    """

    rank, reduce = 3, staticmethod(_average)


class GlobalMaxPooling3D(GlobalPooling):
    """The largest element of each channel of a volume: (batch, depth, height, width, channels) to (batch, channels).

    Examples
    --------
    >>> import nbnet as nb
    >>> import numpy as np
    >>> nb.layers.GlobalMaxPooling3D()(np.zeros((2, 4, 5, 6, 3))).shape
    (2, 3)
    """

    rank, reduce = 3, staticmethod(_maximum)
