"""Epochs that are shorter than a pass over the data, and the arguments of fit that count them."""

from __future__ import annotations

import warnings
from typing import Any

from nbnet.base.validation import check_int


def part_of_pass(epoch: int, batches: int, steps: int | None) -> tuple[int, int, int]:
    """Return the number of the pass of an epoch (from 0), and the range of its batches: ``number, start, stop``.

    A pass has a number of batches, an epoch a number of steps; None is a whole pass. As in Keras, an epoch continues
    where the last one ended, and ends at the end of the data.

    Examples
    --------
    >>> from nbnet.data.epochs import part_of_pass
    >>> [part_of_pass(epoch, 5, 2) for epoch in range(4)]
    [(0, 0, 2), (0, 2, 4), (0, 4, 5), (1, 0, 2)]
    """
    if steps is None:
        return epoch, 0, batches
    number, part = divmod(epoch, -(-batches // steps))
    return number, part * steps, min(batches, (part + 1) * steps)


def warn_short(done: int, steps: int, what: str = "x") -> None:
    """Warn that an epoch was cut short, as Keras does."""
    warnings.warn(
        f"{what} ran out of data after {done} of the {steps} steps of an epoch; it has to hold or yield at least as "
        "many batches as all epochs have steps",
        stacklevel=3,
    )


def warn_ended(done: int, epochs: int, what: str = "x") -> None:
    """Warn that there are no batches for more epochs."""
    warnings.warn(f"{what} ran out of data after {done} of the {epochs} epochs", stacklevel=3)


def as_steps(steps: Any, name: str) -> int | None:
    """Return a number of steps, or None; raise ValueError for anything but an integer from 1.

    Examples
    --------
    >>> from nbnet.data.epochs import as_steps
    >>> as_steps(0, "validation_steps")
    Traceback (most recent call last):
        ...
    ValueError: validation_steps: expected None or an integer from 1, got 0
    """
    if steps is None:
        return None
    try:
        whole = int(steps)
        if whole == steps and whole >= 1 and not isinstance(steps, bool):
            return whole
    except (TypeError, ValueError, OverflowError):
        pass
    raise ValueError(f"{name}: expected None or an integer from 1, got {steps!r}")


def validates(epoch: int, frequency: Any) -> bool:
    """Return True if ``validation_freq`` asks for a validation after this epoch (from 0).

    Examples
    --------
    >>> from nbnet.data.epochs import validates
    >>> [validates(epoch, 2) for epoch in range(4)], validates(4, [1, 5])
    ([False, True, False, True], True)
    """
    return (epoch + 1) % frequency == 0 if isinstance(frequency, int) else epoch + 1 in frequency


def check_frequency(frequency: Any) -> Any:
    """Return ``validation_freq``; raise ValueError if it is neither an integer from 1 nor a collection of epochs."""
    if isinstance(frequency, (list, tuple, set, frozenset, range)):
        return frequency
    try:
        return check_int(frequency, "validation_freq")
    except ValueError:
        message = f"validation_freq: expected an integer from 1 or a list of epochs, got {frequency!r}"
        raise ValueError(message) from None
