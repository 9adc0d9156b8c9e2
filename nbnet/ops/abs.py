"""``y = abs(x)``."""

from __future__ import annotations

from typing import Any

from nbnet.core.abi import device
from nbnet.core.graph import Tensor
from nbnet.core.tape import apply, tensor
from nbnet.ops.elementwise import elementwise


@device
def _f(x: Any, a: Any) -> Any:
    return -x if x < 0.0 else x


@device
def _df(x: Any, a: Any) -> Any:
    return 1.0 if x > 0.0 else (-1.0 if x < 0.0 else 0.0)


ABS = elementwise("abs", _f, _df)


def abs(x: Any) -> Tensor:
    """Absolute value, element by element; the derivative at 0 is 0.

    Parameters
    ----------
    x
        Tensor or array of any shape.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.abs([-3.0, 2.0]).numpy()
    array([3., 2.], dtype=float32)
    """
    return apply(ABS.op, tensor(x))  # type: ignore[no-any-return]
