"""From a function to machine code: Numba's front end, LLVM's passes, and what kernels may not contain."""

from __future__ import annotations

import ctypes
import functools
import hashlib
import platform
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np

from nbnet.core.fingerprint import references
from nbnet.core.function import FASTMATH, Function, Intrinsic, KernelError, PyFunction

# What compiled code may call. Anything else (the allocator, the interpreter, an exception) is refused.
_OWN_SYMBOLS = {f"nbnet_{name}" for name in ("sgemm", "dgemm", "gemm_float32", "gemm_float64", "yield")}
ALLOWED_SYMBOLS = frozenset({"memset", "memcpy", "memmove"} | _OWN_SYMBOLS) | frozenset(
    f"{name}{suffix}"
    for name in [
        "exp",
        "exp2",
        "expm1",
        "log",
        "log1p",
        "log2",
        "log10",
        "pow",
        "sin",
        "cos",
        "tan",
        "tanh",
        "sinh",
        "cosh",
        "erf",
        "erfc",
        "fmod",
        "sqrt",
        "floor",
        "ceil",
    ]
    for suffix in ("", "f")
)


def _typed(value: Any, dtype: np.dtype[Any]) -> Any:
    """Float constants take the kernel's dtype, as NumPy does it; Numba alone would widen float32 arithmetic to
    float64."""
    if type(value) is tuple:
        return tuple(_typed(v, dtype) for v in value)
    if isinstance(value, types.CodeType):
        return value.replace(co_consts=tuple(_typed(v, dtype) for v in value.co_consts))
    return dtype.type(value) if type(value) is float else value


class _Materialiser:
    """What Numba is given for one dtype, made on demand from :class:`Function` objects."""

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
            from nbnet.core import native

            return getattr(native, value.function.__name__)
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
# can end in any other way than well: 0 or, without a result, -2. Who allocates nothing has no references to count.
_WRAPPER = """
declare i32 @"{native}"(ptr, ptr, {parameters})
declare void @nbnet_raised()
define void @"{symbol}"({named}) "reciprocal-estimates"="vec-sqrtf:1" {{
  %result = alloca ptr
  %error = alloca ptr
  %status = call i32 @"{native}"(ptr %result, ptr %error, {named}) alwaysinline
  switch i32 %status, label %raised [i32 0, label %well i32 -2, label %well]
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


def _llvm_type(parameter: Any) -> str:
    import numba

    if isinstance(parameter, numba.types.CPointer):
        return "ptr"
    return "i8" if parameter == numba.types.boolean else "i64"


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
    if foreign := calls - ALLOWED_SYMBOLS:
        raise KernelError(f"kernel {function.name!r} allocates or calls the interpreter ({', '.join(sorted(foreign))})")
    return bytes(machine.emit_object(module))


def _module(function: Function, dtype: np.dtype[Any], symbol: str) -> Any:
    """What LLVM is to make machine code from: a function ``symbol``, and all it calls, for nobody else to see."""
    import numba

    from nbnet.core import front_end, native

    parameters = native.parameters(function, dtype)  # type: ignore[no-untyped-call]
    try:
        body = _materialiser(dtype).python_function(function)
        with front_end.alone():
            compiled = numba.cfunc(  # type: ignore[call-arg]
                numba.types.void(*parameters), nopython=True, error_model="numpy", fastmath=set(FASTMATH)
            )(body)
    except (numba.core.errors.NumbaError, TypeError, RecursionError) as error:  # TypeError: not (mem, ins, step)
        raise KernelError(f"kernel {function.name!r} does not compile for {dtype.name}: {error}") from None
    kinds = [_llvm_type(p) for p in parameters]
    wrapper = _WRAPPER.format(
        native=compiled.native_name.removeprefix("cfunc."),
        symbol=symbol,
        parameters=", ".join(kinds),
        named=", ".join(f"{kind} %a{i}" for i, kind in enumerate(kinds)),
    )
    module = load_llvm().parse_assembly(compiled.inspect_llvm())
    module.link_in(load_llvm().parse_assembly(wrapper))
    for defined in (*module.functions, *module.global_variables):
        if not defined.is_declaration and defined.name != symbol:
            defined.linkage = "internal"
    return module


@functools.cache
def load_llvm() -> Any:
    """llvmlite's binding, ready to compile, and to link what kernels call."""
    import llvmlite.binding as llvm

    from nbnet.core import blas

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    for name, address in {**blas.symbols(), "nbnet_yield": _yield_address()}.items():
        llvm.add_symbol(name, address)
    return llvm


def _yield_address() -> int:
    if sys.platform == "win32":
        function = ctypes.WinDLL("kernel32").SwitchToThread
    else:
        function = ctypes.CDLL(None).sched_yield
    return ctypes.cast(function, ctypes.c_void_p).value or 0


def _features() -> str:
    """What the processor can do, and what LLVM should make of it."""
    features: str = load_llvm().get_host_cpu_features().flatten()
    if platform.machine() in ("x86_64", "AMD64"):
        # Or else LLVM thinks that roots are as fast as estimates, and takes half registers where whole ones may lower
        # the clock; they do so anyway in products of matrices.
        features += ",-fast-vector-fsqrt,-prefer-256-bit"
    return features


@functools.cache
def target_machine() -> Any:
    """What code is made for: this processor."""
    llvm = load_llvm()
    return llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(), features=_features(), opt=3, jit=True
    )


@functools.cache
def environment() -> str:
    """Everything outside the kernels that machine code depends on."""
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
    )
    return hashlib.sha256(repr(parts).encode()).hexdigest()
