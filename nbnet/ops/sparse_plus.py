"""``sparse_plus(x) = (x + 1)^2 / 4`` where ``-1 < x < 1``, 0 below and x above."""

from __future__ import annotations

from typing import Any

from nbnet.core.abi import device
from nbnet.core.graph import Tensor
from nbnet.core.tape import apply, tensor
from nbnet.ops.elementwise import elementwise


@device
def _f(x: Any, a: Any) -> Any:
    return 0.0 if x <= -1.0 else (x if x >= 1.0 else 0.25 * (x + 1.0) * (x + 1.0))


@device
def _df(x: Any, a: Any) -> Any:
    return 0.0 if x <= -1.0 else (1.0 if x >= 1.0 else 0.5 * (x + 1.0))


SPARSE_PLUS = elementwise("sparse_plus", _f, _df)


def sparse_plus(x: Any) -> Tensor:
    """``(x + 1)**2 / 4`` between -1 and 1, 0 below and ``x`` above: a softplus that reaches 0.

    Parameters
    ----------
    x
        Tensor or array of any shape.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.sparse_plus([-2.0, 0.0, 3.0]).numpy()
    array([0.  , 0.25, 3.  ], dtype=float32)
    """
    return apply(SPARSE_PLUS.op, tensor(x))  # type: ignore[no-any-return]
