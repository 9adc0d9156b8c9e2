"""``hard_sigmoid(x) = min(max(x / 6 + 1/2, 0), 1)``."""

from __future__ import annotations

from typing import Any

from nbnet.core.abi import device
from nbnet.core.graph import Tensor
from nbnet.core.jit import precise
from nbnet.core.tape import apply, tensor
from nbnet.ops.elementwise import elementwise

SIXTH = 1.0 / 6.0


# Precise: x / 6 + 1/2 would be above 0 at -3 by a rounding error, and the derivative with it.
@precise
def _f(x: Any, a: Any) -> Any:
    y = (x + 3.0) * SIXTH
    return 0.0 if y < 0.0 else (1.0 if y > 1.0 else y)


@device
def _df(y: Any, a: Any) -> Any:
    return SIXTH if y > 0.0 and y < 1.0 else 0.0


HARD_SIGMOID = elementwise("hard_sigmoid", _f, _df, keeps="y")


def hard_sigmoid(x: Any) -> Tensor:
    """``x / 6 + 1/2``, cut off at 0 and 1; the derivative at the corners is 0.

    Parameters
    ----------
    x
        Tensor or array of any shape.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.hard_sigmoid([-4.0, 0.0, 1.5]).numpy()
    array([0.  , 0.5 , 0.75], dtype=float32)
    """
    return apply(HARD_SIGMOID.op, tensor(x))  # type: ignore[no-any-return]
