"""``gelu(x) = x Phi(x)``, with Phi the normal distribution function; and its approximation through tanh."""

from __future__ import annotations

import math
from typing import Any

from nbnet.core.abi import device
from nbnet.core.graph import Tensor
from nbnet.core.math import erf, exp, tanh
from nbnet.core.tape import apply, tensor
from nbnet.ops.elementwise import elementwise

SQRT_HALF = math.sqrt(0.5)
DENSITY = 1.0 / math.sqrt(2.0 * math.pi)
SCALE, CUBIC = math.sqrt(2.0 / math.pi), 0.044715


@device
def _f(x: Any, a: Any) -> Any:
    return 0.5 * x * (1.0 + erf(x * SQRT_HALF))


@device
def _df(x: Any, a: Any) -> Any:
    return 0.5 * (1.0 + erf(x * SQRT_HALF)) + x * (DENSITY * exp(-0.5 * x * x))


@device
def _f_tanh(x: Any, a: Any) -> Any:
    return 0.5 * x * (1.0 + tanh(SCALE * x * (1.0 + CUBIC * x * x)))


@device
def _df_tanh(x: Any, a: Any) -> Any:
    # Beyond 10 the tanh is 1 to the last bit; the cut keeps powers of x finite.
    z = -10.0 if x < -10.0 else (10.0 if x > 10.0 else x)
    t = tanh(SCALE * z * (1.0 + CUBIC * z * z))
    return 0.5 * (1.0 + t) * (1.0 + z * (1.0 - t) * (SCALE * (1.0 + 3.0 * CUBIC * z * z)))


GELU = elementwise("gelu", _f, _df)
GELU_TANH = elementwise("gelu_tanh", _f_tanh, _df_tanh)


def gelu(x: Any, approximate: bool = False) -> Tensor:
    """``x * Phi(x)``, where Phi is the distribution function of the standard normal distribution.

    Parameters
    ----------
    x
        Tensor or array of any shape.
    approximate
        Whether to take ``0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))``; exact by default, as in Keras.

    References
    ----------
    D. Hendrycks, K. Gimpel: Gaussian error linear units (GELUs). arXiv:1606.08415 (2016), section 2.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.gelu([-1e4, 0.0, 1.0]).numpy().round(4)
    array([-0.    ,  0.    ,  0.8413], dtype=float32)
    """
    return apply((GELU_TANH if approximate else GELU).op, tensor(x))  # type: ignore[no-any-return]
