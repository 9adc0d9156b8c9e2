"""No rate at the beginning, then one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nbnet.core.abi import device
from nbnet.dropout_schedules.schedule import DropoutSchedule
from nbnet.ranges import FRACTION, FROM_ZERO


@device
def _late(step: Any, p: Any) -> Any:
    return 0.0 if step < p[1] else p[0]


@dataclass(frozen=True)
class Late(DropoutSchedule):
    """0 in the first ``start`` steps, ``rate`` afterwards: against overfitting.

    Parameters
    ----------
    rate : float
    start : float

    References
    ----------
    Z. Liu, Z. Xu, J. Jin, Z. Shen, T. Darrell: Dropout reduces underfitting. ICML (2023), section 4.

    Examples
    --------
    >>> from nbnet.dropout_schedules import Late
    >>> schedule = Late(0.5, start=100)
    >>> schedule(99), schedule(100)
    (0.0, 0.5)
    """

    rate: float
    start: float

    formula = _late

    def __post_init__(self) -> None:
        FRACTION.check(self.rate, "rate")
        FROM_ZERO.check(self.start, "start")

    def numbers(self) -> list[float]:
        return [self.rate, self.start]
