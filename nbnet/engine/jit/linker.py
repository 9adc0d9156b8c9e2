"""Link compiled functions: find each kernel's machine code in memory or on disk, or compile it, and return its address.

Numba compiles each kernel once, for one dtype, to a relocatable object of a few kilobytes. The object is kept on disk
under a name that is a hash of everything it was made from: the bytecode of the kernel and of every function, constant
and intrinsic it reaches, the dtype, the processor and the versions of Python, Numba and llvmlite. Loading it needs
only llvmlite, so a process whose kernels are all on disk never imports Numba.
"""

from __future__ import annotations

import functools
import hashlib
import logging
import os
import sys
import threading
from collections.abc import Iterable
from typing import Any

import numpy as np

from nbnet.base.tqdm_bar import bar_class
from nbnet.engine.jit import disk_cache
from nbnet.engine.jit.compiler import environment, load_llvm, target_machine
from nbnet.engine.jit.fingerprint import fingerprint
from nbnet.engine.jit.function import Function, Intrinsic, Kernel, KernelError, device, intrinsic, kernel, precise

__all__ = [
    "DISABLE_JIT", "Function", "Intrinsic", "Kernel", "KernelError", "device", "fingerprint", "intrinsic", "kernel",
    "link", "link_first", "precise", "python_kernel",
]  # fmt: skip

DISABLE_JIT = os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0")

_lock = threading.RLock()
if hasattr(os, "register_at_fork"):
    # A child must not inherit the lock from a thread that it does not have, nor LLVM half way through a kernel. A fork
    # takes locks from the last registered to the first, and logging's, which Numba needs to compile, must come after
    # ours.
    logging.getLogger(__name__)
    os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)
_addresses: dict[tuple[Function, np.dtype[Any]], int] = {}
#: Functions that kernels call by a symbol, and the symbol without the dtype.
_linked_first: dict[Function, str] = {}
_python_kernels: list[Function] = []
compiled_count = 0


@functools.cache
def _engine() -> Any:
    return load_llvm().create_mcjit_compiler(load_llvm().parse_assembly(""), target_machine())


def link_first(function: Function, symbol: str) -> Function:
    """Have a function linked before any kernel, for compiled code that calls it as ``{symbol}_{dtype}``; returns it."""
    _linked_first[function] = symbol
    return function


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
    if any(isinstance(function, Kernel) for function in functions):
        functions = [*(f for f in _linked_first if (f, dtype) not in _addresses), *functions]
    keys = {f: hashlib.sha256((environment() + fingerprint(f, dtype)).encode()).hexdigest() for f in functions}
    found = {function: disk_cache.read(function.name, key) for function, key in keys.items()}
    missing = [function for function, machine_code in found.items() if machine_code is None]
    if missing:
        found |= _compiled(missing, dtype, keys)
    for function, machine_code in found.items():
        _engine().add_object_file(load_llvm().ObjectFileRef.from_data(machine_code))
        if function in _linked_first:
            _engine().finalize_object()
            symbol = f"{_linked_first[function]}_{dtype.name}"
            load_llvm().add_symbol(symbol, _engine().get_function_address(_symbol(keys[function])))
    _engine().finalize_object()
    for function, key in keys.items():
        address = _engine().get_function_address(_symbol(key))
        if not address:
            raise KernelError(f"kernel {function.name!r} is compiled, but LLVM does not find it")
        _addresses[function, dtype] = address


def _compiled(functions: list[Function], dtype: np.dtype[Any], keys: dict[Function, str]) -> dict[Function, bytes]:
    """Compile functions that are not on disk, and keep their machine code there."""
    global compiled_count
    from nbnet.engine.jit import compile_pool

    if not _linked_first.keys().isdisjoint(functions):  # The folder is empty: many more will be wanted.
        compile_pool.start_early()
    found, symbols = {}, {f: _symbol(keys[f]) for f in functions}
    for function, machine_code in _with_progress(compile_pool.compile_all(functions, dtype, symbols), len(functions)):
        found[function] = machine_code
        compiled_count += 1
        disk_cache.write(function.name, keys[function], machine_code)
    return found


def _symbol(key: str) -> str:
    return f"nbnet_{key}"


def _with_progress(compiled: Iterable[tuple[Function, bytes]], count: int) -> Iterable[tuple[Function, bytes]]:
    """The compiled functions, with a progress bar on a terminal if it takes long."""
    if count < 2 or sys.stderr is None or not sys.stderr.isatty():
        return compiled
    title = "nbnet compiles kernels, once"
    bar: Iterable[tuple[Function, bytes]] = bar_class()(compiled, title, count, leave=False, delay=0.5, unit="kernel")
    return bar
