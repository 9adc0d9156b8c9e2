"""Units among zeros."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nbnet.core.graph import Tensor
from nbnet.core.op import INT
from nbnet.layers.layer import Layer
from nbnet.layers.shapes import Shape
from nbnet.ops.put_columns import put_columns
from nbnet.ranges import count


class PutUnits(Layer):
    """Puts the units (channels, features) of its input at places of their own among zeros: ``y[..., units] = x``.

    What :class:`TakeUnits` undoes.

    Parameters
    ----------
    units
        Different numbers from 0 along the last axis of the output, one for each unit of the input.
    size
        Units of the output.

    Raises
    ------
    ValueError
        If the numbers do not fit, or the input has not so many units.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.layers.PutUnits([3, 0], size=4)([[1.0, 2.0]]).numpy()
    array([[2., 0., 0., 1.]], dtype=float32)
    """

    def __init__(self, units: Sequence[int], size: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        numbers, self.size = np.asarray(units), count(size, "size")
        if numbers.ndim != 1 or numbers.size == 0 or numbers.dtype.kind not in "iu":
            raise ValueError(f"units: wants numbers from 0, one at least, got {units!r}")
        if numbers.min() < 0 or numbers.max() >= self.size or len(set(numbers.tolist())) < numbers.size:
            raise ValueError(f"units: wants different numbers from 0 to {self.size - 1}, got {units!r}")
        self.units = [int(n) for n in numbers]
        self._columns = Tensor((len(self.units),), INT, numbers.astype(INT), name=f"{self.name}/units")

    def build(self, input_shape: Shape) -> None:
        if len(input_shape) < 2 or input_shape[-1] != len(self.units):
            raise ValueError(f"{self.name}: wants inputs (batch, ..., {len(self.units)}), got shape {input_shape}")

    def call(self, x: Tensor) -> Tensor:
        return put_columns(x, self._columns, self.size)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"units": self.units, "size": self.size}
