"""Layers that only change the shape of a sample."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from nbnet.core.graph import Tensor
from nbnet.layers.layer import Layer
from nbnet.ops.reshape import reshape


class Flatten(Layer):
    """Makes a vector of each sample.

    Examples
    --------
    >>> import numpy as np
    >>> import nbnet as nb
    >>> nb.layers.Flatten()(np.zeros((2, 3, 4))).shape
    (2, 12)
    """

    def call(self, x: Tensor) -> Tensor:
        return x if x.ndim == 2 else reshape(x, (x.shape[0], prod(x.shape[1:])))


class Reshape(Layer):
    """Gives each sample another shape.

    Parameters
    ----------
    target_shape
        Shape of a sample; one -1 stands for what is left.

    Raises
    ------
    ValueError
        If the sizes are none, or do not match those of the input.

    Examples
    --------
    >>> import numpy as np
    >>> import nbnet as nb
    >>> nb.layers.Reshape((3, -1))(np.zeros((2, 12))).shape
    (2, 3, 4)
    """

    def __init__(self, target_shape: Sequence[int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        sizes = tuple(target_shape) if isinstance(target_shape, Sequence) and target_shape else (0,)
        if any(not isinstance(n, (int, np.integer)) or n < -1 or n == 0 for n in sizes) or sizes.count(-1) > 1:
            raise ValueError(f"target_shape: wants sizes above 0, one of which may be -1, got {target_shape!r}")
        self.target_shape = tuple(int(n) for n in sizes)

    def call(self, x: Tensor) -> Tensor:
        left = prod(x.shape[1:]) // prod(n for n in self.target_shape if n != -1)
        shape = tuple(left if n == -1 else n for n in self.target_shape)
        if prod(shape) != prod(x.shape[1:]):
            raise ValueError(f"target_shape: {self.target_shape} does not fit samples of shape {x.shape[1:]}")
        return reshape(x, (x.shape[0], *shape))

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"target_shape": list(self.target_shape)}
