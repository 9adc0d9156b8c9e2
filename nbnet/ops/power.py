"""``y = x ** p``, with broadcasting."""

from __future__ import annotations

from typing import Any

from nbnet.core.abi import device
from nbnet.core.graph import Tensor
from nbnet.core.math import log
from nbnet.core.math import power as power_of
from nbnet.core.tape import apply, tensor, tensors
from nbnet.ops.broadcast import binary
from nbnet.ops.sqrt import sqrt
from nbnet.ops.square import square


@device
def _f(x: Any, p: Any) -> Any:
    return power_of(x, p)


@device
def _dx(x: Any, p: Any) -> Any:
    return 0.0 if p == 0.0 else p * power_of(x, p - 1.0)


@device
def _dp(x: Any, p: Any) -> Any:
    return power_of(x, p) * log(x) if x > 0.0 else 0.0


POWER = binary("power", _f, _dx, _dp)


def power(x: Any, p: Any) -> Tensor:
    """``x ** p``, element by element; NaN where x is negative and p no integer.

    Parameters
    ----------
    x, p
        Tensors, arrays or numbers whose shapes broadcast. The gradient flows to both; that of p is taken as 0 where
        ``x <= 0``.

    Raises
    ------
    ValueError
        If the shapes do not broadcast.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.power([2.0, 3.0], 3).numpy()
    array([ 8., 27.], dtype=float32)
    """
    if isinstance(p, (int, float)) and p in (0.5, 2):
        return (square if p == 2 else sqrt)(tensor(x))
    return apply(POWER, *tensors(x, p))  # type: ignore[no-any-return]
