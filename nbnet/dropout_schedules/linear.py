"""From one rate to another on a straight line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nbnet.core.abi import device
from nbnet.dropout_schedules.schedule import DropoutSchedule
from nbnet.ranges import ABOVE_ZERO, FRACTION, FROM_ZERO


@device
def way_covered(step: Any, start: Any, steps: Any) -> Any:
    """The share of the way that is covered: 0 before the start, 1 after the end."""
    return min(max((step - start) / steps, 0.0), 1.0)


@device
def _linear(step: Any, p: Any) -> Any:
    return p[0] + (p[1] - p[0]) * way_covered(step, p[3], p[2])


@dataclass(frozen=True)
class Linear(DropoutSchedule):
    """From ``rate`` to ``end_rate`` on a straight line over ``steps`` steps: annealed dropout, if the end is 0.

    Parameters
    ----------
    rate, end_rate : float
    steps : float
        Above 0.
    start : float
        The step that the line begins at.

    References
    ----------
    S. Rennie, V. Goel, S. Thomas: Annealed dropout training of deep networks. SLT (2014).

    Examples
    --------
    >>> from nbnet.dropout_schedules import Linear
    >>> schedule = Linear(0.5, 0.0, steps=100, start=50)
    >>> schedule(0), schedule(100), schedule(1000)
    (0.5, 0.25, 0.0)
    """

    rate: float
    end_rate: float
    steps: float
    start: float = 0.0

    formula = _linear

    def __post_init__(self) -> None:
        FRACTION.check(self.rate, "rate")
        FRACTION.check(self.end_rate, "end_rate")
        ABOVE_ZERO.check(self.steps, "steps")
        FROM_ZERO.check(self.start, "start")

    def numbers(self) -> list[float]:
        return [self.rate, self.end_rate, self.steps, self.start]
