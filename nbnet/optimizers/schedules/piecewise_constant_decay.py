"""One of several values, by the interval that the step lies in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from nbnet.core.abi import device
from nbnet.optimizers.schedules.schedule import LearningRateSchedule
from nbnet.ranges import FINITE, FROM_ZERO


@device
def piecewise_constant_decay(step: Any, p: Any) -> Any:
    n = p.size // 2  # boundaries; a value more than that
    k = 0
    while k < n and step > p[k]:
        k += 1
    return p[n + k]


@dataclass(frozen=True)
class PiecewiseConstantDecay(LearningRateSchedule):
    """``values[0]`` up to and including step ``boundaries[0]``, then ``values[1]`` up to ``boundaries[1]``, and so on.

    Parameters
    ----------
    boundaries : sequence of float
        Increasing.
    values : sequence of float
        One more than boundaries.
    name : str

    Examples
    --------
    >>> from nbnet.optimizers.schedules import PiecewiseConstantDecay
    >>> schedule = PiecewiseConstantDecay([100, 200], [0.1, 0.01, 0.001])
    >>> schedule(100), schedule(101), schedule(500)
    (0.1, 0.01, 0.001)
    """

    boundaries: Sequence[float]
    values: Sequence[float]
    name: str = "PiecewiseConstant"

    rate = piecewise_constant_decay

    def __post_init__(self) -> None:
        for name, check in (("boundaries", FINITE), ("values", FROM_ZERO)):
            given = tuple(getattr(self, name))
            for value in given:
                check.check(value, name)
            object.__setattr__(self, name, given)
        if len(self.values) != len(self.boundaries) + 1:
            raise ValueError(
                f"values: wants one more than the {len(self.boundaries)} boundaries, got {len(self.values)}"
            )
        if any(a >= b for a, b in pairwise(self.boundaries)):
            raise ValueError(f"boundaries: wants increasing numbers, got {list(self.boundaries)}")

    def numbers(self) -> list[float]:
        return [*self.boundaries, *self.values]

    def get_config(self) -> dict[str, Any]:
        return {"boundaries": list(self.boundaries), "values": list(self.values), "name": self.name}
