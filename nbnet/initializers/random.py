"""Random initializers with one distribution for all shapes, and orthogonal matrices."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from nbnet import random
from nbnet.base.validation import FINITE, FROM_ZERO
from nbnet.initializers.initializer import Array, BuiltinInitializer, Shape


class RandomInitializer(BuiltinInitializer):
    """Base of the initializers that draw random numbers."""

    # Each subclass declares it as its last field, where Keras has it.
    seed: int | None

    def __post_init__(self) -> None:
        if self.seed is not None:
            object.__setattr__(self, "seed", random.as_integer(self.seed, "seed"))

    def _generator(self) -> np.random.Generator:
        return random.generator(random.next_key() if self.seed is None else random.derive(self.seed))

    def _truncated_normal(self, mean: float, stddev: float, shape: Shape) -> Array:
        # Imported here: scipy.special takes longer to import than all of nbnet.
        from scipy.special import ndtr, ndtri

        low = ndtr(-2.0)
        return np.asarray(mean + stddev * ndtri(self._generator().uniform(low, 1.0 - low, shape)))


@dataclass(frozen=True)
class RandomNormal(RandomInitializer):
    """Normal, with a given mean and standard deviation.

    Parameters
    ----------
    mean, stddev : float
    seed : int or None

    Examples
    --------
    >>> from nbnet.initializers import RandomNormal
    >>> RandomNormal(seed=1)((3, 2)).shape
    (3, 2)
    """

    mean: float = 0.0
    stddev: float = 0.05
    seed: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        FINITE.check(self.mean, "mean")
        FROM_ZERO.check(self.stddev, "stddev")

    def _values(self, shape: Shape) -> Array:
        return self._generator().normal(self.mean, self.stddev, shape)


@dataclass(frozen=True)
class TruncatedNormal(RandomInitializer):
    """Normal, with values more than two standard deviations from the mean drawn again.

    Parameters
    ----------
    mean, stddev : float
        Of the normal before truncation: the values have 0.88 times that standard deviation.
    seed : int or None

    Examples
    --------
    >>> from nbnet.initializers import TruncatedNormal
    >>> bool(abs(TruncatedNormal(stddev=1.0, seed=1)(1000)).max() <= 2)
    True
    """

    mean: float = 0.0
    stddev: float = 0.05
    seed: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        FINITE.check(self.mean, "mean")
        FROM_ZERO.check(self.stddev, "stddev")

    def _values(self, shape: Shape) -> Array:
        return self._truncated_normal(self.mean, self.stddev, shape)


@dataclass(frozen=True)
class RandomUniform(RandomInitializer):
    """Uniform from ``minval`` to ``maxval``.

    Parameters
    ----------
    minval, maxval : float
    seed : int or None

    Examples
    --------
    >>> from nbnet.initializers import RandomUniform
    >>> bool(abs(RandomUniform(seed=1)(1000)).max() <= 0.05)
    True
    """

    minval: float = -0.05
    maxval: float = 0.05
    seed: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if FINITE.check(self.minval, "minval") > FINITE.check(self.maxval, "maxval"):
            raise ValueError(f"minval: expected a number up to maxval {self.maxval!r}, got {self.minval!r}")

    def _values(self, shape: Shape) -> Array:
        return self._generator().uniform(self.minval, self.maxval, shape)


@dataclass(frozen=True)
class Orthogonal(RandomInitializer):
    """``gain`` times a matrix with orthonormal rows or columns, whichever are fewer.

    Parameters
    ----------
    gain : float
    seed : int or None

    Notes
    -----
    More than two axes are taken as a matrix of all but the last by the last.

    References
    ----------
    A. M. Saxe, J. L. McClelland, S. Ganguli: Exact solutions to the nonlinear dynamics of learning in deep linear
    neural networks. ICLR 2014.

    Examples
    --------
    >>> from nbnet.initializers import Orthogonal
    >>> w = Orthogonal(seed=1)((4, 2))
    >>> (w.T @ w).round(3) + 0.0
    array([[1., 0.],
           [0., 1.]], dtype=float32)
    """

    gain: float = 1.0
    seed: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        FINITE.check(self.gain, "gain")

    def _values(self, shape: Shape) -> Array:
        if len(shape) < 2:
            raise ValueError(f"shape: expected 2 axes or more for Orthogonal, got {shape}")
        rows, columns = math.prod(shape[:-1]), shape[-1]
        q, r = np.linalg.qr(self._generator().standard_normal((max(rows, columns), min(rows, columns))))
        # QR leaves the signs open; a positive diagonal of r makes q uniformly distributed.
        q *= np.where(np.diagonal(r) < 0, -1.0, 1.0)
        return np.asarray(self.gain * (q if rows >= columns else q.T).reshape(shape))
