"""Diagrams of models: boxes and arrows, as text for Graphviz or as an SVG of nbnet's own layered layout."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partialmethod
from itertools import pairwise
from pathlib import Path
from typing import Any

from nbnet import activations
from nbnet.base.atomic_file import replacing, target
from nbnet.base.html import Markup, element
from nbnet.base.tree import flatten
from nbnet.base.validation import check_choice
from nbnet.engine.graph.symbolic import Producer, Symbol
from nbnet.layers.input import InputLayer
from nbnet.layers.layer import Layer
from nbnet.models.model import Model

_CHARACTER, _LINE, _MARGIN, _GAP = 6.7, 15.0, 8.0, 28.0
_SWEEPS = 4


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


class Dot(str):
    """The diagram of a model as text for Graphviz's ``dot``; it is drawn by the methods that pydot's graphs have.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.utils.model_to_dot(nb.Sequential([nb.Input((4,))])).create(format="dot")[:7]
    b'digraph'
    """

    _draw: Callable[[str], bytes]

    def create(self, prog: Any = None, format: str = "svg") -> bytes:
        """Return the picture in a format: ``"svg"``, ``"dot"``, or with Graphviz ``"png"`` and others."""
        return self._draw(format)

    create_svg, create_png = partialmethod(create, format="svg"), partialmethod(create, format="png")


def model_to_dot(
    model: Model,
    show_shapes: bool = False,
    show_dtype: bool = False,
    show_layer_names: bool = True,
    rankdir: str = "TB",
    expand_nested: bool = False,
    dpi: float | None = None,
    subgraph: bool = False,
    show_layer_activations: bool = False,
    show_trainable: bool = False,
    splines: str = "ortho",
) -> Dot:
    """Return the diagram of a model as text for Graphviz's ``dot``.

    Parameters
    ----------
    model, show_shapes, show_dtype, show_layer_names, rankdir, expand_nested
        See :func:`plot_model`.
    dpi, show_layer_activations, show_trainable, splines
        See :func:`plot_model`.
    subgraph
        Accepted as in Keras.

    Examples
    --------
    >>> import nbnet as nb
    >>> model = nb.Sequential([nb.Input((4,), name="x"), nb.layers.Dense(2, name="y")])
    >>> "y (Dense)" in nb.utils.model_to_dot(model)
    True
    """
    show = Show(show_shapes, show_dtype, show_layer_names, show_layer_activations, show_trainable, expand_nested)
    drawn = _diagram(model, show, rankdir)
    source = Dot(dot_source(drawn, rankdir, splines))
    source._draw = lambda kind: _content(drawn, kind, rankdir, splines, dpi)
    return source


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


# ---- boxes and arrows of a model ----


@dataclass(frozen=True)
class Box:
    """A box: its lines of text, and the names of the frames around it, outermost first."""

    lines: tuple[str, ...]
    inside: tuple[str, ...] = ()


@dataclass
class Diagram:
    """Boxes by key, in the order of the calls, and arrows from key to key."""

    title: str
    boxes: dict[str, Box] = field(default_factory=dict)
    arrows: list[tuple[str, str]] = field(default_factory=list)


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


# ---- drawing ----


def dot_source(diagram: Diagram, rankdir: str = "TB", splines: str = "ortho") -> str:
    """Return a diagram as text for Graphviz's ``dot``.

    Examples
    --------
    >>> from nbnet.utils.model_plot import Box, Diagram, dot_source
    >>> print(dot_source(Diagram("model", {"0": Box(("Input",)), "1": Box(("Dense",))}, [("0", "1")])))
    digraph "model" {
      graph [rankdir="TB" splines="ortho"]
      node [shape="box" fontname="monospace" fontsize="10"]
      "0" [label="Input"]
      "1" [label="Dense"]
      "0" -> "1"
    }
    """
    lines = [
        f"digraph {_quoted(diagram.title)} {{",
        f"  graph [rankdir={_quoted(rankdir)} splines={_quoted(splines)}]",
        '  node [shape="box" fontname="monospace" fontsize="10"]',
        *_members(diagram, (), "  "),
        *(f"  {_quoted(a)} -> {_quoted(b)}" for a, b in diagram.arrows),
        "}",
    ]
    return "\n".join(lines)


def _members(diagram: Diagram, inside: tuple[str, ...], indent: str) -> Iterator[str]:
    """Yield the boxes of a frame, then the frames in it."""
    for key, box in diagram.boxes.items():
        if box.inside == inside:
            label = _quoted("\n".join(box.lines))
            yield f"{indent}{_quoted(key)} [label={label}]"
    depth = len(inside)
    inner = dict.fromkeys(
        box.inside[: depth + 1]
        for box in diagram.boxes.values()
        if box.inside[:depth] == inside and len(box.inside) > depth
    )
    for path in inner:
        yield f"{indent}subgraph {_quoted('cluster_' + '/'.join(path))} {{"
        yield f"{indent}  label={_quoted(path[-1])}"
        yield from _members(diagram, path, indent + "  ")
        yield f"{indent}}}"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


@dataclass
class _Place:
    """Centre and size of a box, or of a bend where an arrow passes its rank; y runs along the ranks."""

    rank: int
    width: float = 0.0
    height: float = 0.0
    x: float = 0.0
    y: float = 0.0


def layered_svg(diagram: Diagram, rankdir: str = "TB") -> str:
    """Return a diagram as SVG; each box is at least one rank after its inputs.

    Examples
    --------
    >>> from nbnet.utils.model_plot import Box, Diagram, layered_svg
    >>> svg = layered_svg(Diagram("model", {"0": Box(("Input",)), "1": Box(("Dense",))}, [("0", "1")]))
    >>> svg.count("<rect"), svg.count("<path"), "Dense" in svg
    (2, 2, True)
    """
    sideways = rankdir in ("LR", "RL")
    places, chains = _rank(diagram)
    for key, box in diagram.boxes.items():
        width = max(map(len, box.lines)) * _CHARACTER + 2 * _MARGIN
        height = len(box.lines) * _LINE + _MARGIN
        places[key].width, places[key].height = (height, width) if sideways else (width, height)
    rows = _order(places, chains)
    _set_positions(places, rows)
    length = max((p.y + p.height / 2 for p in places.values()), default=0) + _GAP
    if rankdir in ("BT", "RL"):
        for place in places.values():
            place.y = length - place.y
    if sideways:
        for place in places.values():
            place.x, place.y, place.width, place.height = place.y, place.x, place.height, place.width
    return _draw(diagram, places, chains, sideways)


def _rank(diagram: Diagram) -> tuple[dict[str, _Place], list[list[str]]]:
    """Return places with ranks, and each arrow as a chain of places of neighbouring ranks."""
    order = {key: number for number, key in enumerate(diagram.boxes)}
    rank = dict.fromkeys(diagram.boxes, 0)
    # Boxes are in the order of the calls. An arrow back, to a layer that is called again, has no effect on ranks.
    for a, b in sorted(diagram.arrows, key=lambda arrow: order[arrow[0]]):
        if order[a] < order[b]:
            rank[b] = max(rank[b], rank[a] + 1)
    places = {key: _Place(rank[key]) for key in diagram.boxes}
    chains = []
    for a, b in diagram.arrows:
        bends = [f"{a}>{b}>{r}" for r in range(rank[a] + 1, rank[b])]
        places.update({bend: _Place(rank[a] + 1 + k) for k, bend in enumerate(bends)})
        chains.append([a, *bends, b])
    return places, chains


def _order(places: dict[str, _Place], chains: list[list[str]]) -> list[list[str]]:
    """Order the places of each rank by the mean position of their neighbours, in sweeps, so that few arrows cross."""
    rows: list[list[str]] = [[] for _ in range(1 + max((p.rank for p in places.values()), default=-1))]
    for key, place in places.items():
        rows[place.rank].append(key)
    above: dict[str, list[str]] = {key: [] for key in places}
    below: dict[str, list[str]] = {key: [] for key in places}
    for chain in chains:
        for a, b in pairwise(chain):
            above[b].append(a)
            below[a].append(b)
    for sweep in range(_SWEEPS):
        neighbours = below if sweep % 2 else above
        for row in reversed(rows) if sweep % 2 else rows:
            at = {key: k / max(len(r) - 1, 1) for r in rows for k, key in enumerate(r)}
            mean = {key: sum(at[n] for n in neighbours[key]) / len(neighbours[key]) for key in row if neighbours[key]}
            row.sort(key=lambda key: mean.get(key, at[key]))
    return rows


def _set_positions(places: dict[str, _Place], rows: list[list[str]]) -> None:
    """Set positions: rows one below the other, each centred."""
    widths = [sum(places[key].width for key in row) + _GAP * (len(row) - 1) for row in rows]
    middle, y = _GAP + max(widths, default=0.0) / 2, _GAP
    for row, width in zip(rows, widths, strict=True):
        height = max(places[key].height for key in row)
        x = middle - width / 2
        for key in row:
            place = places[key]
            place.x, place.y = x + place.width / 2, y + height / 2
            place.height = place.height or height  # an arrow passes the row straight
            x += place.width + _GAP
        y += height + _GAP


def _draw(diagram: Diagram, places: dict[str, _Place], chains: list[list[str]], sideways: bool) -> Markup:
    width = max((p.x + p.width / 2 for p in places.values()), default=0.0) + _GAP
    height = max((p.y + p.height / 2 for p in places.values()), default=0.0) + _GAP
    triangle = element("path", d="M0 0L8 4L0 8z", fill="black")
    size = {"viewBox": "0 0 8 8", "refX": 8, "refY": 4, "markerWidth": 7, "markerHeight": 7}
    head = element("marker", triangle, id="head", **size, orient="auto")
    parts = [element("title", diagram.title), element("defs", head)]
    parts += [_frame(diagram, places, path) for path in _frames(diagram)]
    parts += [_arrow([places[key] for key in chain], sideways) for chain in chains]
    parts += [_box(places[key], box.lines) for key, box in diagram.boxes.items()]
    frame = {"width": f"{width:.0f}", "height": f"{height:.0f}", "viewBox": f"0 0 {width:.0f} {height:.0f}"}
    style = {"font_family": "monospace", "font_size": 11, "style": "background: white"}
    return element("svg", *parts, xmlns="http://www.w3.org/2000/svg", **frame, **style)


def _box(place: _Place, lines: tuple[str, ...]) -> Markup:
    left, top = place.x - place.width / 2, place.y - place.height / 2
    texts = [
        element(
            "text", line, x=f"{place.x:.1f}", y=f"{top + _MARGIN / 2 + _LINE * (k + 0.75):.1f}", text_anchor="middle"
        )
        for k, line in enumerate(lines)
    ]
    outline = _rectangle(left, top, place.width, place.height, "white", None)
    return element("g", outline, *texts)


def _rectangle(x: float, y: float, width: float, height: float, fill: str, dashes: str | None) -> Markup:
    place = {"x": f"{x:.1f}", "y": f"{y:.1f}", "width": f"{width:.1f}", "height": f"{height:.1f}"}
    return element("rect", **place, rx=3, fill=fill, stroke="black", stroke_dasharray=dashes)


def _arrow(chain: list[_Place], sideways: bool) -> Markup:
    """Return an arrow: curves between ranks, and straight lines past the boxes of a rank."""
    sign = 1 if (chain[-1].x >= chain[0].x if sideways else chain[-1].y >= chain[0].y) else -1
    points = []
    for place in chain:
        dx, dy = (sign * place.width / 2, 0.0) if sideways else (0.0, sign * place.height / 2)
        points += [(place.x - dx, place.y - dy), (place.x + dx, place.y + dy)]
    path = f"M{points[1][0]:.1f} {points[1][1]:.1f}"
    for k, ((x0, y0), (x1, y1)) in enumerate(pairwise(points[1:-1])):
        mx, my = (x0 + x1) / 2, (y0 + y1) / 2
        turns = f"{mx:.1f} {y0:.1f} {mx:.1f} {y1:.1f}" if sideways else f"{x0:.1f} {my:.1f} {x1:.1f} {my:.1f}"
        path += f"L{x1:.1f} {y1:.1f}" if k % 2 else f"C{turns} {x1:.1f} {y1:.1f}"
    return element("path", d=path, fill="none", stroke="black", marker_end="url(#head)")


def _frames(diagram: Diagram) -> list[tuple[str, ...]]:
    """Return the paths of all frames, outer ones first."""
    paths = {box.inside[: k + 1] for box in diagram.boxes.values() for k in range(len(box.inside))}
    return sorted(paths, key=lambda path: (len(path), path))


def _frame(diagram: Diagram, places: dict[str, _Place], path: tuple[str, ...]) -> Markup:
    inside = [places[key] for key, box in diagram.boxes.items() if box.inside[: len(path)] == path]
    margin = _GAP / 2 - 3 * len(path)
    left, top = min(p.x - p.width / 2 for p in inside) - margin, min(p.y - p.height / 2 for p in inside) - margin
    right, bottom = max(p.x + p.width / 2 for p in inside) + margin, max(p.y + p.height / 2 for p in inside) + margin
    name = element("text", path[-1], x=f"{left + 3:.1f}", y=f"{top + 9:.1f}", font_size=9)
    return element("g", _rectangle(left, top, right - left, bottom - top, "none", "4 3"), name)
