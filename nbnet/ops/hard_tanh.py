"""``hard_tanh(x) = min(max(x, -1), 1)``."""

from __future__ import annotations

from typing import Any

from nbnet.core.abi import device
from nbnet.core.graph import Tensor
from nbnet.core.tape import apply, tensor
from nbnet.ops.elementwise import elementwise


@device
def _f(x: Any, a: Any) -> Any:
    return -1.0 if x < -1.0 else (1.0 if x > 1.0 else x)


@device
def _df(y: Any, a: Any) -> Any:
    return 1.0 if y > -1.0 and y < 1.0 else 0.0


HARD_TANH = elementwise("hard_tanh", _f, _df, keeps="y")


def hard_tanh(x: Any) -> Tensor:
    """``x``, cut off at -1 and 1; the derivative at the corners is 0.

    Parameters
    ----------
    x
        Tensor or array of any shape.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.hard_tanh([-4.0, 0.5, 1.5]).numpy()
    array([-1. ,  0.5,  1. ], dtype=float32)
    """
    return apply(HARD_TANH.op, tensor(x))  # type: ignore[no-any-return]
