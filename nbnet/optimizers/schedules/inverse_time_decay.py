"""``initial / (1 + rate step / steps)``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from nbnet.core.abi import device
from nbnet.optimizers.schedules.schedule import LearningRateSchedule
from nbnet.ranges import ABOVE_ZERO, FROM_ZERO


@device
def inverse_time_decay(step: Any, p: Any) -> Any:
    turns = step / p[1]
    if p[3] > 0:
        turns = np.floor(turns)
    return p[0] / (1.0 + p[2] * turns)


@dataclass(frozen=True)
class InverseTimeDecay(LearningRateSchedule):
    """``initial_learning_rate / (1 + decay_rate * step / decay_steps)``.

    Parameters
    ----------
    initial_learning_rate : float
    decay_steps : float
        Above 0.
    decay_rate : float
    staircase : bool
        Whether to round ``step / decay_steps`` down.
    name : str

    Examples
    --------
    >>> from nbnet.optimizers.schedules import InverseTimeDecay
    >>> InverseTimeDecay(0.1, decay_steps=10, decay_rate=1.0)(10)
    0.05
    """

    initial_learning_rate: float
    decay_steps: float
    decay_rate: float
    staircase: bool = False
    name: str = "InverseTimeDecay"

    rate = inverse_time_decay

    def __post_init__(self) -> None:
        FROM_ZERO.check(self.initial_learning_rate, "initial_learning_rate")
        ABOVE_ZERO.check(self.decay_steps, "decay_steps")
        FROM_ZERO.check(self.decay_rate, "decay_rate")

    def numbers(self) -> list[float]:
        return [self.initial_learning_rate, self.decay_steps, self.decay_rate, self.staircase]
