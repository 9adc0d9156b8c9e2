"""Dropout of squares of images."""

from __future__ import annotations

from typing import Any

from nbnet.core.graph import Tensor
from nbnet.layers.rated import Rated
from nbnet.layers.shapes import Shape
from nbnet.ops.drop_block import drop_block
from nbnet.ranges import count, flag


class DropBlock2D(Rated):
    """Sets squares of images to 0 in training and multiplies what is left of each image by elements / elements kept;
    otherwise the identity.

    Corners of squares are drawn with the paper's probability ``gamma``, so that about ``rate`` of the elements are
    dropped: less than that where squares overlap. The paper normalises by the mask of a batch; here each image is by
    its own, so that what happens to it does not depend on the others.

    Parameters
    ----------
    rate
        Share of the elements to DROP, in [0, 1], or a :class:`nbnet.dropout_schedules.DropoutSchedule`; the paper
        raises it slowly from 0. 1 gives zeros.
    block_size
        Height and width of a square; at most those of the image.
    seed
        Integer; by default the layer draws its own from the global seed.
    shared
        Whether the channels of an image share one mask. The paper finds that masks of their own work better.

    Raises
    ------
    ValueError
        If the rate lies outside [0, 1], or inputs are no images at least as large as a square.

    References
    ----------
    G. Ghiasi, T.-Y. Lin, Q. V. Le: DropBlock: a regularization method for convolutional networks. NeurIPS (2018),
    algorithm 1.

    Examples
    --------
    >>> import numpy as np
    >>> import nbnet as nb
    >>> layer = nb.layers.DropBlock2D(0.1, block_size=3, seed=1, name="block")
    >>> with nb.Tape(step=0) as tape:
    ...     y = layer(np.ones((50, 16, 16, 8)), training=True)
    >>> round(float(tape.masks["block"].mean()), 2), round(float(y.numpy().mean()), 4)
    (0.9, 1.0)
    """

    def __init__(
        self, rate: Any, block_size: int, seed: int | None = None, shared: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(rate, seed, **kwargs)
        self.block_size, self.shared = count(block_size, "block_size"), flag(shared, "shared")

    def build(self, input_shape: Shape) -> None:
        if len(input_shape) != 4 or any(n is not None and n < self.block_size for n in input_shape[1:3]):
            raise ValueError(
                f"{self.name}: wants inputs (batch, height, width, channels) with at least {self.block_size} x "
                f"{self.block_size} points, got shape {input_shape}"
            )

    def call(self, x: Tensor, training: bool = False) -> Tensor:
        return drop_block(x, self._rate, self.block_size, self.shared, key=self.key) if training else x

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"block_size": self.block_size, "shared": self.shared}
