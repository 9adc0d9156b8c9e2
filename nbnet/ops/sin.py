"""``y = sin(x)``."""

from __future__ import annotations

from typing import Any

from nbnet.core.abi import device
from nbnet.core.graph import Tensor
from nbnet.core.math import cos as cos_of
from nbnet.core.math import sin as sin_of
from nbnet.core.tape import apply, tensor
from nbnet.ops.elementwise import elementwise


@device
def _f(x: Any, a: Any) -> Any:
    return sin_of(x)


@device
def _df(x: Any, a: Any) -> Any:
    return cos_of(x)


SIN = elementwise("sin", _f, _df)


def sin(x: Any) -> Tensor:
    """The sine, element by element.

    Parameters
    ----------
    x
        Tensor or array of any shape; in radians.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.sin([0.0, 1.0]).numpy().round(4)
    array([0.    , 0.8415], dtype=float32)
    """
    return apply(SIN.op, tensor(x))  # type: ignore[no-any-return]
