"""The table that ``model.summary()`` prints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbnet.core.symbol import Symbol, flatten
from nbnet.layers.layer import Layer
from nbnet.markup import element, table

if TYPE_CHECKING:
    from nbnet.models.functional import Graph
    from nbnet.models.model import Model

Row = tuple[str, ...]


def summary(model: Model) -> str:
    """Layers, output shapes and numbers of parameters, as Keras lays them out."""
    rows = _rows(model)
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    rule = "─" * (sum(widths) + 3 * (len(widths) - 1))
    lines = [f'Model: "{model.name}"', rule]
    for number, row in enumerate(rows):
        cells = [
            cell.rjust(width) if k == 2 else cell.ljust(width)
            for k, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("   ".join(cells).rstrip() if model.graph else "   ".join(cells))
        if number == 0:
            lines.append(rule)
    return "\n".join([*lines, rule, *_totals(model)])


def summary_html(model: Model) -> str:
    """The same as an HTML table, for notebooks."""
    parts = [element("b", f"{type(model).__name__} {model.name}"), table(_rows(model), numeric=[2])]
    return element("div", *parts, *(element("div", line) for line in _totals(model)))


def _rows(model: Model) -> list[Row]:
    """The head of the table and a row for each layer."""
    head: Row = ("Layer (type)", "Output Shape", "Param #")
    if model.graph is None:
        return [head, *_stacked(model)]
    return [(*head, "Connected to"), *_connected(model.graph)]


def _totals(model: Model) -> list[str]:
    trainable = sum(w.size for w in model.trainable_weights)
    total = model.count_params()
    counts = (("Total", total), ("Trainable", trainable), ("Non-trainable", total - trainable))
    return [f"{name} params: {count:,} ({_size(count * model.dtype.itemsize)})" for name, count in counts]


def _stacked(model: Model) -> list[Row]:
    """A row for each layer; shapes where layers follow one another."""
    rows: list[Row] = []
    symbols = getattr(model, "_symbols", [])[1:]
    for number, layer in enumerate(model.layers):
        shown = _shapes(symbols[number]) if symbols else "?"
        rows.append((f"{layer.name} ({type(layer).__name__})", shown, _count(layer)))
    return rows


def _connected(graph: Graph) -> list[Row]:
    """A row for each layer or function, and what it reads."""
    names, seen = graph.names(), set()
    rows: list[Row] = []
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
        rows.append((f"{names[id(producer)]} ({kind})", _shapes(producer.outputs), count, ", ".join(read) or "-"))
    return rows


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
