"""Symbols: tensors of a model that is only being described, with an open batch axis.

``y = layer(symbol)`` computes nothing. It notes what would be called with what, so that :func:`evaluate` can call it
again for a batch of any size: at once, on a tape, or while a program is written.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

import numpy as np

from nbnet.core.graph import Tensor, operators
from nbnet.core.tape import Trace

OpenShape = tuple[int | None, ...]
F = TypeVar("F", bound=Callable[..., Any])

# Batch sizes a description is tried with: axes that differ between the two are open.
_PROBES = (2, 3)


@dataclass(eq=False)
class Producer:
    """A call that was noted: a layer or a function of ``nbnet.ops``, and its arguments with symbols among them."""

    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    outputs: Any = None

    def inputs(self) -> list[Symbol]:
        """The symbols among the arguments."""
        return list(_leaves((self.args, self.kwargs)))


@dataclass(eq=False)
class Symbol:
    """A tensor to be.

    Parameters
    ----------
    shape
        None for the open batch axis.
    producer
        What computes it; None for an input of a model.
    """

    shape: OpenShape
    dtype: np.dtype[Any]
    name: str = ""
    producer: Producer | None = field(default=None, repr=False)

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError(f"{self.name or 'this tensor'} has no value yet: it is part of the description of a model")

    def __bool__(self) -> bool:
        raise TypeError(f"{self.name or 'this tensor'} has no value yet: a model cannot branch on it")

    def __add__(self, other: Any) -> Any:
        return operators["add"](self, other)

    def __radd__(self, other: Any) -> Any:
        return operators["add"](other, self)

    def __sub__(self, other: Any) -> Any:
        return operators["subtract"](self, other)

    def __rsub__(self, other: Any) -> Any:
        return operators["subtract"](other, self)

    def __mul__(self, other: Any) -> Any:
        return operators["multiply"](self, other)

    def __rmul__(self, other: Any) -> Any:
        return operators["multiply"](other, self)

    def __truediv__(self, other: Any) -> Any:
        return operators["divide"](self, other)

    def __rtruediv__(self, other: Any) -> Any:
        return operators["divide"](other, self)

    def __pow__(self, other: Any) -> Any:
        return operators["power"](self, other)

    def __neg__(self) -> Any:
        return operators["multiply"](self, -1.0)

    def __matmul__(self, other: Any) -> Any:
        return operators["matmul"](self, other)


def map_structure(function: Callable[[Any], Any], structure: Any) -> Any:
    """Apply a function to the leaves of nested lists, tuples and dicts."""
    if isinstance(structure, Mapping):
        return {k: map_structure(function, v) for k, v in structure.items()}
    if isinstance(structure, (list, tuple)):
        return type(structure)(map_structure(function, v) for v in structure)
    return function(structure)


def flatten(structure: Any) -> Iterator[Any]:
    """The leaves of nested lists, tuples and dicts."""
    if isinstance(structure, Mapping):
        structure = list(structure.values())
    if isinstance(structure, (list, tuple)):
        for part in structure:
            yield from flatten(part)
    else:
        yield structure


def _leaves(structure: Any) -> Iterator[Symbol]:
    return (leaf for leaf in flatten(structure) if isinstance(leaf, Symbol))


def has_symbols(structure: Any) -> bool:
    """Whether symbols are among the leaves."""
    return any(True for _ in _leaves(structure))


def record(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], name: str = "") -> Any:
    """Note a call; returns symbols in the structure that the call would return."""
    producer = Producer(function, args, kwargs)
    results = []
    for batch in _PROBES:

        def probe(leaf: Any, batch: int = batch) -> Any:
            if not isinstance(leaf, Symbol):
                return leaf
            return Tensor(tuple(batch if n is None else n for n in leaf.shape), leaf.dtype)

        with Trace():
            results.append(function(*map_structure(probe, args), **map_structure(probe, kwargs)))
    shapes = [[t.shape for t in flatten(result)] for result in results]
    merged = iter(
        [tuple(a if a == b else None for a, b in zip(*pair, strict=True)) for pair in zip(*shapes, strict=True)]
    )
    label = name or getattr(function, "name", "") or getattr(function, "__name__", "")
    producer.outputs = map_structure(lambda t: Symbol(next(merged), t.dtype, label, producer), results[0])
    return producer.outputs


def symbolic(function: F) -> F:
    """Decorate a function of tensors so that it can be called with symbols."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if has_symbols(args) or (kwargs and has_symbols(kwargs)):
            return record(call, args, kwargs)
        return function(*args, **kwargs)

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
            if item.producer is None:
                raise ValueError(f"inputs: the outputs depend on the input {item.name!r}, which is not among them")
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
    """
    found = dict(values)

    def resolve(leaf: Any) -> Any:
        return found[id(leaf)] if isinstance(leaf, Symbol) else leaf

    for producer in order:
        result = producer.function(*map_structure(resolve, producer.args), **map_structure(resolve, producer.kwargs))
        for symbol, value in zip(flatten(producer.outputs), flatten(result), strict=True):
            found[id(symbol)] = value
    return map_structure(resolve, outputs)
