"""Branches and loops: cond, switch, while_loop, fori_loop, scan, map and the like.

Loops are unrolled: a model holds the calls of all turns. What decides about a branch or a further turn has to be known;
where a model computes it, ``cond`` and ``switch`` compute all branches and choose among the results.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import index as _index
from typing import Any

import numpy as np

from nbnet.base.loading_budget import count_steps
from nbnet.base.tree import flatten, restructure
from nbnet.engine.graph.symbolic import Symbol, snapshot, symbolic
from nbnet.engine.graph.tensor import Tensor, tensor
from nbnet.ops.compare import less, where
from nbnet.ops.index import flip
from nbnet.ops.reshape import checked_axis, squeeze
from nbnet.ops.slicing import concatenate, cut, stack

_less, _where = symbolic(less), symbolic(where)


def _is_known(value: Any) -> bool:
    return not isinstance(value, Symbol) and not (isinstance(value, Tensor) and value.data is None)


def _truth(value: Any, name: str) -> bool:
    """A condition as a Python boolean."""
    if not _is_known(value):
        raise TypeError(
            f"{name}: expected a condition that is known when the model is built, got a computed tensor; "
            "use nbnet.ops.where, or fori_loop with a fixed number of turns"
        )
    return bool(np.asarray(value).item())


def cond(pred: Any, true_fn: Callable[[], Any], false_fn: Callable[[], Any]) -> Any:
    """The result of one of two functions.

    Parameters
    ----------
    pred
        A boolean, or a tensor of one element. If a model computes it, both functions are called, and
        :func:`nbnet.ops.where` chooses: then the results have the same structure and shapes.
    true_fn, false_fn
        Functions without arguments.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.cond(True, lambda: nb.tensor(1.0), lambda: nb.tensor(2.0)).item()
    1.0
    """
    if _is_known(pred):
        return snapshot((true_fn if _truth(pred, "pred") else false_fn)())
    return _chosen(pred, true_fn(), false_fn())


def _chosen(condition: Any, one: Any, other: Any) -> Any:
    """Leaf by leaf, those of one structure where a condition holds, else those of another."""
    a, b = list(flatten(one)), list(flatten(other))
    if len(a) != len(b):
        raise ValueError(f"branches: expected results of one structure, got {len(a)} and {len(b)} tensors")
    return restructure(one, [x if x is None else _where(condition, x, y) for x, y in zip(a, b, strict=True)])


def switch(index: Any, branches: Sequence[Callable[..., Any]], *operands: Any) -> Any:
    """The result of one of several functions.

    Parameters
    ----------
    index
        Number of the function; numbers below the first or above the last stand for these. If a model computes it, all
        functions are called, and the result is chosen.
    branches
        Functions of the operands.
    *operands
        Their arguments.

    Raises
    ------
    ValueError
        If there are no branches.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.switch(1, [lambda x: x, lambda x: x + 10.0], nb.tensor(1.0)).item()
    11.0
    """
    if not branches:
        raise ValueError("branches: expected at least one function")
    if _is_known(index):
        place = int(np.asarray(index).item())
        return snapshot(branches[min(max(place, 0), len(branches) - 1)](*operands))
    found = branches[-1](*operands)
    for place in range(len(branches) - 2, -1, -1):
        below = _less(index, place + 0.5)
        found = _chosen(below, branches[place](*operands), found)
    return found


def while_loop(
    cond: Callable[..., Any], body: Callable[..., Any], loop_vars: Any, maximum_iterations: int | None = None
) -> Any:
    """Variables, changed as long as a condition holds.

    Parameters
    ----------
    cond
        ``cond(*loop_vars)`` tells whether there is a further turn; a model cannot compute it, unless
        ``maximum_iterations`` bounds the turns.
    body
        ``body(*loop_vars)`` returns the variables after a turn.
    loop_vars
        The variables: a tensor, or a list or tuple.
    maximum_iterations
        Maximum number of turns. If a model computes the condition, that many turns are made, and variables stay as they
        are from the turn on before which it does not hold.

    Raises
    ------
    TypeError
        If a model computes the condition, and nothing bounds the turns.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.while_loop(lambda n, x: n < 3, lambda n, x: (n + 1, x * 2.0), (0, nb.tensor(1.0)))[1].item()
    8.0
    """
    several = isinstance(loop_vars, (list, tuple))
    now, turn = tuple(loop_vars) if several else (loop_vars,), 0
    while maximum_iterations is None or turn < maximum_iterations:
        count_steps(1, "while_loop")
        further = cond(*now)
        if (_is_known(further) or maximum_iterations is None) and not _truth(further, "cond"):
            break
        found = body(*now)
        then = tuple(found) if several else (found,)
        now = then if _is_known(further) else tuple(_chosen(further, then, now))
        turn += 1
    return snapshot(now if several else now[0])


def fori_loop(lower: int, upper: int, body_fun: Callable[[int, Any], Any], init_val: Any) -> Any:
    """A value, changed once for each number of a range.

    Parameters
    ----------
    lower, upper
        The first number, and the one behind the last; known integers.
    body_fun
        ``body_fun(i, value)`` returns the next value.
    init_val
        The first value.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.fori_loop(0, 3, lambda i, x: x * 2.0, nb.tensor(1.0)).item()
    8.0
    """
    if not (_is_known(lower) and _is_known(upper)):
        raise TypeError("lower, upper: expected integers that are known when the model is built, got a computed tensor")
    value = init_val
    for i in range(_index(np.asarray(lower).item()), _index(np.asarray(upper).item())):
        count_steps(1, "fori_loop")
        value = body_fun(i, value)
    return snapshot(value)


def _parts(xs: Any, what: str) -> tuple[list[Any], int]:
    """The elements of tensors along the first axis, in the structure of ``xs``, and their number."""
    made = [tensor(x) for x in flatten(xs)]
    lengths = {x.shape[0] if x.shape else None for x in made}
    if len(lengths) != 1 or None in lengths:
        raise ValueError(f"{what}: expected tensors with first axes of one length, got {[x.shape for x in made]}")
    (n,) = lengths
    assert n is not None
    count_steps(n, what)
    return [restructure(xs, [squeeze(cut(x, 0, k, 1), 0) for x in made]) for k in range(n)], n


def _stacked(found: Sequence[Any]) -> Any:
    """Results of all turns, joined leaf by leaf along a new first axis."""
    if not found:
        raise ValueError("xs: expected at least one element")
    return restructure(found[0], [stack(leaves, 0) for leaves in zip(*[flatten(part) for part in found], strict=True)])


def map(f: Callable[[Any], Any], xs: Any) -> Any:
    """A function of each element along the first axis; the results are stacked.

    Parameters
    ----------
    f
        Function of an element; it returns a tensor, or a structure of tensors.
    xs
        A tensor, or a structure of tensors with first axes of one length.

    Raises
    ------
    ValueError
        If the lengths differ, or there is no element.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.map(lambda x: x * 2.0, nb.tensor([1.0, 2.0])).numpy()
    array([2., 4.], dtype=float32)
    """
    return _stacked([f(part) for part in _parts(xs, "xs")[0]])


def vectorized_map(function: Callable[[Any], Any], elements: Any) -> Any:
    """The same as :func:`map`.

    Parameters
    ----------
    function
        As ``f`` of :func:`map`.
    elements
        As ``xs`` of :func:`map`.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.vectorized_map(lambda x: x * 2.0, nb.tensor([1.0, 2.0])).numpy()
    array([2., 4.], dtype=float32)
    """
    return map(function, elements)


def scan(
    f: Callable[[Any, Any], tuple[Any, Any]],
    init: Any,
    xs: Any = None,
    length: int | None = None,
    reverse: bool = False,
    unroll: int | bool = 1,
) -> tuple[Any, Any]:
    """A value carried along the first axis of tensors.

    Parameters
    ----------
    f
        ``f(carry, x)`` returns the next value to carry, and a result.
    init
        The first value to carry.
    xs
        A tensor, or a structure of tensors with first axes of one length; None if there are only turns.
    length
        Number of turns; needed without ``xs``.
    reverse
        If True, the last element comes first.
    unroll
        No effect: loops are unrolled.

    Returns
    -------
    The last value carried, and the results stacked, in the order of ``xs``; None if f returns None.

    Raises
    ------
    ValueError
        If lengths do not fit.

    Examples
    --------
    >>> import nbnet as nb
    >>> total, sums = nb.ops.scan(lambda carry, x: (carry + x, carry + x), nb.tensor(0.0), nb.tensor([1.0, 2.0, 3.0]))
    >>> total.item(), sums.numpy()
    (6.0, array([1., 3., 6.], dtype=float32))
    """
    if not isinstance(unroll, bool) and (not isinstance(unroll, int) or unroll < 1):
        raise ValueError(f"unroll: expected a positive integer or a boolean, got {unroll!r}")
    if xs is None:
        if length is None:
            raise ValueError("length: expected a number of turns, as there are no xs")
        parts: list[Any] = [None] * _index(length)
        count_steps(len(parts), "scan")
    else:
        parts, n = _parts(xs, "xs")
        if length is not None and length != n:
            raise ValueError(f"length: expected {n}, the length of xs, got {length}")
    carry, found = init, []
    for part in reversed(parts) if reverse else parts:
        carry, result = f(carry, part)
        found.append(result)
    if reverse:
        found.reverse()
    return carry, (None if not found or all(leaf is None for leaf in flatten(found)) else _stacked(found))


def associative_scan(f: Callable[[Any, Any], Any], elems: Any, reverse: bool = False, axis: int = 0) -> Any:
    """Elements along an axis, each joined with all before it by an associative function.

    Parameters
    ----------
    f
        ``f(a, b)``: a function of two tensors, or structures of tensors, of several elements along the axis.
    elems
        A tensor, or a structure of tensors with axes of one length.
    reverse
        If True, each element is joined with all behind it.
    axis
        The axis.

    Raises
    ------
    ValueError
        If the lengths differ, or the axis is out of range.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.associative_scan(lambda a, b: a + b, nb.tensor([1.0, 2.0, 3.0])).numpy()
    array([1., 3., 6.], dtype=float32)
    """
    made = [tensor(x) for x in flatten(elems)]
    axes = [checked_axis(axis, x.ndim) for x in made]
    lengths = {x.shape[k] for x, k in zip(made, axes, strict=True)}
    if len(lengths) != 1:
        raise ValueError(f"elems: expected axes of one length, got shapes {[x.shape for x in made]}")
    (n,) = lengths
    if reverse:
        made = [flip(x, k) for x, k in zip(made, axes, strict=True)]
    step = 1
    # Each turn doubles the number of elements that are joined.
    while step < n:
        count_steps(1, "associative_scan")
        before, own = (
            restructure(elems, [cut(x, k, start, n - step) for x, k in zip(made, axes, strict=True)])
            for start in (0, step)
        )
        joined = [tensor(x) for x in flatten(f(before, own))]
        made = [concatenate([cut(x, k, 0, step), new], k) for x, k, new in zip(made, axes, joined, strict=True)]
        step *= 2
    if reverse:
        made = [flip(x, k) for x, k in zip(made, axes, strict=True)]
    return restructure(elems, made)
