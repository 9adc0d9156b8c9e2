"""``relu(x) = max(x, 0)``."""

from __future__ import annotations

from typing import Any

from nbnet.core.abi import device
from nbnet.core.graph import Tensor
from nbnet.core.tape import apply, tensor
from nbnet.ops.elementwise import elementwise


@device
def _f(x: Any, a: Any) -> Any:
    return 0.0 if x <= 0.0 else x


@device
def _df(y: Any, a: Any) -> Any:
    return 1.0 if y > 0.0 else 0.0


RELU = elementwise("relu", _f, _df, keeps="y", sign_only=True)


def relu(x: Any) -> Tensor:
    """``max(x, 0)``, element by element; the derivative at 0 is 0.

    Parameters
    ----------
    x
        Tensor or array of any shape.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.relu([-1.0, 2.0]).numpy()
    array([0., 2.], dtype=float32)
    """
    return apply(RELU.op, tensor(x))  # type: ignore[no-any-return]
