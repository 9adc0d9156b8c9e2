"""An activation as a layer."""

from __future__ import annotations

from typing import Any

from nbnet import activations
from nbnet.core.graph import Tensor
from nbnet.layers.layer import Layer


class Activation(Layer):
    """Applies an activation.

    Parameters
    ----------
    activation
        Name or function.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.layers.Activation("relu")([[-1.0, 1.0]]).numpy()
    array([[0., 1.]], dtype=float32)
    """

    def __init__(self, activation: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.activation = activations.get(activation)

    def call(self, x: Tensor) -> Tensor:
        return self.activation(x)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"activation": activations.serialize(self.activation)}
