"""``x * scale + offset`` with fixed numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from nbnet.core.graph import Tensor
from nbnet.layers.layer import Layer
from nbnet.ops.add import add
from nbnet.ops.multiply import multiply


class Rescaling(Layer):
    """Computes ``x * scale + offset``: ``Rescaling(1 / 255)`` brings the bytes of an image to [0, 1].

    Parameters
    ----------
    scale, offset
        Numbers, or arrays that broadcast with a sample.

    Raises
    ------
    ValueError
        If they are not finite.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.layers.Rescaling(1 / 127.5, offset=-1)([[0.0, 255.0]]).numpy()
    array([[-1.,  1.]], dtype=float32)
    """

    def __init__(self, scale: Any, offset: Any = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.scale, self.offset = finite(scale, "scale"), finite(offset, "offset")

    def call(self, x: Tensor) -> Tensor:
        if not np.all(np.equal(self.scale, 1)):
            x = multiply(x, self.scale)
        return add(x, self.offset) if np.any(self.offset) else x

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"scale": self.scale, "offset": self.offset}


def finite(value: Any, name: str) -> Any:
    """A number as a float, an array as a list of them."""
    array = np.asarray(value)
    if array.dtype.kind not in "fiub" or not np.all(np.isfinite(array)):
        raise ValueError(f"{name}: wants finite numbers, got {value!r}")
    return array.astype(float).tolist()
