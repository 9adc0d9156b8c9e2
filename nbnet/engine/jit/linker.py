"""Link compiled functions: find each kernel's machine code in memory or on disk, or compile it, and return its address.

Numba compiles each kernel once, for one dtype, to a relocatable object of a few kilobytes. The object is kept on disk
under a name that is a hash of everything it was made from: the bytecode of the kernel and of every function, constant
and intrinsic it reaches, the dtype, the processor and the versions of Python, Numba and llvmlite. Loading it needs
only llvmlite, so a process whose kernels are all on disk never imports Numba.
"""

from __future__ import annotations

import functools
import logging
import os
import sys
import threading
from collections.abc import Iterable
from typing import Any

import numpy as np

from nbnet.base.console import bar_class, is_terminal
from nbnet.base.cpu import check_cancelled
from nbnet.base.uninterrupted import hold_over_forks, uninterrupted
from nbnet.engine.jit import disk_cache
from nbnet.engine.jit.compiler import define_symbol, is_object, load_llvm, object_key, object_symbol, target_machine
from nbnet.engine.jit.fingerprint import fingerprint
from nbnet.engine.jit.function import Function, Intrinsic, Kernel, KernelError, device, intrinsic, kernel, precise

__all__ = [
    "DISABLE_JIT", "Function", "Intrinsic", "Kernel", "KernelError", "device", "fingerprint", "intrinsic", "kernel",
    "link", "link_first", "precise", "python_kernel",
]  # fmt: skip

DISABLE_JIT = os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0")

_lock = threading.RLock()
# A child must not inherit the lock from a thread that it does not have, nor LLVM half way through a kernel. A fork
# takes locks from the last registered to the first, and logging's, which Numba needs to compile, must come after ours.
logging.getLogger(__name__)
hold_over_forks(_lock)
_addresses: dict[tuple[Function, np.dtype[Any]], int] = {}
#: Functions that kernels call by a symbol, and the symbol without the dtype.
_linked_first: dict[Function, str] = {}
_python_kernels: list[tuple[Function, np.dtype[Any]]] = []
compiled_count = 0


@functools.cache
def _engine() -> Any:
    return load_llvm().create_mcjit_compiler(load_llvm().parse_assembly(""), target_machine())


def link_first(function: Function, symbol: str) -> Function:
    """Have a function linked before any kernel, for compiled code that calls it as ``{symbol}_{dtype}``; returns it."""
    _linked_first[function] = symbol
    return function


def link(functions: Iterable[Function], dtype: np.dtype[Any]) -> list[int]:
    """Addresses of kernels for one dtype: from memory, from the disk, or compiled now. Kernels of booleans are those of
    bytes.

    With ``NUMBA_DISABLE_JIT=1`` an address is the kernel's number in a table of Python functions.
    """
    wanted = list(functions)
    if dtype == np.bool_:
        dtype = np.dtype(np.uint8)
    missing = [f for f in dict.fromkeys(wanted) if (f, dtype) not in _addresses]
    if missing:
        uninterrupted(lambda: _link_missing(missing, dtype))
    return [_addresses[f, dtype] for f in wanted]


def _link_missing(functions: list[Function], dtype: np.dtype[Any]) -> None:
    with _lock:
        missing = [f for f in functions if (f, dtype) not in _addresses]
        if missing:
            (_number if DISABLE_JIT else _load)(missing, dtype)


def _number(functions: list[Function], dtype: np.dtype[Any]) -> None:
    for function in functions:
        _addresses[function, dtype] = len(_python_kernels)
        _python_kernels.append((function, dtype))


def python_kernel(number: int) -> tuple[Function, np.dtype[Any]]:
    """The function behind an address given out under ``NUMBA_DISABLE_JIT=1``, and its dtype."""
    return _python_kernels[number]


def _load(functions: list[Function], dtype: np.dtype[Any]) -> None:
    if dtype.kind == "f" and any(isinstance(function, Kernel) for function in functions):
        functions = [*(f for f in _linked_first if (f, dtype) not in _addresses), *functions]
    keys = {function: object_key(function, dtype) for function in functions}
    found = _kept(keys)
    missing = [function for function, machine_code in found.items() if machine_code is None]
    if missing:
        found |= _compiled(missing, dtype, keys)
    for function, machine_code in found.items():
        _engine().add_object_file(load_llvm().ObjectFileRef.from_data(machine_code))
        if function in _linked_first:
            _engine().finalize_object()
            define_symbol(f"{_linked_first[function]}_{dtype.name}", _address(function, keys[function]))
    _engine().finalize_object()
    for function, key in keys.items():
        _addresses[function, dtype] = _address(function, key)
    if missing:
        disk_cache.warn_if_not_kept()


def _kept(keys: dict[Function, str]) -> dict[Function, bytes | None]:
    """The machine code of functions on disk, or None."""
    read = disk_cache.read_all([(function.name, key) for function, key in keys.items()])
    return {
        function: machine_code if machine_code is not None and is_object(machine_code, object_symbol(key)) else None
        for (function, key), machine_code in zip(keys.items(), read, strict=True)
    }


def _address(function: Function, key: str) -> int:
    address: int = _engine().get_function_address(object_symbol(key))
    if not address:
        raise KernelError(f"kernel {function.name!r} is compiled, but LLVM does not find it")
    return address


def _compiled(functions: list[Function], dtype: np.dtype[Any], keys: dict[Function, str]) -> dict[Function, bytes]:
    """Compile functions that are not on disk, and keep their machine code there."""
    global compiled_count
    from nbnet.engine.jit import compile_pool

    if not _linked_first.keys().isdisjoint(functions):  # The folder is empty: many more will be wanted.
        compile_pool.start_early()
    found, symbols = {}, {f: object_symbol(keys[f]) for f in functions}
    for function, machine_code in _with_progress(compile_pool.compile_all(functions, dtype, symbols), len(functions)):
        found[function] = machine_code
        compiled_count += 1
        disk_cache.write(function.name, keys[function], machine_code)
        check_cancelled()
    return found


def _with_progress(compiled: Iterable[tuple[Function, bytes]], count: int) -> Iterable[tuple[Function, bytes]]:
    """The compiled functions, with a progress bar on a terminal if it takes long."""
    if count < 2 or not is_terminal(sys.stderr):
        return compiled
    title = "nbnet compiles kernels, once"
    bar: Iterable[tuple[Function, bytes]] = bar_class()(compiled, title, count, leave=False, delay=0.5, unit="kernel")
    return bar
