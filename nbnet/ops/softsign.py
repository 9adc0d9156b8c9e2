"""``softsign(x) = x / (1 + abs(x))``."""

from __future__ import annotations

from typing import Any

from nbnet.core.abi import device
from nbnet.core.graph import Tensor
from nbnet.core.tape import apply, tensor
from nbnet.ops.elementwise import elementwise


@device
def _f(x: Any, a: Any) -> Any:
    return x / (1.0 + abs(x))


@device
def _df(x: Any, a: Any) -> Any:
    r = 1.0 / (1.0 + abs(x))
    return r * r


SOFTSIGN = elementwise("softsign", _f, _df)


def softsign(x: Any) -> Tensor:
    """``x / (1 + abs(x))``, element by element.

    Parameters
    ----------
    x
        Tensor or array of any shape.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.softsign([-1.0, 0.0, 3.0]).numpy()
    array([-0.5 ,  0.  ,  0.75], dtype=float32)
    """
    return apply(SOFTSIGN.op, tensor(x))  # type: ignore[no-any-return]
