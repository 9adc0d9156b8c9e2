"""``max(x, 0)`` as a layer."""

from __future__ import annotations

from typing import Any

from nbnet.core.graph import Tensor
from nbnet.layers.layer import Layer
from nbnet.ops.relu import relu


class ReLU(Layer):
    """``max_value`` from there on, ``x`` above the threshold, ``negative_slope * (x - threshold)`` below it.

    Parameters
    ----------
    max_value
        From 0; None for no limit.
    negative_slope, threshold
        Numbers from 0.

    Raises
    ------
    ValueError
        If a number is negative.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.layers.ReLU(max_value=6.0)([[-1.0, 2.0, 9.0]]).numpy()
    array([[0., 2., 6.]], dtype=float32)
    """

    def __init__(
        self, max_value: float | None = None, negative_slope: float = 0.0, threshold: float = 0.0, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.max_value = None if max_value is None else from_zero(max_value, "max_value")
        self.negative_slope = from_zero(negative_slope, "negative_slope")
        self.threshold = from_zero(threshold, "threshold")

    def call(self, x: Tensor) -> Tensor:
        return relu(x, self.negative_slope, self.max_value, self.threshold)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "max_value": self.max_value,
            "negative_slope": self.negative_slope,
            "threshold": self.threshold,
        }


def from_zero(value: Any, name: str) -> float:
    """A finite number from 0."""
    if isinstance(value, bool) or not 0 <= value < float("inf"):
        raise ValueError(f"{name}: wants a number from 0, got {value!r}")
    return float(value)
