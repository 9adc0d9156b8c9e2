"""The axes of a sample in another order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nbnet.core.graph import Tensor
from nbnet.layers.layer import Layer
from nbnet.ops.transpose import transpose


class Permute(Layer):
    """Puts the axes of a sample in another order.

    Parameters
    ----------
    dims
        For each axis of the output, the number of the input's axis that it is, counted from 1 without the batch.

    Raises
    ------
    ValueError
        If dims do not name each axis once.

    Examples
    --------
    >>> import nbnet as nb
    >>> import numpy as np
    >>> nb.layers.Permute((2, 1))(np.zeros((1, 10, 64))).shape
    (1, 64, 10)
    """

    def __init__(self, dims: Sequence[int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dims = tuple(int(d) for d in dims)
        if sorted(self.dims) != list(range(1, len(self.dims) + 1)):
            raise ValueError(f"dims: wants each number from 1 to the number of axes once, got {dims!r}")

    def call(self, x: Tensor) -> Tensor:
        if x.ndim != len(self.dims) + 1:
            raise ValueError(f"{self.name}: dims {self.dims} do not fit an input of shape {x.shape}")
        return transpose(x, (0, *self.dims)) if self.dims != tuple(range(1, x.ndim)) else x

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"dims": list(self.dims)}
