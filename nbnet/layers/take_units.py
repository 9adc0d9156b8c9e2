"""Some of the units."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nbnet.core.graph import Tensor
from nbnet.core.op import INT
from nbnet.layers.layer import Layer
from nbnet.layers.shapes import Shape
from nbnet.ops.take_columns import take_columns


class TakeUnits(Layer):
    """Keeps the units (channels, features) of these numbers, in this order: ``x[..., units]``.

    Parameters
    ----------
    units
        Numbers from 0 along the last axis.

    Raises
    ------
    ValueError
        If there are none, or the input has not so many units.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.layers.TakeUnits([2, 0])([[1.0, 2.0, 3.0]]).numpy()
    array([[3., 1.]], dtype=float32)
    """

    def __init__(self, units: Sequence[int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        numbers = np.asarray(units)
        if numbers.ndim != 1 or numbers.size == 0 or numbers.dtype.kind not in "iu" or numbers.min() < 0:
            raise ValueError(f"units: wants numbers from 0, one at least, got {units!r}")
        self.units = [int(n) for n in numbers]
        self._columns = Tensor((len(self.units),), INT, numbers.astype(INT), name=f"{self.name}/units")

    def build(self, input_shape: Shape) -> None:
        size = input_shape[-1]
        if len(input_shape) < 2 or size is None or max(self.units) >= size:
            raise ValueError(f"units: {self.name} takes unit {max(self.units)} of inputs of shape {input_shape}")

    def call(self, x: Tensor) -> Tensor:
        return take_columns(x, self._columns)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"units": self.units}
