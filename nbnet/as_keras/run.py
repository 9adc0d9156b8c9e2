"""``python -m nbnet run script.py``: a script runs as with ``python script.py``, and ``import keras`` means nbnet."""

from __future__ import annotations

import importlib.util
import io
import os
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, SourceFileLoader
from types import CodeType, ModuleType, TracebackType
from typing import Any

from nbnet.as_keras.finder import NAMES, install_as_keras

USAGE = """usage: python -m nbnet run SCRIPT [ARGUMENT ...]
       python -m nbnet run -m MODULE [ARGUMENT ...]

Run a Python script that was written for Keras or TensorFlow: import keras and import tensorflow mean nbnet in it.
Everything else is as with python SCRIPT: sys.argv, the search path, __main__, tracebacks, the exit status.
"""


def run(arguments: Sequence[str]) -> None:
    """Run a script, or a module after ``-m``, as the main program of this process.

    Parameters
    ----------
    arguments
        The path of a script, or ``-m`` and a module's name, then its arguments.

    Raises
    ------
    SystemExit
        If there is nothing to run: with status 2 after a usage message, as Python does.

    Examples
    --------
    >>> from nbnet.as_keras.run import run
    >>> run(["--help"])
    usage: python -m nbnet run SCRIPT [ARGUMENT ...]
    ...
    """
    if list(arguments[:1]) in (["-h"], ["--help"]):
        sys.stdout.write(USAGE)
        return
    if not arguments or (arguments[0].startswith("-") and (arguments[0] != "-m" or len(arguments) < 2)):
        sys.stderr.write(USAGE)
        raise SystemExit(2)
    install_as_keras()
    # Processes that the script spawns inherit the search path; what they find there installs nbnet in them.
    if NAMES not in sys.path:
        sys.path.insert(0 if sys.flags.safe_path else 1, NAMES)
    global _before
    _before = sys.modules["__main__"]
    sys.excepthook = _without_own_frames(sys.excepthook)
    if arguments[0] == "-m":
        module, code = _module(arguments[1])
        sys.argv[:] = [str(module.__file__), *arguments[2:]]
    else:
        module, code = _script(arguments[0])
        sys.argv[:] = arguments
    sys.modules["__main__"] = module
    exec(code, vars(module))


#: The module that was ``__main__`` before: functions of it are on the stack.
_before: ModuleType | None = None


def _script(path: str) -> tuple[ModuleType, CodeType]:
    """Return a new ``__main__`` for a file, and the code to run in it."""
    full = os.path.abspath(path)
    if os.path.isdir(full):
        full = os.path.join(full, "__main__.py")
    _set_first(os.path.dirname(os.path.realpath(full)))
    try:
        with io.open_code(full) as file:
            source = file.read()
    except OSError as error:
        sys.stderr.write(f"python -m nbnet run: can't open file {full!r}: [Errno {error.errno}] {error.strerror}\n")
        raise SystemExit(2) from None
    loader = SourceFileLoader("__main__", full)
    main = _main(__file__=full, __cached__=None, __loader__=loader, __package__=None)
    return main, compile(source, full, "exec", dont_inherit=True)


def _module(name: str) -> tuple[ModuleType, CodeType]:
    """Return a new ``__main__`` for a module or package by its name, and the code to run in it."""
    _set_first(os.getcwd())
    spec = _spec(name)
    if spec is not None and spec.submodule_search_locations is not None:
        spec = _spec(f"{name}.__main__")
    loader: Any = None if spec is None else spec.loader
    code = loader.get_code(spec.name) if spec is not None and hasattr(loader, "get_code") else None
    if spec is None or code is None:
        sys.stderr.write(f"python -m nbnet run: No module named {name}\n")
        raise SystemExit(1)
    main = _main(
        __spec__=spec, __file__=spec.origin, __cached__=spec.cached, __loader__=loader, __package__=spec.parent
    )
    return main, code


def _set_first(folder: str) -> None:
    """Make a folder the first entry of the search path, unless the interpreter (``-P``, ``-I``) has no such entry."""
    if not sys.flags.safe_path:
        sys.path[0] = folder


def _spec(name: str) -> ModuleSpec | None:
    try:
        return importlib.util.find_spec(name)
    except ModuleNotFoundError:
        return None


def _main(**attributes: Any) -> ModuleType:
    main = ModuleType("__main__")
    vars(main).update(attributes, __builtins__=__builtins__, __annotations__={})
    return main


def _without_own_frames(hook: Any) -> Any:
    """Return an excepthook that shows what Python would show for the script alone."""

    def show(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
        while traceback is not None and _is_own(traceback):
            traceback = traceback.tb_next
        hook(kind, error.with_traceback(traceback), traceback)

    return show


def _is_own(traceback: TracebackType) -> bool:
    file = traceback.tb_frame.f_code.co_filename
    return file == __file__ or "runpy" in file or file == getattr(_before, "__file__", None)
