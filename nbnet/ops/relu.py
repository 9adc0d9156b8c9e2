"""``relu(x) = max(x, 0)``, with a slope below, a limit above and another threshold if wanted."""

from __future__ import annotations

from typing import Any

from nbnet.core.abi import device
from nbnet.core.graph import Tensor
from nbnet.core.tape import apply, tensor
from nbnet.ops.elementwise import elementwise
from nbnet.ops.leaky_relu import leaky_relu
from nbnet.ops.rectify import rectify
from nbnet.ops.relu6 import relu6


@device
def _f(x: Any, a: Any) -> Any:
    return 0.0 if x <= 0.0 else x


@device
def _df(y: Any, a: Any) -> Any:
    return 1.0 if y > 0.0 else 0.0


RELU = elementwise("relu", _f, _df, keeps="y", sign_only=True)


def relu(x: Any, negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0) -> Tensor:
    """``max(x, 0)``, element by element; the derivative at 0 is 0.

    Parameters
    ----------
    x
        Tensor or array of any shape.
    negative_slope
        Slope below the threshold: there y is ``negative_slope * (x - threshold)``.
    max_value
        The largest value of y; None for no limit.
    threshold
        Above it y is x.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.relu([-1.0, 2.0]).numpy()
    array([0., 2.], dtype=float32)
    >>> nb.ops.relu([-1.0, 0.5, 9.0], negative_slope=0.1, max_value=4.0, threshold=1.0).numpy()
    array([-0.2 , -0.05,  4.  ], dtype=float32)
    """
    if threshold == 0:
        if negative_slope == 0 and max_value is None:
            return apply(RELU.op, tensor(x))  # type: ignore[no-any-return]
        if negative_slope == 0 and max_value == 6:
            return relu6(x)
        if negative_slope > 0 and max_value is None:
            return leaky_relu(x, negative_slope)
    # With a limit above, Keras cuts off at 0 below, too: that matters where the threshold is negative.
    limits = {} if max_value is None else {"low": 0.0, "high": max_value}
    return rectify(x, threshold, negative_slope, -negative_slope * threshold, **limits)
