"""``y = e^x - 1``."""

from __future__ import annotations

from typing import Any

from nbnet.core.abi import device
from nbnet.core.graph import Tensor
from nbnet.core.math import expm1 as _expm1
from nbnet.core.tape import apply, tensor
from nbnet.ops.elementwise import elementwise


@device
def _f(x: Any, a: Any) -> Any:
    return _expm1(x)


@device
def _df(y: Any, a: Any) -> Any:
    return y + 1.0


EXPM1 = elementwise("expm1", _f, _df, keeps="y")


def expm1(x: Any) -> Tensor:
    """``e ** x - 1``, accurate for small x, element by element.

    Parameters
    ----------
    x
        Tensor or array of any shape.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.expm1([0.0, 1.0]).numpy().round(4)
    array([0.    , 1.7183], dtype=float32)
    """
    return apply(EXPM1.op, tensor(x))  # type: ignore[no-any-return]
