"""A diagram of boxes and arrows, as text for Graphviz or as an SVG of nbnet's own layered layout."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

from nbnet.base.html import Markup, element

_CHARACTER, _LINE, _MARGIN, _GAP = 6.7, 15.0, 8.0, 28.0
_SWEEPS = 4


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


def dot_source(diagram: Diagram, rankdir: str = "TB", splines: str = "ortho") -> str:
    """Return a diagram as text for Graphviz's ``dot``.

    Examples
    --------
    >>> from nbnet.utils.diagram import Box, Diagram, dot_source
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
    >>> from nbnet.utils.diagram import Box, Diagram, layered_svg
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
