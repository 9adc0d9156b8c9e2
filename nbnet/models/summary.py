"""The table that ``model.summary()`` prints."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from nbnet.core.structure import flatten
from nbnet.core.symbol import Symbol
from nbnet.layers.layer import Layer
from nbnet.markup import element, table
from nbnet.models import footprint
from nbnet.models.network import Network
from nbnet.models.supply import BATCH_SIZE

if TYPE_CHECKING:
    from nbnet.models.functional import Graph
    from nbnet.models.model import Model

Row = tuple[str, ...]
#: A row, and the layer that it is about; None for a function.
Line = tuple[Row, Layer | None]


def summary(
    model: Model,
    expand_nested: bool = False,
    show_trainable: bool = False,
    layer_range: Sequence[str] | None = None,
    batch_size: int = BATCH_SIZE,
) -> str:
    """Layers, output shapes and numbers of parameters, as Keras lays them out; see :meth:`nbnet.Model.summary`."""
    rows = _rows(model, expand_nested, show_trainable, layer_range)
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    rule = "─" * (sum(widths) + 3 * (len(widths) - 1))
    lines = [f'Model: "{model.name}"', rule]
    for number, row in enumerate(rows):
        cells = [
            cell.rjust(width) if k == 2 else cell.ljust(width)
            for k, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("   ".join(cells).rstrip())
        if number == 0:
            lines.append(rule)
    return "\n".join([*lines, rule, *_totals(model), *_memory(model, batch_size)])


def summary_html(model: Model) -> str:
    """The same as an HTML table, for notebooks."""
    parts = [element("b", f"{type(model).__name__} {model.name}"), table(_rows(model), numeric=[2])]
    return element("div", *parts, *(element("div", line) for line in (*_totals(model), *_memory(model))))


def _rows(
    model: Model, expand_nested: bool = False, show_trainable: bool = False, layer_range: Sequence[str] | None = None
) -> list[Row]:
    """The head of the table and a row for each layer."""
    head: Row = ("Layer (type)", "Output Shape", "Param #")
    if model.graph is not None:
        head = (*head, "Connected to")
    lines = _chosen(_lines(model), layer_range)
    if expand_nested:
        lines = [inner for line in lines for inner in (line, *_inside(line, len(head)))]
    if not show_trainable:
        return [head, *(row for row, _ in lines)]
    return [(*head, "Trainable"), *((*row, _trainable(layer)) for row, layer in lines)]


def _lines(model: Network) -> list[Line]:
    return _stacked(model) if model.graph is None else _connected(model.graph)


def _inside(line: Line, width: int) -> list[Line]:
    """The lines of the layers of a model within a model, at all depths."""
    _, layer = line
    if not isinstance(layer, Network):
        return []
    found: list[Line] = []
    for row, part in _lines(layer):
        found.append(((f"   └ {row[0]}", *row[1:], "")[:width], part))
        found += [((f"   {cells[0]}", *cells[1:]), inner) for cells, inner in _inside((row, part), width)]
    return found


def _chosen(lines: list[Line], layer_range: Sequence[str] | None) -> list[Line]:
    """The lines from the first layer that matches one pattern to the last that matches another."""
    if layer_range is None:
        return lines
    if len(layer_range) != 2 or not all(isinstance(pattern, str) for pattern in layer_range):
        raise ValueError(f"layer_range: wants two names of layers, or patterns of names; got {layer_range!r}")
    names = ["" if layer is None else layer.name for _, layer in lines]
    first, last = ([k for k, name in enumerate(names) if re.match(pattern, name)] for pattern in layer_range)
    if not first or not last:
        raise ValueError(f"layer_range: no layer is called {layer_range[0] if not first else layer_range[1]!r}")
    return lines[first[0] : last[-1] + 1]


def _trainable(layer: Layer | None) -> str:
    return "-" if layer is None or not layer.weights else ("Y" if layer.trainable else "N")


def _totals(model: Model) -> list[str]:
    trainable = sum(w.size for w in model.trainable_weights)
    total = model.count_params()
    counts = (("Total", total), ("Trainable", trainable), ("Non-trainable", total - trainable))
    return [f"{name} params: {count:,} ({_size(count * model.dtype.itemsize)})" for name, count in counts]


def _memory(model: Model, batch_size: int = BATCH_SIZE) -> list[str]:
    """What training takes, or prediction of a model that is not compiled; nothing where that is not known."""
    found, kind = None, "training"
    with suppress(ValueError, TypeError):  # What does not fit together is for fit to say.
        found = footprint.training(model, batch_size)
        if found is None:
            found, kind = footprint.prediction(model, batch_size), "prediction"
    if found is None:
        return []
    parts = {"parameters": found.parameters, "gradients": found.gradients, "optimizer": found.optimizer}
    parts["activations"] = found.arena
    shown = " + ".join(f"{_size(nbytes)} {name}" for name, nbytes in parts.items() if nbytes)
    threads = f" on {found.slices} threads" if found.slices > 1 else ""
    return [f"Memory of {kind} in batches of {batch_size}{threads}: {_size(found.total)}", f"  = {shown}"]


def _stacked(model: Network) -> list[Line]:
    """A line for each layer; shapes where layers follow one another."""
    lines: list[Line] = []
    symbols = getattr(model, "_symbols", [])[1:]
    for number, layer in enumerate(model.layers):
        shown = _shapes(symbols[number]) if symbols else "?"
        lines.append(((f"{layer.name} ({type(layer).__name__})", shown, _count(layer)), layer))
    return lines


def _connected(graph: Graph) -> list[Line]:
    """A line for each layer or function, and what it reads."""
    names, seen = graph.names(), set()
    lines: list[Line] = []
    for producer in graph.producers:
        part = producer.function
        if id(part) in seen and isinstance(part, Layer):
            continue
        seen.add(id(part))
        kind = type(part).__name__ if isinstance(part, Layer) else part.__name__
        calls = [p for p in graph.producers if p.function is part] if isinstance(part, Layer) else [producer]
        # A shared layer is one row, connected to all that it reads.
        read = [_label(symbol, names) for call in calls for symbol in call.inputs()]
        count = _count(part) if isinstance(part, Layer) else "0"
        row = (f"{names[id(producer)]} ({kind})", _shapes(producer.outputs), count, ", ".join(read) or "-")
        lines.append((row, part if isinstance(part, Layer) else None))
    return lines


def _label(symbol: Symbol, names: dict[int, str]) -> str:
    """The name of the call that a symbol comes from, and which of its results it is."""
    producer = symbol.producer
    if producer is None or id(producer) not in names:
        return symbol.name
    number = next(k for k, other in enumerate(flatten(producer.outputs)) if other is symbol)
    return f"{names[id(producer)]}[{number}]"


def _shapes(outputs: Any) -> str:
    return ", ".join(str(symbol.shape) for symbol in flatten(outputs))


def _count(layer: Layer) -> str:
    return f"{layer.count_params():,}" if layer.built else "0 (unbuilt)"


def _size(nbytes: int) -> str:
    value, unit = float(nbytes), "B"
    for unit in ("B", "KB", "MB", "GB"):
        if value < 1024 or unit == "GB":
            break
        value /= 1024
    return f"{value:.2f} {unit}"
