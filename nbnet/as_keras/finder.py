"""Answers imports of ``keras`` and ``tensorflow`` with nbnet, in this process and until it is undone."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType, TracebackType
from typing import Any

from nbnet.as_keras.old_keras import adapt_class, adapt_models, restore_classes
from nbnet.as_keras.places import ELSEWHERE, OLD_NAMES, PLACES, TOPS, attribute, resolve, warn_old
from nbnet.base.unsupported_keras import refusal


class Namespace(ModuleType):
    """A module of Keras or TensorFlow whose names are found in nbnet; see ``places.py`` for where."""

    def __init__(self, name: str, place: str) -> None:
        super().__init__(name, f"Stands for {name}: its names are found in nbnet.")
        self._place = place
        # The mark of a package: submodules are asked for.
        self.__path__: list[str] = []

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name != "__version__":
            if name == "__all__":
                return self._exported()
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}", name=name, obj=self)
        value = self._find(name)
        setattr(self, name, value)
        return value

    def _find(self, name: str) -> Any:
        place = self._place
        if f"{place}.{name}" in PLACES:
            return namespace(f"{place}.{name}")
        if (old := OLD_NAMES.get(f"{place}.{name}")) is not None:
            warn_old(f"{self.__name__}.{name}", old.today)
            return adapt_class(old.value())
        if (found := ELSEWHERE.get(place, {}).get(name)) is not None:
            return adapt_class(attribute(found))
        missing: AttributeError | None = None
        for source in PLACES[place]:
            module = importlib.import_module(source)
            try:
                value = getattr(module, name)
            except AttributeError as error:
                missing = error if refusal(source, name) or source.startswith("nbnet.as_keras.tf") else missing
                continue
            # A file of nbnet's is no name of Keras's.
            if not isinstance(value, ModuleType) or name in getattr(module, "__all__", ()):
                return adapt_class(value)
        if (alias := resolve(f"{self.__name__}.{name}")) is not None:
            return namespace(alias)
        raise AttributeError(
            str(missing or f"module {self.__name__!r}, which nbnet stands in for, has no {name!r} here"),
            name=name,
            obj=self,
        )

    def _exported(self) -> list[str]:
        """The names for ``from keras.layers import *``, without old ones."""
        names = dict.fromkeys(ELSEWHERE.get(self._place, {}))
        for source in PLACES[self._place]:
            module = importlib.import_module(source)
            names.update(dict.fromkeys(getattr(module, "__all__", None) or _public(module)))
        below = f"{self._place}."
        names.update(dict.fromkeys(p.removeprefix(below) for p in PLACES if p.startswith(below)))
        return [name for name in names if "." not in name]

    def __dir__(self) -> list[str]:
        return sorted({*self._exported(), *super().__dir__()})


def _public(module: ModuleType) -> list[str]:
    """Return the names that a module without ``__all__`` has to offer: not those it imports from outside of nbnet."""

    def is_own(value: Any) -> bool:
        return not isinstance(value, ModuleType) and getattr(value, "__module__", "nbnet").startswith("nbnet")

    return [n for n, value in vars(module).items() if n[0] != "_" and n != "TYPE_CHECKING" and is_own(value)]


_namespaces: dict[str, Namespace] = {}


def namespace(place: str) -> Namespace:
    """Return the module that stands for a place: ``"keras.layers"``."""
    if place not in _namespaces:
        _namespaces[place] = Namespace(place, place)
    return _namespaces[place]


class Finder(MetaPathFinder, Loader):
    """Finds ``keras``, ``tensorflow`` and their submodules: those of today, and older and private paths."""

    def find_spec(self, fullname: str, path: Sequence[str] | None = None, target: Any = None) -> ModuleSpec | None:
        if fullname.partition(".")[0] not in TOPS:
            return None
        place = resolve(fullname)
        if place is None:
            # `from keras.layers import LSTM` asks for a submodule if there is no attribute of that name.
            parent, _, name = fullname.rpartition(".")
            for source in PLACES.get(resolve(parent) or "", ()):
                if (text := refusal(source, name)) is not None:
                    raise ImportError(text, name=fullname)
            return None
        return ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        place = resolve(spec.name)
        assert place is not None
        return namespace(place)

    def exec_module(self, module: ModuleType) -> None:
        return None


_finder = Finder()
#: Modules of the real packages that were imported before.
_set_aside: dict[str, ModuleType] = {}


class Installed:
    """The context manager of :func:`install_as_keras`: undoes the installation at its end."""

    def __enter__(self) -> Installed:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        uninstall_as_keras()


def install_as_keras() -> Installed:
    """Have ``import keras`` and ``import tensorflow`` mean nbnet in this process, until :func:`uninstall_as_keras`.

    ``keras``, ``tensorflow.keras`` and ``tf.keras`` are nbnet, and ``tensorflow`` is a small module with what scripts
    use beside Keras: eager functions, ``tf.GradientTape``, ``tf.data.Dataset``. Names and arguments of older versions
    of Keras work, and a DeprecationWarning gives today's. The real packages, if they are installed or imported
    already, are left as they are; they are found again after :func:`uninstall_as_keras`. To install twice is no error.

    Returns
    -------
    Installed
        A context manager that undoes the installation at its end.

    Examples
    --------
    >>> import nbnet as nb
    >>> with nb.install_as_keras():
    ...     from tensorflow.keras import layers
    >>> layers.Dense is nb.layers.Dense
    True
    """
    if _finder not in sys.meta_path:
        _set_aside.update(_taken())
        sys.meta_path.insert(0, _finder)
        adapt_models()
        # Child processes import them by a file of that name, which is replaced here.
        for name in TOPS:
            if name in _set_aside and _set_aside[name].__name__ == name and _is_stub(_set_aside[name]):
                sys.modules[name] = importlib.import_module(name)
    return Installed()


def uninstall_as_keras() -> None:
    """Undo :func:`install_as_keras`: ``import keras`` means Keras again. Objects that were imported stay usable.

    Examples
    --------
    >>> import sys
    >>> import nbnet as nb
    >>> installed = nb.install_as_keras()
    >>> import keras
    >>> keras.layers.Dense is nb.layers.Dense
    True
    >>> nb.uninstall_as_keras()
    >>> "keras" in sys.modules
    False
    """
    if _finder in sys.meta_path:
        sys.meta_path.remove(_finder)
        _taken()
        _namespaces.clear()
        sys.modules.update({name: module for name, module in _set_aside.items() if not _is_stub(module)})
        _set_aside.clear()
        restore_classes()


def _taken() -> dict[str, ModuleType]:
    """Remove the modules of the packages that are stood in for from those imported, and return them."""
    names = [name for name in sys.modules if name.partition(".")[0] in TOPS]
    return {name: sys.modules.pop(name) for name in names}


def _is_stub(module: ModuleType) -> bool:
    return (getattr(module, "__file__", None) or "").startswith(NAMES)


NAMES = str(__file__).removesuffix("finder.py") + "names"
