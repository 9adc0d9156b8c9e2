"""``(initial - end) (1 - step / steps) ** power + end``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from nbnet.core.abi import device
from nbnet.optimizers.schedules.schedule import LearningRateSchedule
from nbnet.ranges import ABOVE_ZERO, FROM_ZERO


@device
def polynomial_decay(step: Any, p: Any) -> Any:
    steps = p[1]
    if p[4] > 0:
        steps *= max(np.ceil(step / p[1]), 1.0)
    return (p[0] - p[2]) * (1.0 - min(step / steps, 1.0)) ** p[3] + p[2]


@dataclass(frozen=True)
class PolynomialDecay(LearningRateSchedule):
    """``(initial_learning_rate - end_learning_rate) * (1 - step / decay_steps) ** power + end_learning_rate``.

    Parameters
    ----------
    initial_learning_rate : float
    decay_steps : float
        Above 0; from there on the rate stays at the end.
    end_learning_rate : float
    power : float
    cycle : bool
        Whether to start again, over twice, three times ... ``decay_steps``, when the end is passed.
    name : str

    Examples
    --------
    >>> from nbnet.optimizers.schedules import PolynomialDecay
    >>> schedule = PolynomialDecay(0.5, decay_steps=10, end_learning_rate=0.1)
    >>> schedule(0), schedule(5), schedule(20)
    (0.5, 0.3, 0.1)
    """

    initial_learning_rate: float
    decay_steps: float
    end_learning_rate: float = 0.0001
    power: float = 1.0
    cycle: bool = False
    name: str = "PolynomialDecay"

    rate = polynomial_decay

    def __post_init__(self) -> None:
        FROM_ZERO.check(self.initial_learning_rate, "initial_learning_rate")
        ABOVE_ZERO.check(self.decay_steps, "decay_steps")
        FROM_ZERO.check(self.end_learning_rate, "end_learning_rate")
        FROM_ZERO.check(self.power, "power")

    def numbers(self) -> list[float]:
        return [self.initial_learning_rate, self.decay_steps, self.end_learning_rate, self.power, self.cycle]
