"""``initial * rate ** (step / steps)``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from nbnet.core.abi import device
from nbnet.optimizers.schedules.schedule import LearningRateSchedule
from nbnet.ranges import ABOVE_ZERO, FROM_ZERO


@device
def exponential_decay(step: Any, p: Any) -> Any:
    turns = step / p[1]
    if p[3] > 0:
        turns = np.floor(turns)
    return p[0] * p[2] ** turns


@dataclass(frozen=True)
class ExponentialDecay(LearningRateSchedule):
    """``initial_learning_rate * decay_rate ** (step / decay_steps)``.

    Parameters
    ----------
    initial_learning_rate : float
    decay_steps : float
        Above 0.
    decay_rate : float
    staircase : bool
        Whether to round the exponent down.
    name : str

    Examples
    --------
    >>> from nbnet.optimizers.schedules import ExponentialDecay
    >>> schedule = ExponentialDecay(0.1, decay_steps=10, decay_rate=0.5, staircase=True)
    >>> schedule(9), schedule(10)
    (0.1, 0.05)
    """

    initial_learning_rate: float
    decay_steps: float
    decay_rate: float
    staircase: bool = False
    name: str = "ExponentialDecay"

    rate = exponential_decay

    def __post_init__(self) -> None:
        FROM_ZERO.check(self.initial_learning_rate, "initial_learning_rate")
        ABOVE_ZERO.check(self.decay_steps, "decay_steps")
        FROM_ZERO.check(self.decay_rate, "decay_rate")

    def numbers(self) -> list[float]:
        return [self.initial_learning_rate, self.decay_steps, self.decay_rate, self.staircase]
