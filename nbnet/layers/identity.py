"""``x``."""

from __future__ import annotations

from nbnet.core.graph import Tensor
from nbnet.layers.layer import Layer


class Identity(Layer):
    """Passes its input on: a place holder.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.layers.Identity()([[1.0, 2.0]]).numpy()
    array([[1., 2.]], dtype=float32)
    """

    def call(self, x: Tensor) -> Tensor:
        return x
