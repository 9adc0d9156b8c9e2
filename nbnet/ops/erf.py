"""``y = erf(x)``."""

from __future__ import annotations

import math
from typing import Any

from nbnet.core.abi import device
from nbnet.core.graph import Tensor
from nbnet.core.math import erf as _erf
from nbnet.core.math import exp
from nbnet.core.tape import apply, tensor
from nbnet.ops.elementwise import elementwise

_SLOPE = 2.0 / math.sqrt(math.pi)


@device
def _f(x: Any, a: Any) -> Any:
    return _erf(x)


@device
def _df(x: Any, a: Any) -> Any:
    return _SLOPE * exp(-x * x)


ERF = elementwise("erf", _f, _df)


def erf(x: Any) -> Tensor:
    """The error function: twice the integral of ``exp(-t**2) / sqrt(pi)`` from 0 to x, element by element.

    Parameters
    ----------
    x
        Tensor or array of any shape.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.erf([0.0, 1.0]).numpy().round(4)
    array([0.    , 0.8427], dtype=float32)
    """
    return apply(ERF.op, tensor(x))  # type: ignore[no-any-return]
