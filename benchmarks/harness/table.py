"""How the benchmarks print numbers, and where they write them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np


def spread(values: Sequence[float]) -> str:
    """Median [smallest - largest]."""
    middle, low, high = float(np.median(values)), min(values), max(values)
    digits = 0 if middle >= 1000 else 1 if middle >= 10 else 2
    return f"{middle:.{digits}f} [{low:.{digits}f} - {high:.{digits}f}]"


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as they must be, the first one to the left."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [[cell.rjust(width) for cell, width in zip(row, widths, strict=True)] for row in rows]
    return "\n".join("  ".join([row[0].ljust(widths[0]), *line[1:]]) for row, line in zip(rows, lines, strict=True))


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown; all columns but the first are aligned to the right."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def between_markers(text: str, block: str, begin: str, end: str) -> str:
    """The text with another block between its markers."""
    before, rest = text.split(begin)
    return f"{before}{begin}\n{block}\n{end}{rest.split(end)[1]}"
