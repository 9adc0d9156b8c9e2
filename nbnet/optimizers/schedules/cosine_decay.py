"""Half a period of a cosine, after a linear warm-up."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from nbnet.core.abi import device
from nbnet.optimizers.schedules.schedule import LearningRateSchedule
from nbnet.ranges import ABOVE_ZERO, FROM_ZERO


@device
def half_cosine(done: Any, pi: Any) -> Any:
    """From 1 to 0 while ``done`` goes from 0 to 1."""
    return 0.5 * (1.0 + np.cos(pi * done))


@device
def cosine_decay(step: Any, p: Any) -> Any:
    initial, steps, alpha, target, warmup, pi = p[0], p[1], p[2], p[3], p[4], p[5]
    if step < warmup:
        return initial + (target - initial) * (step / warmup)
    return target * ((1.0 - alpha) * half_cosine(min((step - warmup) / steps, 1.0), pi) + alpha)


@dataclass(frozen=True)
class CosineDecay(LearningRateSchedule):
    """``initial_learning_rate * ((1 - alpha) * (1 + cos(pi * step / decay_steps)) / 2 + alpha)``.

    Parameters
    ----------
    initial_learning_rate : float
    decay_steps : float
        Above 0; the steps of a warm-up are not among them.
    alpha : float
        Share of the rate that is left at the end.
    name : str
    warmup_target : float, optional
        The rate that a linear warm-up from the initial one leads to, and that then decays; None for no warm-up.
    warmup_steps : float
        Steps of the warm-up.

    References
    ----------
    I. Loshchilov, F. Hutter: SGDR: Stochastic gradient descent with warm restarts. ICLR 2017.

    Examples
    --------
    >>> from nbnet.optimizers.schedules import CosineDecay
    >>> schedule = CosineDecay(0.0, decay_steps=100, warmup_target=0.1, warmup_steps=10)
    >>> [round(schedule(step), 4) for step in (0, 5, 10, 60, 110, 1000)]
    [0.0, 0.05, 0.1, 0.05, 0.0, 0.0]
    """

    initial_learning_rate: float
    decay_steps: float
    alpha: float = 0.0
    name: str = "CosineDecay"
    warmup_target: float | None = None
    warmup_steps: float = 0

    rate = cosine_decay

    def __post_init__(self) -> None:
        FROM_ZERO.check(self.initial_learning_rate, "initial_learning_rate")
        ABOVE_ZERO.check(self.decay_steps, "decay_steps")
        FROM_ZERO.check(self.alpha, "alpha")
        FROM_ZERO.check(self.warmup_steps, "warmup_steps")
        if self.warmup_target is not None:
            FROM_ZERO.check(self.warmup_target, "warmup_target")

    def numbers(self) -> list[float]:
        # As in Keras, there is no warm-up without a target, whatever its steps.
        target, warmup = (
            (self.initial_learning_rate, 0.0)
            if self.warmup_target is None
            else (self.warmup_target, float(self.warmup_steps))
        )
        return [self.initial_learning_rate, self.decay_steps, self.alpha, target, warmup, math.pi]
