"""Up to a largest rate and down again, along cosines."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from nbnet.core.abi import device
from nbnet.optimizers.schedules.cosine_decay import half_cosine
from nbnet.optimizers.schedules.schedule import LearningRateSchedule
from nbnet.ranges import ABOVE_ZERO, FRACTION, count


@device
def one_cycle(step: Any, p: Any) -> Any:
    initial, top, end, peak, last, pi = p[0], p[1], p[2], p[3], p[4], p[5]
    at = min(step, last)
    if at <= peak:
        return top + (initial - top) * half_cosine(at / peak if peak > 0 else at, pi)
    return end + (top - end) * half_cosine((at - peak) / (last - peak), pi)


@dataclass(frozen=True)
class OneCycle(LearningRateSchedule):
    """One cycle: from ``max_learning_rate / div_factor`` up to the maximum, then down to almost nothing, along cosines.

    Numbers and formula are those of PyTorch's ``OneCycleLR``: the maximum is reached at step ``pct_start * total_steps
    - 1``, the end at step ``total_steps - 1``. After that the rate stays at the end.

    Parameters
    ----------
    max_learning_rate : float
    total_steps : int
        Steps of the whole training: batches an epoch times epochs.
    pct_start : float
        In [0, 1]: share of the steps that go up.
    div_factor : float
        The first rate is the maximum divided by this.
    final_div_factor : float
        The last rate is the first divided by this.
    name : str

    References
    ----------
    L. N. Smith, N. Topin: Super-convergence: very fast training of neural networks using large learning rates. 2018.

    Examples
    --------
    >>> from nbnet.optimizers.schedules import OneCycle
    >>> schedule = OneCycle(0.1, total_steps=101, pct_start=0.5)
    >>> [round(schedule(step), 4) for step in (0, 49.5, 100)]
    [0.004, 0.1, 0.0]
    """

    max_learning_rate: float
    total_steps: int
    pct_start: float = 0.3
    div_factor: float = 25.0
    final_div_factor: float = 1e4
    name: str = "OneCycle"

    rate = one_cycle

    def __post_init__(self) -> None:
        ABOVE_ZERO.check(self.max_learning_rate, "max_learning_rate")
        count(self.total_steps, "total_steps")
        FRACTION.check(self.pct_start, "pct_start")
        ABOVE_ZERO.check(self.div_factor, "div_factor")
        ABOVE_ZERO.check(self.final_div_factor, "final_div_factor")

    def numbers(self) -> list[float]:
        initial = self.max_learning_rate / self.div_factor
        end = initial / self.final_div_factor
        last = self.total_steps - 1
        return [initial, self.max_learning_rate, end, self.pct_start * self.total_steps - 1, last, math.pi]
