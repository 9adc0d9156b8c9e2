"""Numba's front end without its back end: the code it writes for LLVM, neither optimised nor emitted.

Numba optimises every function by itself and again where it is called, and turns each into machine code that is never
run here: half of the time it takes. ``compiler.py`` optimises a kernel and everything it calls once, together.
"""

# mypy: ignore-errors
import contextlib
import functools

from numba.core.codegen import AOTCodeLibrary, AOTCPUCodegen
from numba.core.compiler_lock import global_compiler_lock
from numba.core.registry import cpu_target
from numba.np import arrayobj

from nbnet.engine.jit.checks import checked_indexing
from nbnet.engine.jit.function import CHECKED


class _Library(AOTCodeLibrary):
    def _optimize_functions(self, ll_module):
        ll_module.data_layout = self._codegen._data_layout

    def _optimize_final_module(self):
        pass

    def get_pointer_to_function(self, name):
        """Return 0: a library is linked with what it calls, and has no address."""
        self._ensure_finalized()
        return 0


class _Codegen(AOTCPUCodegen):
    _library_class = _Library

    def set_env(self, env_name, env):
        """Do nothing: only exceptions need an environment."""


_codegen = functools.cache(lambda: _Codegen("nbnet"))


@contextlib.contextmanager
def frontend_only():
    """Inside, Numba writes code for LLVM and goes no further. Other threads that compile wait."""
    with global_compiler_lock:
        context = cpu_target.target_context
        own, indexing = context._internal_codegen, arrayobj.basic_indexing
        context._internal_codegen = _codegen()
        if CHECKED:
            arrayobj.basic_indexing = checked_indexing(indexing)
        try:
            yield
        finally:
            context._internal_codegen, arrayobj.basic_indexing = own, indexing
