"""``mish(x) = x tanh(log(1 + e^x))``."""

from __future__ import annotations

from typing import Any

from nbnet.core.abi import device
from nbnet.core.graph import Tensor
from nbnet.core.math import exp
from nbnet.core.tape import apply, tensor
from nbnet.ops.elementwise import elementwise


@device
def _parts(x: Any) -> Any:
    """n, r and z = e^-|x| with tanh(log(1 + e^x)) = n / (n + r): one exponential that never overflows, no difference
    of near numbers."""
    z = exp(-abs(x))
    if x >= 0.0:
        n, r = 1.0 + 2.0 * z, 2.0 * z * z
    else:
        n, r = z * (z + 2.0), 2.0
    return n, r, z


@device
def _f(x: Any, a: Any) -> Any:
    n, r, _z = _parts(x)
    return x * n / (n + r)


@device
def _df(x: Any, a: Any) -> Any:
    n, r, z = _parts(x)
    d = n + r
    return n / d + x * r * (n + d) / (d * d) * ((1.0 if x >= 0.0 else z) / (1.0 + z))


MISH = elementwise("mish", _f, _df)


def mish(x: Any) -> Tensor:
    """``x * tanh(softplus(x))``, element by element.

    Parameters
    ----------
    x
        Tensor or array of any shape.

    References
    ----------
    D. Misra: Mish: a self regularized non-monotonic activation function. BMVC (2020).

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.mish([-1e4, 0.0, 1.0]).numpy().round(4)
    array([-0.    ,  0.    ,  0.8651], dtype=float32)
    """
    return apply(MISH.op, tensor(x))  # type: ignore[no-any-return]
