"""Constraints on the lengths of vectors of weights."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from operator import index
from typing import Any

import numpy as np

from nbnet.constraints.constraint import Constraint
from nbnet.core.abi import attribute, doublevec, kernel, vec
from nbnet.core.graph import Call, Tensor
from nbnet.core.parameter import Parameter
from nbnet.ranges import FRACTION, FROM_ZERO

#: As Keras's ``epsilon()``: added to norms that are divided by.
EPSILON = 1e-7


@kernel
def bound_norms(mem: Any, ins: Any, step: Any) -> None:
    """``w *= (rate clip(norm, low, high) + (1 - rate) norm) / (norm + epsilon)``, in place.

    w is seen as (outer, n, inner), norms are over n; the attributes are n, inner and outer.
    """
    w, numbers, norms = vec(mem, ins, 0), doublevec(mem, ins, 1), vec(mem, ins, 2)
    real, n, inner = w.dtype.type, attribute(ins, 0), attribute(ins, 1)
    low, high, rate, epsilon = real(numbers[0]), real(numbers[1]), real(numbers[2]), real(numbers[3])
    for o in range(attribute(ins, 2)):
        block = w[o * n * inner : (o + 1) * n * inner]
        if inner == 1:
            total = 0.0
            for i in range(block.size):
                total += block[i] * block[i]
            norms[0] = total
        else:
            for j in range(norms.size):
                norms[j] = 0.0
            for k in range(n):
                row = block[k * inner : (k + 1) * inner]
                for j in range(row.size):
                    norms[j] += row[j] * row[j]
        for j in range(norms.size):
            norm = np.sqrt(norms[j])
            wanted = low if norm < low else norm
            wanted = high if wanted > high else wanted
            norms[j] = (norm + rate * (wanted - norm)) / (norm + epsilon)
        if inner == 1:
            factor = norms[0]
            for i in range(block.size):
                block[i] *= factor
        else:
            for k in range(n):
                row = block[k * inner : (k + 1) * inner]
                for j in range(row.size):
                    row[j] *= norms[j]


class _Norm(Constraint):
    """Base of the constraints on norms."""

    # Each subclass declares it as its last field, where Keras has it.
    axis: int | Sequence[int]

    def __post_init__(self) -> None:
        given = self.axis if isinstance(self.axis, Sequence) else (self.axis,)
        axes = [index(k) for k in given]
        object.__setattr__(self, "axis", axes if isinstance(self.axis, Sequence) else axes[0])

    @abstractmethod
    def _bounds(self) -> tuple[float, float, float]:
        """The smallest and largest norm, and the rate."""

    def call(self, parameter: Parameter) -> Call:
        first, last = self._span(parameter)
        n, inner = prod(parameter.shape[first : last + 1]), prod(parameter.shape[last + 1 :])
        numbers = np.array([*self._bounds(), EPSILON])
        operands = (parameter, Tensor((4,), np.float64, numbers), Tensor((inner,), parameter.dtype, name="norms"))
        attributes = (n, inner, prod(parameter.shape[:first]))
        return Call(bound_norms, operands, (0, 2), 1, 0, attributes, "constraint", parameter.dtype)

    def _span(self, parameter: Parameter) -> tuple[int, int]:
        """The first and last of the axes that norms are over; they are neighbours."""
        given = self.axis if isinstance(self.axis, Sequence) else (self.axis,)
        name, ndim = type(self).__name__, parameter.ndim
        if any(not -ndim <= k < ndim for k in given):
            raise ValueError(f"{name}: axis {self.axis} is out of range for a weight of shape {parameter.shape}")
        axes = sorted({k % ndim for k in given})
        if axes != list(range(axes[0], axes[0] + len(given))):
            raise ValueError(f"{name}: axis wants neighbouring axes, each once, got {self.axis}")
        return axes[0], axes[-1]


@dataclass(frozen=True)
class MaxNorm(_Norm):
    """Vectors longer than ``max_value`` are shortened to it.

    Parameters
    ----------
    max_value : float
        From 0.
    axis : int or sequence of int
        Axes that a vector lies along: 0 for the weights into each unit of a Dense kernel (inputs, units), ``[0, 1, 2]``
        for each filter of a Conv2D kernel.

    References
    ----------
    N. Srivastava, G. Hinton, A. Krizhevsky, I. Sutskever, R. Salakhutdinov: Dropout: a simple way to prevent neural
    networks from overfitting. JMLR 15 (2014), section 5.1.

    Examples
    --------
    >>> from nbnet.constraints import MaxNorm
    >>> MaxNorm(1.0)([[3.0, 0.3], [4.0, 0.4]]).round(4)
    array([[0.6, 0.3],
           [0.8, 0.4]], dtype=float32)
    """

    max_value: float = 2
    axis: int | Sequence[int] = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        FROM_ZERO.check(self.max_value, "max_value")

    def _bounds(self) -> tuple[float, float, float]:
        return 0.0, self.max_value, 1.0


@dataclass(frozen=True)
class MinMaxNorm(_Norm):
    """Vectors are shortened, or lengthened, to lengths from ``min_value`` to ``max_value``.

    Parameters
    ----------
    min_value, max_value : float
        From 0, in this order.
    rate : float
        In [0, 1]: share of the way that is gone in one step.
    axis : int or sequence of int
        See :class:`MaxNorm`.

    Examples
    --------
    >>> from nbnet.constraints import MinMaxNorm
    >>> MinMaxNorm(1.0, 2.0)([[3.0, 0.3], [4.0, 0.4]]).round(4)
    array([[1.2, 0.6],
           [1.6, 0.8]], dtype=float32)
    """

    min_value: float = 0.0
    max_value: float = 1.0
    rate: float = 1.0
    axis: int | Sequence[int] = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        FROM_ZERO.check(self.min_value, "min_value")
        FROM_ZERO.check(self.max_value, "max_value")
        FRACTION.check(self.rate, "rate")
        if self.min_value > self.max_value:
            raise ValueError(f"min_value: must not exceed max_value, got {self.min_value} and {self.max_value}")

    def _bounds(self) -> tuple[float, float, float]:
        return self.min_value, self.max_value, self.rate


@dataclass(frozen=True)
class UnitNorm(_Norm):
    """Vectors are brought to length 1.

    Parameters
    ----------
    axis : int or sequence of int
        See :class:`MaxNorm`.

    Examples
    --------
    >>> from nbnet.constraints import UnitNorm
    >>> UnitNorm()([[3.0, 0.3], [4.0, 0.4]]).round(4)
    array([[0.6, 0.6],
           [0.8, 0.8]], dtype=float32)
    """

    axis: int | Sequence[int] = 0

    def _bounds(self) -> tuple[float, float, float]:
        return 1.0, 1.0, 1.0
