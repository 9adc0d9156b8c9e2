"""The base of all initializers, and the initializers without random numbers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self, SupportsIndex

import numpy as np
from numpy.typing import DTypeLike, NDArray

from nbnet import random
from nbnet.base.array_memory import plain_array
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

    def clone(self) -> Self:
        """A new initializer from the configuration of this one."""
        return self.from_config(self.get_config())


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
    """All one value, or the values of an array that broadcasts to the shape.

    Parameters
    ----------
    value : float or array_like
        Finite numbers; those of an array are kept as tuples.

    Raises
    ------
    TypeError, ValueError
        If it is no finite number or array of them; when called, if an array does not broadcast to the shape.

    Examples
    --------
    >>> from nbnet.initializers import Constant
    >>> Constant(0.5)((2,)), Constant([1, 2])((2, 2))
    (array([0.5, 0.5], dtype=float32), array([[1., 2.],
           [1., 2.]], dtype=float32))
    """

    value: Any = 0.0

    def __post_init__(self) -> None:
        if not isinstance(self.value, (list, tuple, np.ndarray)) or np.ndim(self.value) == 0:
            FINITE.check(self.value, "value")
            return
        array = plain_array(self.value, "value")
        if array.dtype.kind not in "fiub" or not np.isfinite(array).all():
            raise ValueError(f"value: expected finite numbers, got an array of {array.dtype}")
        object.__setattr__(self, "value", _nested(array.astype(np.float64).tolist()))

    def _values(self, shape: Shape) -> Array:
        try:
            return np.array(np.broadcast_to(np.asarray(self.value, np.float64), shape))
        except ValueError:
            raise ValueError(f"value: has shape {np.shape(self.value)}, which does not broadcast to {shape}") from None


def _nested(values: Any) -> Any:
    """Lists as tuples, which can be compared and hashed."""
    return tuple(map(_nested, values)) if isinstance(values, list) else values


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
