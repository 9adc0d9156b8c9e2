"""Compilable functions, of which kernels consist. Called from Python they run as plain Python."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence, Set
from typing import Any

import numpy as np

# No nnan and no ninf: with them np.isnan always answers False.
FASTMATH = frozenset({"contract", "reassoc", "nsz", "arcp", "afn"})

PyFunction = Callable[..., Any]


class Function:
    """A Python function that Numba can compile. Called from Python it runs as plain Python: its own reference.

    A function that is linked by itself has ``parameters``: the types of its compiled parameters, each ``"int64"``,
    ``"bool"``, ``"address"``, ``"int64*"`` or ``"real*"``, a pointer to numbers of the model's dtype.
    """

    kind = "device"

    def __init__(
        self,
        function: PyFunction,
        name: str | None = None,
        fastmath: Set[str] = FASTMATH,
        parameters: Sequence[str] = (),
    ) -> None:
        self.function, self.fastmath, self.parameters = function, fastmath, tuple(parameters)
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
        """The Python function that is compiled for a dtype."""
        return self.variants.get(dtype.name, self.function)

    def __call__(self, *args: Any) -> Any:
        return self.function(*args)

    def __repr__(self) -> str:
        return f"<{self.kind} {self.name}>"


class Kernel(Function):
    """A function ``kernel(mem, ins, step)`` that a program can call; its contract is in ``nbnet/engine/README.md``."""

    kind = "kernel"

    def __init__(self, function: PyFunction, name: str | None = None) -> None:
        super().__init__(function, name, parameters=("real*", "int64*", "int64"))


class Intrinsic(Function):
    """A function with a Python body here and a compiled body, of the same name, in a module of ``nbnet.engine.llvm``.

    ``module`` is the full name of that module, which is imported only to compile.
    """

    kind = "intrinsic"

    def __init__(self, function: PyFunction, module: str) -> None:
        super().__init__(function)
        self.module = module


def device(function: PyFunction) -> Function:
    """Decorate a function that kernels call."""
    return Function(function)


def precise(function: PyFunction) -> Function:
    """Decorate a function that kernels call and whose additions must keep their order."""
    return Function(function, fastmath=frozenset({"contract"}))


def kernel(function: PyFunction) -> Kernel:
    """Decorate a kernel: ``kernel(mem, ins, step)``, which allocates nothing, returns nothing and never raises."""
    return Kernel(function)


def intrinsic(module: str) -> Callable[[PyFunction], Intrinsic]:
    """Decorate the Python twin of a function in a module of ``nbnet.engine.llvm``, which is given by its full name."""
    return functools.partial(Intrinsic, module=module)


class KernelError(TypeError):
    """A kernel breaks the kernel contract, or Numba cannot compile it."""
