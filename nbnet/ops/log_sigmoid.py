"""``log_sigmoid(x) = -log(1 + e^-x)``."""

from __future__ import annotations

from typing import Any

from nbnet.core.abi import device
from nbnet.core.graph import Tensor
from nbnet.core.math import sigmoid, softplus
from nbnet.core.tape import apply, tensor
from nbnet.ops.elementwise import elementwise


@device
def _f(x: Any, a: Any) -> Any:
    return -softplus(-x)


@device
def _df(x: Any, a: Any) -> Any:
    return sigmoid(-x)


LOG_SIGMOID = elementwise("log_sigmoid", _f, _df)


def log_sigmoid(x: Any) -> Tensor:
    """``log(sigmoid(x))``, element by element, without overflow.

    Parameters
    ----------
    x
        Tensor or array of any shape.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.log_sigmoid([-1e4, 0.0]).numpy().round(4)
    array([-1.0000e+04, -6.9310e-01], dtype=float32)
    """
    return apply(LOG_SIGMOID.op, tensor(x))  # type: ignore[no-any-return]
