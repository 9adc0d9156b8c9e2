"""The table that ``model.summary()`` prints."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Protocol

from nbnet.base.html import element, table
from nbnet.base.tree import flatten
from nbnet.engine.graph.symbolic import Symbol
from nbnet.layers.layer import Layer
from nbnet.models.call_graph import CallGraph
from nbnet.train import program_report
from nbnet.train.data_source import BATCH_SIZE
from nbnet.train.trainable import Trainable

Row = tuple[str, ...]
#: A row, and the layer that it is about; None for a function.
Line = tuple[Row, Layer | None]


class Summarized(Trainable, Protocol):
    """A model as its summary sees it."""

    graph: CallGraph | None

    @property
    def layers(self) -> list[Layer]: ...


def summary(
    model: Summarized,
    expand_nested: bool = False,
    show_trainable: bool = False,
    layer_range: Sequence[str] | None = None,
    batch_size: int = BATCH_SIZE,
) -> str:
    """Return layers, output shapes and numbers of parameters, as Keras lays them out: see
    :meth:`nbnet.Model.summary`."""
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


def summary_html(model: Summarized) -> str:
    """Return the summary as an HTML table, for notebooks."""
    parts = [element("b", f"{type(model).__name__} {model.name}"), table(_rows(model), numeric=[2])]
    return element("div", *parts, *(element("div", line) for line in (*_totals(model), *_memory(model))))


def _rows(
    model: Summarized,
    expand_nested: bool = False,
    show_trainable: bool = False,
    layer_range: Sequence[str] | None = None,
) -> list[Row]:
    """Return the head of the table and a row for each layer."""
    head: Row = ("Layer (type)", "Output Shape", "Param #")
    if model.graph is not None:
        head = (*head, "Connected to")
    lines = _chosen(_lines(model), layer_range)
    if expand_nested:
        lines = [inner for line in lines for inner in (line, *_inside(line, len(head)))]
    if not show_trainable:
        return [head, *(row for row, _ in lines)]
    return [(*head, "Trainable"), *((*row, _trainable(layer)) for row, layer in lines)]


def _lines(model: Summarized) -> list[Line]:
    return _stacked(model) if model.graph is None else _connected(model.graph)


def _inside(line: Line, width: int) -> list[Line]:
    """Return the lines of the layers of a model within a model, at all depths."""
    _, layer = line
    if not isinstance(layer, Layer) or not hasattr(layer, "graph"):
        return []
    lines: list[Line] = []
    for row, part in _lines(layer):  # type: ignore[arg-type]
        lines.append(((f"   └ {row[0]}", *row[1:], "")[:width], part))
        lines += [((f"   {cells[0]}", *cells[1:]), inner) for cells, inner in _inside((row, part), width)]
    return lines


def _chosen(lines: list[Line], layer_range: Sequence[str] | None) -> list[Line]:
    """Return the lines from the first layer that matches one pattern to the last that matches another."""
    if layer_range is None:
        return lines
    if len(layer_range) != 2 or not all(isinstance(pattern, str) for pattern in layer_range):
        raise ValueError(f"layer_range: expected two names of layers, or patterns of names; got {layer_range!r}")
    names = ["" if layer is None else layer.name for _, layer in lines]
    first, last = ([k for k, name in enumerate(names) if re.match(pattern, name)] for pattern in layer_range)
    if not first or not last:
        raise ValueError(f"layer_range: no layer is called {layer_range[0] if not first else layer_range[1]!r}")
    return lines[first[0] : last[-1] + 1]


def _trainable(layer: Layer | None) -> str:
    return "-" if layer is None or not layer.weights else ("Y" if layer.trainable else "N")


def _totals(model: Summarized) -> list[str]:
    trainable = sum(w.size for w in model.trainable_weights)
    total = model.count_params()
    counts = (("Total", total), ("Trainable", trainable), ("Non-trainable", total - trainable))
    return [f"{name} params: {count:,} ({_size(count * model.dtype.itemsize)})" for name, count in counts]


def _memory(model: Summarized, batch_size: int = BATCH_SIZE) -> list[str]:
    """Return the memory of training, or of prediction for a model that is not compiled; nothing if it is unknown."""
    report, kind = None, "training"
    with suppress(ValueError, TypeError):  # It is for fit to say what does not fit together.
        report = program_report.training_memory(model, batch_size)
        if report is None:
            report, kind = program_report.prediction_memory(model, batch_size), "prediction"
    if report is None:
        return []
    parts = {"parameters": report.parameters, "gradients": report.gradients, "optimizer": report.optimizer}
    parts["activations"] = report.arena
    shown = " + ".join(f"{_size(nbytes)} {name}" for name, nbytes in parts.items() if nbytes)
    threads = f" on {report.slices} threads" if report.slices > 1 else ""
    return [f"Memory of {kind} in batches of {batch_size}{threads}: {_size(report.total)}", f"  = {shown}"]


def _stacked(model: Summarized) -> list[Line]:
    """Return a line for each layer; shapes where layers follow one another."""
    lines: list[Line] = []
    symbols = getattr(model, "_symbols", [])[1:]
    for number, layer in enumerate(model.layers):
        shown = _shapes(symbols[number]) if symbols else "?"
        lines.append(((f"{layer.name} ({type(layer).__name__})", shown, _count(layer)), layer))
    return lines


def _connected(graph: CallGraph) -> list[Line]:
    """Return a line for each layer or function, and its inputs."""
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
    """Return the name of the call that a symbol comes from, and the number of the result."""
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
