"""Curves of a training as SVG, for notebooks: no other package is needed to see them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from nbnet.markup import Markup, element

_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 280, 150, 48, 8, 22, 18
_COLOURS = ("#1f77b4", "#ff7f0e")


def is_curve(values: Sequence[Any]) -> bool:
    """Whether these are single numbers, which a curve can be drawn of."""
    return all(isinstance(value, (int, float)) for value in values)


def panels(history: Mapping[str, Sequence[Any]]) -> dict[str, list[str]]:
    """The curves that belong in one panel: a metric, and the same of validation.

    Examples
    --------
    >>> from nbnet.curves import panels
    >>> panels({"loss": [1.0], "accuracy": [0.5], "val_loss": [2.0]})
    {'loss': ['loss', 'val_loss'], 'accuracy': ['accuracy']}
    """
    found: dict[str, list[str]] = {}
    for name, values in history.items():
        base = name.removeprefix("val_")
        if is_curve(values):
            found.setdefault(base if base in history else name, []).append(name)
    return found


def panel(title: str, epochs: Sequence[int], curves: Mapping[str, Sequence[float]]) -> Markup:
    """A small chart of a few curves with a common title.

    Parameters
    ----------
    title
        Above the chart.
    epochs
        Where on the horizontal axis the values stand.
    curves
        Values by name; what is not finite is a gap.
    """
    finite = [v for values in curves.values() for v in values if math.isfinite(v)]
    low, high = min(finite, default=0.0), max(finite, default=1.0)
    first, last = min(epochs, default=0), max(epochs, default=0)

    def place(epoch: int, value: float) -> str:
        across = (epoch - first) / (last - first) if last > first else 0.5
        up = (value - low) / (high - low) if high > low else 0.5
        x = _LEFT + across * (_WIDTH - _LEFT - _RIGHT)
        return f"{x:.1f},{_HEIGHT - _BOTTOM - up * (_HEIGHT - _BOTTOM - _TOP):.1f}"

    drawn = []
    for colour, (name, values) in zip(_COLOURS, curves.items(), strict=False):
        for run in _runs(epochs, values):
            points = [place(*point) for point in run]
            dot = len(points) == 1
            # A line of no length with round ends is a dot.
            drawn.append(
                element(
                    "polyline",
                    element("title", name),
                    points=" ".join(points * 2 if dot else points),
                    fill="none",
                    stroke=colour,
                    stroke_width=5 if dot else 1.5,
                    stroke_linecap="round",
                )
            )
    labels = [
        _text(_WIDTH / 2, 14, title, "middle"),
        _text(_LEFT - 4, _TOP + 4, f"{high:.4g}", "end"),
        _text(_LEFT - 4, _HEIGHT - _BOTTOM, f"{low:.4g}", "end"),
        _text(_LEFT, _HEIGHT - 4, str(first + 1), "start"),
        _text(_WIDTH - _RIGHT, _HEIGHT - 4, str(last + 1), "end"),
    ]
    frame = element(
        "path",
        d=f"M{_LEFT} {_TOP}V{_HEIGHT - _BOTTOM}H{_WIDTH - _RIGHT}",
        fill="none",
        stroke="currentColor",
        stroke_width=0.5,
    )
    return element("svg", frame, *drawn, *labels, xmlns="http://www.w3.org/2000/svg", width=_WIDTH, height=_HEIGHT)


def _runs(epochs: Sequence[int], values: Sequence[float]) -> list[list[tuple[int, float]]]:
    """Points that follow one another without a gap."""
    found: list[list[tuple[int, float]]] = [[]]
    for point in zip(epochs, values, strict=False):
        if math.isfinite(point[1]):
            found[-1].append(point)
        elif found[-1]:
            found.append([])
    return [run for run in found if run]


def _text(x: float, y: float, content: str, anchor: str) -> Markup:
    return element(
        "text",
        content,
        x=x,
        y=y,
        text_anchor=anchor,
        font_size=11,
        font_family="sans-serif",
        fill="currentColor",
    )
