"""``x`` where ``x > 0``, else ``alpha * (e^x - 1)``, as a layer."""

from __future__ import annotations

from typing import Any

from nbnet.core.graph import Tensor
from nbnet.layers.layer import Layer
from nbnet.layers.relu import from_zero
from nbnet.ops.elu import elu


class ELU(Layer):
    """``x`` where it is above 0, else ``alpha * (exp(x) - 1)``.

    Parameters
    ----------
    alpha
        A number from 0: minus the limit for large negative x.

    Raises
    ------
    ValueError
        If alpha is negative.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.layers.ELU()([[-1e4, 2.0]]).numpy()
    array([[-1.,  2.]], dtype=float32)
    """

    def __init__(self, alpha: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.alpha = from_zero(alpha, "alpha")

    def call(self, x: Tensor) -> Tensor:
        return elu(x, self.alpha)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"alpha": self.alpha}
