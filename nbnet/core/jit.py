"""JIT policy: what a kernel is, how it is compiled, where its machine code is kept, how it gets an address.

Numba compiles each kernel once, for one dtype, to a relocatable object of a few kilobytes. The object is kept on disk
under a name that is a hash of everything it was made from: the bytecode of the kernel and of every function, constant
and intrinsic it reaches, the dtype, the processor and the versions of Python, Numba and llvmlite. Loading it needs
llvmlite alone, so a process whose kernels are all on disk never imports Numba.
"""

from __future__ import annotations

import ctypes
import dis
import functools
import hashlib
import os
import platform
import sys
import threading
import types
from collections.abc import Callable, Iterable, Iterator, Set
from pathlib import Path
from typing import Any

import numpy as np

from nbnet.core import cache

DISABLE_JIT = os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0")
# No nnan and no ninf: with them np.isnan always answers False.
FASTMATH = frozenset({"contract", "reassoc", "nsz", "arcp", "afn"})
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


# ---- from a Python function to something Numba compiles ------------------------------------------------------


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


def _references(function: PyFunction) -> dict[str, Any]:
    """The globals and free variables a function names, in a fixed order."""
    code, found = function.__code__, {}
    for name in _global_names(code):
        if name in function.__globals__:
            found[name] = function.__globals__[name]
    for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
        found[name] = cell.cell_contents
    return found


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
        found = {name: self.value(v) for name, v in _references(body).items()}
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

                make = numba.njit(error_model="numpy", fastmath=set(value.fastmath), forceinline=True)
                self.made[value] = make(self.python_function(value))
            return self.made[value]
        return _typed(value, self.dtype)


@functools.cache
def _materialiser(dtype: np.dtype[Any]) -> _Materialiser:
    return _Materialiser(dtype)


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
        for name, reference in _references(body).items():
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
                add(value.kind, value.name, sorted(value.fastmath))
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


#: Files whose code ends up in every object.
NATIVE_SOURCES = ("jit.py", "layout.py", *(f"native{part}.py" for part in ("", "_gemm", "_pack", "_vectors")))


@functools.cache
def _native_source() -> bytes:
    """What the compiled bodies of intrinsics are made from."""
    files = (Path(__file__).with_name(name) for name in NATIVE_SOURCES)
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).digest()


# ---- compile, load, link --------------------------------------------------------------------------------------


class KernelError(TypeError):
    """A kernel breaks the kernel contract, or Numba cannot compile it."""


_WRAPPER = """
declare i32 @"{native}"(ptr, ptr, {parameters})
define void @"{symbol}"({named}) {{
  %result = alloca ptr
  %error = alloca ptr
  %status = call i32 @"{native}"(ptr %result, ptr %error, {named})
  ret void
}}
"""


def _llvm_type(parameter: Any) -> str:
    import numba

    if isinstance(parameter, numba.types.CPointer):
        return "ptr"
    return "i8" if parameter == numba.types.boolean else "i64"


def _compile(function: Function, dtype: np.dtype[Any], symbol: str) -> bytes:
    """Machine code of one kernel as a relocatable object that exports ``symbol`` and nothing else."""
    import numba

    from nbnet.core import native

    parameters = native.parameters(function, dtype)  # type: ignore[no-untyped-call]
    try:
        body = _materialiser(dtype).python_function(function)
        compiled = numba.cfunc(  # type: ignore[call-arg]
            numba.types.void(*parameters), nopython=True, error_model="numpy", fastmath=set(FASTMATH)
        )(body)
    except (numba.core.errors.NumbaError, TypeError, RecursionError) as error:  # TypeError: not (mem, ins, step)
        raise KernelError(f"kernel {function.name!r} does not compile for {dtype.name}: {error}") from None
    llvm, machine = _llvm(), _machine(function.kind)
    # Roots marked for it become an estimate and one step of Newton's.
    estimates = 'attributes #0 = { "reciprocal-estimates"="vec-sqrtf:1"'
    module = llvm.parse_assembly(compiled.inspect_llvm().replace("attributes #0 = {", estimates))
    if any(".const.picklebuf" in variable.name for variable in module.global_variables):
        raise KernelError(
            f"kernel {function.name!r} contains a raise, an assert or a call that can raise; a kernel never raises: "
            "check its operands when the program is built"
        )
    native_name = compiled.native_name.removeprefix("cfunc.")
    kinds = [_llvm_type(p) for p in parameters]
    wrapper = _WRAPPER.format(
        native=native_name,
        symbol=symbol,
        parameters=", ".join(kinds),
        named=", ".join(f"{kind} %a{i}" for i, kind in enumerate(kinds)),
    )
    module.link_in(llvm.parse_assembly(wrapper))
    for defined in module.functions:
        if not defined.is_declaration and defined.name != symbol:
            defined.linkage = "internal"
    for variable in module.global_variables:
        if not variable.is_declaration:
            variable.linkage = "internal"
    manager = llvm.create_new_module_pass_manager()
    manager.add_ipsccp_pass()
    manager.add_dead_arg_elimination_pass()
    manager.add_global_dead_code_eliminate_pass()
    manager.add_strip_dead_prototype_pass()
    manager.run(module, llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options(speed_level=3)))
    calls = {f.name for f in module.functions if f.is_declaration and not f.name.startswith("llvm.")}
    if foreign := calls - ALLOWED_SYMBOLS:
        raise KernelError(f"kernel {function.name!r} allocates or calls the interpreter ({', '.join(sorted(foreign))})")
    return bytes(machine.emit_object(module))


