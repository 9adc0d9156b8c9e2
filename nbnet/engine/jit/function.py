"""Compilable functions, of which kernels consist. Called from Python they run as plain Python."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping, Sequence, Set
from typing import Any, overload

import numpy as np

#: True with ``NBNET_CHECK=1``: compiled code checks its operands, and memory is checked after each row. The variable is
#: read once.
CHECKED = os.environ.get("NBNET_CHECK", "0") not in ("", "0")

# No nnan and no ninf: with them np.isnan always answers False.
FASTMATH = frozenset({"contract", "reassoc", "nsz", "arcp", "afn"})

PyFunction = Callable[..., Any]
#: ``within(sizes)``: True if a kernel stays within its operands, where a statement of extents does not say all.
Within = Callable[[Mapping[str, int]], bool]


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
        """Decorator: another body for one dtype (``@exp.variant("float32")``). Those for floats are used by compiled
        code only."""

        def register(function: PyFunction) -> PyFunction:
            self.variants[dtype] = function
            return function

        return register

    def body(self, dtype: np.dtype[Any]) -> PyFunction:
        """The Python function that is compiled for a dtype."""
        return self.variants.get(dtype.name, self.function)

    def __call__(self, *args: Any) -> Any:
        if "int64" in self.variants and isinstance(args[0], np.integer):
            return self.variants["int64"](*args)
        return self.function(*args)

    def __repr__(self) -> str:
        return f"<{self.kind} {self.name}>"


class Kernel(Function):
    """A function ``kernel(mem, ins, step)`` that a program can call; its contract is in ``nbnet/engine/README.md``.

    ``extents`` states the sizes of its operands, in the language of :mod:`nbnet.engine.graph.extents`, and ``within``
    what such a statement cannot say; the kernels of an op take those of the op.
    """

    kind = "kernel"

    def __init__(
        self, function: PyFunction, name: str | None = None, extents: str = "", within: Within | None = None
    ) -> None:
        super().__init__(function, name, parameters=("real*", "int64*", "int64"))
        self.extents, self.within = extents, within


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


@overload
def kernel(function: PyFunction) -> Kernel: ...
@overload
def kernel(*, extents: str, within: Within | None = None) -> Callable[[PyFunction], Kernel]: ...
def kernel(function: PyFunction | None = None, *, extents: str = "", within: Within | None = None) -> Any:
    """Decorate a kernel: ``kernel(mem, ins, step)``, which allocates nothing, returns nothing and never raises.

    With ``extents``, and perhaps ``within``, the sizes of its operands are checked in programs: see :class:`Kernel`.
    """
    if function is None:
        return functools.partial(Kernel, extents=extents, within=within)
    return Kernel(function)


def intrinsic(module: str) -> Callable[[PyFunction], Intrinsic]:
    """Decorate the Python twin of a function in a module of ``nbnet.engine.llvm``, which is given by its full name."""
    return functools.partial(Intrinsic, module=module)


class KernelError(TypeError):
    """A kernel breaks the kernel contract, or Numba cannot compile it."""
