"""Comparisons and logic, with broadcasting: equal, where, isnan, logical_and, any and the like.

The results are booleans; as numbers, in arithmetic, they are 1 and 0.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from nbnet.engine.graph.arithmetic import operators
from nbnet.engine.graph.op import BOOL, Op, Spec, register
from nbnet.engine.graph.tensor import Tensor, apply, exact_tensor, tensor, tensors
from nbnet.engine.kernels.abi import accumulates, bytevec, kernel, present, vec
from nbnet.ops.broadcast import add, bitwise_and, bitwise_or, bitwise_xor, comparison, multiply, subtract
from nbnet.ops.convert import converted
from nbnet.ops.elementwise import abs
from nbnet.ops.reduction import documents_axes, max, min, sum
from nbnet.ops.reshape import Axis


@comparison(lambda a, b: a == b)
def equal(x1: Any, x2: Any) -> Any:
    """True where x1 equals x2, else False; no gradient flows.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.equal([1.0, 2.0], [1.0, 3.0]).numpy()
    array([ True, False])
    """


@comparison(lambda a, b: a > b)
def greater(x1: Any, x2: Any) -> Any:
    """True where x1 is larger than x2, else False; no gradient flows.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.greater([1.0, 2.0], 1.0).numpy()
    array([False,  True])
    """


@comparison(lambda a, b: a >= b)
def greater_equal(x1: Any, x2: Any) -> Any:
    """True where x1 is at least x2, else False; no gradient flows.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.greater_equal([1.0, 0.0], 1.0).numpy()
    array([ True, False])
    """


@comparison(lambda a, b: a < b)
def less(x1: Any, x2: Any) -> Any:
    """True where x1 is smaller than x2, else False; no gradient flows.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.less([1.0, 0.0], 1.0).numpy()
    array([False,  True])
    """


@comparison(lambda a, b: a <= b)
def less_equal(x1: Any, x2: Any) -> Any:
    """True where x1 is at most x2, else False; no gradient flows.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.less_equal([1.0, 2.0], 1.0).numpy()
    array([ True, False])
    """


@comparison(lambda a, b: a != b)
def not_equal(x1: Any, x2: Any) -> Any:
    """True where x1 differs from x2, else False; no gradient flows.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.not_equal([1.0, 2.0], [1.0, 3.0]).numpy()
    array([False,  True])
    """


@kernel
def where_forward(mem: Any, ins: Any, step: Any) -> None:
    condition, a, b, y = bytevec(mem, ins, 0), vec(mem, ins, 1), vec(mem, ins, 2), vec(mem, ins, 3)
    for i in range(y.size):
        y[i] = a[i] if condition[i] != 0 else b[i]


@kernel
def where_backward(mem: Any, ins: Any, step: Any) -> None:
    condition, dy, da, db = bytevec(mem, ins, 0), vec(mem, ins, 1), vec(mem, ins, 2), vec(mem, ins, 3)
    if present(ins, 2):
        add = accumulates(ins, 2)
        for i in range(dy.size):
            d = dy[i] if condition[i] != 0 else 0.0
            da[i] = da[i] + d if add else d
    if present(ins, 3):
        add = accumulates(ins, 3)
        for i in range(dy.size):
            d = 0.0 if condition[i] != 0 else dy[i]
            db[i] = db[i] + d if add else d


WHERE = register(
    Op("where", where_forward, ("condition", "a", "b"), backward=where_backward,
       infer=lambda condition, a, b: (Spec(a.shape),), gradient=("condition", "dy", "da", "db"), role="elementwise",
       booleans=("condition",), kinds="fib", extents="condition:?[n] a[n] b[n] y[n]")
)  # fmt: skip


def where(condition: Any, x1: Any = None, x2: Any = None) -> Tensor:
    """Elements of x1 where a condition holds, those of x2 elsewhere.

    Parameters
    ----------
    condition
        Tensor, or array of numbers or booleans: it holds where it is not zero. No gradient flows to it.
    x1, x2
        Tensors, arrays or numbers; all three shapes broadcast. The gradient of an element flows to the operand it was
        taken from, and is exactly zero for the other.

    Raises
    ------
    ValueError
        If the shapes do not broadcast, or one of x1 and x2 is missing. Without both, the places where the condition
        holds are returned, as by :func:`nbnet.ops.nonzero`.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.where([True, False], [1.0, 2.0], 0.0).numpy()
    array([1., 0.], dtype=float32)
    """
    if x1 is None and x2 is None:
        found: Tensor = operators["nonzero"](condition)
        return found
    if x1 is None or x2 is None:
        raise ValueError("x1, x2: expected the elements to choose from, or neither for the places; got one of them")
    a, b = tensors(x1, x2)
    operands = [truth(condition), a, b]
    shape = np.broadcast_shapes(*(x.shape for x in operands))
    if [x for x in operands if x.shape != shape]:
        # x > x is false everywhere, even for NaN: a tensor of the common shape, for a batch of any size.
        nowhere = functools.reduce(logical_or, (greater(x, x) for x in operands))
        operands = [
            x if x.shape == shape else logical_or(x, nowhere) if x.dtype == BOOL else add(x, nowhere) for x in operands
        ]
    return apply(WHERE, *operands)


def truth(x: Any) -> Tensor:
    """``x`` as booleans: True where it is not 0."""
    return converted(exact_tensor(x), BOOL)


def logical_not(x: Any) -> Tensor:
    """True where x is zero, else False.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.logical_not([0.0, 2.0]).numpy()
    array([ True, False])
    """
    return equal(truth(x), False)


def logical_and(x1: Any, x2: Any) -> Tensor:
    """True where neither is zero, else False.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.logical_and([0.0, 2.0], [1.0, 1.0]).numpy()
    array([False,  True])
    """
    return bitwise_and(truth(x1), truth(x2))


def logical_or(x1: Any, x2: Any) -> Tensor:
    """True where at least one is not zero, else False.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.logical_or([0.0, 2.0], [0.0, 1.0]).numpy()
    array([False,  True])
    """
    return bitwise_or(truth(x1), truth(x2))


def logical_xor(x1: Any, x2: Any) -> Tensor:
    """True where exactly one is zero, else False.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.logical_xor([0.0, 2.0], [1.0, 1.0]).numpy()
    array([ True, False])
    """
    return bitwise_xor(truth(x1), truth(x2))


def isnan(x: Any) -> Tensor:
    """True where x is NaN, else False.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.isnan([0.0, float("nan")]).numpy()
    array([False,  True])
    """
    x = tensor(x)
    return not_equal(x, x)


def isinf(x: Any) -> Tensor:
    """True where x is infinite, else False.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.isinf([0.0, -float("inf")]).numpy()
    array([False,  True])
    """
    x = tensor(x)
    return logical_or(equal(x, np.inf), equal(x, -np.inf))


def isfinite(x: Any) -> Tensor:
    """True where x is neither NaN nor infinite, else False.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.isfinite([0.0, float("inf")]).numpy()
    array([ True, False])
    """
    x = tensor(x)
    return logical_not(logical_or(isnan(x), isinf(x)))


@documents_axes
def any(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """True where at least one element over axes is not zero, else False.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.any([[0.0, 2.0], [0.0, 0.0]], axis=1).numpy()
    array([ True, False])
    """
    return truth(max(truth(x), axis, keepdims))


@documents_axes
def all(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """True where no element over axes is zero, else False.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.all([[1.0, 2.0], [0.0, 1.0]], axis=1).numpy()
    array([ True, False])
    """
    return truth(min(truth(x), axis, keepdims))


def count_nonzero(x: Any, axis: Axis = None) -> Tensor:
    """The number of elements over axes that are not zero, int64.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.count_nonzero([[1.0, 2.0], [0.0, 1.0]], axis=1).numpy()
    array([2, 1])
    """
    return sum(truth(x), axis)


def nan_to_num(x: Any, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None) -> Tensor:
    """``x`` with numbers in place of NaN and infinities; no gradient flows there.

    Parameters
    ----------
    x
        Tensor or array.
    nan, posinf, neginf
        Replacements of NaN and of the infinities; None for the largest and the smallest number of the dtype.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.nan_to_num([1.0, float("nan"), float("inf")], posinf=9.0).numpy()
    array([1., 0., 9.], dtype=float32)
    """
    y = tensor(x)
    if y.dtype.kind != "f":
        return y
    limits = np.finfo(y.dtype)
    y = where(isnan(y), nan, y)
    y = where(equal(y, np.inf), limits.max if posinf is None else posinf, y)
    return where(equal(y, -np.inf), limits.min if neginf is None else neginf, y)


def isclose(x1: Any, x2: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Tensor:
    """True where two numbers differ by no more than ``atol + rtol * abs(x2)``, else False.

    Parameters
    ----------
    x1, x2
        Tensors or arrays whose shapes broadcast.
    rtol, atol
        The tolerance.
    equal_nan
        If True, NaN is close to NaN.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.isclose([1.0, 2.0], [1.000001, 2.1]).numpy()
    array([ True, False])
    """
    x1, x2 = tensors(x1, x2)
    # Where x2 is infinite, so is the tolerance: the difference is NaN, and only equal numbers are close.
    excess = subtract(abs(subtract(x1, x2)), add(atol, multiply(rtol, abs(x2))))
    close = logical_or(less_equal(excess, 0.0), equal(x1, x2))
    return logical_or(close, logical_and(isnan(x1), isnan(x2))) if equal_nan else close
