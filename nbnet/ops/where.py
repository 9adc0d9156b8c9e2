"""``y = a`` where the condition is not zero, ``y = b`` elsewhere."""

from __future__ import annotations

from typing import Any

import numpy as np

from nbnet.core.abi import accumulates, kernel, present, vec
from nbnet.core.graph import Tensor
from nbnet.core.op import Op, register
from nbnet.core.tape import apply, tensors
from nbnet.ops.add import add
from nbnet.ops.compare import greater
from nbnet.ops.stop_gradient import stop_gradient


@kernel
def where_forward(mem: Any, ins: Any, step: Any) -> None:
    condition, a, b, y = vec(mem, ins, 0), vec(mem, ins, 1), vec(mem, ins, 2), vec(mem, ins, 3)
    for i in range(y.size):
        y[i] = a[i] if condition[i] != 0.0 else b[i]


@kernel
def where_backward(mem: Any, ins: Any, step: Any) -> None:
    condition, dy, da, db = vec(mem, ins, 0), vec(mem, ins, 1), vec(mem, ins, 2), vec(mem, ins, 3)
    if present(ins, 2):
        add = accumulates(ins, 2)
        for i in range(dy.size):
            d = dy[i] if condition[i] != 0.0 else 0.0
            da[i] = da[i] + d if add else d
    if present(ins, 3):
        add = accumulates(ins, 3)
        for i in range(dy.size):
            d = 0.0 if condition[i] != 0.0 else dy[i]
            db[i] = db[i] + d if add else d


WHERE = register(
    Op(
        "where",
        where_forward,
        ("condition", "a", "b"),
        backward=where_backward,
        gradient=("condition", "dy", "da", "db"),
    )
)


def where(condition: Any, a: Any, b: Any) -> Tensor:
    """Elements of a where a condition holds, those of b elsewhere.

    Parameters
    ----------
    condition
        Tensor, or array of numbers or booleans: what is not zero holds. No gradient flows to it.
    a, b
        Tensors, arrays or numbers; all three shapes broadcast. The gradient of an element flows to the one that was
        taken, and is exactly zero for the other.

    Raises
    ------
    ValueError
        If the shapes do not broadcast.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.where([True, False], [1.0, 2.0], 0.0).numpy()
    array([1., 0.], dtype=float32)
    """
    a, b, condition = tensors(a, b, condition)
    operands = [stop_gradient(condition), a, b]
    shape = np.broadcast_shapes(*(x.shape for x in operands))
    if any(x.shape != shape for x in operands):
        # x > x holds nowhere, not even for NaN: zeros of the common shape, for a batch of any size.
        zeros = add(add(greater(condition, condition), greater(a, a)), greater(b, b))
        operands = [x if x.shape == shape else add(x, zeros) for x in operands]
    return apply(WHERE, *operands)  # type: ignore[no-any-return]
