"""Layers that pick units out, and put them back among zeros."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from nbnet.base.array_memory import plain_array
from nbnet.base.validation import check_int
from nbnet.engine.graph.op import INT
from nbnet.engine.graph.tensor import Tensor
from nbnet.layers.layer import Layer, Shape
from nbnet.ops.gather import put_columns, take_columns


class TakeUnits(Layer):
    """Keeps the units (channels, features) of the given indices, in their order: ``x[..., units]``.

    Parameters
    ----------
    units
        Indices from 0 along the last axis.

    Raises
    ------
    ValueError
        If there are none, or the input has fewer units.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.layers.TakeUnits([2, 0])([[1.0, 2.0, 3.0]]).numpy()
    array([[3., 1.]], dtype=float32)
    """

    supports_masking = True
    _arguments = ("units",)

    def __init__(self, units: Sequence[int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        indices = _indices(units)
        if indices.min() < 0:
            raise ValueError(f"units: expected numbers from 0, one at least, got {units!r}")
        self.units: list[int] = indices.tolist()
        self._columns, self._largest = _columns(indices, self.name), int(indices.max())

    def _check_input(self, shape: Shape) -> None:
        size = shape[-1] if len(shape) >= 2 else None
        if size is None or self._largest >= size:
            raise ValueError(f"units: {self.name} takes unit {self._largest} of inputs of shape {shape}")

    def call(self, x: Tensor) -> Tensor:
        return take_columns(x, self._columns)


class PutUnits(Layer):
    """Puts the units (channels, features) of its input at given places among zeros: ``y[..., units] = x``.

    The inverse of :class:`TakeUnits`.

    Parameters
    ----------
    units
        Different indices from 0 along the last axis of the output, one for each unit of the input.
    size
        Number of units of the output.

    Raises
    ------
    ValueError
        If the indices do not fit the size, or the input has another number of units.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.layers.PutUnits([3, 0], size=4)([[1.0, 2.0]]).numpy()
    array([[2., 0., 0., 1.]], dtype=float32)
    """

    supports_masking = True
    _arguments = ("units", "size")

    def __init__(self, units: Sequence[int], size: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        indices, self.size = _indices(units), check_int(size, "size")
        if indices.min() < 0 or indices.max() >= self.size or len(set(indices.tolist())) < indices.size:
            raise ValueError(f"units: expected different numbers from 0 to {self.size - 1}, got {units!r}")
        self.units: list[int] = indices.tolist()
        self._columns = _columns(indices, self.name)

    def _check_input(self, shape: Shape) -> None:
        if len(shape) < 2 or shape[-1] != self._columns.size:
            raise ValueError(f"{self.name}: expected inputs (batch, ..., {self._columns.size}), got shape {shape}")

    def call(self, x: Tensor) -> Tensor:
        return put_columns(x, self._columns, self.size)


def _columns(indices: NDArray[Any], name: str) -> Tensor:
    """The numbers as an operand, which cannot be changed."""
    values = indices.astype(INT)
    values.flags.writeable = False
    return Tensor(values.shape, INT, values, name=f"{name}/units")


def _indices(units: Sequence[int]) -> NDArray[Any]:
    numbers = plain_array(units, "units")
    if numbers.ndim != 1 or numbers.size == 0 or numbers.dtype.kind not in "iu":
        raise ValueError(f"units: expected numbers from 0, one at least, got {units!r}")
    return numbers
