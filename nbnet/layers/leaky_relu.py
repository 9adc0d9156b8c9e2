"""``x`` where ``x > 0``, else ``negative_slope * x``, as a layer."""

from __future__ import annotations

from typing import Any

from nbnet.core.graph import Tensor
from nbnet.layers.layer import Layer
from nbnet.layers.relu import from_zero
from nbnet.ops.leaky_relu import leaky_relu


class LeakyReLU(Layer):
    """``x`` where it is above 0, else ``negative_slope * x``.

    Parameters
    ----------
    negative_slope
        A number from 0. (The default differs from that of the activation ``"leaky_relu"``, 0.2, as it does in Keras.)

    Raises
    ------
    ValueError
        If the slope is negative.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.layers.LeakyReLU(negative_slope=0.5)([[-10.0, 5.0]]).numpy()
    array([[-5.,  5.]], dtype=float32)
    """

    def __init__(self, negative_slope: float = 0.3, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.negative_slope = from_zero(negative_slope, "negative_slope")

    def call(self, x: Tensor) -> Tensor:
        return leaky_relu(x, self.negative_slope)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"negative_slope": self.negative_slope}
