"""``tanh(x) = (e^x - e^-x) / (e^x + e^-x)``."""

from __future__ import annotations

from typing import Any

from nbnet.core.abi import device
from nbnet.core.graph import Tensor
from nbnet.core.math import tanh as _tanh
from nbnet.core.tape import apply, tensor
from nbnet.ops.elementwise import elementwise


@device
def _f(x: Any, a: Any) -> Any:
    return _tanh(x)


@device
def _df(y: Any, a: Any) -> Any:
    return (1.0 - y) * (1.0 + y)


TANH = elementwise("tanh", _f, _df, keeps="y")


def tanh(x: Any) -> Tensor:
    """Hyperbolic tangent, element by element.

    Parameters
    ----------
    x
        Tensor or array of any shape.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.tanh([-1e4, 0.0, 1.0]).numpy().round(4)
    array([-1.    ,  0.    ,  0.7616], dtype=float32)
    """
    return apply(TANH.op, tensor(x))  # type: ignore[no-any-return]
