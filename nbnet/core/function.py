"""What can be compiled: functions that kernels consist of. Called from Python they run as plain Python."""

from __future__ import annotations

import functools
from collections.abc import Callable, Set
from typing import Any

import numpy as np

# No nnan and no ninf: with them np.isnan always answers False.
FASTMATH = frozenset({"contract", "reassoc", "nsz", "arcp", "afn"})

PyFunction = Callable[..., Any]


class Function:
    """A Python function that Numba can compile. Called from Python it runs as plain Python: its own reference."""

    kind = "device"

    def __init__(self, function: PyFunction, name: str | None = None, fastmath: Set[str] = FASTMATH) -> None:
        self.function = function
        self.fastmath = fastmath
        self.variants: dict[str, PyFunction] = {}
        functools.update_wrapper(self, function)
        self.name = name or function.__qualname__.replace(".<locals>", "")

    def variant(self, dtype: str) -> Callable[[PyFunction], PyFunction]:
        """Decorator: another body for one dtype, used by compiled code only (``@exp.variant("float32")``)."""

        def register(function: PyFunction) -> PyFunction:
            self.variants[dtype] = function
            return function

        return register

    def body(self, dtype: np.dtype[Any]) -> PyFunction:
        return self.variants.get(dtype.name, self.function)

    def __call__(self, *args: Any) -> Any:
        return self.function(*args)

    def __repr__(self) -> str:
        return f"<{self.kind} {self.name}>"


class Kernel(Function):
    """A function ``kernel(mem, ins, step)`` that a program can call: see ``nbnet/core/README.md`` for its contract."""

    kind = "kernel"


class Intrinsic(Function):
    """A function with a Python body here and a compiled body of the same name in ``nbnet/core/native.py``."""

    kind = "intrinsic"


def device(function: PyFunction) -> Function:
    """Decorate a function that kernels call."""
    return Function(function)


def precise(function: PyFunction) -> Function:
    """Decorate a function that kernels call and whose additions must keep their order."""
    return Function(function, fastmath=frozenset({"contract"}))


def kernel(function: PyFunction) -> Kernel:
    """Decorate a kernel: ``kernel(mem, ins, step)``, which allocates nothing, returns nothing and never raises."""
    return Kernel(function)


def intrinsic(function: PyFunction) -> Intrinsic:
    """Decorate the Python twin of a function in ``nbnet/core/native.py``."""
    return Intrinsic(function)


class KernelError(TypeError):
    """A kernel breaks the kernel contract, or Numba cannot compile it."""
