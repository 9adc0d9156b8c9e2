"""``y = min(a, b)``, with broadcasting."""

from __future__ import annotations

from typing import Any

from nbnet.core.abi import device
from nbnet.core.graph import Tensor
from nbnet.core.tape import apply, tensors
from nbnet.ops.broadcast import binary


@device
def _f(a: Any, b: Any) -> Any:
    return a if a < b or a != a else b


@device
def _da(a: Any, b: Any) -> Any:
    return 1.0 if a < b else (0.5 if a == b else 0.0)


@device
def _db(a: Any, b: Any) -> Any:
    return 1.0 if b < a else (0.5 if a == b else 0.0)


MINIMUM = binary("minimum", _f, _da, _db)


def minimum(a: Any, b: Any) -> Tensor:
    """The smaller of a and b, element by element. NaN wins; where both are equal, each gets half of the gradient.

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
    >>> nb.ops.minimum([-1.0, 2.0], 0.0).numpy()
    array([-1.,  0.], dtype=float32)
    """
    return apply(MINIMUM, *tensors(a, b))  # type: ignore[no-any-return]
