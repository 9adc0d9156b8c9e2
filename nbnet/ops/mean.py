"""``y = sum(x) / n`` over axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nbnet.core.graph import Tensor
from nbnet.core.tape import tensor
from nbnet.ops.reduction import reduce, reduction

MEAN = reduction("mean", mean=True)


def mean(x: Any, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Tensor:
    """Mean over axes.

    Parameters
    ----------
    x
        Tensor or array.
    axis
        An axis, several, or all by default; negative ones count from the last.
    keepdims
        Whether reduced axes stay, with length 1.

    Raises
    ------
    ValueError
        If an axis is out of range or named twice.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.mean([[1.0, 2.0], [3.0, 4.0]], axis=0).numpy()
    array([2., 3.], dtype=float32)
    """
    return reduce(MEAN, tensor(x), axis, keepdims)
