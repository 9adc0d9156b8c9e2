"""Objects from names, classes and configurations, and back: one rule for layers, losses, optimizers and other kinds.

nbnet's names of a kind are a closed list. The user's classes and functions are registered by their names in files:
:func:`register_keras_serializable` adds them permanently, :func:`custom_object_scope` for a while. A configuration
never names a module to import.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict, is_dataclass
from typing import Any, Self, TypeVar, cast

from nbnet.base.constructor import RecordsArguments, constructor_config
from nbnet.base.loading_budget import count_steps
from nbnet.base.seeds import Counter

T = TypeVar("T")
#: Objects of each name so far, most of them layers.
_name_counts: dict[str, Counter] = {}


class Configurable(RecordsArguments):
    """Base of objects that the arguments of their constructor describe."""

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor.

        Examples
        --------
        >>> from nbnet.regularizers import L1L2
        >>> L1L2(l1=0.5).get_config()
        {'l1': 0.5, 'l2': 0.0}
        """
        return constructor_config(self, asdict(self) if is_dataclass(self) else {})

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Create an object from the dict that :meth:`get_config` returned.

        Examples
        --------
        >>> from nbnet.regularizers import L2
        >>> L2.from_config({"l2": 0.5})
        L2(l2=0.5)
        """
        return cls(**config)


_registered: dict[str, Any] = {}
_scope: ContextVar[Mapping[str, Any] | None] = ContextVar("custom_objects", default=None)
_kept: ContextVar[dict[str, Any] | None] = ContextVar("kept", default=None)


def register_keras_serializable(package: str = "Custom", name: str | None = None) -> Callable[[T], T]:
    """Register a class or function of your own, so that objects of it can be loaded by name.

    Parameters
    ----------
    package, name
        Its name in files is ``package>name``; by default with its own name.

    Raises
    ------
    TypeError
        If a class has no ``get_config``.
    ValueError
        If another object has that name.

    Examples
    --------
    >>> import nbnet as nb
    >>> @nb.saving.register_keras_serializable("Docs")
    ... def double(x):
    ...     return x + x
    >>> layer = nb.layers.Dense(1, activation=double)
    >>> layer.get_config()["activation"]
    'Docs>double'
    >>> nb.layers.Dense.from_config(layer.get_config()).activation is double
    True
    """

    def decorate(thing: T) -> T:
        label = f"{package}>{name or getattr(thing, '__name__', '')}"
        if isinstance(thing, type) and not hasattr(thing, "get_config"):
            raise TypeError(f"{label}: expected a class with get_config, so that its objects can be saved")
        known = _registered.get(label)
        # A class that is defined again, in a notebook, replaces the older one.
        if known is not None and getattr(known, "__qualname__", None) != getattr(thing, "__qualname__", None):
            raise ValueError(f"name: {label!r} stands for {known!r} already")
        _registered[label] = thing
        return thing

    return decorate


register = register_keras_serializable


def get_registered_name(thing: Any) -> str:
    """Return the name of a class or function in files: its registered name, or its own.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.saving.get_registered_name(nb.layers.Dense)
    'Dense'
    """
    for label, known in _registered.items():
        if known is thing:
            return label
    return getattr(thing, "__name__", repr(thing))


def get_custom_objects() -> dict[str, Any]:
    """Return the registered classes and functions by name, as a dict that you may change.

    Examples
    --------
    >>> import nbnet as nb
    >>> def double(x):
    ...     return x + x
    >>> nb.saving.get_custom_objects()["double"] = double
    >>> nb.layers.Activation("double")([[1.0]]).item()
    2.0
    >>> del nb.saving.get_custom_objects()["double"]
    """
    return _registered


@contextmanager
def custom_object_scope(custom_objects: Mapping[str, Any] | None) -> Iterator[None]:
    """Inside this context, names stand for classes and functions of your own.

    Parameters
    ----------
    custom_objects
        ``{name: class or function}``; they hide nbnet's own, and those of outer scopes.

    Raises
    ------
    TypeError
        If it is no such dict.

    Examples
    --------
    >>> import nbnet as nb
    >>> def double(x):
    ...     return x + x
    >>> with nb.saving.custom_object_scope({"double": double}):
    ...     layer = nb.layers.Activation("double")
    >>> layer([[1.0]]).item()
    2.0
    """
    if custom_objects is None:
        yield
        return
    if not isinstance(custom_objects, Mapping) or not all(
        isinstance(name, str) and callable(thing) for name, thing in custom_objects.items()
    ):
        raise TypeError(f"custom_objects: expected a dict {{name: class or function}}, got {custom_objects!r}")
    before = _scope.set({**(_scope.get() or {}), **custom_objects})
    try:
        yield
    finally:
        _scope.reset(before)


def get_registered_object(name: str, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Return the user's class or function of a name, or None.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.saving.get_registered_object("nothing") is None
    True
    """
    for known in (custom_objects or {}, _scope.get() or {}, _registered):
        if name in known:
            return known[name]
    return None


