"""Checks of arguments. Each returns the checked value, or raises an error that says "argument: expected X, got Y"."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from numbers import Real
from typing import Any, TypeVar

import numpy as np

T = TypeVar("T")


def check_number(value: Any, name: str) -> float:
    """Return a real number of Python or NumPy as a float; it may be infinite.

    Raises
    ------
    TypeError
        If it is a boolean, a string, an array, or anything else that is no real number.

    Examples
    --------
    >>> from nbnet.base.validation import check_number
    >>> check_number("0.1", "learning_rate")
    Traceback (most recent call last):
        ...
    TypeError: learning_rate: expected a number, got '0.1'
    """
    scalar = isinstance(value, np.ndarray) and value.shape == () and value.dtype.kind in "fiu"
    if isinstance(value, bool) or not (isinstance(value, Real) or scalar):
        raise TypeError(f"{name}: expected a number, got {value!r}")
    return float(value)


@dataclass(frozen=True)
class Interval:
    """A range of finite numbers, by default from 0; an infinite bound is none.

    With ``above``, ``low`` lies outside, and with ``below``, ``high``.

    Examples
    --------
    >>> from nbnet.base.validation import Interval
    >>> Interval(0, 1, below=True).check(0.9, "beta_1")
    0.9
    >>> Interval(0, 1, below=True).check(1, "beta_1")
    Traceback (most recent call last):
        ...
    ValueError: beta_1: expected a number in [0, 1), got 1
    """

    low: float = 0.0
    high: float = math.inf
    above: bool = False
    below: bool = False

    def check(self, value: Any, name: str) -> float:
        """Return the number as a float. One that lies outside raises ValueError; what is no real number, such as True
        and False, TypeError."""
        number = check_number(value, name)
        inside = math.isfinite(number) and self.low <= number <= self.high
        if not inside or (self.above and number == self.low) or (self.below and number == self.high):
            raise ValueError(f"{name}: expected a {self}, got {value!r}")
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


FROM_ZERO, ABOVE_ZERO, FRACTION, DECAY = Interval(), Interval(above=True), Interval(0, 1), Interval(0, 1, below=True)
FINITE = Interval(-math.inf)


def check_int(value: Any, name: str, least: int | None = 1) -> int:
    """Return an integer of Python or NumPy, also of an array without axes, of at most 63 bits and not below ``least``;
    None stands for no bound.

    Raises
    ------
    ValueError
        If it is anything else; True and False are no integers here.

    Examples
    --------
    >>> from nbnet.base.validation import check_int
    >>> check_int(3, "decay_steps")
    3
    """
    if isinstance(value, np.ndarray) and value.shape == ():
        value = value[()]
    wrong = isinstance(value, bool) or not isinstance(value, (int, np.integer))
    if wrong or (least is not None and value < least):
        bound = "" if least is None else f" from {least}"
        raise ValueError(f"{name}: expected an integer{bound}, got {value!r}")
    if abs(int(value)) >= 1 << 63:
        raise ValueError(f"{name}: expected an integer of at most 63 bits, got {value!r}")
    return int(value)


def check_bool(value: Any, name: str) -> bool:
    """Return True or False; other values that merely count as such are refused.

    Examples
    --------
    >>> from nbnet.base.validation import check_bool
    >>> check_bool("no", "shared")
    Traceback (most recent call last):
        ...
    TypeError: shared: expected True or False, got 'no'
    """
    if not isinstance(value, (bool, np.bool)):
        raise TypeError(f"{name}: expected True or False, got {value!r}")
    return bool(value)


def check_choice(value: T, name: str, choices: Iterable[T]) -> T:
    """Return a value that is one of the choices.

    Raises
    ------
    ValueError
        If it is none of them.

    Examples
    --------
    >>> from nbnet.base.validation import check_choice
    >>> check_choice("up", "mode", ("auto", "min", "max"))
    Traceback (most recent call last):
        ...
    ValueError: mode: expected 'auto', 'min' or 'max', got 'up'
    """
    known = list(choices)
    if value not in known:
        head, last = ", ".join(map(repr, known[:-1])), repr(known[-1])
        raise ValueError(f"{name}: expected {f'{head} or {last}' if head else last}, got {value!r}")
    return value
