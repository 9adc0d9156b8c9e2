"""A hash of everything that the machine code of a function depends on."""

from __future__ import annotations

import dis
import functools
import hashlib
import types
from collections.abc import Iterator, Set
from pathlib import Path
from typing import Any

import numpy as np

from nbnet.engine.jit.function import Function, PyFunction

#: Files whose code ends up in every object, or decides what LLVM makes of it.
ENGINE = Path(__file__).parent.parent
NATIVE_SOURCES = (
    *("jit/compiler.py", "jit/numba_frontend.py", "jit/checks.py", "kernels/layout.py"),
    *sorted(f"llvm/{path.name}" for path in (ENGINE / "llvm").glob("*.py")),
)


def _codes(code: types.CodeType) -> Iterator[types.CodeType]:
    """A code object and those of the functions defined inside it."""
    yield code
    for const in code.co_consts:
        if isinstance(const, types.CodeType):
            yield from _codes(const)


@functools.cache
def _global_names(code: types.CodeType) -> list[str]:
    """The globals that a code object names, sorted."""
    loads = (i for part in _codes(code) for i in dis.get_instructions(part))
    return sorted({i.argval for i in loads if i.opname in ("LOAD_GLOBAL", "LOAD_NAME")})


def references(function: PyFunction) -> dict[str, Any]:
    """The globals and free variables a function names, in a fixed order."""
    code, found = function.__code__, {}
    for name in _global_names(code):
        if name in function.__globals__:
            found[name] = function.__globals__[name]
    for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
        found[name] = cell.cell_contents
    return found


def fingerprint(function: Function, dtype: np.dtype[Any]) -> str:
    """A hash of everything the compiled code depends on, so that an edited helper is never served stale."""
    digest = hashlib.sha256()
    seen: dict[int, int] = {}

    def add(*parts: Any) -> None:
        digest.update(repr(parts).encode())

    def visit_code(code: types.CodeType) -> None:
        add(code.co_code, code.co_names, code.co_varnames, code.co_freevars)
        for const in code.co_consts:
            visit_code(const) if isinstance(const, types.CodeType) else add(type(const).__name__, const)

    def visit_function(body: PyFunction) -> None:
        visit_code(body.__code__)
        visit(body.__defaults__)
        for name, reference in references(body).items():
            add(name)
            visit(reference)
            if isinstance(reference, types.ModuleType):
                visit_attributes(reference, {n for code in _codes(body.__code__) for n in code.co_names})

    def visit_attributes(module: types.ModuleType, names: Set[str]) -> None:
        for name in sorted(names & vars(module).keys()):
            add(name)
            found = vars(module)[name]
            again = id(found) in seen
            visit(found)
            if isinstance(found, types.ModuleType) and not again:
                visit_attributes(found, names)

    def visit(value: Any) -> None:
        if isinstance(value, tuple):
            add(len(value))
            for part in value:
                visit(part)
        elif isinstance(value, (int, float, bool, str, bytes, np.generic, type(None))):
            add(type(value).__name__, value)
        elif isinstance(value, np.ndarray):
            add(value.dtype.str, value.shape, value.tobytes())
        elif id(value) in seen:
            add("seen", seen[id(value)])
        else:
            seen[id(value)] = len(seen)
            if isinstance(value, Function):
                add(value.kind, value.name, sorted(value.fastmath), value.parameters)
                visit_function(value.body(dtype))
            elif hasattr(value, "py_func"):  # compiled by Numba elsewhere
                visit_function(value.py_func)
            elif hasattr(value, "__name__"):
                add(type(value).__name__, getattr(value, "__module__", ""), value.__name__)
            else:
                add(type(value).__name__, repr(value))

    visit(function)
    add(dtype.name, _native_source())
    return digest.hexdigest()


@functools.cache
def _native_source() -> bytes:
    """A hash of the source of the compiled bodies of intrinsics."""
    files = (ENGINE / name for name in NATIVE_SOURCES)
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).digest()
