"""A rate at the beginning, then none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nbnet.core.abi import device
from nbnet.dropout_schedules.schedule import DropoutSchedule
from nbnet.ranges import FRACTION, FROM_ZERO


@device
def _early(step: Any, p: Any) -> Any:
    return p[0] if step < p[1] else 0.0


@dataclass(frozen=True)
class Early(DropoutSchedule):
    """``rate`` in the first ``steps`` steps, 0 afterwards: against underfitting.

    Parameters
    ----------
    rate : float
    steps : float

    References
    ----------
    Z. Liu, Z. Xu, J. Jin, Z. Shen, T. Darrell: Dropout reduces underfitting. ICML (2023), section 4.

    Examples
    --------
    >>> from nbnet.dropout_schedules import Early
    >>> schedule = Early(0.1, steps=100)
    >>> schedule(99), schedule(100)
    (0.1, 0.0)
    """

    rate: float
    steps: float

    formula = _early

    def __post_init__(self) -> None:
        FRACTION.check(self.rate, "rate")
        FROM_ZERO.check(self.steps, "steps")

    def numbers(self) -> list[float]:
        return [self.rate, self.steps]
