"""Layers that give a sample another shape, pick units out of it, or put them among zeros."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbnet.base import loading_budget
from nbnet.base.array_memory import plain_array
from nbnet.base.validation import check_int
from nbnet.engine.graph.op import INT
from nbnet.engine.graph.tensor import Tensor
from nbnet.layers.layer import Layer, Shape
from nbnet.ops.broadcast import multiply
from nbnet.ops.gather import put_columns, take_columns
from nbnet.ops.reshape import reshape, transpose
from nbnet.ops.windows import check_data_format


class Flatten(Layer):
    """Flattens each sample to a vector.

    Parameters
    ----------
    data_format
        ``"channels_last"`` or None.

    Raises
    ------
    ValueError
        If the format is another, or the input a single number.

    Examples
    --------
    >>> import numpy as np
    >>> import nbnet as nb
    >>> nb.layers.Flatten()(np.zeros((2, 3, 4))).shape
    (2, 12)
    """

    _arguments = ("data_format",)
    data_format = "channels_last"

    def __init__(self, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_data_format(data_format)

    def call(self, x: Tensor) -> Tensor:
        if not x.shape:
            raise ValueError(f"{self.name}: expected an input (batch, ...), got a single number")
        return x if x.ndim == 2 else reshape(x, (x.shape[0], prod(x.shape[1:])))


class Reshape(Layer):
    """Gives each sample another shape.

    Parameters
    ----------
    target_shape
        Shape of a sample; one -1 stands for the remaining size.

    Raises
    ------
    ValueError
        If an entry is no size, or the sizes do not match those of the input.

    Examples
    --------
    >>> import numpy as np
    >>> import nbnet as nb
    >>> nb.layers.Reshape((3, -1))(np.zeros((2, 12))).shape
    (2, 3, 4)
    """

    _arguments = ("target_shape",)

    def __init__(self, target_shape: Sequence[int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        sizes = tuple(target_shape) if isinstance(target_shape, Sequence) and target_shape else (0,)
        if any(not isinstance(n, (int, np.integer)) or n < -1 or n == 0 for n in sizes) or sizes.count(-1) > 1:
            raise ValueError(f"target_shape: expected sizes above 0, one of which may be -1, got {target_shape!r}")
        self.target_shape = tuple(int(n) for n in sizes)

    def call(self, x: Tensor) -> Tensor:
        return reshape(x, self.compute_output_shape(x.shape))

    def compute_output_shape(self, input_shape: Any) -> Any:
        batch, *sizes = input_shape
        if None in sizes:
            return (batch, *(None if n == -1 else n for n in self.target_shape))
        left = prod(sizes) // prod(n for n in self.target_shape if n != -1)
        shape = tuple(left if n == -1 else n for n in self.target_shape)
        if prod(shape) != prod(sizes):
            raise ValueError(f"target_shape: {self.target_shape} does not fit samples of shape {tuple(sizes)}")
        return (batch, *shape)


class Permute(Layer):
    """Puts the axes of a sample in another order.

    Parameters
    ----------
    dims
        For each axis of the output, the number of the input's axis, counted from 1 without the batch.

    Raises
    ------
    ValueError
        If dims do not name each axis once.

    Examples
    --------
    >>> import nbnet as nb
    >>> import numpy as np
    >>> nb.layers.Permute((2, 1))(np.zeros((1, 10, 64))).shape
    (1, 64, 10)
    """

    _arguments = ("dims",)

    def __init__(self, dims: Sequence[int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dims = tuple(int(d) for d in dims)
        if sorted(self.dims) != list(range(1, len(self.dims) + 1)):
            raise ValueError(f"dims: expected each number from 1 to the number of axes once, got {dims!r}")

    def call(self, x: Tensor) -> Tensor:
        if x.ndim != len(self.dims) + 1:
            raise ValueError(f"{self.name}: dims {self.dims} do not fit an input of shape {x.shape}")
        return transpose(x, (0, *self.dims)) if self.dims != tuple(range(1, x.ndim)) else x


class RepeatVector(Layer):
    """Repeats each sample: (batch, features) to (batch, n, features).

    Parameters
    ----------
    n
        Number of repetitions.

    Raises
    ------
    ValueError
        If n is below 1, or the input has other axes.
    TypeError
        If n is no integer.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.layers.RepeatVector(2)([[1.0, 2.0]]).numpy()
    array([[[1., 2.],
            [1., 2.]]], dtype=float32)
    """

    _arguments = ("n",)

    def __init__(self, n: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not isinstance(n, (int, np.integer)):
            raise TypeError(f"n: expected an integer from 1, got {n!r}")
        self.n = check_int(n, "n")

    def call(self, x: Tensor) -> Tensor:
        if x.ndim != 2:
            raise ValueError(f"{self.name}: expected an input (batch, features), got shape {x.shape}")
        loading_budget.reserve(self.n, self.name)
        return multiply(reshape(x, (x.shape[0], 1, x.shape[1])), np.ones((self.n, 1), x.dtype))


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
