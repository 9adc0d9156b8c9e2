"""One number for each channel of a sample."""

from __future__ import annotations

from typing import Any, ClassVar

from nbnet.core.graph import Tensor
from nbnet.layers.layer import Layer
from nbnet.layers.shapes import Shape, check_rank
from nbnet.ops.mean import mean
from nbnet.ops.pool import max_pool
from nbnet.ops.reshape import reshape
from nbnet.ops.window import check_data_format


class GlobalPooling(Layer):
    """Base of the layers below."""

    rank: ClassVar[int]

    def __init__(self, data_format: str | None = None, keepdims: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_data_format(data_format)
        self.keepdims = bool(keepdims)

    def build(self, input_shape: Shape) -> None:
        check_rank(self.name, input_shape, self.rank)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"data_format": "channels_last", "keepdims": self.keepdims}


class _GlobalAverage(GlobalPooling):
    def call(self, x: Tensor) -> Tensor:
        return mean(x, tuple(range(1, 1 + self.rank)), self.keepdims)


class _GlobalMax(GlobalPooling):
    def call(self, x: Tensor) -> Tensor:
        y = max_pool(x, x.shape[1:-1])
        return y if self.keepdims else reshape(y, (x.shape[0], x.shape[-1]))


class GlobalAveragePooling1D(_GlobalAverage):
    """The mean of each channel of a sequence: (batch, length, channels) to (batch, channels).

    Parameters
    ----------
    data_format
        ``"channels_last"`` or None.
    keepdims
        Whether the length stays, as 1.

    Raises
    ------
    ValueError
        If the input has other axes.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.layers.GlobalAveragePooling1D()([[[1.0], [3.0]]]).numpy()
    array([[2.]], dtype=float32)
    """

    rank = 1


class GlobalAveragePooling2D(_GlobalAverage):
    """The mean of each channel of an image: (batch, height, width, channels) to (batch, channels).

    Parameters
    ----------
    data_format
        ``"channels_last"`` or None.
    keepdims
        Whether height and width stay, as 1.

    Raises
    ------
    ValueError
        If the input has other axes.

    Examples
    --------
    >>> import nbnet as nb
    >>> import numpy as np
    >>> nb.layers.GlobalAveragePooling2D()(np.zeros((2, 4, 5, 3))).shape
    (2, 3)
    """

    rank = 2


class GlobalMaxPooling1D(_GlobalMax):
    """The largest element of each channel of a sequence: (batch, length, channels) to (batch, channels).

    Parameters
    ----------
    data_format
        ``"channels_last"`` or None.
    keepdims
        Whether the length stays, as 1.

    Raises
    ------
    ValueError
        If the input has other axes.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.layers.GlobalMaxPooling1D()([[[1.0], [3.0]]]).numpy()
    array([[3.]], dtype=float32)
    """

    rank = 1


class GlobalMaxPooling2D(_GlobalMax):
    """The largest element of each channel of an image: (batch, height, width, channels) to (batch, channels).

    Parameters
    ----------
    data_format
        ``"channels_last"`` or None.
    keepdims
        Whether height and width stay, as 1.

    Raises
    ------
    ValueError
        If the input has other axes.

    Examples
    --------
    >>> import nbnet as nb
    >>> import numpy as np
    >>> nb.layers.GlobalMaxPooling2D(keepdims=True)(np.zeros((2, 4, 5, 3))).shape
    (2, 1, 1, 3)
    """

    rank = 2
