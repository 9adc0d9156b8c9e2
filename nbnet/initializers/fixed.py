"""Initializers that draw nothing: zeros, ones, a constant, the identity."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nbnet.initializers.initializer import Array, Shape, Standard, check_finite


@dataclass(frozen=True)
class Zeros(Standard):
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
class Ones(Standard):
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
class Constant(Standard):
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
        check_finite(value=self.value)

    def _values(self, shape: Shape) -> Array:
        return np.full(shape, self.value)


@dataclass(frozen=True)
class Identity(Standard):
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
        check_finite(gain=self.gain)

    def _values(self, shape: Shape) -> Array:
        if len(shape) != 2:
            raise ValueError(f"shape must have 2 dimensions for Identity, got {shape}")
        return self.gain * np.eye(*shape)
