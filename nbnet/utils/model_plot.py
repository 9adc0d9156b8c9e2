"""Diagrams of models."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nbnet import activations
from nbnet.base.atomic_file import replacing, target
from nbnet.base.tree import flatten
from nbnet.base.validation import check_choice
from nbnet.engine.graph.symbolic import Producer, Symbol
from nbnet.layers.input import InputLayer
from nbnet.layers.layer import Layer
from nbnet.models.model import Model
from nbnet.utils.diagram import Box, Diagram, dot_source, layered_svg


@dataclass(frozen=True)
class Picture:
    """A picture that notebooks display.

    Parameters
    ----------
    kind
        Format: ``"svg"``, ``"png"`` ...
    content
        The content of a file in this format.
    """

    kind: str
    content: bytes

    def _repr_svg_(self) -> str | None:
        return self.content.decode() if self.kind == "svg" else None

    def _repr_png_(self) -> bytes | None:
        return self.content if self.kind == "png" else None


def plot_model(
    model: Model,
    to_file: str | os.PathLike[str] | None = "model.png",
    show_shapes: bool = False,
    show_dtype: bool = False,
    show_layer_names: bool = False,
    rankdir: str = "TB",
    expand_nested: bool = False,
    dpi: float | None = 200,
    show_layer_activations: bool = False,
    show_trainable: bool = False,
    splines: str = "ortho",
) -> Picture:
    """Draw the layers of a model as boxes, with arrows between them.

    Graphviz draws the model if its program ``dot`` is installed; otherwise nbnet draws a plain SVG.

    Parameters
    ----------
    model
        A model; a subclass with its own ``call`` is one box.
    to_file
        Path of the file. Its ending selects the format: ``.svg``, ``.dot``, or with Graphviz ``.png``, ``.pdf`` and
        others. None draws SVG and writes no file.
    show_shapes, show_dtype, show_layer_names, show_layer_activations, show_trainable
        If True, boxes show this besides the class of the layer.
    rankdir : {"TB", "BT", "LR", "RL"}
        Direction of the arrows: top to bottom, bottom to top, left to right, or right to left.
    expand_nested
        If True, draw nested models as frames around their layers; otherwise as boxes.
    dpi
        Resolution in dots per inch; SVG has none.
    splines
        Style of arrows in Graphviz.

    Returns
    -------
    Picture
        A notebook displays it.

    Raises
    ------
    TypeError
        If ``model`` is no model.
    ValueError
        If ``rankdir`` is unknown, or the file name has no ending, or no file can have it.
    OSError
        If the file cannot be written, or is a folder, a FIFO, a socket or a device.
    ImportError
        If the format requires Graphviz, which is not installed.

    Examples
    --------
    >>> import nbnet as nb
    >>> model = nb.Sequential([nb.Input((4,)), nb.layers.Dense(2, "softmax")])
    >>> nb.utils.plot_model(model, to_file=None, show_shapes=True).kind
    'svg'
    """
    show = Show(show_shapes, show_dtype, show_layer_names, show_layer_activations, show_trainable, expand_nested)
    drawn = _diagram(model, show, rankdir)
    kind = "svg" if to_file is None else Path(to_file).suffix.lstrip(".").lower()
    if not kind:
        raise ValueError(
            f"to_file: expected a name with an ending such as .svg or .png, got {os.fspath(to_file or '')!r}"
        )
    path = None if to_file is None else target(to_file)
    picture = Picture(kind, _content(drawn, kind, rankdir, splines, dpi))
    if path is not None:
        with replacing(path) as file:
            file.write(picture.content)
    return picture


def model_to_dot(
    model: Model,
    show_shapes: bool = False,
    show_dtype: bool = False,
    show_layer_names: bool = True,
    rankdir: str = "TB",
    expand_nested: bool = False,
    show_layer_activations: bool = False,
    show_trainable: bool = False,
    splines: str = "ortho",
) -> str:
    """Return the diagram of a model as text for Graphviz's ``dot``.

    Parameters
    ----------
    model, show_shapes, show_dtype, show_layer_names, rankdir, expand_nested
        See :func:`plot_model`.
    show_layer_activations, show_trainable, splines
        See :func:`plot_model`.

    Examples
    --------
    >>> import nbnet as nb
    >>> model = nb.Sequential([nb.Input((4,), name="x"), nb.layers.Dense(2, name="y")])
    >>> "y (Dense)" in nb.utils.model_to_dot(model)
    True
    """
    show = Show(show_shapes, show_dtype, show_layer_names, show_layer_activations, show_trainable, expand_nested)
    return dot_source(_diagram(model, show, rankdir), rankdir, splines)


def _diagram(model: Any, show: Show, rankdir: str) -> Diagram:
    if not isinstance(model, Model):
        raise TypeError(f"model: expected a model, got {type(model).__name__}")
    check_choice(rankdir, "rankdir", ["TB", "BT", "LR", "RL"])
    return diagram(model, show)


def _content(drawn: Diagram, kind: str, rankdir: str, splines: str, dpi: float | None) -> bytes:
    if kind == "dot":
        return dot_source(drawn, rankdir, splines).encode()
    program = find_dot()
    if program is not None:
        return run_dot(program, dot_source(drawn, rankdir, splines), kind, dpi)
    if kind != "svg":
        raise ImportError(
            f"to_file: a .{kind} file requires Graphviz, whose program dot is not installed "
            "(https://graphviz.org/download); use a name that ends in .svg instead"
        )
    return layered_svg(drawn, rankdir).encode()


def find_dot() -> str | None:
    """Return the path of Graphviz's program; None if it is not installed."""
    import shutil

    return shutil.which("dot")


