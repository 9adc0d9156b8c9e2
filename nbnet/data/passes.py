"""Passes over the data, and epochs that are shorter than one."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np


def part_of_pass(epoch: int, batches: int, steps: int | None) -> tuple[int, int, int]:
    """Which batches belong to an epoch of so many steps.

    As in Keras, an epoch goes on where the last one ended, and one that comes to the end of the data ends there.

    Parameters
    ----------
    epoch : int
        From 0.
    batches : int
        Of a whole pass.
    steps : int or None
        Of an epoch; None is a whole pass.

    Returns
    -------
    number, start, stop : int
        Number of the pass, and which of its batches.

    Examples
    --------
    >>> from nbnet.data.passes import part_of_pass
    >>> [part_of_pass(epoch, 5, 2) for epoch in range(4)]
    [(0, 0, 2), (0, 2, 4), (0, 4, 5), (1, 0, 2)]
    """
    if steps is None:
        return epoch, 0, batches
    number, part = divmod(epoch, -(-batches // steps))
    return number, part * steps, min(batches, (part + 1) * steps)


def warn_short(done: int, steps: int, what: str = "x") -> None:
    """Say that an epoch was cut short, as Keras does."""
    warnings.warn(
        f"{what} ran out of data after {done} of the {steps} steps of an epoch; it has to hold or yield at least as "
        "many batches as all epochs have steps",
        stacklevel=3,
    )


def warn_ended(done: int, epochs: int, what: str = "x") -> None:
    """Say that there are no batches for more epochs."""
    warnings.warn(f"{what} ran out of data after {done} of the {epochs} epochs", stacklevel=3)


def as_steps(steps: Any, name: str) -> int | None:
    """A number of steps; None is none.

    Raises
    ------
    ValueError
        If it is no whole number greater than 0; ``name`` is what the message calls it.

    Examples
    --------
    >>> from nbnet.data.passes import as_steps
    >>> as_steps(0, "validation_steps")
    Traceback (most recent call last):
        ...
    ValueError: validation_steps must be None or a whole number from 1, got 0
    """
    if steps is None:
        return None
    try:
        whole = int(steps)
        if whole == steps and whole >= 1 and not isinstance(steps, bool):
            return whole
    except (TypeError, ValueError, OverflowError):
        pass
    raise ValueError(f"{name} must be None or a whole number from 1, got {steps!r}")


def validates(epoch: int, frequency: Any) -> bool:
    """Whether ``validation_freq`` asks for a validation after this epoch (from 0).

    Examples
    --------
    >>> from nbnet.data.passes import validates
    >>> [validates(epoch, 2) for epoch in range(4)], validates(4, [1, 5])
    ([False, True, False, True], True)
    """
    return (epoch + 1) % frequency == 0 if isinstance(frequency, int) else epoch + 1 in frequency


def check_frequency(frequency: Any) -> Any:
    """``validation_freq`` itself, if it is a whole number from 1 or a collection of epochs.

    Raises
    ------
    ValueError
        If it is not.
    """
    if isinstance(frequency, (int, np.integer)) and not isinstance(frequency, bool) and frequency >= 1:
        return int(frequency)
    if isinstance(frequency, (list, tuple, set, frozenset, range)):
        return frequency
    raise ValueError(f"validation_freq must be a whole number from 1 or a list of epochs, got {frequency!r}")
