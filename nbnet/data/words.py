"""The words of messages: numbers of things, shapes, places."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Shape = tuple[int | None, ...]


def count_of(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def mismatch(name: str, got: tuple[int, ...], verb: str, wanted: Shape) -> str:
    if len(got) == len(wanted) == 1:
        return f"{name} has {count_of(got[0], 'column')}, {verb} {wanted[0]}"
    return f"{name} has rows of shape {got}, {verb} {wanted}"


def place(index: Sequence[Any]) -> str:
    row, *rest = (int(i) for i in index)
    if len(rest) == 1:
        return f"row {row}, column {rest[0]}"
    return f"row {row}, position {tuple(rest)}" if rest else f"row {row}"
