"""Trees: nested lists, tuples and dicts, and their leaves."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Generic, TypeVar

T = TypeVar("T")


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


class Kinds(dict[type, bool], Generic[T]):
    """Finds objects of a type among attributes: it remembers which types derive from it, or may hold some."""

    def __init__(self, wanted: type[T]) -> None:
        self.wanted = wanted

    def __missing__(self, kind: type) -> bool:
        if len(self) > 1000:
            self.clear()
        self[kind] = found = issubclass(kind, (self.wanted, list, tuple, dict))
        return found

    def among(self, values: Iterable[Any]) -> list[T]:
        """The objects among values, and in lists, tuples and dicts among them."""
        found: list[T] = []
        for value in [value for value in values if self[type(value)]]:
            if isinstance(value, self.wanted):
                found.append(value)
            elif value:
                found += self.among(value.values() if isinstance(value, dict) else value)
        return found
