"""Numbers that users give, checked against the range they must lie in."""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Range:
    """A range of numbers, by default all finite ones from 0.

    Parameters
    ----------
    low, high
        Bounds; an infinite one is never reached.
    above, below
        Whether the range leaves out ``low``, or ``high``.

    Examples
    --------
    >>> from nbnet.ranges import Range
    >>> Range(0, 1, below=True).check(0.9, "beta_1")
    0.9
    >>> Range(0, 1, below=True).check(1, "beta_1")
    Traceback (most recent call last):
        ...
    ValueError: beta_1: wants a number in [0, 1), got 1
    """

    low: float = 0.0
    high: float = math.inf
    above: bool = False
    below: bool = False

    def check(self, value: Any, name: str) -> float:
        """The number as a float.

        Raises
        ------
        TypeError
            If it is no real number; True and False are none.
        ValueError
            If it lies outside.
        """
        scalar = isinstance(value, np.ndarray) and value.shape == () and value.dtype.kind in "fiu"
        if isinstance(value, bool) or not (isinstance(value, Real) or scalar):
            raise TypeError(f"{name}: wants a number, got {value!r}")
        number = float(value)
        inside = math.isfinite(number) and self.low <= number <= self.high
        if not inside or (self.above and number == self.low) or (self.below and number == self.high):
            raise ValueError(f"{name}: wants a {self}, got {value!r}")
        return number

    def __str__(self) -> str:
        low, high = f"{self.low:g}", f"{self.high:g}"
        if math.isfinite(self.low) and math.isfinite(self.high):
            return f"number in {'(' if self.above else '['}{low}, {high}{')' if self.below else ']'}"
        if math.isfinite(self.low):
            return f"finite number {'above' if self.above else 'from'} {low}"
        if math.isfinite(self.high):
            return f"finite number {'below' if self.below else 'up to'} {high}"
        return "finite number"


FROM_ZERO, ABOVE_ZERO, FRACTION, DECAY = Range(), Range(above=True), Range(0, 1), Range(0, 1, below=True)
FINITE = Range(-math.inf)


def count(value: Any, name: str, least: int = 1) -> int:
    """An integer from ``least`` on.

    Examples
    --------
    >>> from nbnet.ranges import count
    >>> count(3, "decay_steps")
    3
    """
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise ValueError(f"{name}: wants an integer from {least}, got {value!r}")
    return int(value)


def flag(value: Any, name: str) -> bool:
    """True or False, and nothing that merely counts as such.

    Examples
    --------
    >>> from nbnet.ranges import flag
    >>> flag("no", "shared")
    Traceback (most recent call last):
        ...
    TypeError: shared: wants True or False, got 'no'
    """
    if not isinstance(value, (bool, np.bool)):
        raise TypeError(f"{name}: wants True or False, got {value!r}")
    return bool(value)