@contextmanager
def kept_objects() -> Iterator[dict[str, Any]]:
    """Collect, inside this context, the user's classes and functions that configurations name.

    With them, a configuration becomes an object again in the same process, even with a lambda.

    Examples
    --------
    >>> import nbnet as nb
    >>> from nbnet.base.registry import custom_object_scope, kept_objects
    >>> layer = nb.layers.Activation(lambda x: x + x)
    >>> with kept_objects() as mine:
    ...     config = layer.get_config()
    >>> with custom_object_scope(mine):
    ...     again = nb.layers.Activation.from_config(config)
    >>> again.activation is layer.activation
    True
    """
    found: dict[str, Any] = {}
    before = _kept.set(found)
    try:
        yield found
    finally:
        _kept.reset(before)


def keep(name: str, thing: Any) -> str:
    """Return the given name, or inside :func:`kept_objects` a unique one for the class or function."""
    kept = _kept.get()
    if kept is None:
        return name
    label = f"{name}:{len(kept)}"
    kept[label] = thing
    return label


def function_name(function: Any, argument: str) -> str:
    """Return the name by which :func:`named_function` finds a function; one without, a lambda, raises ValueError."""
    name = get_registered_name(function)
    if (label := keep(name, function)) != name:
        return label
    if not name.rpartition(">")[2].isidentifier():
        raise ValueError(f"{argument}: {name} has no name to load it by; define it with def")
    return name


def named_function(name: Any, argument: str) -> Any:
    """Return the user's function of a name, or a function itself; an unknown name raises ValueError."""
    found = get_registered_object(name) if isinstance(name, str) else name
    if not callable(found) or isinstance(found, type):
        raise ValueError(f"{argument}: {name!r} is not known; pass it as custom_objects={{{name!r}: function}}")
    return found


def snake_case(name: str) -> str:
    """Return ``"mean_squared_error"`` for ``"MeanSquaredError"``, by Keras's rule for names of layers.

    Examples
    --------
    >>> from nbnet.base.registry import snake_case
    >>> snake_case("MeanSquaredError"), snake_case("Conv2D"), snake_case("PReLU")
    ('mean_squared_error', 'conv2d', 'p_re_lu')
    """
    return re.sub(r"(?<=.)(?=[A-Z][a-z])|(?<=[a-z])(?=[A-Z])", "_", name).lower()


def object_name(thing: Any) -> str:
    """Return the name that a callable has in logs, by Keras's rule: its own, or that of its class, in snake case.

    Examples
    --------
    >>> from nbnet.base.registry import object_name
    >>> object_name(lambda x: x), object_name(len)
    ('lambda', 'len')
    """
    name = getattr(thing, "name", None)
    return (
        name
        if isinstance(name, str)
        else snake_case(re.sub(r"\W+", "", getattr(thing, "__name__", type(thing).__name__)))
    )


def unique_name(base: str) -> str:
    """``dense``, then ``dense_1``, ``dense_2`` ..., as Keras counts."""
    count = _name_counts.setdefault(base, Counter()).next() - 1
    return f"{base}_{count}" if count else base


