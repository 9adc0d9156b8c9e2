"""Trees: nested lists, tuples and dicts, and their leaves."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any


def map_structure(function: Callable[[Any], Any], structure: Any) -> Any:
    """Apply a function to each leaf of a tree; returns a tree of the results."""
    if isinstance(structure, Mapping):
        return {k: map_structure(function, v) for k, v in structure.items()}
    if isinstance(structure, (list, tuple)):
        return type(structure)(map_structure(function, v) for v in structure)
    return function(structure)


def restructure(structure: Any, leaves: Iterable[Any]) -> Any:
    """A tree of the same structure with other leaves, in the order of :func:`flatten`."""
    remaining = iter(leaves)
    return map_structure(lambda _: next(remaining), structure)


def flatten(structure: Any) -> Iterator[Any]:
    """Iterate over the leaves of a tree."""
    if isinstance(structure, Mapping):
        structure = list(structure.values())
    if isinstance(structure, (list, tuple)):
        for part in structure:
            yield from flatten(part)
    else:
        yield structure
