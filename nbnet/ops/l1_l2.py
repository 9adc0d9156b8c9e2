"""``y = sum(l1 |x| + l2 x**2)``: the penalty on weights."""

from __future__ import annotations

from typing import Any

import numpy as np

from nbnet.core.abi import accumulates, kernel, vec
from nbnet.core.graph import Tensor
from nbnet.core.op import Op, Spec, register
from nbnet.core.tape import apply, tensors
from nbnet.ops.reduction import BLOCK


@kernel
def l1_l2_forward(mem: Any, ins: Any, step: Any) -> None:
    x, l1, l2, y = vec(mem, ins, 0), vec(mem, ins, 1)[0], vec(mem, ins, 2)[0], vec(mem, ins, 3)
    total = np.float64(0)
    for start in range(0, x.size, BLOCK):
        part = 0.0
        block = x[start : start + BLOCK]
        for i in range(block.size):
            part += l1 * abs(block[i]) + l2 * block[i] * block[i]
        total += part
    y[0] = total


@kernel
def l1_l2_backward(mem: Any, ins: Any, step: Any) -> None:
    x, l1, l2 = vec(mem, ins, 0), vec(mem, ins, 1)[0], vec(mem, ins, 2)[0]
    dy, dx = vec(mem, ins, 3)[0], vec(mem, ins, 4)
    size, slope = l1 * dy, 2.0 * l2 * dy
    add = accumulates(ins, 4)
    for i in range(dx.size):
        sign = size if x[i] > 0.0 else 0.0
        sign = -size if x[i] < 0.0 else sign
        d = slope * x[i] + sign
        dx[i] = dx[i] + d if add else d


L1_L2 = register(
    Op(
        "l1_l2",
        l1_l2_forward,
        ("x", "l1", "l2"),
        infer=lambda x, l1, l2: (Spec(()),),
        backward=l1_l2_backward,
        gradient=("x", "l1", "l2", "dy", "dx"),
    )
)


def l1_l2(x: Any, l1: Any, l2: Any) -> Tensor:
    """``sum(l1 |x| + l2 x**2)``; the factors get no gradient.

    Parameters
    ----------
    x
        Tensor or array of any shape.
    l1, l2
        Numbers, or tensors that hold one.

    Examples
    --------
    >>> from nbnet.ops.l1_l2 import l1_l2
    >>> l1_l2([-3.0, 2.0], 1.0, 0.5).item()
    11.5
    """
    return apply(L1_L2, *tensors(x, l1, l2))  # type: ignore[no-any-return]
