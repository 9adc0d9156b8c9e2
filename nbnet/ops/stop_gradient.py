"""``y = x``, for which no gradient flows to x."""

from __future__ import annotations

from typing import Any

from nbnet.core.abi import device
from nbnet.core.graph import Tensor
from nbnet.core.tape import apply, tensor
from nbnet.ops.steps import step_function


@device
def _f(x: Any) -> Any:
    return x


STOP_GRADIENT = step_function("stop_gradient", _f)


def stop_gradient(x: Any) -> Tensor:
    """x itself, a constant as far as gradients are concerned.

    Parameters
    ----------
    x
        Tensor or array of any shape.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.stop_gradient([1.0, 2.0]).numpy()
    array([1., 2.], dtype=float32)
    """
    return apply(STOP_GRADIENT, tensor(x))  # type: ignore[no-any-return]
