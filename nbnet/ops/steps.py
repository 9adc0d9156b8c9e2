"""Element-wise ops through which no gradient flows, for it is zero wherever there is one."""

from __future__ import annotations

from typing import Any

from nbnet.core.abi import Function, Kernel, vec
from nbnet.core.op import Op, register


def step_function(name: str, f: Function) -> Op:
    """Make and register an element-wise op whose derivative is zero.

    Parameters
    ----------
    f
        Device function: ``f(x)``.
    """

    def forward(mem: Any, ins: Any, step: Any) -> None:
        x, y = vec(mem, ins, 0), vec(mem, ins, 1)
        for i in range(y.size):
            y[i] = f(x[i])

    return register(Op(name, Kernel(forward, f"{name}_forward"), ("x",), stops_gradient=True))
