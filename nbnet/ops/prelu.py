"""``y = x`` where ``x > 0``, else ``alpha * x``, with an alpha that is learned."""

from __future__ import annotations

from typing import Any

from nbnet.core.abi import device
from nbnet.core.graph import Tensor
from nbnet.core.tape import apply, tensors
from nbnet.ops.broadcast import binary


@device
def _f(x: Any, alpha: Any) -> Any:
    return x if x > 0.0 else alpha * x


@device
def _dx(x: Any, alpha: Any) -> Any:
    return 1.0 if x > 0.0 else alpha


@device
def _dalpha(x: Any, alpha: Any) -> Any:
    return 0.0 if x > 0.0 else x


PRELU = binary("prelu", _f, _dx, _dalpha)


def prelu(x: Any, alpha: Any) -> Tensor:
    """``x`` where it is above 0, else ``alpha * x``; the derivative by x at 0 is alpha.

    Parameters
    ----------
    x
        Tensor or array of any shape.
    alpha
        Tensor or array that broadcasts with x.

    References
    ----------
    K. He, X. Zhang, S. Ren, J. Sun: Delving deep into rectifiers. ICCV (2015), section 2.1.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.prelu([[-1.0, -1.0, 2.0]], [0.5, 0.25, 0.0]).numpy()
    array([[-0.5 , -0.25,  2.  ]], dtype=float32)
    """
    return apply(PRELU, *tensors(x, alpha))  # type: ignore[no-any-return]
