"""``threshold(x) = x`` where ``x > threshold``, else a fixed value."""

from __future__ import annotations

from typing import Any

from nbnet.core.graph import Tensor
from nbnet.ops.rectify import rectify


def threshold(x: Any, threshold: float, default_value: float) -> Tensor:
    """``x`` where it is above a threshold, else ``default_value``.

    Parameters
    ----------
    x
        Tensor or array of any shape.
    threshold, default_value
        Numbers. They get no gradient.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.threshold([-2.0, 0.5, 2.0], 1.0, -1.0).numpy()
    array([-1., -1.,  2.], dtype=float32)
    """
    return rectify(x, threshold, offset=default_value)
