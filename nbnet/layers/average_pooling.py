"""The mean of each window, as layers."""

from __future__ import annotations

from nbnet.core.graph import Tensor
from nbnet.layers.pooling import Pooling
from nbnet.ops.pool import average_pool


class _AveragePooling(Pooling):
    def call(self, x: Tensor) -> Tensor:
        return average_pool(x, self.pool_size, self.strides, self.padding)


class AveragePooling1D(_AveragePooling):
    """The mean of each window of a sequence, channel by channel, over the elements that lie inside the sequence.

    Parameters
    ----------
    pool_size
        Length of the window.
    strides
        Steps from window to window; None for its length.
    padding
        ``"valid"``: windows lie inside the sequence. ``"same"``: as many windows as steps fit in it.
    data_format
        ``"channels_last"`` or None.

    Raises
    ------
    ValueError
        If an argument is out of range, or the window is longer than the sequence.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.layers.AveragePooling1D(2, padding="same")([[[1.0], [3.0], [2.0]]]).numpy().ravel()
    array([2., 2.], dtype=float32)
    """

    rank = 1


class AveragePooling2D(_AveragePooling):
    """The mean of each window of an image, channel by channel, over the elements that lie inside the image.

    Parameters
    ----------
    pool_size
        Height and width of the window, or one number for both.
    strides
        Steps down and to the right from window to window, or one number for both; None for its size.
    padding
        ``"valid"``: windows lie inside the image. ``"same"``: as many windows as steps fit in it.
    data_format
        ``"channels_last"`` or None.

    Raises
    ------
    ValueError
        If an argument is out of range, or the window is larger than the image.

    Examples
    --------
    >>> import nbnet as nb
    >>> import numpy as np
    >>> nb.layers.AveragePooling2D()(np.zeros((4, 26, 26, 32))).shape
    (4, 13, 13, 32)
    """

    rank = 2
