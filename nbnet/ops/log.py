"""``y = log(x)``, the natural logarithm."""

from __future__ import annotations

from typing import Any

from nbnet.core.abi import device
from nbnet.core.graph import Tensor
from nbnet.core.math import log as _log
from nbnet.core.tape import apply, tensor
from nbnet.ops.elementwise import elementwise


@device
def _f(x: Any, a: Any) -> Any:
    return _log(x)


@device
def _df(x: Any, a: Any) -> Any:
    return 1.0 / x


LOG = elementwise("log", _f, _df)


def log(x: Any) -> Tensor:
    """Natural logarithm, element by element; -inf at 0, NaN below.

    Parameters
    ----------
    x
        Tensor or array of any shape.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.log([1.0, 10.0]).numpy().round(4)
    array([0.    , 2.3026], dtype=float32)
    """
    return apply(LOG.op, tensor(x))  # type: ignore[no-any-return]
