"""Single numbers among arguments."""

from __future__ import annotations

from numbers import Real
from typing import Any


def as_number(value: Any, name: str) -> float:
    """A float from a Python or NumPy number; strings and arrays are none.

    Raises
    ------
    TypeError
        If ``value`` is no real number; ``name`` is what the message calls it.

    Examples
    --------
    >>> from nbnet.data import as_number
    >>> as_number("0.1", "learning_rate")
    Traceback (most recent call last):
        ...
    TypeError: learning_rate: wants a number, got '0.1'
    """
    if not isinstance(value, Real):
        raise TypeError(f"{name}: wants a number, got {value!r}")
    return float(value)
