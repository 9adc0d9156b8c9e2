"""``y = sign(x)``."""

from __future__ import annotations

from typing import Any

from nbnet.core.abi import device
from nbnet.core.graph import Tensor
from nbnet.core.tape import apply, tensor
from nbnet.ops.steps import step_function


@device
def _f(x: Any) -> Any:
    return 1.0 if x > 0.0 else (-1.0 if x < 0.0 else x)


SIGN = step_function("sign", _f)


def sign(x: Any) -> Tensor:
    """The sign of x: -1, 0 or 1, element by element; no gradient flows.

    Parameters
    ----------
    x
        Tensor or array of any shape.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.sign([-2.0, 0.0, 3.0]).numpy()
    array([-1.,  0.,  1.], dtype=float32)
    """
    return apply(SIGN, tensor(x))  # type: ignore[no-any-return]
