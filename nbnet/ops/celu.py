"""``celu(x) = x`` where ``x > 0``, else ``alpha (e^(x / alpha) - 1)``."""

from __future__ import annotations

from typing import Any

from nbnet.core.abi import device
from nbnet.core.graph import Tensor
from nbnet.core.math import exp, expm1
from nbnet.core.tape import apply, tensor, tensors
from nbnet.ops.elementwise import elementwise


@device
def _f(x: Any, a: Any) -> Any:
    return x if x > 0.0 else a * expm1(x / a)


@device
def _df(x: Any, a: Any) -> Any:
    return 1.0 if x > 0.0 else exp(x / a)


CELU = elementwise("celu", _f, _df, parameter="alpha")


def celu(x: Any, alpha: Any = 1.0) -> Tensor:
    """``x`` where it is above 0, else ``alpha * (exp(x / alpha) - 1)``: the slope at 0 is 1 for any alpha.

    Parameters
    ----------
    x
        Tensor or array of any shape.
    alpha
        Minus the limit for large negative x: a number above 0, or a one-element tensor. It gets no gradient.

    Raises
    ------
    ValueError
        If alpha is not above 0.

    References
    ----------
    J. T. Barron: Continuously differentiable exponential linear units. arXiv:1704.07483 (2017).

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.celu([-1e4, 0.0, 2.0], alpha=0.5).numpy()
    array([-0.5,  0. ,  2. ], dtype=float32)
    """
    if not isinstance(alpha, Tensor) and not alpha > 0:
        raise ValueError(f"alpha: wants a number above 0, got {alpha!r}")
    return apply(CELU.op, *tensors(tensor(x), alpha))  # type: ignore[no-any-return]
