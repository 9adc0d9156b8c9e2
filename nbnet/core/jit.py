"""JIT policy: where machine code is kept, and how a function gets an address.

Numba compiles each kernel once, for one dtype, to a relocatable object of a few kilobytes. The object is kept on disk
under a name that is a hash of everything it was made from: the bytecode of the kernel and of every function, constant
and intrinsic it reaches, the dtype, the processor and the versions of Python, Numba and llvmlite. Loading it needs
llvmlite alone, so a process whose kernels are all on disk never imports Numba.
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

from nbnet.core import cache
from nbnet.core.bars import bar_class
from nbnet.core.compiler import environment, load_llvm, target_machine
from nbnet.core.fingerprint import fingerprint
from nbnet.core.function import Function, Intrinsic, Kernel, KernelError, device, intrinsic, kernel, precise

__all__ = [
    "DISABLE_JIT",
    "Function",
    "Intrinsic",
    "Kernel",
    "KernelError",
    "device",
    "fingerprint",
    "intrinsic",
    "kernel",
    "link",
    "precise",
    "python_kernel",
]

DISABLE_JIT = os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0")

_lock = threading.RLock()
if hasattr(os, "register_at_fork"):
    # A child must not inherit the lock from a thread that it has not, nor LLVM half way through a kernel. Whoever forks
    # takes locks from the last registered to the first, and logging's, which Numba needs to compile, must come after
    # ours.
    logging.getLogger(__name__)
    os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)
_addresses: dict[tuple[Function, np.dtype[Any]], int] = {}
_python_kernels: list[Function] = []
compiled_count = 0


@functools.cache
def _engine() -> Any:
    return load_llvm().create_mcjit_compiler(load_llvm().parse_assembly(""), target_machine())


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
    from nbnet.core.gemm import GEMM

    if (GEMM, dtype) not in _addresses and any(isinstance(function, Kernel) for function in functions):
        functions = [GEMM, *functions]
    keys = {f: hashlib.sha256((environment() + fingerprint(f, dtype)).encode()).hexdigest() for f in functions}
    found = {function: cache.read(function.name, key) for function, key in keys.items()}
    missing = [function for function, machine_code in found.items() if machine_code is None]
    if missing:
        found |= _compiled(missing, dtype, keys)
    for function, machine_code in found.items():
        _engine().add_object_file(load_llvm().ObjectFileRef.from_data(machine_code))
        if function is GEMM:  # before anything that calls it is linked
            _engine().finalize_object()
            load_llvm().add_symbol(f"nbnet_gemm_{dtype.name}", _engine().get_function_address(_symbol(keys[GEMM])))
    _engine().finalize_object()
    for function, key in keys.items():
        found_at = _engine().get_function_address(_symbol(key))
        if not found_at:
            raise KernelError(f"kernel {function.name!r} is compiled, but LLVM does not find it")
        _addresses[function, dtype] = found_at


def _compiled(functions: list[Function], dtype: np.dtype[Any], keys: dict[Function, str]) -> dict[Function, bytes]:
    """Machine code of functions that the disk has not; it has them afterwards."""
    global compiled_count
    from nbnet.core import assistants
    from nbnet.core.gemm import GEMM

    if GEMM in functions:  # the folder is empty: more will be wanted
        assistants.call()
    found = {}
    for function, made in _shown(
        assistants.compile_all(functions, dtype, {f: _symbol(keys[f]) for f in functions}), len(functions)
    ):
        found[function] = made
        compiled_count += 1
        cache.write(function.name, keys[function], made)
    return found


def _symbol(key: str) -> str:
    return f"nbnet_{key}"


def _shown(made: Iterable[Any], count: int) -> Iterable[Any]:
    """What is compiled, with a bar on a terminal if it takes long."""
    if count < 2 or sys.stderr is None or not sys.stderr.isatty():
        return made
    return bar_class()(made, "nbnet compiles kernels, once", count, leave=False, delay=0.5, unit="kernel")  # type: ignore[no-any-return]
