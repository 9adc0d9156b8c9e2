"""What every dropout schedule is: a rate for each step, computed by the program that trains."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from typing import Any, ClassVar, Self

import numpy as np

from nbnet.core.abi import Function


class DropoutSchedule:
    """A dropout rate as a function of the number of the step.

    For one of your own, set ``formula`` to a device function of the step and of a vector, and let :meth:`numbers`
    return that vector. What it gives is held to [0, 1].

    Notes
    -----
    Steps are the raw iterations of the optimizer. Where there is no training, nor a tape with a step, a schedule is at
    its end: steps have numbers there that no training reaches.

    Examples
    --------
    >>> import nbnet as nb
    >>> @nb.device
    ... def harmonic(step, p):
    ...     return p[0] / (1.0 + step)
    >>> class Harmonic(nb.dropout_schedules.DropoutSchedule):
    ...     formula = harmonic
    ...
    ...     def numbers(self):
    ...         return [0.5]
    >>> Harmonic()(4)
    0.1
    """

    #: ``formula(step, numbers)``: a device function of the step (a float64) and of a vector of the model's dtype; of
    #: elementary functions, it takes NumPy's.
    formula: ClassVar[Function | None] = None

    def numbers(self) -> list[float]:
        """What ``formula`` is given."""
        return []

    def __call__(self, step: Any) -> float:
        """The rate of a step, by its number from 0."""
        rate = float(self.function()(np.float64(step), np.array(self.numbers(), np.float64)))
        return max(min(rate, 1.0), 0.0)

    def function(self) -> Function:
        """The formula.

        Raises
        ------
        TypeError
            If there is none.
        """
        if not isinstance(self.formula, Function):
            raise TypeError(f"{type(self).__name__} does not say what the rate is: set formula to a device function")
        return self.formula

    def get_config(self) -> dict[str, Any]:
        """The arguments it was made with."""
        if not is_dataclass(self):
            raise TypeError(f"{type(self).__name__} cannot be saved: define get_config(self)")
        return asdict(self)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Made from what :meth:`get_config` returned."""
        return cls(**config)
