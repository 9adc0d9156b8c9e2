"""``y = x * x``."""

from __future__ import annotations

from typing import Any

from nbnet.core.abi import device
from nbnet.core.graph import Tensor
from nbnet.core.tape import apply, tensor
from nbnet.ops.elementwise import elementwise


@device
def _f(x: Any, a: Any) -> Any:
    return x * x


@device
def _df(x: Any, a: Any) -> Any:
    return 2.0 * x


SQUARE = elementwise("square", _f, _df)


def square(x: Any) -> Tensor:
    """``x ** 2``, element by element.

    Parameters
    ----------
    x
        Tensor or array of any shape.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.square([-3.0, 2.0]).numpy()
    array([9., 4.], dtype=float32)
    """
    return apply(SQUARE.op, tensor(x))  # type: ignore[no-any-return]
