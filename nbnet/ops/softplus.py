"""``softplus(x) = log(1 + e^x)``."""

from __future__ import annotations

from typing import Any

from nbnet.core.abi import device
from nbnet.core.graph import Tensor
from nbnet.core.math import sigmoid
from nbnet.core.math import softplus as _softplus
from nbnet.core.tape import apply, tensor
from nbnet.ops.elementwise import elementwise


@device
def _f(x: Any, a: Any) -> Any:
    return _softplus(x)


@device
def _df(x: Any, a: Any) -> Any:
    return sigmoid(x)


SOFTPLUS = elementwise("softplus", _f, _df)


def softplus(x: Any) -> Tensor:
    """``log(1 + exp(x))``, element by element, without overflow.

    Parameters
    ----------
    x
        Tensor or array of any shape.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.softplus([-1e4, 0.0, 1e4]).numpy().round(4)
    array([0.0000e+00, 6.9310e-01, 1.0000e+04], dtype=float32)
    """
    return apply(SOFTPLUS.op, tensor(x))  # type: ignore[no-any-return]
