"""Dropout of whole channels."""

from __future__ import annotations

from typing import Any, ClassVar

from nbnet.core.graph import Tensor
from nbnet.layers.calling import mask_rows
from nbnet.layers.rated import Rated
from nbnet.layers.shapes import Shape, check_rank
from nbnet.ops.dropout import dropout
from nbnet.ops.window import check_data_format


class SpatialDropout(Rated):
    """What both share: the points of a channel share their fate."""

    #: Axes between the batch's and that of the channels.
    rank: ClassVar[int]

    def build(self, input_shape: Shape) -> None:
        check_rank(self.name, input_shape, self.rank)

    def call(self, x: Tensor, training: bool = False) -> Tensor:
        check_rank(self.name, x.shape, self.rank)
        return dropout(x, self._rate, (mask_rows(), *[1] * self.rank, None), key=self.key) if training else x


class SpatialDropout1D(SpatialDropout):
    """Sets whole channels of sequences to 0 with probability ``rate`` in training and multiplies the others by
    ``1 / (1 - rate)``; otherwise the identity.

    Parameters
    ----------
    rate
        Probability to DROP a channel of a sample, in [0, 1], or a :class:`nbnet.dropout_schedules.DropoutSchedule`.
    seed
        Integer; by default the layer draws its own from the global seed.

    Raises
    ------
    ValueError
        If the rate lies outside [0, 1], or inputs are not (batch, length, channels).

    References
    ----------
    J. Tompson, R. Goroshin, A. Jain, Y. LeCun, C. Bregler: Efficient object localization using convolutional networks.
    CVPR (2015), section 3.2.

    Examples
    --------
    >>> import numpy as np
    >>> import nbnet as nb
    >>> layer = nb.layers.SpatialDropout1D(0.5, name="drop")
    >>> with nb.Tape() as tape:
    ...     y = layer(np.ones((2, 7, 3)), training=True)
    >>> y.shape, tape.masks["drop"].shape
    ((2, 7, 3), (2, 1, 3))
    """

    rank = 1

    def __init__(self, rate: Any, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(rate, seed, **kwargs)


class SpatialDropout2D(SpatialDropout):
    """Sets whole channels of images to 0 with probability ``rate`` in training and multiplies the others by
    ``1 / (1 - rate)``; otherwise the identity.

    Parameters
    ----------
    rate
        Probability to DROP a channel of a sample, in [0, 1], or a :class:`nbnet.dropout_schedules.DropoutSchedule`.
    data_format
        ``"channels_last"`` or None: the only one there is.
    seed
        Integer; by default the layer draws its own from the global seed.

    Raises
    ------
    ValueError
        If the rate lies outside [0, 1], or inputs are not (batch, height, width, channels).

    References
    ----------
    J. Tompson, R. Goroshin, A. Jain, Y. LeCun, C. Bregler: Efficient object localization using convolutional networks.
    CVPR (2015), section 3.2.

    Examples
    --------
    >>> import numpy as np
    >>> import nbnet as nb
    >>> layer = nb.layers.SpatialDropout2D(0.5, name="drop")
    >>> with nb.Tape() as tape:
    ...     y = layer(np.ones((2, 5, 5, 3)), training=True)
    >>> tape.masks["drop"].shape
    (2, 1, 1, 3)
    """

    rank = 2

    def __init__(self, rate: Any, data_format: str | None = None, seed: int | None = None, **kwargs: Any) -> None:
        check_data_format(data_format)
        super().__init__(rate, seed, **kwargs)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"data_format": "channels_last"}
