"""A vector, n times."""

from __future__ import annotations

from typing import Any

import numpy as np

from nbnet import room
from nbnet.core.graph import Tensor
from nbnet.layers.dense import positive_integer
from nbnet.layers.layer import Layer
from nbnet.ops.multiply import multiply
from nbnet.ops.reshape import reshape


class RepeatVector(Layer):
    """Repeats each sample: (batch, features) to (batch, n, features).

    Parameters
    ----------
    n
        How often.

    Raises
    ------
    ValueError
        If n is no integer above 0, or the input has other axes.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.layers.RepeatVector(2)([[1.0, 2.0]]).numpy()
    array([[[1., 2.],
            [1., 2.]]], dtype=float32)
    """

    def __init__(self, n: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.n = positive_integer(n, "n")

    def call(self, x: Tensor) -> Tensor:
        if x.ndim != 2:
            raise ValueError(f"{self.name}: wants an input (batch, features), got shape {x.shape}")
        room.reserve(self.n, self.name)
        return multiply(reshape(x, (x.shape[0], 1, x.shape[1])), np.ones((self.n, 1), x.dtype))

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"n": self.n}
