"""The base of all initializers, and the initializers without random numbers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, SupportsIndex

import numpy as np
from numpy.typing import DTypeLike, NDArray

from nbnet import random
from nbnet.base.registry import Configurable
from nbnet.base.validation import FINITE
from nbnet.config import standardize_dtype

Array = NDArray[Any]
Shape = tuple[int, ...]


class Initializer(Configurable, ABC):
    """Base of all initializers: a subclass defines ``__call__``, and ``get_config`` if it is no dataclass.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> import numpy as np
    >>> from nbnet.initializers import Initializer
    >>> @dataclass(frozen=True)
    ... class Ramp(Initializer):
    ...     step: float = 1.0
    ...
    ...     def __call__(self, shape, dtype=None):
    ...         return np.full(shape, self.step, dtype or "float32").cumsum().reshape(shape)
    >>> Ramp(0.5)((2, 2))
    array([[0.5, 1. ],
           [1.5, 2. ]], dtype=float32)
    """

    @abstractmethod
    def __call__(self, shape: Shape, dtype: DTypeLike | None = None) -> Array:
        """Return a new array.

        Parameters
        ----------
        shape : tuple of int
        dtype : None, float32 or float64
            None stands for :func:`nbnet.config.floatx`.

        Returns
        -------
        ndarray
            C-contiguous and writable.
        """


class BuiltinInitializer(Initializer):
    """Base of nbnet's own initializers: checks the shape, and rounds values to the dtype."""

    def __call__(self, shape: Iterable[SupportsIndex] | SupportsIndex, dtype: DTypeLike | None = None) -> Array:
        sizes = tuple(random.as_integer(size, "shape") for size in (shape if isinstance(shape, Iterable) else (shape,)))
        if any(size < 0 for size in sizes):
            raise ValueError(f"shape: expected sizes from 0, got {sizes}")
        return np.ascontiguousarray(self._values(sizes), standardize_dtype(dtype)).reshape(sizes)

    @abstractmethod
    def _values(self, shape: Shape) -> Array:
        """The array in float64."""


@dataclass(frozen=True)
class Zeros(BuiltinInitializer):
    """All 0.

    Examples
    --------
    >>> from nbnet.initializers import Zeros
    >>> Zeros()((2,))
    array([0., 0.], dtype=float32)
    """

    def _values(self, shape: Shape) -> Array:
        return np.zeros(shape)


@dataclass(frozen=True)
class Ones(BuiltinInitializer):
    """All 1.

    Examples
    --------
    >>> from nbnet.initializers import Ones
    >>> Ones()((2,))
    array([1., 1.], dtype=float32)
    """

    def _values(self, shape: Shape) -> Array:
        return np.ones(shape)


@dataclass(frozen=True)
class Constant(BuiltinInitializer):
    """All one value.

    Parameters
    ----------
    value : float

    Examples
    --------
    >>> from nbnet.initializers import Constant
    >>> Constant(0.5)((2,))
    array([0.5, 0.5], dtype=float32)
    """

    value: float = 0.0

    def __post_init__(self) -> None:
        FINITE.check(self.value, "value")

    def _values(self, shape: Shape) -> Array:
        return np.full(shape, self.value)


@dataclass(frozen=True)
class Identity(BuiltinInitializer):
    """``gain`` on the diagonal, 0 elsewhere. Matrices only.

    Parameters
    ----------
    gain : float

    Examples
    --------
    >>> from nbnet.initializers import Identity
    >>> Identity()((2, 3))
    array([[1., 0., 0.],
           [0., 1., 0.]], dtype=float32)
    """

    gain: float = 1.0

    def __post_init__(self) -> None:
        FINITE.check(self.gain, "gain")

    def _values(self, shape: Shape) -> Array:
        if len(shape) != 2:
            raise ValueError(f"shape: expected 2 axes for Identity, got {shape}")
        return self.gain * np.eye(*shape)
