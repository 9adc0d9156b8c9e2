"""Every public name has a docstring with an example, and the examples are among those that pytest runs.

``--doctest-modules`` runs the examples of all modules of the package (see pyproject.toml); this checks that none is
missing.
"""

from __future__ import annotations

import doctest
import importlib
import inspect
import pkgutil
import sys
from collections.abc import Iterator
from functools import cache
from types import ModuleType
from typing import Any

import pytest

import nbnet as nb


def namespaces() -> Iterator[ModuleType]:
    """The package, and the modules in it that users find names in."""
    yield nb
    for name in sorted(nb.__all__):
        if inspect.ismodule(module := getattr(nb, name)) and name != "engine":
            yield module
    yield nb.optimizers.schedules
    for info in pkgutil.iter_modules(nb.datasets.__path__, "nbnet.datasets."):
        if hasattr(module := importlib.import_module(info.name), "load_data"):
            yield module


def names(module: ModuleType) -> list[str]:
    """Return the public names of a module: its ``__all__``, or else the names defined in it."""
    own = [
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and getattr(value, "__module__", None) == module.__name__
    ]
    return sorted(getattr(module, "__all__", own))


def public() -> dict[str, Any]:
    """Classes and functions by their public name."""
    found = {f"{module.__name__}.{name}": getattr(module, name) for module in namespaces() for name in names(module)}
    return {name: value for name, value in found.items() if inspect.isroutine(value) or inspect.isclass(value)}


#: Decorators of kernels, whose example is that of the engine's README, which ``tests/engine/test_readme.py`` runs.
ELSEWHERE = {"nbnet.device", "nbnet.kernel"}
PUBLIC = public()


@cache
def run_by_doctest(module: str) -> dict[str, int]:
    """How many lines each docstring of a module has that doctest runs."""
    importlib.import_module(module)
    tests = doctest.DocTestFinder().find(sys.modules[module])
    return {test.name: sum(not example.options.get(doctest.SKIP, False) for example in test.examples) for test in tests}


@pytest.mark.parametrize("name", sorted(set(PUBLIC) - ELSEWHERE))
def test_it_has_an_example_that_runs(name: str) -> None:
    value = PUBLIC[name]
    assert inspect.getdoc(value), "it has no docstring"
    assert value.__module__.startswith("nbnet."), "it is not ours"
    own = f"{value.__module__}.{value.__qualname__}"
    assert run_by_doctest(value.__module__).get(own, 0), f"the docstring of {own} has no example that runs"


def test_modules_say_what_they_are() -> None:
    for module in namespaces():
        assert (module.__doc__ or "").strip(), module.__name__


def test_names_are_sorted_out() -> None:
    assert len(PUBLIC) > 400
    assert {"nbnet.Sequential", "nbnet.layers.Dense", "nbnet.ops.where", "nbnet.optimizers.schedules.OneCycle"} < set(
        PUBLIC
    )
