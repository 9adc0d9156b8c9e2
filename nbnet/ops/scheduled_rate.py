"""A dropout rate as a function of the step, computed where it is used: once a step and slice, from the step's number."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from nbnet.core.abi import Function, Kernel, vec
from nbnet.core.graph import Tensor
from nbnet.core.op import Op, Spec
from nbnet.core.tape import apply

#: Where no training gets: see :func:`nbnet.random.next_draw`. What is drawn there belongs to no step.
OUTSIDE = 1 << 40


@functools.cache
def scheduled(formula: Function) -> Op:
    """The op of one formula."""

    def forward(mem: Any, ins: Any, step: Any) -> None:
        rate = formula(np.float64(step if step < OUTSIDE else 0), vec(mem, ins, 0))
        vec(mem, ins, 1)[0] = max(min(rate, 1.0), 0.0)

    name = f"scheduled_{formula.name}"
    return Op(name, Kernel(forward, name), ("numbers",), infer=lambda numbers: (Spec(()),))


def scheduled_rate(formula: Function, numbers: Tensor) -> Tensor:
    """The rate of the step that is being computed, as a tensor of one element.

    Parameters
    ----------
    formula
        Device function of the step (a float64) and of a vector.
    numbers
        The vector, in the model's dtype. Outside training, where steps have no numbers, the step is 0.
    """
    return apply(scheduled(formula), numbers, name=numbers.name or "rate")  # type: ignore[no-any-return]
