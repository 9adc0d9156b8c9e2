"""From one rate to another along a cosine."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from nbnet.core.abi import device
from nbnet.dropout_schedules.linear import Linear, way_covered


@device
def _cosine(step: Any, p: Any) -> Any:
    return p[1] + (p[0] - p[1]) * (0.5 + 0.5 * np.cos(p[4] * way_covered(step, p[3], p[2])))


@dataclass(frozen=True)
class Cosine(Linear):
    """From ``rate`` to ``end_rate`` along half a period of a cosine over ``steps`` steps.

    Parameters
    ----------
    rate, end_rate : float
    steps : float
        Above 0.
    start : float
        The step that the curve begins at.

    Examples
    --------
    >>> from nbnet.dropout_schedules import Cosine
    >>> schedule = Cosine(0.4, 0.0, steps=100)
    >>> schedule(0), round(schedule(50), 6), schedule(100)
    (0.4, 0.2, 0.0)
    """

    formula = _cosine

    def numbers(self) -> list[float]:
        # Given as a number: np.pi inside a float32 kernel would be a float64.
        return [*super().numbers(), math.pi]
