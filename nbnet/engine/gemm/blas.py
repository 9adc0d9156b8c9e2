"""The BLAS for matrix products: the library that the environment variable ``NBNET_BLAS`` names, else the OpenBLAS
inside NumPy's wheel, else the library that SciPy is linked with.

NumPy's copy is already in memory when nbnet is imported; SciPy's costs the import of ``scipy.linalg``.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import operator
import os
import threading
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice, repeat
from pathlib import Path
from typing import Any

import numpy as np

from nbnet.base.uninterrupted import hold_over_forks
from nbnet.engine.jit.compiler import register_symbols

#: Value of ``NBNET_BLAS``: "auto", "openblas", "mkl", or a library's path.
CHOICE = os.environ.get("NBNET_BLAS") or "auto"

#: Possible names of the product in single precision; in double precision there is a d for the s.
_PRODUCTS = ("sgemm_", "scipy_sgemm_64_", "scipy_sgemm_", "sgemm_64_", "sgemm")
#: Possible names of the functions that return and set the number of threads.
_THREADS = (
    ("scipy_openblas_get_num_threads64_", "scipy_openblas_set_num_threads64_"),
    ("scipy_openblas_get_num_threads", "scipy_openblas_set_num_threads"),
    ("openblas_get_num_threads", "openblas_set_num_threads"),
    ("MKL_Get_Max_Threads", "MKL_Set_Num_Threads"),
    ("bli_thread_get_num_threads", "bli_thread_set_num_threads"),
)
# Of MKL's own numbers: no OpenMP, and the same results each time whatever the alignment of operands.
_SEQUENTIAL, _REPRODUCIBLE = 1, 2


@dataclass(frozen=True)
class Library:
    """A BLAS: the addresses of Fortran's products, and functions that return and set the number of threads it uses.

    Integers are handed over by reference to 64-bit cells; on a little-endian machine a library built for 32-bit
    integers reads the right half. Without such functions, the number of threads is left to threadpoolctl.
    """

    sgemm: int
    dgemm: int
    threads: tuple[Callable[[], int], Callable[[int], object]] | None = None


@functools.cache
def library(choice: str) -> Library:
    """The BLAS that a value of ``NBNET_BLAS`` stands for.

    Raises
    ------
    ValueError
        If there is no such library here, or it has no ``sgemm``.

    Examples
    --------
    >>> from nbnet.engine.gemm.blas import library
    >>> library("auto").sgemm > 0
    True
    """
    if choice in ("auto", "openblas"):
        bundled = _bundled()
        if bundled is not None:
            return _described(bundled, choice)
        if choice == "openblas":
            raise ValueError("NBNET_BLAS: this NumPy brings no OpenBLAS; give the path of a library")
        from scipy.linalg import cython_blas

        single, double = (_capsule(cython_blas.__pyx_capi__[name]) for name in ("sgemm", "dgemm"))
        return Library(single, double)
    if choice == "mkl":
        return _described(_mkl(), choice)
    if not Path(choice).is_file():
        raise ValueError(f"NBNET_BLAS: expected 'auto', 'openblas', 'mkl' or the path of a library, got {choice!r}")
    return _described(_loaded(choice), choice)


@register_symbols
def symbols() -> dict[str, int]:
    """Addresses of Fortran's ``sgemm`` and ``dgemm``, by the symbols that compiled code calls."""
    chosen = library(CHOICE)
    return {"nbnet_sgemm": chosen.sgemm, "nbnet_dgemm": chosen.dgemm}


@functools.cache
def _bundled() -> ctypes.CDLL | None:
    package = Path(np.__file__).parent
    for folder in (package.parent / "numpy.libs", package / ".dylibs"):
        for path in sorted(folder.glob("libscipy_openblas64_*")):
            with contextlib.suppress(OSError):
                return ctypes.CDLL(str(path))
    return None


def _capsule(capsule: Any) -> int:
    api = ctypes.pythonapi
    api.PyCapsule_GetName.restype, api.PyCapsule_GetName.argtypes = ctypes.c_char_p, [ctypes.py_object]
    api.PyCapsule_GetPointer.restype = ctypes.c_void_p
    api.PyCapsule_GetPointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
    return int(api.PyCapsule_GetPointer(capsule, api.PyCapsule_GetName(capsule)))


