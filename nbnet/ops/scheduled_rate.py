"""A dropout rate as a function of the step, computed where it is used, from the step's number."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from nbnet.core.abi import Function, Kernel, vec
from nbnet.core.graph import Tensor
from nbnet.core.op import Op, Spec
from nbnet.core.tape import apply


@functools.cache
def scheduled(formula: Function) -> Op:
    """The op of one formula. It draws nothing, but as those that do it is given a number of a step in any call."""

    def forward(mem: Any, ins: Any, step: Any) -> None:
        rate = formula(np.float64(step), vec(mem, ins, 0))
        vec(mem, ins, 1)[0] = max(min(rate, 1.0), 0.0)

    name = f"scheduled_{formula.name}"
    return Op(name, Kernel(forward, name), ("numbers",), infer=lambda numbers: (Spec(()),), random=True)


def scheduled_rate(formula: Function, numbers: Tensor) -> Tensor:
    """The rate of the step that is being computed, as a tensor of one element.

    Parameters
    ----------
    formula
        Device function of the step (a float64) and of a vector.
    numbers
        The vector, in the model's dtype.
    """
    return apply(scheduled(formula), numbers, name=numbers.name or "rate", key=0)  # type: ignore[no-any-return]
