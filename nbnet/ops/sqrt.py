"""``y = sqrt(x)``."""

from __future__ import annotations

from typing import Any

import numpy as np

from nbnet.core.abi import device
from nbnet.core.graph import Tensor
from nbnet.core.tape import apply, tensor
from nbnet.ops.elementwise import elementwise


@device
def _f(x: Any, a: Any) -> Any:
    return np.sqrt(x)


@device
def _df(y: Any, a: Any) -> Any:
    return 0.5 / y


SQRT = elementwise("sqrt", _f, _df, keeps="y")


def sqrt(x: Any) -> Tensor:
    """Square root, element by element; NaN below 0, and the derivative at 0 is infinite.

    Parameters
    ----------
    x
        Tensor or array of any shape.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.sqrt([4.0, 9.0]).numpy()
    array([2., 3.], dtype=float32)
    """
    return apply(SQRT.op, tensor(x))  # type: ignore[no-any-return]
