"""``w = max(w, 0)``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nbnet.constraints.constraint import Constraint
from nbnet.core.abi import kernel, vec
from nbnet.core.graph import Call
from nbnet.core.parameter import Parameter


@kernel
def cut_negative(mem: Any, ins: Any, step: Any) -> None:
    """``w = max(w, 0)``, in place."""
    w = vec(mem, ins, 0)
    for i in range(w.size):
        w[i] = 0.0 if w[i] < 0.0 else w[i]


@dataclass(frozen=True)
class NonNeg(Constraint):
    """Negative weights become 0.

    Examples
    --------
    >>> from nbnet.constraints import NonNeg
    >>> NonNeg()([-1.0, 2.0])
    array([0., 2.], dtype=float32)
    """

    def call(self, parameter: Parameter) -> Call:
        return Call(cut_negative, (parameter,), (0,), 1, 0, (), "constraint", parameter.dtype)
