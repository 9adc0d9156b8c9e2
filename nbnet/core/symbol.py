"""Symbols: tensors of a model that is being described, with an open batch axis.

``y = layer(symbol)`` computes nothing. It notes what would be called with what, so that :func:`evaluate` can call it
again for a batch of any size: at once, on a tape, or while a program is written.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import numpy as np

from nbnet.core.arithmetic import Arithmetic
from nbnet.core.graph import Tensor
from nbnet.core.structure import flatten, map_structure, restructure
from nbnet.core.tape import Trace

OpenShape = tuple[int | None, ...]
F = TypeVar("F", bound=Callable[..., Any])

#: Sizes of the batch and of other open axes that a call is tried with: axes of results that differ are open. The latter
#: are long enough for windows.
_PROBES = ((2, 60), (3, 128))


@dataclass(eq=False)
class Producer:
    """A call that was noted: a layer or a function of ``nbnet.ops``, its arguments with symbols among them, and what
    it returned."""

    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    name: str
    outputs: Any = None

    def inputs(self) -> list[Symbol]:
        """The symbols among the arguments."""
        return [leaf for leaf in flatten((self.args, self.kwargs)) if isinstance(leaf, Symbol)]


@dataclass(eq=False, repr=False)
class Symbol(Arithmetic[Any]):
    """A tensor to be.

    Parameters
    ----------
    shape
        None for the open batch axis, and for others that are open.
    dtype
        Of the tensor.
    name
        That of the layer it comes from.
    producer
        The call it comes from.
    """

    shape: OpenShape
    dtype: np.dtype[Any]
    name: str = ""
    producer: Producer | None = None

    # It has rows, but how many is not known: they cannot be walked.
    __iter__ = None

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        raise self._without_value("take functions of nbnet.ops and layers instead of NumPy's functions")

    def __float__(self) -> float:
        raise self._without_value("it cannot become a number")

    def __bool__(self) -> bool:
        raise self._without_value("a model cannot branch on it")

    def _without_value(self, hint: str) -> TypeError:
        return TypeError(f"{self!r} has no value, it is part of the description of a model: {hint}")

    def __repr__(self) -> str:
        return f"<Symbol {self.name!r} shape={self.shape} dtype={self.dtype}>"


def has_symbols(structure: Any) -> bool:
    """Whether symbols are among the leaves."""
    if isinstance(structure, (list, tuple)):
        return any(has_symbols(part) for part in structure)
    if isinstance(structure, dict):
        return any(has_symbols(part) for part in structure.values())
    return isinstance(structure, Symbol)


def record(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], name: str) -> Any:
    """Note a call; returns symbols in the structure that the call would return.

    Raises
    ------
    TypeError
        If it returns something other than tensors.
    """
    producer = Producer(function, args, kwargs, name)
    first, second = (_probe(producer, batch, other) for batch, other in _PROBES)
    made = []
    for a, b in zip(flatten(first), flatten(second), strict=True):
        if not isinstance(a, Tensor) or a.ndim != b.ndim:
            raise TypeError(f"{name}: wants a tensor, or tensors, to be returned; got {type(a).__name__}")
        shape = tuple(n if n == m else None for n, m in zip(a.shape, b.shape, strict=True))
        made.append(Symbol(shape, a.dtype, name, producer))
    producer.outputs = restructure(first, made)
    return producer.outputs


def _probe(producer: Producer, batch: int, other: int) -> Any:
    """What the call gives for tensors in place of symbols."""

    def placeholder(leaf: Any) -> Any:
        if not isinstance(leaf, Symbol):
            return leaf
        shape = tuple((other if axis else batch) if n is None else n for axis, n in enumerate(leaf.shape))
        return Tensor(shape, leaf.dtype)

    with Trace():
        return producer.function(
            *map_structure(placeholder, producer.args), **map_structure(placeholder, producer.kwargs)
        )


def symbolic(function: F, module: str | None = None) -> F:
    """Let a function of tensors be called with symbols, too.

    Parameters
    ----------
    module
        Where the result is found under the function's name, and by which it is pickled; None: where the function is.
    """

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if has_symbols(args) or (kwargs and has_symbols(kwargs)):
            return record(function, args, kwargs, function.__name__)
        return function(*args, **kwargs)

    if module is not None:
        call.__module__ = module
    return cast(F, call)


def producers(outputs: Iterable[Symbol], inputs: Sequence[Symbol]) -> list[Producer]:
    """The calls that lead from inputs to outputs, each after those it depends on.

    Raises
    ------
    ValueError
        If an output depends on something that is no input.
    """
    known = {id(s) for s in inputs}
    order: list[Producer] = []
    seen: set[int] = set()
    stack: list[tuple[Symbol | Producer, bool]] = [(s, False) for s in reversed(list(outputs))]
    while stack:
        item, done = stack.pop()
        if isinstance(item, Producer):
            if done:
                order.append(item)
            elif id(item) not in seen:
                seen.add(id(item))
                stack.append((item, True))
                stack.extend((s, False) for s in reversed(item.inputs()))
        elif id(item) not in known:
            if item.producer is None or not item.producer.inputs():
                raise ValueError(f"inputs: the outputs depend on {item.name!r}, which is not among the inputs")
            stack.append((item.producer, False))
    return order


def evaluate(order: Sequence[Producer], values: Mapping[int, Any], outputs: Any) -> Any:
    """Make the noted calls with tensors in place of symbols; returns the outputs' structure.

    Parameters
    ----------
    order
        From :func:`producers`.
    values
        Tensors for the inputs, by ``id`` of the symbol.
    outputs
        Structure of symbols.
    """
    found = dict(values)

    def resolve(leaf: Any) -> Any:
        return found[id(leaf)] if isinstance(leaf, Symbol) else leaf

    for producer in order:
        result = producer.function(*map_structure(resolve, producer.args), **map_structure(resolve, producer.kwargs))
        for symbol, value in zip(flatten(producer.outputs), flatten(result), strict=True):
            found[id(symbol)] = value
    return map_structure(resolve, outputs)