def _mkl() -> ctypes.CDLL:
    """MKL of the package ``mkl``; on one thread from the start, unless the process has loaded it already."""
    from importlib import metadata

    try:
        files = metadata.files("mkl") or []
    except metadata.PackageNotFoundError:
        files = []
    names = [str(file.locate()) for file in files if file.name.startswith(("libmkl_rt.", "mkl_rt."))]
    if not names:
        raise ValueError("NBNET_BLAS: 'mkl' requires the package mkl: pip install 'nbnet[mkl]'")
    path = os.path.realpath(names[0])
    if hasattr(os, "RTLD_NOLOAD"):
        with contextlib.suppress(OSError):
            return ctypes.CDLL(path, mode=os.RTLD_NOLOAD)
    mkl = _loaded(path)
    mkl.MKL_Set_Threading_Layer(_SEQUENTIAL)
    mkl.MKL_CBWR_Set(_REPRODUCIBLE)
    return mkl


def _loaded(path: str) -> ctypes.CDLL:
    try:
        return ctypes.CDLL(path)
    except OSError as error:
        raise ValueError(f"NBNET_BLAS: {path!r} does not load: {error}") from None


def _described(library: ctypes.CDLL, choice: str) -> Library:
    names = [name for name in _PRODUCTS if hasattr(library, name) and hasattr(library, name.replace("sg", "dg"))]
    if not names:
        raise ValueError(f"NBNET_BLAS: {choice!r} is not a BLAS: it has no sgemm_ and dgemm_")
    functions = library[names[0]], library[names[0].replace("sg", "dg")]
    single, double = (ctypes.cast(function, ctypes.c_void_p).value or 0 for function in functions)
    threads = ((library[get], library[set_]) for get, set_ in _THREADS if hasattr(library, get))
    return Library(single, double, next(threads, None))


class _ThreadLimit:
    """Holds BLAS to one thread: the first to enter sets the limit, the last to leave lifts it.

    Whoever enters keeps the number of threads that it finds: the first that of the process, the others 1. Whoever
    leaves sets the number that was kept last, so that the last one sets that of the process, in whatever order threads
    leave. Each is one call into C, which no signal handler interrupts.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._found: tuple[Iterator[Any], Iterator[Any]] | None = None

    def moves(self) -> tuple[Iterator[Any], Iterator[Any]]:
        """Return iterators without end: each step of the first enters, each step of the second leaves."""
        return self._found or self._make()

    def _make(self) -> tuple[Iterator[Any], Iterator[Any]]:
        threads = library(CHOICE).threads
        if threads is not None:
            keep, restore = threads
            limit: Callable[[], Any] = partial(restore, 1)
        else:
            from threadpoolctl import threadpool_limits

            keep, limit = partial(threadpool_limits, 1, user_api="blas"), int  # It keeps and limits at once.
            restore = operator.methodcaller("restore_original_limits")
        kept: list[Any] = []
        locked, freed = (map(operator.call, repeat(step)) for step in (self.lock.acquire, self.lock.release))
        keeping = map(kept.append, map(operator.call, repeat(keep)))
        limiting, restoring = map(operator.call, repeat(limit)), map(restore, map(list.pop, repeat(kept)))
        moves = zip(locked, keeping, limiting, freed, strict=False), zip(locked, restoring, freed, strict=False)
        # Another thread, or a signal handler, may have been faster.
        found: tuple[Iterator[Any], Iterator[Any]] = vars(self).setdefault("_moves_made", moves)
        self._found = found
        return found


limit = _ThreadLimit()
hold_over_forks(limit.lock)


class SingleThread:
    """Context that holds BLAS to one thread while programs run: nbnet cuts the batch into slices instead.

    Several threads may be inside at once. Each ``with`` takes a context of its own, and the limit is lifted when that
    is freed, which is when its block is left: the callback of a weak reference is one call into C, while a signal
    handler may raise an exception before the first line of a method.
    """

    __slots__ = ("__weakref__", "_freed")

    def __enter__(self) -> None:
        entered: list[Any] = []
        enter, leave = limit.moves()
        try:
            entered.extend(islice(enter, 1))
            self._freed = weakref.ref(self, partial(next, leave))
        except BaseException:  # A signal handler's, before entering or after it.
            if entered and not hasattr(self, "_freed"):
                next(leave)
            raise

    def __exit__(self, *exc: object) -> None:
        pass
