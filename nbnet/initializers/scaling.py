"""Initializers that look at the number of inputs and outputs of a unit."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from nbnet.initializers.drawn import Random
from nbnet.initializers.initializer import Array, Shape

#: Standard deviation of a standard normal that is cut at -2 and 2.
_TRUNCATED_STDDEV = 0.87962566103423978
_MODES = ("fan_in", "fan_out", "fan_avg")
_DISTRIBUTIONS = ("truncated_normal", "untruncated_normal", "uniform")


def compute_fans(shape: Shape) -> tuple[int, int]:
    """Inputs and outputs of a unit: ``(in, out)`` of a dense kernel; a convolution's are multiplied by its window.

    Examples
    --------
    >>> from nbnet.initializers import compute_fans
    >>> compute_fans((64, 10)), compute_fans((3, 3, 16, 32))
    ((64, 10), (144, 288))
    """
    if len(shape) < 2:
        return (shape[0], shape[0]) if shape else (1, 1)
    window = math.prod(shape[:-2])
    return window * shape[-2], window * shape[-1]


@dataclass(frozen=True)
class VarianceScaling(Random):
    """Zero mean and variance ``scale / fan``, so that signals keep their size from layer to layer.

    Parameters
    ----------
    scale : float
        More than 0.
    mode : {"fan_in", "fan_out", "fan_avg"}
        See :func:`compute_fans`.
    distribution : {"truncated_normal", "untruncated_normal", "uniform"}
        ``"normal"`` stands for ``"truncated_normal"``.
    seed : int or None

    Raises
    ------
    ValueError
        If an argument is none of these.

    Examples
    --------
    >>> from nbnet.initializers import VarianceScaling
    >>> w = VarianceScaling(2.0, "fan_in", "untruncated_normal", seed=1)((200, 300))
    >>> round(float(w.std()), 3)
    0.1
    """

    scale: float = 1.0
    mode: str = "fan_in"
    distribution: str = "truncated_normal"
    seed: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (self.scale > 0 and math.isfinite(self.scale)):
            raise ValueError(f"scale must be more than 0 and finite, got {self.scale!r}")
        if self.mode not in _MODES:
            raise ValueError(f"mode must be one of {', '.join(_MODES)}, got {self.mode!r}")
        if self.distribution == "normal":
            object.__setattr__(self, "distribution", "truncated_normal")
        if self.distribution not in _DISTRIBUTIONS:
            raise ValueError(f"distribution must be one of {', '.join(_DISTRIBUTIONS)}, got {self.distribution!r}")

    def _values(self, shape: Shape) -> Array:
        fan_in, fan_out = compute_fans(shape)
        fan = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[self.mode]
        stddev = math.sqrt(self.scale / max(1.0, fan))
        if self.distribution == "uniform":
            limit = math.sqrt(3.0) * stddev
            return self._generator().uniform(-limit, limit, shape)
        if self.distribution == "untruncated_normal":
            return self._generator().normal(0.0, stddev, shape)
        return self._truncated_normal(0.0, stddev / _TRUNCATED_STDDEV, shape)


@dataclass(frozen=True)
class Scaled(Random):
    """Base of the named recipes: variance scaling with everything but the seed decided.

    References
    ----------
    Glorot: X. Glorot, Y. Bengio: Understanding the difficulty of training deep feedforward networks. AISTATS 2010.
    He: K. He, X. Zhang, S. Ren, J. Sun: Delving deep into rectifiers. ICCV 2015. LeCun: Y. LeCun, L. Bottou, G. B.
    Orr, K.-R. Müller: Efficient backprop. Neural networks: tricks of the trade, 1998.
    """

    seed: int | None = None
    #: Scale, mode and distribution.
    recipe: ClassVar[tuple[float, str, str]]

    def _values(self, shape: Shape) -> Array:
        return VarianceScaling(*self.recipe, seed=self.seed)._values(shape)
