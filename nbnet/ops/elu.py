"""``elu(x) = x`` where ``x > 0``, else ``alpha * (e^x - 1)``."""

from __future__ import annotations

from typing import Any

from nbnet.core.abi import device
from nbnet.core.graph import Tensor
from nbnet.core.math import exp, expm1
from nbnet.core.tape import apply, tensor, tensors
from nbnet.ops.elementwise import elementwise


@device
def _f(x: Any, a: Any) -> Any:
    return x if x > 0.0 else a * expm1(x)


@device
def _df(x: Any, a: Any) -> Any:
    return 1.0 if x > 0.0 else a * exp(x)


ELU = elementwise("elu", _f, _df, parameter="alpha")


def elu(x: Any, alpha: Any = 1.0) -> Tensor:
    """``x`` where it is above 0, else ``alpha * (exp(x) - 1)``.

    Parameters
    ----------
    x
        Tensor or array of any shape.
    alpha
        Minus the limit for large negative x: a number, or a one-element tensor. It gets no gradient.

    References
    ----------
    D.-A. Clevert, T. Unterthiner, S. Hochreiter: Fast and accurate deep network learning by exponential linear units
    (ELUs). ICLR (2016).

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.elu([-1e4, 0.0, 2.0]).numpy()
    array([-1.,  0.,  2.], dtype=float32)
    """
    return apply(ELU.op, *tensors(tensor(x), alpha))  # type: ignore[no-any-return]
