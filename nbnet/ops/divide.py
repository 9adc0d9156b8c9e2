"""``y = a / b``, with broadcasting."""

from __future__ import annotations

from typing import Any

from nbnet.core.abi import device
from nbnet.core.graph import Tensor
from nbnet.core.tape import apply, tensors
from nbnet.ops.broadcast import binary


@device
def _f(a: Any, b: Any) -> Any:
    return a / b


@device
def _da(a: Any, b: Any) -> Any:
    return 1.0 / b


@device
def _db(a: Any, b: Any) -> Any:
    return -a / (b * b)


DIVIDE = binary("divide", _f, _da, _db)


def divide(a: Any, b: Any) -> Tensor:
    """``a / b``, element by element; a division by 0 gives inf or NaN.

    Parameters
    ----------
    a, b
        Tensors, arrays or numbers whose shapes broadcast; numbers and lists take the dtype of the tensor beside them.

    Raises
    ------
    ValueError
        If the shapes do not broadcast.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.divide([1.0, 3.0], 2.0).numpy()
    array([0.5, 1.5], dtype=float32)
    """
    return apply(DIVIDE, *tensors(a, b))  # type: ignore[no-any-return]
