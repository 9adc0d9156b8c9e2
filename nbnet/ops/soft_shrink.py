"""``soft_shrink(x) = x - min(max(x, -threshold), threshold)``."""

from __future__ import annotations

from typing import Any

from nbnet.core.abi import device
from nbnet.core.graph import Tensor
from nbnet.core.tape import apply, tensor, tensors
from nbnet.ops.elementwise import elementwise, from_zero


@device
def _f(x: Any, a: Any) -> Any:
    return x - (-a if x < -a else (a if x > a else x))


@device
def _df(y: Any, a: Any) -> Any:
    return 0.0 if y == 0.0 else 1.0


SOFT_SHRINK = elementwise("soft_shrink", _f, _df, keeps="y", parameter="threshold", sign_only=True)


def soft_shrink(x: Any, threshold: Any = 0.5) -> Tensor:
    """``x``, moved towards 0 by a threshold, and 0 where it is no farther from 0 than that.

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
    >>> nb.ops.soft_shrink([-0.75, 0.25, 2.0]).numpy()
    array([-0.25,  0.  ,  1.5 ], dtype=float32)
    """
    return apply(SOFT_SHRINK.op, *tensors(tensor(x), from_zero(threshold, "threshold")))  # type: ignore[no-any-return]
