"""``y = log(1 + x)``."""

from __future__ import annotations

from typing import Any

from nbnet.core.abi import device
from nbnet.core.graph import Tensor
from nbnet.core.math import log1p as _log1p
from nbnet.core.tape import apply, tensor
from nbnet.ops.elementwise import elementwise


@device
def _f(x: Any, a: Any) -> Any:
    return _log1p(x)


@device
def _df(x: Any, a: Any) -> Any:
    return 1.0 / (1.0 + x)


LOG1P = elementwise("log1p", _f, _df)


def log1p(x: Any) -> Tensor:
    """The natural logarithm of ``1 + x``, accurate for small x, element by element.

    Parameters
    ----------
    x
        Tensor or array of any shape; above -1.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.log1p([0.0, 1.0]).numpy().round(4)
    array([0.    , 0.6931], dtype=float32)
    """
    return apply(LOG1P.op, tensor(x))  # type: ignore[no-any-return]
