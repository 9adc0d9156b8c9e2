"""``y = floor(x)``."""

from __future__ import annotations

from typing import Any

import numpy as np

from nbnet.core.abi import device
from nbnet.core.graph import Tensor
from nbnet.core.tape import apply, tensor
from nbnet.ops.steps import step_function


@device
def _f(x: Any) -> Any:
    return np.floor(x)


FLOOR = step_function("floor", _f)


def floor(x: Any) -> Tensor:
    """The largest whole number up to x, element by element; no gradient flows.

    Parameters
    ----------
    x
        Tensor or array of any shape.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.floor([-1.5, 0.5]).numpy()
    array([-2.,  0.], dtype=float32)
    """
    return apply(FLOOR, tensor(x))  # type: ignore[no-any-return]
