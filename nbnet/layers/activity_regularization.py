"""Its input, and a penalty on it."""

from __future__ import annotations

from typing import Any

from nbnet.core.graph import Tensor
from nbnet.layers.layer import Layer
from nbnet.regularizers import L1L2


class ActivityRegularization(Layer):
    """Passes its input on, and adds ``l1 * sum(|x|) + l2 * sum(x ** 2)``, divided by the rows of the batch, to the
    loss.

    Parameters
    ----------
    l1, l2
        Numbers from 0.
    **kwargs
        ``name``, ``trainable``, ``dtype``, ``input_shape`` (see :class:`Layer`).

    Raises
    ------
    ValueError
        If a number is below 0.

    Examples
    --------
    >>> import nbnet as nb
    >>> layer = nb.layers.ActivityRegularization(l1=0.5)
    >>> layer([[1.0, -3.0], [0.0, 2.0]]).shape
    (2, 2)
    >>> [loss.item() for loss in layer.losses]
    [1.5]
    """

    def __init__(self, l1: float = 0.0, l2: float = 0.0, **kwargs: Any) -> None:
        regularizer = L1L2(l1, l2)
        super().__init__(activity_regularizer=regularizer, **kwargs)
        self.l1, self.l2 = regularizer.l1, regularizer.l2

    def call(self, x: Tensor) -> Tensor:
        return x

    def get_config(self) -> dict[str, Any]:
        config = super().get_config() | {"l1": self.l1, "l2": self.l2}
        del config["activity_regularizer"]
        return config
