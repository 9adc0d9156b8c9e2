"""Extents: the sizes that a kernel expects of its operands, stated beside the kernel and checked before a row runs.

A kernel cannot raise: a row whose attributes or operands do not fit each other would read and write foreign memory. A
statement of extents says how large each operand is, in letters that stand for equal numbers wherever they occur::

    x[n,k] w[k,m] b[m] y[n,m]
    x[n*width] rows:i8[r] y[r*width]; n width

``[n,k]`` is a matrix, as kernels see it: all axes but the last are rows; ``[n*width]`` is a number of elements. A dtype
stands after a colon (``*`` for any); without one it is the model's. Names after the semicolon are those of the
attributes, ``_`` for one that counts nothing. ``name?`` is an operand that may be absent, ``[n+]`` at least n elements.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from nbnet.engine.graph.op import Op
from nbnet.engine.graph.tensor import Call
from nbnet.engine.jit.function import Within


class Sizes(dict[str, int]):
    """Numbers by name, from attributes and operands; a name that only absent operands have is without bound."""

    def __missing__(self, name: str) -> int:
        return 1 << 62


class Length(NamedTuple):
    """A product: a factor and named numbers; ``least`` is True for a lower bound."""

    factor: int
    names: tuple[str, ...]
    least: bool


class Operand(NamedTuple):
    """An operand in a statement: one length for its elements, or two for rows and columns."""

    name: str
    required: bool
    dtype: np.dtype[Any] | None
    any_dtype: bool
    lengths: tuple[Length, ...]


class Extents(NamedTuple):
    """A statement, ready to be checked."""

    operands: tuple[Operand, ...]
    attributes: tuple[str, ...]
    within: Within | None


def _length(text: str) -> Length:
    least = text.endswith("+")
    factor, names = 1, []
    for part in text.rstrip("+").split("*"):
        if part.isdigit():
            factor *= int(part)
        else:
            names.append(part)
    return Length(factor, tuple(names), least)


@functools.cache
def parse(text: str, within: Within | None = None) -> Extents:
    """Read a statement.

    Examples
    --------
    >>> from nbnet.engine.graph.extents import parse
    >>> [(operand.name, len(operand.lengths)) for operand in parse("x[n,k] y[n*k]").operands]
    [('x', 2), ('y', 1)]
    """
    body, _, attributes = text.partition(";")
    operands = []
    for part in body.split():
        head, _, lengths = part.rstrip("]").partition("[")
        name, _, dtype = head.partition(":")
        found = None if dtype in ("", "*") else np.dtype(dtype)
        parts = tuple(_length(length) for length in lengths.split(",")) if lengths else ()
        operands.append(Operand(name.rstrip("?"), not name.endswith("?"), found, dtype == "*", parts))
    return Extents(tuple(operands), tuple(attributes.split()), within)


@functools.cache
def of_op(op: Op, forward: bool) -> Extents | None:
    """The extents of an op's forward or backward kernel; None if the op states none.

    The gradient of an operand is as large as the operand. A gradient that backward writes may be absent if there are
    several.
    """
    if not op.extents:
        return None
    stated = parse(op.extents, op.within)
    known = {operand.name: operand for operand in stated.operands}
    written = [name for name in op.gradient if name not in known and name[1:] in op.inputs]
    found = []
    for name in op.operands if forward else op.gradient:
        own = known.get(name) or known.get(name[1:] if name.startswith("d") else "")
        if own is None:
            raise ValueError(f"op {op.name!r}: its extents do not mention {name!r}")
        found.append(own._replace(name=name, required=forward or name not in written or len(written) == 1))
    return Extents(tuple(found), stated.attributes, op.within)


def form(call: Call) -> tuple[Any, ...]:
    """All that decides whether a call stays inside its operands."""
    shapes = [None if t is None else (t.matrix, t.dtype.char) for t in call.operands]
    return call.kernel, call.op, call.attributes, *shapes


def refusal(call: Call) -> str | None:
    """Why a call might leave its operands; None if it cannot, or its kernel states no extents.

    Examples
    --------
    >>> import nbnet as nb
    >>> from nbnet.engine.graph.extents import refusal
    >>> with nb.Tape() as tape:
    ...     y = nb.ops.matmul(nb.ops.ones((2, 3)), nb.ops.ones((3, 4)))
    >>> call = tape.nodes[0].call()
    >>> refusal(call) is None
    True
    >>> from dataclasses import replace
    >>> refusal(replace(call, operands=(y, *call.operands[1:])))
    'operand b has 3 rows, expected 4'
    """
    why = _refusal(call)
    if why is None:
        if len(accepted) >= MOST_ACCEPTED:
            accepted.clear()
        accepted.add(form(call))
    return why


#: Forms of calls that fit: most programs repeat those of others.
accepted: set[tuple[Any, ...]] = set()
MOST_ACCEPTED = 4096


def _refusal(call: Call) -> str | None:
    kernel, op = call.kernel, call.op
    if op is not None:
        stated = of_op(op, kernel is op.forward)
    elif kernel.extents:
        stated = parse(kernel.extents, kernel.within)
    else:
        return None
    if stated is None:
        return None
    sizes = Sizes(zip(stated.attributes, call.attributes, strict=False))
    if len(call.operands) > len(stated.operands) or len(call.attributes) < len(stated.attributes):
        return f"it has {len(call.operands)} operands and {len(call.attributes)} attributes"
    for name, value in sizes.items():
        if value < 0 and name != "_":
            return f"attribute {name} is {value}"
    waiting: list[tuple[Operand, Sequence[int]]] = []
    for k, expected in enumerate(stated.operands):
        tensor = call.operands[k] if k < len(call.operands) else None
        if tensor is None:
            if expected.required:
                return f"operand {expected.name} is absent"
            continue
        if not expected.any_dtype and tensor.dtype != (expected.dtype or call.dtype):
            return f"operand {expected.name} has dtype {tensor.dtype}"
        found: Sequence[int] = tensor.matrix if len(expected.lengths) == 2 else (tensor.size,)
        if (why := _fit(expected, found, sizes)) == "":
            waiting.append((expected, found))
        elif why:
            return why
    for expected, sides in waiting:
        if why := _fit(expected, sides, sizes):
            return why
    if stated.within is not None and not stated.within(sizes):
        return f"its attributes {call.attributes} do not fit its operands"
    return None


def _fit(expected: Operand, found: Sequence[int], sizes: Sizes) -> str | None:
    """Compare lengths, and learn names from them: None if all fit, "" if more than one name is not known yet, else what
    is wrong."""
    for k, length in enumerate(expected.lengths):
        known, free = length.factor, ""
        for name in length.names:
            if name in sizes:
                known *= sizes[name]
            elif free:
                return ""
            else:
                free = name
        n = found[k]
        if free and known:
            sizes[free], rest = divmod(n, known)
            fits = rest == 0
        else:
            fits = n >= known if length.least else n == known
        if not fits:
            unit = "elements" if len(found) == 1 else ("rows", "columns")[k]
            some = "at least " if length.least else "a multiple of " if free and known else ""
            return f"operand {expected.name} has {n} {unit}, expected {some}{known}"
    return None


def spanned(lengths: Sequence[int], strides: Sequence[int]) -> int:
    """Number of elements up to the last one that a walk along axes of these lengths, none of them 0, visits.

    Examples
    --------
    >>> from nbnet.engine.graph.extents import spanned
    >>> spanned((2, 3), (4, 1))
    7
    """
    return 1 + sum((n - 1) * stride for n, stride in zip(lengths, strides, strict=True))
