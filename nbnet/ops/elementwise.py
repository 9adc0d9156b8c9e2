"""Element-wise functions of one tensor: abs, exp, log, sin and the like, and how they and activations are declared.

An element-wise op is made from two scalar functions, ``y = f(x)`` and its derivative.
"""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

import numpy as np

from nbnet.base.docstrings import join_common_sections
from nbnet.engine.graph.op import Op, Spec, register
from nbnet.engine.graph.tensor import Tensor, apply, tensor
from nbnet.engine.jit.linker import precise
from nbnet.engine.kernels.abi import Function, Kernel, accumulates, in_place, vec
from nbnet.engine.kernels.math import cos as cos_of
from nbnet.engine.kernels.math import erf as erf_of
from nbnet.engine.kernels.math import exp as exp_of
from nbnet.engine.kernels.math import expm1 as expm1_of
from nbnet.engine.kernels.math import log as log_of
from nbnet.engine.kernels.math import log1p as log1p_of
from nbnet.engine.kernels.math import sin as sin_of

F = TypeVar("F", bound=Callable[..., Any])
P = ParamSpec("P")


@dataclass(frozen=True, eq=False)
class Elementwise:
    """An element-wise op and the scalar functions that other kernels fuse.

    ``f(x, a)`` is the value and ``df(s, a)`` the derivative, where a is the op's parameter (0 if it has none) and s
    the operand it ``keeps``: the input ``"x"`` or the output ``"y"``. ``sign_only``: df reads only the sign of s, so s
    may have gone through dropout.
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
    """``a * b``, never regrouped with factors inside a or b, so that fused and single kernels agree to the last bit."""
    return a * b


def documents(**sections: str) -> Callable[[F], F]:
    """Decorator: add numpydoc sections that several functions share; see :func:`join_common_sections`."""

    def join(function: F) -> F:
        join_common_sections(function, **sections)
        return function

    return join


documents_x = documents(first="x\n    Tensor or array of any shape.")


def implement(
    declaration: Callable[P, Any], body: Callable[..., Tensor], operands: str, raises: str = ""
) -> Callable[P, Tensor]:
    """The function that a declaration, a function without a body, which returns Any, gives the name, the docstring and
    the names of the arguments; ``body`` gets these by position, and ``operands`` documents them."""
    declaration.__annotations__["return"] = "Tensor"
    signature = inspect.signature(declaration)
    count = len(signature.parameters)

    @functools.wraps(declaration)
    def call(*args: P.args, **kwargs: P.kwargs) -> Tensor:
        return body(*(args if len(args) == count and not kwargs else signature.bind(*args, **kwargs).args))

    return documents(first=f"{', '.join(signature.parameters)}\n    {operands}", raises=raises)(call)


def scalar(f: Callable[..., Any], name: str) -> Function:
    """The device function of a lambda; a device function stays as it is."""
    return f if isinstance(f, Function) else Function(f, name)


#: Element-wise ops by name of op.
fusible: dict[str, Elementwise] = {}


def elementwise(
    name: str,
    f: Callable[..., Any],
    df: Callable[..., Any],
    *,
    keeps: str = "x",
    parameter: str | None = None,
    sign_only: bool = False,
    linear: bool = False,
    fuses: bool = True,
    kinds: str = "",
) -> Elementwise:
    """Make and register an element-wise op.

    Parameters
    ----------
    f, df
        Scalar functions ``f(x, a)`` and ``df(s, a)``; see :class:`Elementwise`.
    keeps
        The operand that df reads: ``"x"`` or ``"y"``.
    parameter
        Name of the op's one-element second input, if it has one.
    sign_only
        True if df reads only the sign of its operand.
    linear
        True if the op is linear.
    fuses
        True if it fuses with a dense layer before it.
    kinds
        What f computes exactly: see :class:`nbnet.engine.graph.op.Op`.
    """
    f, df = scalar(f, name), scalar(df, f"{name}_derivative")
    inputs = ("x",) if parameter is None else ("x", parameter)
    has_parameter = parameter is not None
    at_y = len(inputs)

    def infer(x: Tensor, *parameters: Tensor) -> tuple[Spec, ...]:
        if any(p.size != 1 or p.dtype != x.dtype for p in parameters):
            raise ValueError(f"{name}: expected one {parameter} of {x.dtype}, got {parameters[0]!r}")
        return (Spec(x.shape),)

    # In place, one view is read and written: a loop over two views of one memory is not vectorised.
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
        name, Kernel(forward, f"{name}_forward"), inputs, infer=infer if has_parameter else None,
        backward=Kernel(backward, f"{name}_backward"),
        gradient=(keeps, "dy", "dx", *inputs[1:]), reuse={"y": "x", "dx": "dy"}, role="elementwise", linear=linear,
        kinds=kinds, extents=f"x[n] y[n] {f'{parameter}[1]' if has_parameter else ''}",
    )  # fmt: skip
    made = Elementwise(register(op), f, df, keeps, sign_only)
    if fuses:
        fusible[name] = made
    return made


def unary(
    f: Callable[..., Any], df: Callable[..., Any], **facts: Any
) -> Callable[[Callable[P, Any]], Callable[P, Tensor]]:
    """Decorator: turn a body-less function, which gives the name, signature and docstring, into the
    element-wise op ``f(x)``; see :func:`elementwise`."""

    def make(declaration: Callable[P, Any]) -> Callable[P, Tensor]:
        op = elementwise(declaration.__name__, f, df, **facts).op
        return implement(declaration, lambda x: apply(op, tensor(x)), "Tensor or array of any shape.")

    return make


def step_function(f: Callable[..., Any], **facts: Any) -> Callable[[Callable[P, Any]], Callable[P, Tensor]]:
    """Decorator: turn a body-less function, which gives the name, signature and docstring, into the
    element-wise op ``f(x)``, whose derivative is zero."""

    def make(declaration: Callable[P, Any]) -> Callable[P, Tensor]:
        name = declaration.__name__
        kernel = Kernel(_step_forward(scalar(f, name)), f"{name}_forward")
        op = register(Op(name, kernel, ("x",), stops_gradient=True, role="elementwise", extents="x[n] y[n]", **facts))
        return implement(declaration, lambda x: apply(op, tensor(x)), "Tensor or array of any shape.")

    return make


def _step_forward(f: Function) -> Any:
    def forward(mem: Any, ins: Any, step: Any) -> None:
        x, y = vec(mem, ins, 0), vec(mem, ins, 1)
        for i in range(y.size):
            y[i] = f(x[i])

    return forward


def from_zero(value: Any, name: str) -> Any:
    """Return a parameter of an op: a number from 0, or a tensor, which is not checked."""
    if not isinstance(value, Tensor) and not value >= 0:
        raise ValueError(f"{name}: expected a number from 0, got {value!r}")
    return value


@unary(lambda x, a: -x if x < 0.0 else x, lambda x, a: 1.0 if x > 0.0 else (-1.0 if x < 0.0 else 0.0), kinds="fi")
def abs(x: Any) -> Any:
    """Absolute value, element by element; the derivative at 0 is 0.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.abs([-3.0, 2.0]).numpy()
    array([3., 2.], dtype=float32)
    """


@unary(lambda x, a: -x, lambda x, a: -1.0, keeps="y", sign_only=True, linear=True, kinds="fi")
def negative(x: Any) -> Any:
    """``-x``, element by element.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.negative([-3.0, 2.0]).numpy()
    array([ 3., -2.], dtype=float32)
    """


@step_function(lambda x: 1.0 if x > 0.0 else (-1.0 if x < 0.0 else x), kinds="fi")
def sign(x: Any) -> Any:
    """The sign of x: -1, 0 or 1, element by element; no gradient flows.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.sign([-2.0, 0.0, 3.0]).numpy()
    array([-1.,  0.,  1.], dtype=float32)
    """


@step_function(lambda x: np.rint(x), kinds="fi")
def round(x: Any) -> Any:
    """The nearest whole number, element by element, the even one of two at the same distance; no gradient flows.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.round([-1.5, 0.5, 0.7]).numpy()
    array([-2.,  0.,  1.], dtype=float32)
    """


@step_function(lambda x: np.floor(x))
def floor(x: Any) -> Any:
    """The largest whole number not above x, element by element; no gradient flows.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.floor([-1.5, 0.5]).numpy()
    array([-2.,  0.], dtype=float32)
    """


@step_function(lambda x: np.ceil(x))
def ceil(x: Any) -> Any:
    """The smallest whole number not below x, element by element; no gradient flows.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.ceil([-1.5, 0.5]).numpy()
    array([-1.,  1.], dtype=float32)
    """


@unary(lambda x, a: x * x, lambda x, a: 2.0 * x, kinds="fi")
def square(x: Any) -> Any:
    """``x ** 2``, element by element.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.square([-3.0, 2.0]).numpy()
    array([9., 4.], dtype=float32)
    """


@unary(lambda x, a: np.sqrt(x), lambda y, a: 0.5 / y, keeps="y")
def sqrt(x: Any) -> Any:
    """Square root, element by element; NaN below 0, and the derivative at 0 is infinite.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.sqrt([4.0, 9.0]).numpy()
    array([2., 3.], dtype=float32)
    """


@unary(lambda x, a: exp_of(x), lambda y, a: y, keeps="y")
def exp(x: Any) -> Any:
    """``e ** x``, element by element.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.exp([0.0, 1.0]).numpy().round(4)
    array([1.    , 2.7183], dtype=float32)
    """


@unary(lambda x, a: expm1_of(x), lambda y, a: y + 1.0, keeps="y")
def expm1(x: Any) -> Any:
    """``e ** x - 1``, accurate for small x, element by element.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.expm1([0.0, 1.0]).numpy().round(4)
    array([0.    , 1.7183], dtype=float32)
    """


@unary(lambda x, a: log_of(x), lambda x, a: 1.0 / x)
def log(x: Any) -> Any:
    """Natural logarithm, element by element; -inf at 0, NaN below.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.log([1.0, 10.0]).numpy().round(4)
    array([0.    , 2.3026], dtype=float32)
    """


@unary(lambda x, a: log1p_of(x), lambda x, a: 1.0 / (1.0 + x))
def log1p(x: Any) -> Any:
    """The natural logarithm of ``1 + x``, accurate for small x, element by element.

    Parameters
    ----------
    x
        Tensor or array of any shape; above -1.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.log1p([0.0, 1.0]).numpy().round(4)
    array([0.    , 0.6931], dtype=float32)
    """


@unary(lambda x, a: sin_of(x), lambda x, a: cos_of(x))
def sin(x: Any) -> Any:
    """The sine, element by element.

    Parameters
    ----------
    x
        Tensor or array of any shape; in radians.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.sin([0.0, 1.0]).numpy().round(4)
    array([0.    , 0.8415], dtype=float32)
    """


@unary(lambda x, a: cos_of(x), lambda x, a: -sin_of(x))
def cos(x: Any) -> Any:
    """The cosine, element by element.

    Parameters
    ----------
    x
        Tensor or array of any shape; in radians.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.cos([0.0, 1.0]).numpy().round(4)
    array([1.    , 0.5403], dtype=float32)
    """


_SLOPE = 2.0 / math.sqrt(math.pi)


@unary(lambda x, a: erf_of(x), lambda x, a: _SLOPE * exp_of(-x * x))
def erf(x: Any) -> Any:
    """The error function: twice the integral of ``exp(-t**2) / sqrt(pi)`` from 0 to x, element by element.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.erf([0.0, 1.0]).numpy().round(4)
    array([0.    , 0.8427], dtype=float32)
    """


@step_function(lambda x: x, linear=True, moves_values=True)
def stop_gradient(variable: Any) -> Any:
    """The tensor, as a constant: no gradient flows.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.stop_gradient([1.0, 2.0]).numpy()
    array([1., 2.], dtype=float32)
    """
