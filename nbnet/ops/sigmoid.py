"""``sigmoid(x) = 1 / (1 + e^-x)``."""

from __future__ import annotations

from typing import Any

from nbnet.core.abi import device
from nbnet.core.graph import Tensor
from nbnet.core.math import sigmoid as _sigmoid
from nbnet.core.tape import apply, tensor
from nbnet.ops.elementwise import elementwise


@device
def _f(x: Any, a: Any) -> Any:
    return _sigmoid(x)


@device
def _df(y: Any, a: Any) -> Any:
    return y * (1.0 - y)


SIGMOID = elementwise("sigmoid", _f, _df, keeps="y")


def sigmoid(x: Any) -> Tensor:
    """``1 / (1 + exp(-x))``, element by element.

    Parameters
    ----------
    x
        Tensor or array of any shape.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.sigmoid([-1e4, 0.0, 1e4]).numpy()
    array([0. , 0.5, 1. ], dtype=float32)
    """
    return apply(SIGMOID.op, tensor(x))  # type: ignore[no-any-return]
