"""``hard_silu(x) = x min(max(x / 6 + 1/2, 0), 1)``."""

from __future__ import annotations

from typing import Any

from nbnet.core.abi import device
from nbnet.core.graph import Tensor
from nbnet.core.tape import apply, tensor
from nbnet.ops.elementwise import elementwise
from nbnet.ops.hard_sigmoid import SIXTH


@device
def _f(x: Any, a: Any) -> Any:
    return 0.0 if x <= -3.0 else (x if x >= 3.0 else x * (x * SIXTH + 0.5))


@device
def _df(x: Any, a: Any) -> Any:
    return 0.0 if x <= -3.0 else (1.0 if x >= 3.0 else 2.0 * SIXTH * x + 0.5)


HARD_SILU = elementwise("hard_silu", _f, _df)


def hard_silu(x: Any) -> Tensor:
    """``x * hard_sigmoid(x)``, element by element; also known as hard swish.

    Parameters
    ----------
    x
        Tensor or array of any shape.

    References
    ----------
    A. Howard and others: Searching for MobileNetV3. ICCV (2019), section 5.2.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.hard_silu([-4.0, 1.5, 5.0]).numpy()
    array([0.   , 1.125, 5.   ], dtype=float32)
    """
    return apply(HARD_SILU.op, tensor(x))  # type: ignore[no-any-return]
