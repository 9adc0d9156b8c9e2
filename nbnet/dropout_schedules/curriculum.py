"""A rate that grows from nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from nbnet.core.abi import device
from nbnet.dropout_schedules.schedule import DropoutSchedule
from nbnet.ranges import ABOVE_ZERO, FRACTION


@device
def _curriculum(step: Any, p: Any) -> Any:
    return p[0] * (1.0 - np.exp(-p[1] * step))


@dataclass(frozen=True)
class Curriculum(DropoutSchedule):
    """``rate * (1 - exp(-gamma * step))``: noise that grows from nothing.

    Parameters
    ----------
    rate : float
        What the rate tends to.
    gamma : float
        Above 0; the paper takes 10 over the number of steps in all.

    References
    ----------
    P. Morerio, J. Cavazza, R. Volpi, R. Vidal, V. Murino: Curriculum dropout. ICCV (2017), section 3.

    Examples
    --------
    >>> from nbnet.dropout_schedules import Curriculum
    >>> schedule = Curriculum(0.5, gamma=0.01)
    >>> schedule(0), round(schedule(100), 4), round(schedule(10000), 4)
    (0.0, 0.3161, 0.5)
    """

    rate: float
    gamma: float

    formula = _curriculum

    def __post_init__(self) -> None:
        FRACTION.check(self.rate, "rate")
        ABOVE_ZERO.check(self.gamma, "gamma")

    def numbers(self) -> list[float]:
        return [self.rate, self.gamma]
