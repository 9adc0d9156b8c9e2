"""Imports in the package point downward, floor by floor, and never run in a circle; type-only imports count, too."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import grimp
import pytest
from importlinter.cli import lint_imports

PYPROJECT = Path(__file__).resolve().parents[2] / "pyproject.toml"
#: Imports what is built on models, inside of its functions; the contract in pyproject.toml names what it may import.
LATE = "nbnet.models.delegates"


@pytest.fixture(scope="module")
def imports() -> dict[str, set[str]]:
    """Modules imported by each module of the package."""
    graph = grimp.build_graph("nbnet", cache_dir=None)
    return {name: set(graph.find_modules_directly_imported_by(name)) for name in graph.modules if name != LATE}


def test_floors() -> None:
    assert lint_imports(str(PYPROJECT), no_cache=True) == 0


def test_no_circle(imports: dict[str, set[str]]) -> None:
    assert list(circles(imports)) == []


def test_circles_are_found() -> None:
    assert list(circles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"d"}})) == [["b", "c"], ["d"]]


def circles(imports: Mapping[str, set[str]]) -> Iterator[list[str]]:
    """Groups of modules each of which leads back to itself."""
    reached = {name: reachable(imports, name) for name in imports}
    seen: set[str] = set()
    for name in sorted(imports):
        if name in reached[name] and name not in seen:
            group = sorted(other for other in reached[name] if name in reached.get(other, ()))
            seen.update(group)
            yield group


def reachable(imports: Mapping[str, set[str]], start: str) -> set[str]:
    """Modules that a module imports, directly or not."""
    found: set[str] = set()
    stack = list(imports.get(start, ()))
    while stack:
        if (name := stack.pop()) not in found:
            found.add(name)
            stack.extend(imports.get(name, ()))
    return found
