"""Compile a function to machine code: Numba's front end, LLVM's passes, and the checks of the kernel contract."""

from __future__ import annotations

import functools
import hashlib
import importlib
import platform
import re
import sys
import types
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nbnet.engine.jit.fingerprint import fingerprint, references
from nbnet.engine.jit.function import CHECKED, FASTMATH, Function, Intrinsic, KernelError, PyFunction

# Functions of C that compiled code may call, besides nbnet's own. Anything else (the allocator, the interpreter, an
# exception) is refused.
_MATH = (
    "exp", "exp2", "expm1", "log", "log1p", "log2", "log10", "pow", "sin", "cos", "tan", "tanh", "sinh", "cosh", "asin",
    "acos", "atan", "atan2", "asinh", "acosh", "atanh", "erf", "erfc", "fmod", "sqrt", "floor", "ceil",
)  # fmt: skip
ALLOWED_SYMBOLS = frozenset({"memset", "memcpy", "memmove", *_MATH, *(f"{name}f" for name in _MATH)})
OWN_PREFIX = "nbnet_"


def _typed(value: Any, dtype: np.dtype[Any]) -> Any:
    """Float constants take the kernel's dtype, as NumPy does it; Numba alone would widen float32 arithmetic to
    float64. Where the kernel computes in integers, NaN is the smallest of them, and infinities are the limits."""
    if type(value) is tuple:
        return tuple(_typed(v, dtype) for v in value)
    if isinstance(value, types.CodeType):
        return value.replace(co_consts=tuple(_typed(v, dtype) for v in value.co_consts))
    if type(value) is not float:
        return value
    if dtype.kind != "f":
        limits = np.iinfo(dtype)
        value = min(max(value, limits.min), limits.max) if value == value else limits.min
        return dtype.type(value) if value == int(value) else value
    return dtype.type(value)


class _Materialiser:
    """Makes Numba's functions for one dtype, on demand, from :class:`Function` objects."""

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self.dtype = dtype
        self.made: dict[Function, Any] = {}

    def python_function(self, function: Function) -> PyFunction:
        body = function.body(self.dtype)
        code = _typed(body.__code__, self.dtype)
        found = {name: self.value(v) for name, v in references(body).items()}
        cells = tuple(types.CellType(found[name]) for name in code.co_freevars)
        scope = {k: v for k, v in found.items() if k not in code.co_freevars}
        scope["__builtins__"] = __builtins__
        scope["__name__"] = body.__module__
        return types.FunctionType(code, scope, body.__name__, _typed(body.__defaults__, self.dtype), cells)

    def value(self, value: Any) -> Any:
        if isinstance(value, Intrinsic):
            return getattr(importlib.import_module(value.module), value.function.__name__)
        if isinstance(value, Function):
            if value not in self.made:
                import numba

                own: dict[str, Any] = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
                make = numba.njit(error_model="numpy", fastmath=set(value.fastmath), forceinline=True, **own)
                self.made[value] = make(self.python_function(value))
            return self.made[value]
        return _typed(value, self.dtype)


@functools.cache
def _materialiser(dtype: np.dtype[Any]) -> _Materialiser:
    return _Materialiser(dtype)


# Roots marked for it become an estimate and one step of Newton's. A call of what is not allowed tells that the kernel
# can end in any other way than well: 0 or, without a result, -2; or -4, after a fault that a check has reported. A
# kernel that allocates nothing has no references to count.
_WRAPPER = """
declare i32 @"{native}"(ptr, ptr, {parameters})
declare void @nbnet_raised()
define void @"{symbol}"({named}) "reciprocal-estimates"="vec-sqrtf:1" {{
  %result = alloca ptr
  %error = alloca ptr
  %status = call i32 @"{native}"(ptr %result, ptr %error, {named}) alwaysinline
  switch i32 %status, label %raised [i32 0, label %well i32 -2, label %well{failed}]
raised:
  call void @nbnet_raised()
  ret void
well:
  ret void
}}
define void @NRT_incref(ptr %memory) alwaysinline {{
  ret void
}}
define void @NRT_decref(ptr %memory) alwaysinline {{
  ret void
}}
"""


#: LLVM's types of parameters; all others are pointers.
_LLVM_TYPES = {"int64": "i64", "bool": "i8", "address": "i64"}


def _numba_types(parameters: tuple[str, ...], dtype: np.dtype[Any]) -> list[Any]:
    from numba import types

    kinds = {"address": types.intp, "bool": types.boolean, "int64": types.int64, "real": getattr(types, dtype.name)}
    pointers: dict[str, Any] = {f"{name}*": types.CPointer(kinds[name]) for name in ("int64", "real")}  # type: ignore[no-untyped-call]
    return [(kinds | pointers)[parameter] for parameter in parameters]


def compile_function(function: Function, dtype: np.dtype[Any], symbol: str) -> bytes:
    """Machine code of one kernel as a relocatable object that exports ``symbol`` and nothing else."""
    llvm, machine = load_llvm(), target_machine()
    module = _module(function, dtype, symbol)
    builder = llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options(speed_level=3))
    manager = builder.getModulePassManager()
    manager.add_dead_arg_elimination_pass()
    manager.add_global_dead_code_eliminate_pass()
    manager.add_strip_dead_prototype_pass()
    manager.run(module, builder)
    calls = {f.name for f in module.functions if f.is_declaration and not f.name.startswith("llvm.")}
    if "nbnet_raised" in calls:
        raise KernelError(
            f"kernel {function.name!r} contains a raise, an assert or a call that can raise; a kernel never raises: "
            "check its operands when the program is built"
        )
    if foreign := {name for name in calls - ALLOWED_SYMBOLS if not name.startswith(OWN_PREFIX)}:
        raise KernelError(f"kernel {function.name!r} allocates or calls the interpreter ({', '.join(sorted(foreign))})")
    return bytes(machine.emit_object(module))


