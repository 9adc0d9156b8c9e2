"""A plain layered layout of a diagram, drawn as SVG: for when Graphviz is not there."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from nbnet.markup import Markup, element
from nbnet.utils.diagram import Diagram

_CHARACTER, _LINE, _MARGIN, _GAP = 6.7, 15.0, 8.0, 28.0
_SWEEPS = 4


@dataclass
class _Place:
    """A box, or a bend of an arrow that passes its rank: centre and size. Along the ranks is the main direction."""

    rank: int
    width: float = 0.0
    height: float = 0.0
    x: float = 0.0
    y: float = 0.0


def layered_svg(made: Diagram, rankdir: str = "TB") -> str:
    """A diagram as SVG: each box one rank further than what it reads.

    Examples
    --------
    >>> from nbnet.utils.diagram import Box, Diagram
    >>> from nbnet.utils.layered import layered_svg
    >>> svg = layered_svg(Diagram("model", {"0": Box(("Input",)), "1": Box(("Dense",))}, [("0", "1")]))
    >>> svg.count("<rect"), svg.count("<path"), "Dense" in svg
    (2, 2, True)
    """
    sideways = rankdir in ("LR", "RL")
    places, chains = _ranked(made)
    for key, box in made.boxes.items():
        width = max(map(len, box.lines)) * _CHARACTER + 2 * _MARGIN
        height = len(box.lines) * _LINE + _MARGIN
        places[key].width, places[key].height = (height, width) if sideways else (width, height)
    rows = _ordered(places, chains)
    _placed(places, rows)
    length = max((p.y + p.height / 2 for p in places.values()), default=0) + _GAP
    if rankdir in ("BT", "RL"):
        for place in places.values():
            place.y = length - place.y
    if sideways:
        for place in places.values():
            place.x, place.y, place.width, place.height = place.y, place.x, place.height, place.width
    return _drawn(made, places, chains, sideways)


def _ranked(made: Diagram) -> tuple[dict[str, _Place], list[list[str]]]:
    """Places with ranks, and each arrow as a chain of places of neighbouring ranks."""
    order = {key: number for number, key in enumerate(made.boxes)}
    rank = dict.fromkeys(made.boxes, 0)
    # Boxes are in the order of the calls. An arrow back, to a layer that is called again, moves nothing.
    for a, b in sorted(made.arrows, key=lambda arrow: order[arrow[0]]):
        if order[a] < order[b]:
            rank[b] = max(rank[b], rank[a] + 1)
    places = {key: _Place(rank[key]) for key in made.boxes}
    chains = []
    for a, b in made.arrows:
        bends = [f"{a}>{b}>{r}" for r in range(rank[a] + 1, rank[b])]
        places.update({bend: _Place(rank[a] + 1 + k) for k, bend in enumerate(bends)})
        chains.append([a, *bends, b])
    return places, chains


def _ordered(places: dict[str, _Place], chains: list[list[str]]) -> list[list[str]]:
    """Places of each rank in an order with few crossings: near the mean of their neighbours, in turns."""
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


def _placed(places: dict[str, _Place], rows: list[list[str]]) -> None:
    """Rows one below the other, each in the middle."""
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


def _drawn(made: Diagram, places: dict[str, _Place], chains: list[list[str]], sideways: bool) -> Markup:
    width = max((p.x + p.width / 2 for p in places.values()), default=0.0) + _GAP
    height = max((p.y + p.height / 2 for p in places.values()), default=0.0) + _GAP
    head = element(
        "marker",
        element("path", d="M0 0L8 4L0 8z", fill="black"),
        id="head",
        viewBox="0 0 8 8",
        refX=8,
        refY=4,
        markerWidth=7,
        markerHeight=7,
        orient="auto",
    )
    parts = [element("title", made.title), element("defs", head)]
    parts += [_frame(made, places, path) for path in _models(made)]
    parts += [_arrow([places[key] for key in chain], sideways) for chain in chains]
    parts += [_box(places[key], box.lines) for key, box in made.boxes.items()]
    return element(
        "svg",
        *parts,
        xmlns="http://www.w3.org/2000/svg",
        width=f"{width:.0f}",
        height=f"{height:.0f}",
        viewBox=f"0 0 {width:.0f} {height:.0f}",
        font_family="monospace",
        font_size=11,
        style="background: white",
    )


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
    return element(
        "rect",
        x=f"{x:.1f}",
        y=f"{y:.1f}",
        width=f"{width:.1f}",
        height=f"{height:.1f}",
        rx=3,
        fill=fill,
        stroke="black",
        stroke_dasharray=dashes,
    )


def _arrow(chain: list[_Place], sideways: bool) -> Markup:
    """From box to box: curves between ranks, and straight past the boxes of a rank."""
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


def _models(made: Diagram) -> list[tuple[str, ...]]:
    """The models that are drawn as frames, outer ones first."""
    paths = {box.inside[: k + 1] for box in made.boxes.values() for k in range(len(box.inside))}
    return sorted(paths, key=lambda path: (len(path), path))


def _frame(made: Diagram, places: dict[str, _Place], path: tuple[str, ...]) -> Markup:
    inside = [places[key] for key, box in made.boxes.items() if box.inside[: len(path)] == path]
    margin = _GAP / 2 - 3 * len(path)
    left, top = min(p.x - p.width / 2 for p in inside) - margin, min(p.y - p.height / 2 for p in inside) - margin
    right, bottom = max(p.x + p.width / 2 for p in inside) + margin, max(p.y + p.height / 2 for p in inside) + margin
    name = element("text", path[-1], x=f"{left + 3:.1f}", y=f"{top + 9:.1f}", font_size=9)
    return element("g", _rectangle(left, top, right - left, bottom - top, "none", "4 3"), name)
