"""``silu(x) = x / (1 + e^-x)``."""

from __future__ import annotations

from typing import Any

from nbnet.core.abi import device
from nbnet.core.graph import Tensor
from nbnet.core.math import sigmoid
from nbnet.core.tape import apply, tensor
from nbnet.ops.elementwise import elementwise


@device
def _f(x: Any, a: Any) -> Any:
    return x * sigmoid(x)


@device
def _df(x: Any, a: Any) -> Any:
    s = sigmoid(x)
    return s * (1.0 + x * (1.0 - s))


SILU = elementwise("silu", _f, _df)


def silu(x: Any) -> Tensor:
    """``x * sigmoid(x)``, element by element; also called swish.

    Parameters
    ----------
    x
        Tensor or array of any shape.

    References
    ----------
    S. Elfwing, E. Uchibe, K. Doya: Sigmoid-weighted linear units for neural network function approximation in
    reinforcement learning. Neural Networks 107 (2018).

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.silu([-1e4, 0.0, 1.0]).numpy().round(4)
    array([-0.    ,  0.    ,  0.7311], dtype=float32)
    """
    return apply(SILU.op, tensor(x))  # type: ignore[no-any-return]
