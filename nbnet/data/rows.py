"""Rows of several arrays, some of them held out."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real
from typing import Any

from nbnet.data.words import count_of


def train_validation_split(
    arrays: Sequence[Any], fraction: float, name: str = "validation_split"
) -> tuple[tuple[Any, ...], tuple[Any, ...] | None]:
    """Cut the last rows off for validation, as they come: shuffling is for later.

    Parameters
    ----------
    arrays : sequence of ndarray or None
        Of as many rows each.
    fraction : float
        Part of the rows to validate on, 0 included, 1 not.
    name : str
        What messages call it.

    Returns
    -------
    train, validation : tuple of ndarray or None
        Views. ``validation`` is None if ``fraction`` is 0.

    Raises
    ------
    TypeError
        If ``fraction`` is no number.
    ValueError
        If it is out of range, or so small or large that one side would be empty.

    Examples
    --------
    >>> import numpy as np
    >>> from nbnet.data import train_validation_split
    >>> train_validation_split([np.arange(5), None], 0.4)
    ((array([0, 1, 2]), None), (array([3, 4]), None))
    """
    if not isinstance(fraction, Real):
        raise TypeError(f"{name} must be a number, got {fraction!r}")
    if not 0 <= fraction < 1:
        raise ValueError(f"{name} must be at least 0 and less than 1, got {fraction!r}")
    if fraction == 0:
        return tuple(arrays), None
    n = next(len(array) for array in arrays if array is not None)
    # Keras's expression, rounding errors included: the same rows on either side.
    cut = int(n * (1.0 - fraction))
    if not 0 < cut < n:
        side = "train" if cut == 0 else "validate"
        raise ValueError(f"{name}={fraction!r} leaves none of the {count_of(n, 'row')} to {side} on")
    train, validation = slice(None, cut), slice(cut, None)
    return tuple(a if a is None else a[train] for a in arrays), tuple(a if a is None else a[validation] for a in arrays)
