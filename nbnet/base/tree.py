"""Trees: nested lists, tuples and dicts, and their leaves."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any


def map_structure(function: Callable[[Any], Any], structure: Any) -> Any:
    """Apply a function to each leaf of a tree; returns a tree of the results."""
    if isinstance(structure, (list, tuple)):
        made = [map_structure(function, part) for part in structure]
        return structure._make(made) if hasattr(structure, "_make") else type(structure)(made)
    if isinstance(structure, (dict, Mapping)):
        return {k: map_structure(function, v) for k, v in structure.items()}
    return function(structure)


def restructure(structure: Any, leaves: Iterable[Any]) -> Any:
    """A tree of the same structure with other leaves, in the order of :func:`flatten`."""
    remaining = iter(leaves)
    return map_structure(lambda _: next(remaining), structure)


def flatten(structure: Any) -> Iterator[Any]:
    """Iterate over the leaves of a tree."""
    if not isinstance(structure, (list, tuple, dict, Mapping)):
        yield structure
        return
    for part in structure if isinstance(structure, (list, tuple)) else list(structure.values()):
        yield from flatten(part)
