"""``gelu(x) = x Phi(x)``, with Phi the normal distribution function; and its approximation through tanh."""

from __future__ import annotations

import math
from typing import Any

from nbnet.core.abi import device
from nbnet.core.graph import Tensor
from nbnet.core.math import erf, exp, sigmoid
from nbnet.core.tape import apply, tensor
from nbnet.ops.elementwise import elementwise

SQRT_HALF = math.sqrt(0.5)
DENSITY = 1.0 / math.sqrt(2.0 * math.pi)
SCALE, CUBIC = 2.0 * math.sqrt(2.0 / math.pi), 0.044715


@device
def _f(x: Any, a: Any) -> Any:
    return 0.5 * x * (1.0 + erf(x * SQRT_HALF))


@device
def _df(x: Any, a: Any) -> Any:
    return 0.5 * (1.0 + erf(x * SQRT_HALF)) + x * (DENSITY * exp(-0.5 * x * x))


# (1 + tanh u) / 2 is sigmoid(2 u), which keeps its relative accuracy where x is negative.


@device
def _f_tanh(x: Any, a: Any) -> Any:
    return x * sigmoid(SCALE * x * (1.0 + CUBIC * x * x))


@device
def _df_tanh(x: Any, a: Any) -> Any:
    # Beyond 15 the sigmoid is 0 or 1 to the last bit; the cut keeps powers of x finite.
    z = -15.0 if x < -15.0 else (15.0 if x > 15.0 else x)
    s = sigmoid(SCALE * z * (1.0 + CUBIC * z * z))
    return s * (1.0 + z * (1.0 - s) * (SCALE * (1.0 + 3.0 * CUBIC * z * z)))


GELU = elementwise("gelu", _f, _df)
GELU_TANH = elementwise("gelu_tanh", _f_tanh, _df_tanh)


def gelu(x: Any, approximate: bool = True) -> Tensor:
    """``x * Phi(x)``, where Phi is the distribution function of the standard normal distribution.

    Parameters
    ----------
    x
        Tensor or array of any shape.
    approximate
        Whether to take ``0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))``. As in Keras that is the default here,
        while :func:`nbnet.activations.gelu` is exact by default.

    References
    ----------
    D. Hendrycks, K. Gimpel: Gaussian error linear units (GELUs). arXiv:1606.08415 (2016), section 2.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.gelu([-1e4, 0.0, 1.0]).numpy().round(4)
    array([-0.    ,  0.    ,  0.8412], dtype=float32)
    >>> nb.ops.gelu([1.0], approximate=False).numpy().round(4)
    array([0.8413], dtype=float32)
    """
    return apply((GELU_TANH if approximate else GELU).op, tensor(x))  # type: ignore[no-any-return]
