"""HTML and SVG elements as strings; text that is not markup is escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any


class Markup(str):
    """Text that is markup: it is not escaped again."""

    __slots__ = ()


def element(tag: str, *content: Any, **attributes: Any) -> Markup:
    """Return an element with its content, whose text is escaped unless it is :class:`Markup`, and its attributes:
    ``stroke_width`` stands for ``stroke-width``, ``class_`` for ``class``; None is left out.

    Examples
    --------
    >>> from nbnet.base.html import element
    >>> element("b", "1 < 2", element("br"), title='"')
    '<b title="&quot;">1 &lt; 2<br></br></b>'
    """
    given = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{escape(str(value))}"'
        for name, value in attributes.items()
        if value is not None
    )
    return Markup(f"<{tag}{given}>{joined(content)}</{tag}>")


def joined(parts: Iterable[Any]) -> Markup:
    """Return markup and text, joined."""
    return Markup("".join(part if isinstance(part, Markup) else escape(str(part)) for part in parts))


def table(rows: Sequence[Sequence[Any]], numeric: Sequence[int] = ()) -> Markup:
    """Return a table whose first row is its head; columns of the numbers ``numeric`` are aligned right."""

    def row(cells: Sequence[Any], tag: str) -> Markup:
        sides = ("right" if k in numeric else "left" for k in range(len(cells)))
        return element("tr", *(element(tag, c, style=f"text-align: {s}") for c, s in zip(cells, sides, strict=True)))

    head, *body = rows
    return element("table", element("thead", row(head, "th")), element("tbody", *(row(cells, "td") for cells in body)))
