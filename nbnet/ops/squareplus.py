"""``squareplus(x) = (x + sqrt(x^2 + b)) / 2``."""

from __future__ import annotations

from typing import Any

import numpy as np

from nbnet.core.abi import device
from nbnet.core.graph import Tensor
from nbnet.core.tape import apply, tensor, tensors
from nbnet.ops.elementwise import elementwise, from_zero


@device
def _f(x: Any, a: Any) -> Any:
    # Where x is negative, x + r would be a difference of near numbers: b / (r - x) is the same without it.
    r = np.sqrt(x * x + a)
    return 0.5 * (a / (r - x) if x < 0.0 else r + x)


@device
def _df(x: Any, a: Any) -> Any:
    r = np.sqrt(x * x + a)
    return 0.5 if r == 0.0 else 0.5 * (a / (r - x) if x < 0.0 else r + x) / r


# Not "b": in a fused op that is the bias of the dense layer.
SQUAREPLUS = elementwise("squareplus", _f, _df, parameter="softness")


def squareplus(x: Any, b: Any = 4.0) -> Tensor:
    """``(x + sqrt(x**2 + b)) / 2``: like softplus, without exponentials.

    Parameters
    ----------
    x
        Tensor or array of any shape.
    b
        How soft: a number from 0, where 0 gives relu, or a one-element tensor. It gets no gradient.

    Raises
    ------
    ValueError
        If b is negative.

    References
    ----------
    J. T. Barron: Squareplus: a softplus-like algebraic rectifier. arXiv:2112.11687 (2021).

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.squareplus([-1.5, 0.0, 1.5]).numpy()
    array([0.5, 1. , 2. ], dtype=float32)
    """
    return apply(SQUAREPLUS.op, *tensors(tensor(x), from_zero(b, "b")))  # type: ignore[no-any-return]
