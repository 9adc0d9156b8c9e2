"""``y = -x``."""

from __future__ import annotations

from typing import Any

from nbnet.core.abi import device
from nbnet.core.graph import Tensor
from nbnet.core.tape import apply, tensor
from nbnet.ops.elementwise import elementwise


@device
def _f(x: Any, a: Any) -> Any:
    return -x


@device
def _df(x: Any, a: Any) -> Any:
    return -1.0


NEGATIVE = elementwise("negative", _f, _df, keeps="y", sign_only=True)


def negative(x: Any) -> Tensor:
    """``-x``, element by element.

    Parameters
    ----------
    x
        Tensor or array of any shape.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.negative([-3.0, 2.0]).numpy()
    array([ 3., -2.], dtype=float32)
    """
    return apply(NEGATIVE.op, tensor(x))  # type: ignore[no-any-return]
