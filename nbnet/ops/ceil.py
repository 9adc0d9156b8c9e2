"""``y = ceil(x)``."""

from __future__ import annotations

from typing import Any

import numpy as np

from nbnet.core.abi import device
from nbnet.core.graph import Tensor
from nbnet.core.tape import apply, tensor
from nbnet.ops.steps import step_function


@device
def _f(x: Any) -> Any:
    return np.ceil(x)


CEIL = step_function("ceil", _f)


def ceil(x: Any) -> Tensor:
    """The smallest whole number from x, element by element; no gradient flows.

    Parameters
    ----------
    x
        Tensor or array of any shape.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.ceil([-1.5, 0.5]).numpy()
    array([-1.,  1.], dtype=float32)
    """
    return apply(CEIL, tensor(x))  # type: ignore[no-any-return]
