"""Symbolic tensors, with an open batch axis, of a model that is being defined.

``y = layer(symbol)`` computes nothing. It records the call, so that :func:`evaluate` can repeat it for a batch of any
size: eagerly, on a tape, or while a program is built.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice, product
from math import prod
from typing import Any, ClassVar, TypeVar, cast

import numpy as np

from nbnet.base.loading_budget import active, count_steps
from nbnet.base.tree import flatten, map_structure, restructure
from nbnet.base.uninterrupted import apart_from_handlers
from nbnet.engine.graph.arithmetic import Arithmetic, operators
from nbnet.engine.graph.parameter import Parameter
from nbnet.engine.graph.tape import Trace
from nbnet.engine.graph.tensor import Tensor, exact_tensor, recorder, thread_state

OpenShape = tuple[int | None, ...]
F = TypeVar("F", bound=Callable[..., Any])

#: Sizes of the batch and of other open axes, long enough for windows, with which a call is tried: axes of results that
#: differ are open.
_PROBES = ((2, 60), (3, 128))

#: Number of other combinations of sizes that are tried.
_MOST_TRIALS = 1000


@dataclass(eq=False)
class Producer:
    """A recorded call: a layer or a function of ``nbnet.ops``, its arguments with symbols among them, and outputs."""

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
    """A symbolic tensor, with the layer's name and the recorded call that returned it.

    In its shape, None stands for an open axis: the batch, and others of any length.
    """

    shape: OpenShape
    dtype: np.dtype[Any]
    name: str = ""
    producer: Producer | None = None
    #: Shape and dtype of the mask of time steps that the tensor will have; None without one.
    mask: tuple[OpenShape, np.dtype[Any]] | None = None

    @property
    def time_mask(self) -> Any:
        """The mask of time steps of the tensor, as a symbol; None if it will have none."""
        return None if self.mask is None else operators["time_mask"](self)

    _keras_mask = time_mask
    #: Tensors are dense.
    sparse: ClassVar[bool] = False
    ragged: ClassVar[bool] = False

    #: For the symbol of a comparison with ``==`` or ``!=``: its truth value, by identity of what is compared.
    compared: bool | None = field(default=None, kw_only=True)

    __hash__ = object.__hash__

    def __eq__(self, other: Any) -> Any:
        return self._compare(Arithmetic.__eq__, other, self is other)

    def __ne__(self, other: Any) -> Any:
        return self._compare(Arithmetic.__ne__, other, self is not other)

    def _compare(self, compare: Callable[[Any, Any], Any], other: Any, truth: bool) -> Any:
        """Return the symbol of an elementwise comparison; of symbols whose shapes do not fit, the truth value."""
        if not isinstance(other, Symbol):
            return compare(self, other)
        try:
            made = compare(self, other)
        except ValueError:
            return truth
        made.compared = truth
        return made

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int | None:
        """Number of elements; None if an axis is open."""
        return None if None in self.shape else prod(n for n in self.shape if n is not None)

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        raise self._without_value("use functions of nbnet.ops and layers instead of NumPy's functions")

    def __float__(self) -> float:
        raise self._without_value("it cannot become a number")

    def __int__(self) -> int:
        raise self._without_value("it cannot become a number")

    def __index__(self) -> int:
        raise self._without_value("it cannot become a number")

    def __bool__(self) -> bool:
        if self.compared is not None:  # As lists ask for membership.
            return self.compared
        raise self._without_value("a model cannot branch on it; use nbnet.ops.where instead of if")

    def __iter__(self) -> Any:
        raise self._without_value("it cannot be iterated over; use nbnet.ops.unstack or split")

    def numpy(self) -> Any:
        """Raise TypeError: a symbol has no value."""
        raise self._without_value("call the model to compute values")

    def _without_value(self, hint: str) -> TypeError:
        return TypeError(f"{self!r} has no value, it is a symbol in the definition of a model: {hint}")

    def __repr__(self) -> str:
        return f"<Symbol {self.name!r} shape={self.shape} dtype={self.dtype}>"


def has_symbols(structure: Any) -> bool:
    """True if symbols are among the leaves."""
    if isinstance(structure, (list, tuple)):
        return any(has_symbols(part) for part in structure)
    if isinstance(structure, dict):
        return any(has_symbols(part) for part in structure.values())
    return isinstance(structure, Symbol)


def record(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], name: str) -> Any:
    """Record a call; returns symbols in the structure that the call returns, which must be tensors, else TypeError."""
    count_steps(1, name)
    if (value := _value_of((args, kwargs))) is not None:
        return function(*map_structure(value, args), **map_structure(value, kwargs))
    producer = Producer(function, args, kwargs, name)
    if any(symbol.dtype.kind == "U" for symbol in producer.inputs()):
        raise TypeError(f"{name}: expected numbers, got strings: StringLookup, TextVectorization or Hashing reads them")
    results = apart_from_handlers(lambda: _tried(producer))
    symbols = []
    for found in zip(*map(flatten, results), strict=True):
        first = found[0]
        if not all(isinstance(x, Tensor) and x.ndim == first.ndim for x in found):
            raise TypeError(f"{name}: expected a tensor, or tensors, to be returned; got {type(first).__name__}")
        symbols.append(Symbol(_open(found), first.dtype, name, producer))
        masks = [x.time_mask for x in found if x.time_mask is not None]
        if len(masks) == len(found):
            symbols[-1].mask = _open(masks), masks[0].dtype
    producer.outputs = restructure(results[0], symbols)
    return producer.outputs


def _value_of(arguments: Any) -> Callable[[Any], Any] | None:
    """Return a function from symbols among the arguments of a call to tensors; None if the call is to be recorded.

    A loss or a layer may use symbols of the model it belongs to. They have values while that model is computed; while
    a layer is tried they have made-up ones, beside the tensors that it is tried with.
    """
    recording = recorder()
    known = [*thread_state.evaluating, *({} if recording is None else recording.evaluated).values()]
    symbols = [leaf for leaf in flatten(arguments) if isinstance(leaf, Symbol)] if known else []
    for found in reversed(known):
        try:
            _repeat(_order(symbols, found), found)
        except ValueError:  # They depend on other inputs.
            continue
        return lambda leaf: found[id(leaf)] if isinstance(leaf, Symbol) else leaf
    placeholder = getattr(recording, "placeholder", None)
    beside = any(isinstance(leaf, Tensor) and leaf.data is None for leaf in flatten(arguments))
    return placeholder if beside else None


def with_values(structure: Any) -> Any:
    """The structure with tensors in place of symbols that have values now; see :func:`_value_of`."""
    value = _value_of(structure) if has_symbols(structure) else None
    return structure if value is None else map_structure(value, structure)


def _open(tensors: Sequence[Tensor]) -> OpenShape:
    """The shape of which tensors are examples."""
    return tuple(sizes[0] if len(set(sizes)) == 1 else None for sizes in zip(*(x.shape for x in tensors), strict=True))


def _tried(producer: Producer) -> list[Any]:
    """Outputs of the call for tensors of two or more sizes in place of symbols."""
    inputs = list({id(symbol): symbol for symbol in producer.inputs()}.values())

    def standard(batch: int, other: int) -> list[list[int]]:
        return [[(other if k else batch) if n is None else n for k, n in enumerate(x.shape)] for x in inputs]

    try:
        return [_probe(producer, inputs, standard(*sizes)) for sizes in _PROBES]
    except (ValueError, IndexError) as error:
        # An open axis may have to be as long as another one, or 1. Layers have weights for the lengths they met.
        count = sum(x.shape.count(None) for x in inputs)
        if hasattr(producer.function, "weights") or not count:
            raise
        numbers = [n for n in flatten((producer.args, producer.kwargs)) if type(n) is int and 0 < n < _PROBES[1][1]]
        lengths = {1, 2, 60, *numbers, *(n + 1 for n in numbers), *(n for x in inputs for n in x.shape if n)}
        found = []
        for choice in islice(product(sorted(lengths), repeat=count), _MOST_TRIALS):
            chosen = iter(choice)
            with suppress(ValueError, IndexError):
                sizes = [[next(chosen) if n is None else n for n in x.shape] for x in inputs]
                found.append(_probe(producer, inputs, sizes))
        if not found:
            raise error
        return found


def _probe(producer: Producer, inputs: Sequence[Symbol], shapes: Sequence[Sequence[int]]) -> Any:
    """Outputs of the call for tensors of these shapes in place of symbols."""
    shape_of = {id(symbol): tuple(shape) for symbol, shape in zip(inputs, shapes, strict=True)}
    made_up: dict[int, Tensor] = {}
    # Sizes of other symbols of the model, which the function may use beside its arguments.
    rows, other = next((shape[0] for shape in shapes if shape), _PROBES[0][0]), _PROBES[0][1]

    def placeholder(leaf: Any) -> Any:
        if not isinstance(leaf, Symbol):
            return leaf
        if id(leaf) not in made_up:
            shape = shape_of.get(id(leaf)) or tuple(
                (other if axis else rows) if n is None else n for axis, n in enumerate(leaf.shape)
            )
            made_up[id(leaf)] = made = Tensor(shape, leaf.dtype)
            if leaf.mask is not None:
                sizes = zip(leaf.mask[0], shape, strict=False)
                made.time_mask = Tensor(tuple(m if n is None else n for n, m in sizes), leaf.mask[1])
        return made_up[id(leaf)]

    floats = (symbol.dtype for symbol in producer.inputs() if symbol.dtype.kind == "f")
    with Trace(next(floats, None)) as trace:
        trace.probing, trace.placeholder = True, placeholder
        made = producer.function(
            *map_structure(placeholder, producer.args), **map_structure(placeholder, producer.kwargs)
        )
    for node in trace.nodes:
        # Nodes and their outputs refer to each other: constants of the call are freed now, not some time later.
        for output in node.outputs:
            output.node = None
    return made


def snapshot(result: Any) -> Any:
    """The result of a function of tensors, with the value that a weight has now in place of a weight that it handed
    through: weights change, tensors do not."""
    if type(result) is Tensor or not any(isinstance(leaf, Parameter) for leaf in flatten(result)):
        return result
    return map_structure(lambda leaf: leaf.value if isinstance(leaf, Parameter) else leaf, result)


def symbolic(function: F, module: str | None = None, exact: int = 0) -> F:
    """Decorate a function of tensors so that it accepts symbols, too, and returns no weight.

    Parameters
    ----------
    module
        For pickling: the module in which the result has the function's name; by default it is its own.
    exact
        Number of the first arguments that stay integers if all of them are.
    """

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if has_symbols(args) or (kwargs and has_symbols(kwargs)):
            return record(function, args, kwargs, function.__name__)
        if exact and not all(isinstance(value, Tensor) for value in args[:exact]):
            args = _exact(args, exact)
        return snapshot(function(*args, **kwargs))

    if module is not None:
        call.__module__ = module
    return cast(F, call)


def _exact(args: tuple[Any, ...], count: int) -> tuple[Any, ...]:
    """The arguments, with tensors of integers in place of the first ones if these are integers, or booleans beside
    integers."""
    kinds = set()
    for value in args[:count]:
        if not isinstance(value, (int, list, tuple, Tensor, np.ndarray, np.generic)):
            return args
        if not isinstance(value, (list, tuple)):
            kinds.add(value.dtype.kind if hasattr(value, "dtype") else "b" if isinstance(value, bool) else "i")
        elif not all(isinstance(leaf, (int, np.integer, np.bool_)) for leaf in flatten(value)):
            return args
        else:
            kinds.add(np.asarray(value).dtype.kind)
    if not kinds <= set("iub") or kinds == {"b"}:
        return args
    return (*(exact_tensor(value) for value in args[:count]), *args[count:])


def producers(outputs: Iterable[Symbol], inputs: Sequence[Symbol]) -> list[Producer]:
    """The calls that lead from inputs to outputs, each after those it depends on; raises ValueError if an output
    depends on a symbol that is no input."""
    return _order(outputs, {id(s) for s in inputs})


def _order(outputs: Iterable[Symbol], known: Container[int]) -> list[Producer]:
    """The calls that lead to outputs from symbols with these ``id``."""
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
    """Repeat the calls of :func:`producers` with tensors in place of symbols; returns tensors in the structure of the
    outputs. ``values`` has the tensors for the inputs, by ``id`` of the symbol."""
    if active() is not None:
        count_steps(len(order), "model")
    found = dict(values)
    thread_state.evaluating.append(found)
    try:
        _repeat(order, found)
    finally:
        thread_state.evaluating.pop()
    if (recording := recorder()) is not None:
        recording.evaluated[tuple(values)] = found
    return map_structure(lambda leaf: found[id(leaf)] if isinstance(leaf, Symbol) else leaf, outputs)


def _repeat(order: Sequence[Producer], found: dict[int, Any]) -> None:
    """Repeat calls with the tensors that were found for symbols, and enter those that they return."""

    def resolve(leaf: Any) -> Any:
        return found[id(leaf)] if isinstance(leaf, Symbol) else leaf

    for producer in order:
        result = producer.function(*map_structure(resolve, producer.args), **map_structure(resolve, producer.kwargs))
        for symbol, value in zip(flatten(producer.outputs), flatten(result), strict=True):
            found[id(symbol)] = value
