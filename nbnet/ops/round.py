"""``y = round(x)``."""

from __future__ import annotations

from typing import Any

import numpy as np

from nbnet.core.abi import device
from nbnet.core.graph import Tensor
from nbnet.core.tape import apply, tensor
from nbnet.ops.steps import step_function


@device
def _f(x: Any) -> Any:
    return np.rint(x)


ROUND = step_function("round", _f)


def round(x: Any) -> Tensor:
    """The whole number next to x; of two, the even one, element by element; no gradient flows.

    Parameters
    ----------
    x
        Tensor or array of any shape.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.round([-1.5, 0.5, 0.7]).numpy()
    array([-2.,  0.,  1.], dtype=float32)
    """
    return apply(ROUND, tensor(x))  # type: ignore[no-any-return]
