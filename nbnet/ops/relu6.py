"""``relu6(x) = min(max(x, 0), 6)``."""

from __future__ import annotations

from typing import Any

from nbnet.core.abi import device
from nbnet.core.graph import Tensor
from nbnet.core.tape import apply, tensor
from nbnet.ops.elementwise import elementwise


@device
def _f(x: Any, a: Any) -> Any:
    return 0.0 if x <= 0.0 else (6.0 if x > 6.0 else x)


@device
def _df(y: Any, a: Any) -> Any:
    return 1.0 if y > 0.0 and y < 6.0 else 0.0


RELU6 = elementwise("relu6", _f, _df, keeps="y")


def relu6(x: Any) -> Tensor:
    """``x``, cut off at 0 and 6; the derivative at the corners is 0.

    Parameters
    ----------
    x
        Tensor or array of any shape.

    References
    ----------
    A. Krizhevsky: Convolutional deep belief networks on CIFAR-10. Technical report (2010).

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.relu6([-1.0, 2.0, 7.0]).numpy()
    array([0., 2., 6.], dtype=float32)
    """
    return apply(RELU6.op, tensor(x))  # type: ignore[no-any-return]
