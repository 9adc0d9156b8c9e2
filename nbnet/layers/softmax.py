"""``exp(x) / sum(exp(x))`` as a layer."""

from __future__ import annotations

from typing import Any

from nbnet.core.graph import Tensor
from nbnet.layers.layer import Layer
from nbnet.ops.softmax import softmax
from nbnet.ops.transpose import transpose


class Softmax(Layer):
    """``exp(x) / sum(exp(x))`` over an axis.

    Parameters
    ----------
    axis
        Which; not the batch's.

    Raises
    ------
    ValueError
        If it is none of the input.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.layers.Softmax()([[1.0, 1.0]]).numpy()
    array([[0.5, 0.5]], dtype=float32)
    """

    def __init__(self, axis: int = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if isinstance(axis, bool) or not isinstance(axis, int):
            raise ValueError(f"axis: wants an integer, got {axis!r}")
        self.axis = axis

    def call(self, x: Tensor) -> Tensor:
        if not -x.ndim <= self.axis < x.ndim or self.axis % x.ndim == 0:
            raise ValueError(f"{self.name}: axis {self.axis} is out of range, or the batch's, for shape {x.shape}")
        order = list(range(x.ndim))
        if self.axis % x.ndim == order[-1]:
            return softmax(x)
        order[self.axis], order[-1] = order[-1], order[self.axis]
        return transpose(softmax(transpose(x, order)), order)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"axis": self.axis}