def run_dot(program: str, source: str, kind: str, dpi: float | None) -> bytes:
    """Return the picture that Graphviz draws of a source text; raise RuntimeError if Graphviz fails."""
    import subprocess  # late: importing nbnet stays fast

    resolution = [] if dpi is None or kind == "svg" else [f"-Gdpi={dpi:g}"]
    try:
        done = subprocess.run(
            [program, f"-T{kind}", *resolution], input=source.encode(), capture_output=True, check=True, timeout=120
        )
    except (OSError, subprocess.SubprocessError) as error:
        said = getattr(error, "stderr", None) or b""
        raise RuntimeError(f"Graphviz made no {kind}: {said.decode(errors='replace').strip() or error}") from error
    return done.stdout


@dataclass(frozen=True)
class Show:
    """Details that boxes show besides the class of the layer."""

    shapes: bool = False
    dtype: bool = False
    names: bool = False
    activations: bool = False
    trainable: bool = False
    nested: bool = False


def diagram(model: Model, show: Show) -> Diagram:
    """Return the boxes and arrows of a model.

    A layer that is called several times is one box. A subclass with its own ``call``, whose calls are not known before
    they happen, is one box; a Sequential without an input has boxes without shapes.

    Examples
    --------
    >>> import nbnet as nb
    >>> from nbnet.utils.model_plot import Show, diagram
    >>> x = nb.Input((4,))
    >>> drawn = diagram(nb.Model(x, nb.layers.Dense(2, "relu")(x)), Show(shapes=True))
    >>> [box.lines for box in drawn.boxes.values()], drawn.arrows
    ([('InputLayer', 'output: (None, 4)'), ('Dense', 'input: (None, 4)', 'output: (None, 2)')], [('0', '1')])
    """
    drawn = Diagram(model.name)
    calls = _calls(model)
    if calls:
        _Drawer(drawn, show).add(model, calls, ())
        return drawn
    layers: Sequence[Layer] = model.layers if hasattr(model, "_layers") else [model]
    for number, layer in enumerate(layers):
        drawn.boxes[str(number)] = Box(tuple(_lines(layer, type(layer).__name__, layer.name, None, show)))
        if number:
            drawn.arrows.append((str(number - 1), str(number)))
    return drawn


def _calls(model: Any) -> list[Producer]:
    """Return the calls of a model with a graph, inputs first; an empty list for other models."""
    if not isinstance(model, Model):
        return []
    if model.graph is not None:
        return list(model.graph.producers)
    symbols = [symbol for part in getattr(model, "_symbols", []) for symbol in flatten(part)]
    return list({id(s.producer): s.producer for s in symbols if s.producer is not None}.values())


class _Drawer:
    """Adds the calls of nested models to a diagram."""

    def __init__(self, drawn: Diagram, show: Show) -> None:
        self.drawn, self.show = drawn, show
        #: Keys of boxes, by layer, or by call of a function.
        self.keys: dict[int, str] = {}

    def add(self, model: Model, calls: Sequence[Producer], inside: tuple[str, ...]) -> None:
        """Add boxes of calls, and the arrows between them."""
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
                    if arrow not in self.drawn.arrows:
                        self.drawn.arrows.append(arrow)

    def _box(self, call: Producer, name: str, inside: tuple[str, ...]) -> None:
        part = call.function
        kind = type(part).__name__ if isinstance(part, Layer) else name
        key = self.keys[_identity(call)] = str(len(self.drawn.boxes))
        self.drawn.boxes[key] = Box(tuple(_lines(part, kind, name, call, self.show)), inside)

    def _leaving(self, symbol: Symbol) -> str:
        """Return the box that a symbol comes from."""
        call = symbol.producer
        assert call is not None
        model: Any = call.function
        if self.show.nested and _calls(model):
            number = next(k for k, other in enumerate(flatten(call.outputs)) if other is symbol)
            return self._leaving(list(flatten(model.output))[number])
        return self.keys[_identity(call)]

    def _entering(self, call: Producer, number: int) -> str:
        """Return the box that takes the n-th input of a call."""
        model: Any = call.function
        if self.show.nested and _calls(model):
            head: Any = list(flatten(model.input))[number].producer
            return self.keys[_identity(head)]
        return self.keys[_identity(call)]


def _identity(call: Producer) -> int:
    """Return one key for all calls of a layer, and one for each call of a function."""
    return id(call.function) if isinstance(call.function, Layer) else id(call)


def _lines(part: Any, kind: str, name: str, call: Producer | None, show: Show) -> Iterator[str]:
    """Yield the lines of a box."""
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
