"""Layers that change the shape of a sample, not its values."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from nbnet.base import loading_budget
from nbnet.base.validation import check_int
from nbnet.engine.graph.tensor import Tensor
from nbnet.layers.layer import Layer
from nbnet.ops.broadcast import multiply
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
        left = prod(x.shape[1:]) // prod(n for n in self.target_shape if n != -1)
        shape = tuple(left if n == -1 else n for n in self.target_shape)
        if prod(shape) != prod(x.shape[1:]):
            raise ValueError(f"target_shape: {self.target_shape} does not fit samples of shape {x.shape[1:]}")
        return reshape(x, (x.shape[0], *shape))


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
