"""``hard_shrink(x) = x`` where ``abs(x) > threshold``, else 0."""

from __future__ import annotations

from typing import Any

from nbnet.core.abi import device
from nbnet.core.graph import Tensor
from nbnet.core.tape import apply, tensor, tensors
from nbnet.ops.elementwise import elementwise, from_zero


@device
def _f(x: Any, a: Any) -> Any:
    return 0.0 if abs(x) <= a else x


@device
def _df(y: Any, a: Any) -> Any:
    return 0.0 if y == 0.0 else 1.0


HARD_SHRINK = elementwise("hard_shrink", _f, _df, keeps="y", parameter="threshold", sign_only=True)


def hard_shrink(x: Any, threshold: Any = 0.5) -> Tensor:
    """``x`` where its absolute value is above a threshold, else 0; the derivative at the jumps is 0.

    Parameters
    ----------
    x
        Tensor or array of any shape.
    threshold
        A number from 0, or a one-element tensor. It gets no gradient.

    Raises
    ------
    ValueError
        If the threshold is negative.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.hard_shrink([-0.75, 0.25, 2.0]).numpy()
    array([-0.75,  0.  ,  2.  ], dtype=float32)
    """
    return apply(HARD_SHRINK.op, *tensors(tensor(x), from_zero(threshold, "threshold")))  # type: ignore[no-any-return]
