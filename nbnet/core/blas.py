"""Where matrix multiplication comes from: the OpenBLAS inside NumPy's wheel, else whatever SciPy is linked with.

NumPy's copy is already in memory when nbnet is imported; SciPy's costs the import of ``scipy.linalg``.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import threading
from pathlib import Path
from typing import Any

import numpy as np


@functools.cache
def _bundled() -> ctypes.CDLL | None:
    package = Path(np.__file__).parent
    for folder in (package.parent / "numpy.libs", package / ".dylibs"):
        for path in sorted(folder.glob("libscipy_openblas64_*")):
            with contextlib.suppress(OSError, AttributeError):
                library = ctypes.CDLL(str(path))
                library.scipy_sgemm_64_, library.scipy_dgemm_64_, library.scipy_openblas_set_num_threads64_  # noqa: B018
                return library
    return None


def _capsule(capsule: Any) -> int:
    api = ctypes.pythonapi
    api.PyCapsule_GetName.restype, api.PyCapsule_GetName.argtypes = ctypes.c_char_p, [ctypes.py_object]
    api.PyCapsule_GetPointer.restype, api.PyCapsule_GetPointer.argtypes = (
        ctypes.c_void_p,
        [ctypes.py_object, ctypes.c_char_p],
    )
    return int(api.PyCapsule_GetPointer(capsule, api.PyCapsule_GetName(capsule)))


@functools.cache
def symbols() -> dict[str, int]:
    """Addresses of Fortran ``sgemm`` and ``dgemm``.

    Integers are handed over by reference to 64-bit cells; on a little-endian machine a library built for 32-bit
    integers reads the right half.
    """
    library = _bundled()
    if library is not None:
        found = {"nbnet_sgemm": library.scipy_sgemm_64_, "nbnet_dgemm": library.scipy_dgemm_64_}
        return {name: ctypes.cast(f, ctypes.c_void_p).value or 0 for name, f in found.items()}
    from scipy.linalg import cython_blas

    return {f"nbnet_{name}": _capsule(cython_blas.__pyx_capi__[name]) for name in ("sgemm", "dgemm")}


class _SingleThread:
    """Counts who is inside, so that the first sets the limit and the last lifts it."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.users = 0
        self.before: Any = None

    def __enter__(self) -> None:
        with self.lock:
            self.users += 1
            if self.users > 1:
                return
            library = _bundled()
            if library is not None:
                self.before = library.scipy_openblas_get_num_threads64_()
                if self.before > 1:
                    library.scipy_openblas_set_num_threads64_(1)
            else:
                from threadpoolctl import threadpool_limits

                self.before = threadpool_limits(1, user_api="blas")

    def __exit__(self, *exc: object) -> None:
        with self.lock:
            self.users -= 1
            if self.users:
                return
            library = _bundled()
            if library is None:
                self.before.restore_original_limits()
            elif self.before > 1:
                library.scipy_openblas_set_num_threads64_(self.before)


#: Holds BLAS to one thread while programs run: nbnet cuts the batch into slices instead. Any number of threads may be
#: inside.
single_thread = _SingleThread()
if hasattr(os, "register_at_fork"):
    _lock = single_thread.lock
    os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)
