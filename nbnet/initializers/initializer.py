"""What all initializers have in common."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import asdict, is_dataclass
from typing import Any, Self, SupportsIndex

import numpy as np
from numpy.typing import DTypeLike, NDArray

from nbnet import random
from nbnet.config import standardize_dtype

Array = NDArray[Any]
Shape = tuple[int, ...]


class Initializer(ABC):
    """Base of all initializers: one of your own needs ``__call__``, and ``get_config`` if it is no dataclass.

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
        """Make an array.

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

    def get_config(self) -> dict[str, Any]:
        """The arguments it was made with.

        Examples
        --------
        >>> from nbnet.initializers import RandomNormal
        >>> RandomNormal(stddev=0.1).get_config()
        {'mean': 0.0, 'stddev': 0.1, 'seed': None}
        """
        return asdict(self) if is_dataclass(self) else {}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """The initializer that :meth:`get_config` describes.

        Examples
        --------
        >>> from nbnet.initializers import Constant
        >>> Constant.from_config({"value": 2.0})
        Constant(value=2.0)
        """
        return cls(**config)


class Standard(Initializer):
    """Base of nbnet's own initializers: checks the shape, rounds to the dtype."""

    def __call__(self, shape: Iterable[SupportsIndex] | SupportsIndex, dtype: DTypeLike | None = None) -> Array:
        sizes = shape if isinstance(shape, Iterable) else (shape,)
        checked = tuple(random.as_integer(size, "shape") for size in sizes)
        if any(size < 0 for size in checked):
            raise ValueError(f"shape must have no negative size, got {checked}")
        return np.ascontiguousarray(self._values(checked), standardize_dtype(dtype)).reshape(checked)

    @abstractmethod
    def _values(self, shape: Shape) -> Array:
        """The array in float64."""


def check_finite(**arguments: float) -> None:
    """Raise ValueError where an argument is infinite or NaN."""
    for name, value in arguments.items():
        if not math.isfinite(value):
            raise ValueError(f"{name} must be finite, got {value!r}")
