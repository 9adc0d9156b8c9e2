"""Half periods of a cosine, each longer than the last."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from nbnet.core.abi import device
from nbnet.optimizers.schedules.cosine_decay import half_cosine
from nbnet.optimizers.schedules.schedule import LearningRateSchedule
from nbnet.ranges import ABOVE_ZERO, FROM_ZERO, Range


@device
def cosine_decay_restarts(step: Any, p: Any) -> Any:
    initial, steps, growth, shrink, alpha, pi = p[0], p[1], p[2], p[3], p[4], p[5]
    done = step / steps
    restarts = np.floor(done)
    if growth > 1.0:
        # The first k periods last (growth^k - 1) / (growth - 1) times the first. The logarithm may be off by one in
        # the last bit just where a period ends.
        restarts = np.floor(np.log(1.0 + done * (growth - 1.0)) / np.log(growth) + 0.5)
        if (growth**restarts - 1.0) / (growth - 1.0) > done:
            restarts -= 1.0
        done = (done - (growth**restarts - 1.0) / (growth - 1.0)) / growth**restarts
    else:
        done -= restarts
    return initial * ((1.0 - alpha) * shrink**restarts * half_cosine(done, pi) + alpha)


@dataclass(frozen=True)
class CosineDecayRestarts(LearningRateSchedule):
    """:class:`CosineDecay`, started again and again.

    Parameters
    ----------
    initial_learning_rate : float
    first_decay_steps : float
        Length of the first period, above 0.
    t_mul : float
        From 1: each period is so many times as long as the last.
    m_mul : float
        Each period starts at so many times the rate of the last.
    alpha : float
        Share of the initial rate that is left at the end of a period.
    name : str

    References
    ----------
    I. Loshchilov, F. Hutter: SGDR: Stochastic gradient descent with warm restarts. ICLR 2017.

    Examples
    --------
    >>> from nbnet.optimizers.schedules import CosineDecayRestarts
    >>> schedule = CosineDecayRestarts(0.1, first_decay_steps=10, m_mul=0.5)
    >>> [round(schedule(step), 4) for step in (0, 5, 10, 20, 30)]
    [0.1, 0.05, 0.05, 0.025, 0.025]
    """

    initial_learning_rate: float
    first_decay_steps: float
    t_mul: float = 2.0
    m_mul: float = 1.0
    alpha: float = 0.0
    name: str = "SGDRDecay"

    rate = cosine_decay_restarts

    def __post_init__(self) -> None:
        FROM_ZERO.check(self.initial_learning_rate, "initial_learning_rate")
        ABOVE_ZERO.check(self.first_decay_steps, "first_decay_steps")
        Range(low=1).check(self.t_mul, "t_mul")
        FROM_ZERO.check(self.m_mul, "m_mul")
        FROM_ZERO.check(self.alpha, "alpha")

    def numbers(self) -> list[float]:
        return [self.initial_learning_rate, self.first_decay_steps, self.t_mul, self.m_mul, self.alpha, math.pi]
