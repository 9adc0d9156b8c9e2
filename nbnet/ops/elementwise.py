"""Element-wise ops of one tensor, made from two scalar functions: ``y = f(x)`` and its derivative."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nbnet.core.abi import Function, Kernel, accumulates, in_place, vec
from nbnet.core.graph import Tensor
from nbnet.core.jit import precise
from nbnet.core.op import Op, Spec, register


@dataclass(frozen=True, eq=False)
class Elementwise:
    """An element-wise op and the scalar functions that other kernels fuse.

    ``f(x, a)`` is the value and ``df(s, a)`` the derivative, where a is the op's parameter (0 if it has none) and s
    what it ``keeps``: the input ``"x"`` or the output ``"y"``. ``sign_only``: df reads nothing but the sign of s, so
    s may have gone through dropout.
    """

    op: Op
    f: Function
    df: Function
    keeps: str
    sign_only: bool

    @property
    def name(self) -> str:
        return self.op.name


@precise
def product(a: Any, b: Any) -> Any:
    """``a * b``, never regrouped with factors inside a or b: fused kernels and single ones agree to the last bit."""
    return a * b


#: Element-wise ops by name of op.
fusible: dict[str, Elementwise] = {}


def elementwise(
    name: str, f: Function, df: Function, *, keeps: str = "x", parameter: str | None = None, sign_only: bool = False
) -> Elementwise:
    """Make and register an element-wise op.

    Parameters
    ----------
    f, df
        Device functions: ``f(x, a)`` and ``df(s, a)``.
    keeps
        What df is given: ``"x"`` or ``"y"``.
    parameter
        Name of the op's one-element second input, if it has one.
    """
    inputs = ("x",) if parameter is None else ("x", parameter)
    has_parameter = parameter is not None
    at_y = len(inputs)

    def infer(x: Tensor, *parameters: Tensor) -> tuple[Spec, ...]:
        if any(p.size != 1 or p.dtype != x.dtype for p in parameters):
            raise ValueError(f"{name}: wants one {parameter} of {x.dtype}, got {parameters[0]!r}")
        return (Spec(x.shape),)

    # In place, one view is read and written: a loop over two views of one memory would not be vectorised.
    def forward(mem: Any, ins: Any, step: Any) -> None:
        x, y = vec(mem, ins, 0), vec(mem, ins, at_y)
        a = 0.0
        if has_parameter:
            a = vec(mem, ins, 1)[0]
        if in_place(ins, 0, at_y):
            for i in range(y.size):
                y[i] = f(y[i], a)
        else:
            for i in range(y.size):
                y[i] = f(x[i], a)

    def backward(mem: Any, ins: Any, step: Any) -> None:
        s, dy, dx = vec(mem, ins, 0), vec(mem, ins, 1), vec(mem, ins, 2)
        a = 0.0
        if has_parameter:
            a = vec(mem, ins, 3)[0]
        if accumulates(ins, 2):
            for i in range(dx.size):
                dx[i] += product(dy[i], df(s[i], a))
        elif in_place(ins, 1, 2):
            for i in range(dx.size):
                dx[i] = product(dx[i], df(s[i], a))
        else:
            for i in range(dx.size):
                dx[i] = product(dy[i], df(s[i], a))

    op = Op(
        name,
        Kernel(forward, f"{name}_forward"),
        inputs,
        backward=Kernel(backward, f"{name}_backward"),
        gradient=(keeps, "dy", "dx", *inputs[1:]),
        reuse={"y": "x", "dx": "dy"},
        infer=infer,
    )
    made = Elementwise(register(op), f, df, keeps, sign_only)
    fusible[name] = made
    return made


def from_zero(value: Any, name: str) -> Any:
    """A parameter of an op: a number from 0, or a tensor, which is taken as it is."""
    if not isinstance(value, Tensor) and not value >= 0:
        raise ValueError(f"{name}: wants a number from 0, got {value!r}")
    return value
