"""``leaky_relu(x) = x`` where ``x > 0``, else ``negative_slope * x``."""

from __future__ import annotations

from typing import Any

from nbnet.core.abi import device
from nbnet.core.graph import Tensor
from nbnet.core.tape import apply, tensor, tensors
from nbnet.ops.elementwise import elementwise, from_zero


@device
def _f(x: Any, a: Any) -> Any:
    return x if x > 0.0 else a * x


@device
def _df(y: Any, a: Any) -> Any:
    return 1.0 if y > 0.0 else a


# With a slope that is not negative, y > 0 where x > 0.
LEAKY_RELU = elementwise("leaky_relu", _f, _df, keeps="y", parameter="negative_slope", sign_only=True)


def leaky_relu(x: Any, negative_slope: Any = 0.2) -> Tensor:
    """``x`` where it is above 0, else ``negative_slope * x``; the derivative at 0 is the slope.

    Parameters
    ----------
    x
        Tensor or array of any shape.
    negative_slope
        A number from 0, or a one-element tensor that holds one and may change between steps. It gets no gradient.

    Raises
    ------
    ValueError
        If the slope is negative.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.leaky_relu([-1.0, 2.0]).numpy()
    array([-0.2,  2. ], dtype=float32)
    """
    slope = from_zero(negative_slope, "negative_slope")
    return apply(LEAKY_RELU.op, *tensors(tensor(x), slope))  # type: ignore[no-any-return]
