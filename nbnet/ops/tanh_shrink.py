"""``tanh_shrink(x) = x - tanh(x)``."""

from __future__ import annotations

from typing import Any

from nbnet.core.abi import device
from nbnet.core.graph import Tensor
from nbnet.core.math import tanh
from nbnet.core.tape import apply, tensor
from nbnet.ops.elementwise import elementwise


@device
def _f(x: Any, a: Any) -> Any:
    return x - tanh(x)


@device
def _df(x: Any, a: Any) -> Any:
    t = tanh(x)
    return t * t


TANH_SHRINK = elementwise("tanh_shrink", _f, _df)


def tanh_shrink(x: Any) -> Tensor:
    """``x - tanh(x)``, element by element.

    Parameters
    ----------
    x
        Tensor or array of any shape.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.tanh_shrink([-1.0, 0.0, 1.0]).numpy().round(4)
    array([-0.2384,  0.    ,  0.2384], dtype=float32)
    """
    return apply(TANH_SHRINK.op, tensor(x))  # type: ignore[no-any-return]
