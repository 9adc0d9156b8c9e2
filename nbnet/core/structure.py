"""Nested lists, tuples and dicts, and what lies in them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any


def map_structure(function: Callable[[Any], Any], structure: Any) -> Any:
    """Apply a function to the leaves of nested lists, tuples and dicts."""
    if isinstance(structure, Mapping):
        return {k: map_structure(function, v) for k, v in structure.items()}
    if isinstance(structure, (list, tuple)):
        return type(structure)(map_structure(function, v) for v in structure)
    return function(structure)


def restructure(structure: Any, leaves: Iterable[Any]) -> Any:
    """The same lists, tuples and dicts with other leaves, in the order of :func:`flatten`."""
    remaining = iter(leaves)
    return map_structure(lambda _: next(remaining), structure)


def flatten(structure: Any) -> Iterator[Any]:
    """The leaves of nested lists, tuples and dicts."""
    if isinstance(structure, Mapping):
        structure = list(structure.values())
    if isinstance(structure, (list, tuple)):
        for part in structure:
            yield from flatten(part)
    else:
        yield structure