def clear_names() -> None:
    """Start counting layer names anew."""
    _name_counts.clear()


class UniqueNames:
    """Names of which each is given once: the name itself, or ``name_1``, ``name_2`` ... if it is used.

    Parameters
    ----------
    used
        Names that are not given.

    Examples
    --------
    >>> from nbnet.base.registry import UniqueNames
    >>> names = UniqueNames(["dense", "dense_1"])
    >>> names.take("dense"), names.take("dense"), names.take("relu")
    ('dense_2', 'dense_3', 'relu')
    """

    def __init__(self, used: Iterable[str] = ()) -> None:
        self._used = set(used)
        #: By name, the first number that may be unused: a search from 0 for each of n equal names takes n² steps.
        self._next: dict[str, int] = {}

    def take(self, name: str) -> str:
        """Return a name that was not used, and is from now on."""
        number = self._next.get(name, 0)
        while (found := f"{name}_{number}" if number else name) in self._used:
            number += 1
        self._next[name] = number + 1
        self._used.add(found)
        return found


def find(name: str, known: Mapping[str, T]) -> T | None:
    """Return the object of a name; ``"MeanSquaredError"`` and ``"mean_squared_error"`` are the same."""
    return known.get(name) or known.get(snake_case(name)) or known.get(name.lower())


def lookup(identifier: Any, known: Mapping[str, type[T]], kind: Any, argument: str, functions: bool = False) -> T:
    """Return an object of a kind: ``identifier`` itself, or made from its class, a name (``"adam"``, ``"Adam"``), or
    ``{"class_name": ..., "config": {...}}``.

    ``known`` are the classes by name, ``argument`` is for messages. With ``functions``, a name may stand for a function
    of the user's, which is returned as it is. If it stands for no such object, or the configuration is invalid, a
    ValueError or TypeError is raised.
    """
    if isinstance(identifier, kind):
        return cast(T, identifier)
    if isinstance(identifier, type) and issubclass(identifier, kind):
        return cast(T, identifier())
    name = identifier.get("class_name") if isinstance(identifier, Mapping) else identifier
    if name == "function" and isinstance(identifier, Mapping):
        identifier = name = identifier.get("config")
    if not isinstance(name, str):
        raise TypeError(f"{argument}: expected a name or a {kind.__name__}, got {identifier!r}")
    own = get_registered_object(name)
    if functions and own is not None and not isinstance(own, type):
        return cast(T, own)
    found = own or find(name, known)
    if found is None:
        raise ValueError(
            f"{argument}: {name!r} is not known; known are {', '.join(sorted(known))}, and what custom_objects name"
        )
    if not isinstance(found, type) or not issubclass(found, kind):
        raise TypeError(f"{argument}: {name!r} stands for {found!r}, which is not a subclass of {kind.__name__}")
    config = identifier.get("config") if isinstance(identifier, Mapping) else None
    return cast(T, make(found, config, argument))


def make(cls: Any, config: Any, argument: str) -> Any:
    """Return an object of a class and configuration; raises TypeError if that is no dict, or has arguments that the
    class has not."""
    count_steps(1, argument)
    if config is None:
        return cls()
    if not isinstance(config, Mapping) or not all(isinstance(key, str) for key in config):
        raise TypeError(f"{argument}: expected a dict as config of {cls.__name__}, got {config!r}")
    return cls.from_config(dict(config))


def serialize(thing: Any, known: Mapping[str, Any]) -> dict[str, Any]:
    """Return the class name and configuration of an object, as JSON has them; ``known`` are the classes of its kind.

    A class of the user's that has the name of one of nbnet's raises ValueError.
    """
    name = get_registered_name(type(thing))
    if find(name, known) is not type(thing):
        name = keep(name, type(thing))
    if find(name, known) not in (None, type(thing)):
        raise ValueError(
            f"{name}: a class of your own has the name of one of nbnet's; rename it, or decorate it with "
            "nbnet.saving.register_keras_serializable()"
        )
    return {"class_name": name, "config": thing.get_config()}
