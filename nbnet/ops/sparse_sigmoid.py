"""``sparse_sigmoid(x) = min(max((x + 1) / 2, 0), 1)``: the derivative of ``sparse_plus``."""

from __future__ import annotations

from typing import Any

from nbnet.core.abi import device
from nbnet.core.graph import Tensor
from nbnet.core.tape import apply, tensor
from nbnet.ops.elementwise import elementwise


@device
def _f(x: Any, a: Any) -> Any:
    y = 0.5 * x + 0.5
    return 0.0 if y < 0.0 else (1.0 if y > 1.0 else y)


@device
def _df(y: Any, a: Any) -> Any:
    return 0.5 if y > 0.0 and y < 1.0 else 0.0


SPARSE_SIGMOID = elementwise("sparse_sigmoid", _f, _df, keeps="y")


def sparse_sigmoid(x: Any) -> Tensor:
    """``(x + 1) / 2``, cut off at 0 and 1; the derivative at the corners is 0.

    Parameters
    ----------
    x
        Tensor or array of any shape.

    References
    ----------
    A. F. T. Martins, R. F. Astudillo: From softmax to sparsemax. ICML (2016).

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.sparse_sigmoid([-2.0, 0.5, 3.0]).numpy()
    array([0.  , 0.75, 1.  ], dtype=float32)
    """
    return apply(SPARSE_SIGMOID.op, tensor(x))  # type: ignore[no-any-return]
