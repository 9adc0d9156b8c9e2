"""The rate of dropout: the probability to drop, and what makes up for it."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np

from nbnet.core.abi import device
from nbnet.core.graph import Tensor
from nbnet.core.tape import tensors


@device
def keep_scale(rate: Any) -> Any:
    """What kept units are multiplied by."""
    return 1.0 / (1.0 - rate) if rate < 1 else 0.0 * rate


def check_rate(rate: Any, below: bool = False) -> float:
    """A dropout rate as a float in [0, 1], or ``below`` 1; anything else is a ValueError."""
    number = rate.item() if isinstance(rate, np.ndarray) and rate.shape == () else rate
    if isinstance(number, Real) and not isinstance(number, bool):
        found = float(number)
        if 0 <= found <= 1 and not (below and found == 1):
            return found
    bounds = "[0, 1)" if below else "[0, 1]"
    raise ValueError(f"rate: the probability to drop a unit lies in {bounds}, got {rate!r}")


def as_rate(x: Tensor, rate: Any, below: bool = False) -> Tensor:
    """A rate as a one-element tensor of x's dtype: checked if it is a number, as it is if it is such a tensor."""
    if not isinstance(rate, Tensor):
        return tensors(x, check_rate(rate, below))[1]
    if rate.size != 1:
        raise ValueError(f"rate: wants a number or a tensor of one element, got one of shape {rate.shape}")
    return rate
