"""A model as boxes and arrows: what pictures of it are drawn from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from nbnet import activations
from nbnet.core.structure import flatten
from nbnet.core.symbol import Producer, Symbol
from nbnet.layers.input import InputLayer
from nbnet.layers.layer import Layer
from nbnet.models.model import Model


@dataclass(frozen=True)
class Show:
    """What a box says besides the kind of its layer."""

    shapes: bool = False
    dtype: bool = False
    names: bool = False
    activations: bool = False
    trainable: bool = False
    nested: bool = False


@dataclass(frozen=True)
class Box:
    """A layer or function: lines of text, and the names of the models around it, outermost first."""

    lines: tuple[str, ...]
    inside: tuple[str, ...] = ()


@dataclass
class Diagram:
    """Boxes by a key of their own, in the order of the calls, and arrows from key to key."""

    title: str
    boxes: dict[str, Box] = field(default_factory=dict)
    arrows: list[tuple[str, str]] = field(default_factory=list)


def diagram(model: Model, show: Show) -> Diagram:
    """The boxes and arrows of a model.

    A layer that is called several times is one box. Of a model that is a subclass with a ``call`` of its own, whose
    calls nobody knows before they are made, there is one box; of a Sequential without an input, boxes without shapes.

    Examples
    --------
    >>> import nbnet as nb
    >>> from nbnet.utils.diagram import Show, diagram
    >>> x = nb.Input((4,))
    >>> drawn = diagram(nb.Model(x, nb.layers.Dense(2, "relu")(x)), Show(shapes=True))
    >>> [box.lines for box in drawn.boxes.values()], drawn.arrows
    ([('InputLayer', 'output: (None, 4)'), ('Dense', 'input: (None, 4)', 'output: (None, 2)')], [('0', '1')])
    """
    made = Diagram(model.name)
    calls = _calls(model)
    if calls:
        _Drawer(made, show).add(model, calls, ())
        return made
    layers: Sequence[Layer] = model.layers if hasattr(model, "_layers") else [model]
    for number, layer in enumerate(layers):
        made.boxes[str(number)] = Box(tuple(_lines(layer, type(layer).__name__, layer.name, None, show)))
        if number:
            made.arrows.append((str(number - 1), str(number)))
    return made


def _calls(model: Any) -> list[Producer]:
    """The calls of a model that is known as a graph, inputs first; none of others."""
    if not isinstance(model, Model):
        return []
    if model.graph is not None:
        return list(model.graph.producers)
    symbols = [symbol for part in getattr(model, "_symbols", []) for symbol in flatten(part)]
    return list({id(s.producer): s.producer for s in symbols if s.producer is not None}.values())


class _Drawer:
    """Adds the calls of models, one inside the other."""

    def __init__(self, made: Diagram, show: Show) -> None:
        self.made, self.show = made, show
        #: Keys of boxes, by the layer, or by the call of a function.
        self.keys: dict[int, str] = {}

    def add(self, model: Model, calls: Sequence[Producer], inside: tuple[str, ...]) -> None:
        """Boxes of calls, and the arrows between them."""
        names = {} if model.graph is None else model.graph.names()
        for call in calls:
            inner = _calls(call.function) if self.show.nested else []
            if inner and id(call.function) not in self.keys:
                self.keys[id(call.function)] = ""
                nested: Any = call.function
                self.add(nested, inner, (*inside, nested.name))
            elif not inner and _identity(call) not in self.keys:
                self._box(call, names.get(id(call), call.name), inside)
            for k, symbol in enumerate(call.inputs()):
                if symbol.producer is not None:
                    arrow = (self._leaving(symbol), self._entering(call, k))
                    if arrow not in self.made.arrows:
                        self.made.arrows.append(arrow)

    def _box(self, call: Producer, name: str, inside: tuple[str, ...]) -> None:
        part = call.function
        kind = type(part).__name__ if isinstance(part, Layer) else name
        key = self.keys[_identity(call)] = str(len(self.made.boxes))
        self.made.boxes[key] = Box(tuple(_lines(part, kind, name, call, self.show)), inside)

    def _leaving(self, symbol: Symbol) -> str:
        """The box a symbol comes out of."""
        call = symbol.producer
        assert call is not None
        if self.show.nested and _calls(call.function):
            number = next(k for k, other in enumerate(flatten(call.outputs)) if other is symbol)
            return self._leaving(_outputs(call.function)[number])
        return self.keys[_identity(call)]

    def _entering(self, call: Producer, number: int) -> str:
        """The box that takes the n-th input of a call."""
        if self.show.nested and _calls(call.function):
            head = _inputs(call.function)[number].producer
            assert head is not None
            return self.keys[_identity(head)]
        return self.keys[_identity(call)]


def _identity(call: Producer) -> int:
    """Layers are themselves wherever they are called; each call of a function is another."""
    return id(call.function) if isinstance(call.function, Layer) else id(call)


def _inputs(model: Any) -> list[Symbol]:
    return list(flatten(model.input))


def _outputs(model: Any) -> list[Symbol]:
    return list(flatten(model.output))


def _lines(part: Any, kind: str, name: str, call: Producer | None, show: Show) -> Iterator[str]:
    """What a box says."""
    yield f"{name} ({kind})" if show.names and name != kind else kind
    if show.activations and (activation := getattr(part, "activation", None)) is not None:
        yield f"activation: {activations.name_of(activation) if callable(activation) else activation}"
    if call is not None and show.shapes:
        if not isinstance(part, InputLayer):
            yield f"input: {_shapes(call.inputs())}"
        yield f"output: {_shapes(flatten(call.outputs))}"
    if show.dtype:
        dtypes = [str(s.dtype) for s in flatten(call.outputs)] if call is not None else [str(part.dtype)]
        yield f"dtype: {', '.join(dict.fromkeys(dtypes))}"
    if show.trainable and isinstance(part, Layer) and part.weights:
        yield "trainable" if part.trainable else "not trainable"


def _shapes(symbols: Any) -> str:
    return ", ".join(str(symbol.shape) for symbol in symbols)