def _module(function: Function, dtype: np.dtype[Any], symbol: str) -> Any:
    """LLVM's module with a function ``symbol`` and everything it calls, the latter private."""
    import numba

    from nbnet.engine.jit import numba_frontend

    parameters = _numba_types(function.parameters, dtype)
    try:
        body = _materialiser(dtype).python_function(function)
        with numba_frontend.frontend_only():
            compiled = numba.cfunc(  # type: ignore[call-arg]
                numba.types.void(*parameters), nopython=True, error_model="numpy", fastmath=set(FASTMATH)
            )(body)
    except (numba.core.errors.NumbaError, TypeError, RecursionError) as error:  # TypeError: not (mem, ins, step)
        raise KernelError(f"kernel {function.name!r} does not compile for {dtype.name}: {error}") from None
    kinds = [_LLVM_TYPES.get(p, "ptr") for p in function.parameters]
    wrapper = _WRAPPER.format(
        native=compiled.native_name.removeprefix("cfunc."),
        symbol=symbol,
        parameters=", ".join(kinds),
        named=", ".join(f"{kind} %a{i}" for i, kind in enumerate(kinds)),
        failed=" i32 -4, label %well" if CHECKED else "",
    )
    module = load_llvm().parse_assembly(compiled.inspect_llvm())
    module.link_in(load_llvm().parse_assembly(wrapper))
    for defined in (*module.functions, *module.global_variables):
        if not defined.is_declaration and defined.name != symbol:
            defined.linkage = "internal"
    return module


#: Addresses by symbol of functions outside that compiled code calls.
SymbolSource = Callable[[], Mapping[str, int]]
_symbol_sources: list[SymbolSource] = []


def register_symbols(source: SymbolSource) -> SymbolSource:
    """Decorate a function that returns addresses by symbol, ``nbnet_...``, of functions that compiled code may call.

    It is called when the first kernel is linked.
    """
    _symbol_sources.append(source)
    return source


@functools.cache
def load_llvm() -> Any:
    """llvmlite's binding, ready to compile, and to link the functions that kernels call."""
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    for source in _symbol_sources:
        for name, address in source().items():
            _add_symbol(llvm, name, address)
    return llvm


def define_symbol(name: str, address: int) -> None:
    """Have compiled code find a function at an address; raise KernelError if the address is 0."""
    _add_symbol(load_llvm(), name, address)


def _add_symbol(llvm: Any, name: str, address: int) -> None:
    if not address:  # Compiled code would jump there.
        raise KernelError(f"{name}: expected the address of a function, got {address}")
    llvm.add_symbol(name, address)


def _features() -> str:
    """The processor's features, and how LLVM should use them."""
    features: str = load_llvm().get_host_cpu_features().flatten()
    if platform.machine() in ("x86_64", "AMD64"):
        # Or else LLVM thinks that roots are as fast as estimates, and takes half registers where whole ones may lower
        # the clock; they do so anyway in products of matrices.
        features += ",-fast-vector-fsqrt,-prefer-256-bit"
    return features


@functools.cache
def target_machine() -> Any:
    """LLVM's description of this processor."""
    llvm = load_llvm()
    return llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(), features=_features(), opt=3, jit=True
    )


@functools.cache
def environment() -> str:
    """A hash of everything outside the kernels that machine code depends on."""
    import importlib.util

    import llvmlite

    spec = importlib.util.find_spec("numba")
    version = b""
    if spec and spec.origin:
        version = (Path(spec.origin).parent / "_version.py").read_bytes()
    llvm = load_llvm()
    parts = (
        sys.version,
        hashlib.sha256(version).hexdigest(),
        llvmlite.__version__,
        llvm.get_process_triple(),
        llvm.get_host_cpu_name(),
        _features(),
        *(["checked"] if CHECKED else []),
    )
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def object_key(function: Function, dtype: np.dtype[Any]) -> str:
    """A hash of everything that the machine code of a function depends on."""
    return hashlib.sha256((environment() + fingerprint(function, dtype)).encode()).hexdigest()


def object_symbol(key: str) -> str:
    """The symbol that an object exports."""
    return f"{OWN_PREFIX}{key}"


#: How relocatable objects of a format and a processor begin. Windows's have next to no head.
_HEADS = {
    ("ELF", "x86_64"): rb"\x7fELF\x02\x01\x01.{9}\x01\x00\x3e\x00",
    ("ELF", "aarch64"): rb"\x7fELF\x02\x01\x01.{9}\x01\x00\xb7\x00",
    ("MachO", "x86_64"): rb"\xcf\xfa\xed\xfe\x07\x00\x00\x01.{4}\x01\x00\x00\x00",
    ("MachO", "arm64"): rb"\xcf\xfa\xed\xfe\x0c\x00\x00\x01.{4}\x01\x00\x00\x00",
}


@functools.cache
def _head() -> re.Pattern[bytes]:
    """How objects for this process begin."""
    llvm = load_llvm()
    kind = llvm.get_object_format(), llvm.get_process_triple().partition("-")[0]
    return re.compile(_HEADS.get(kind, b""), re.DOTALL)


def is_object(content: bytes, symbol: str) -> bool:
    """True if bytes are an object file for this processor that names a symbol; with others LLVM ends the process."""
    return _head().match(content) is not None and symbol.encode() + b"\0" in content
