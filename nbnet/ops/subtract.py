"""``y = a - b``, with broadcasting."""

from __future__ import annotations

from typing import Any

from nbnet.core.abi import device
from nbnet.core.graph import Tensor
from nbnet.core.tape import apply, tensors
from nbnet.ops.broadcast import binary


@device
def _f(a: Any, b: Any) -> Any:
    return a - b


@device
def _da(a: Any, b: Any) -> Any:
    return 1.0


@device
def _db(a: Any, b: Any) -> Any:
    return -1.0


SUBTRACT = binary("subtract", _f, _da, _db, reads=False)


def subtract(a: Any, b: Any) -> Tensor:
    """``a - b``, element by element.

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
    >>> nb.ops.subtract([[1.0], [2.0]], [10.0, 20.0]).numpy()
    array([[ -9., -19.],
           [ -8., -18.]], dtype=float32)
    """
    return apply(SUBTRACT, *tensors(a, b))  # type: ignore[no-any-return]
