"""``y = e^x``."""

from __future__ import annotations

from typing import Any

from nbnet.core.abi import device
from nbnet.core.graph import Tensor
from nbnet.core.math import exp as _exp
from nbnet.core.tape import apply, tensor
from nbnet.ops.elementwise import elementwise


@device
def _f(x: Any, a: Any) -> Any:
    return _exp(x)


@device
def _df(y: Any, a: Any) -> Any:
    return y


EXP = elementwise("exp", _f, _df, keeps="y")


def exp(x: Any) -> Tensor:
    """``e ** x``, element by element.

    Parameters
    ----------
    x
        Tensor or array of any shape.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.exp([0.0, 1.0]).numpy().round(4)
    array([1.    , 2.7183], dtype=float32)
    """
    return apply(EXP.op, tensor(x))  # type: ignore[no-any-return]
