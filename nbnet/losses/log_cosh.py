"""``mean(log(cosh(y_pred - y_true)))`` over the last axis."""

from __future__ import annotations

import math
from typing import Any

from nbnet.core.abi import device
from nbnet.core.graph import Tensor
from nbnet.core.math import expm1, log1p, tanh
from nbnet.losses.pairwise import PairwiseLoss, pairwise

LOG_2 = math.log(2.0)


# cosh e = (1 + u) e^|e| / 2 with u = (e^-|e|)^2. Near 0, where that would round to 1, cosh e = 1 + u with
# u = s^2 / (2 (1 + s)) and s = e^-|e| - 1.
@device
def _f(z: Any, t: Any, a: Any) -> Any:
    e = abs(z - t)
    s = expm1(-e)
    far = e > 1.0
    u = (1.0 + s) * (1.0 + s) if far else s * s / (2.0 + 2.0 * s)
    return log1p(u) + (e - LOG_2 if far else 0.0)


@device
def _df(z: Any, t: Any, a: Any) -> Any:
    return tanh(z - t)


LOG_COSH = pairwise("log_cosh", _f, _df)


class LogCosh(PairwiseLoss):
    """Logarithm of the hyperbolic cosine of the error: ``e**2 / 2`` near 0, ``abs(e) - log(2)`` far out.

    Parameters
    ----------
    reduction, name
        See :class:`Loss`.

    Examples
    --------
    >>> import nbnet as nb
    >>> round(nb.losses.LogCosh()([[0.0, 0.0]], [[1.0, 0.0]]).item(), 4)
    0.2169
    """

    name = "log_cosh"
    op = LOG_COSH


def log_cosh(y_true: Any, y_pred: Any) -> Tensor:
    """Log-cosh of each sample; see :class:`LogCosh`.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.losses.log_cosh([[0.0], [0.0]], [[1.0], [100.0]]).numpy().round(4)
    array([ 0.4338, 99.3069], dtype=float32)
    """
    return LogCosh().each(y_true, y_pred)