_lock = threading.RLock()
if hasattr(os, "register_at_fork"):
    # A child must not inherit the lock from a thread that it has not, nor LLVM half way through a kernel.
    os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)
_addresses: dict[tuple[Function, np.dtype[Any]], int] = {}
_python_kernels: list[Function] = []
compiled_count = 0


@functools.cache
def _llvm() -> Any:
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


@functools.cache
def _machine(kind: str = "") -> Any:
    llvm = _llvm()
    features = llvm.get_host_cpu_features().flatten()
    if platform.machine() in ("x86_64", "AMD64"):
        # Or else LLVM thinks that roots are as fast as estimates.
        features += ",-fast-vector-fsqrt"
    if kind == "gemm":
        # LLVM takes half registers where whole ones may lower the clock; a product is worth it.
        features += ",-prefer-256-bit"
    return llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(), features=features, opt=3, jit=True
    )


@functools.cache
def _engine() -> Any:
    return _llvm().create_mcjit_compiler(_llvm().parse_assembly(""), _machine())


@functools.cache
def environment() -> str:
    """Everything outside the kernels that machine code depends on."""
    import importlib.util

    import llvmlite

    spec = importlib.util.find_spec("numba")
    version = b""
    if spec and spec.origin:
        version = (Path(spec.origin).parent / "_version.py").read_bytes()
    llvm = _llvm()
    parts = (
        sys.version,
        hashlib.sha256(version).hexdigest(),
        llvmlite.__version__,
        llvm.get_process_triple(),
        llvm.get_host_cpu_name(),
        llvm.get_host_cpu_features().flatten(),
    )
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def link(functions: Iterable[Function], dtype: np.dtype[Any]) -> list[int]:
    """Addresses of kernels for one dtype: from memory, from the disk, or compiled now.

    With ``NUMBA_DISABLE_JIT=1`` an address is the kernel's number in a table of Python functions.
    """
    with _lock:
        wanted = list(functions)
        missing = [f for f in dict.fromkeys(wanted) if (f, dtype) not in _addresses]
        if missing:
            (_number if DISABLE_JIT else _load)(missing, dtype)
        return [_addresses[f, dtype] for f in wanted]


def _number(functions: list[Function], dtype: np.dtype[Any]) -> None:
    for function in functions:
        _addresses[function, dtype] = len(_python_kernels)
        _python_kernels.append(function)


def python_kernel(number: int) -> Function:
    """The function behind an address given out under ``NUMBA_DISABLE_JIT=1``."""
    return _python_kernels[number]


def _load(functions: list[Function], dtype: np.dtype[Any]) -> None:
    global compiled_count
    if any(isinstance(function, Kernel) for function in functions):
        from nbnet.core.gemm import GEMM

        _llvm().add_symbol(f"nbnet_gemm_{dtype.name}", link([GEMM], dtype)[0])
    symbols = {}
    for function in functions:
        key = hashlib.sha256((environment() + fingerprint(function, dtype)).encode()).hexdigest()
        symbol = f"nbnet_{key}"
        machine_code = cache.read(function.name, key)
        if machine_code is None:
            machine_code = _compile(function, dtype, symbol)
            compiled_count += 1
            cache.write(function.name, key, machine_code)
        _engine().add_object_file(_llvm().ObjectFileRef.from_data(machine_code))
        symbols[function] = symbol
    _engine().finalize_object()
    for function, symbol in symbols.items():
        _addresses[function, dtype] = _engine().get_function_address(symbol)
