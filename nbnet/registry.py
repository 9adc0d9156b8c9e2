"""From a name, a class or a configuration to an object, and back: one rule for layers, optimizers, losses, metrics and
initializers.

Names of this package's classes are a closed list for each kind. Classes and functions of your own join it by
:func:`register_keras_serializable`, or for a while by :func:`custom_object_scope`; a configuration never says where to
import something from.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar, cast

T = TypeVar("T")

_registered: dict[str, Any] = {}
_scope: ContextVar[Mapping[str, Any] | None] = ContextVar("custom_objects", default=None)
_kept: ContextVar[dict[str, Any] | None] = ContextVar("kept", default=None)


def snake_case(name: str) -> str:
    """``"MeanSquaredError"`` to ``"mean_squared_error"``.

    Examples
    --------
    >>> from nbnet.registry import snake_case
    >>> snake_case("MeanSquaredError"), snake_case("RMSprop")
    ('mean_squared_error', 'rmsprop')
    """
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


# ---- classes and functions of the user's ----


def register_keras_serializable(package: str = "Custom", name: str | None = None) -> Callable[[T], T]:
    """Decorate a class or function of your own, so that what is made of it can be loaded by name.

    Parameters
    ----------
    package, name
        Files call it ``package>name``; the name is by default its own.

    Raises
    ------
    TypeError
        If a class has no ``get_config``.
    ValueError
        If something else has that name already.

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
            raise TypeError(f"{label}: wants a class with get_config, so that what is made of it can be saved")
        known = _registered.get(label)
        # A class that is defined anew, in a notebook, takes the place of its older self.
        if known is not None and getattr(known, "__qualname__", None) != getattr(thing, "__qualname__", None):
            raise ValueError(f"name: {label!r} stands for {known!r} already")
        _registered[label] = thing
        return thing

    return decorate


register = register_keras_serializable


def get_registered_name(thing: Any) -> str:
    """What files call a class or function: the name it is registered by, else its own.

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


@contextmanager
def custom_object_scope(custom_objects: Mapping[str, Any] | None) -> Iterator[None]:
    """Inside, names stand for classes and functions of your own.

    Parameters
    ----------
    custom_objects
        ``{name: class or function}``; they come before nbnet's own, and before those of a scope around this one.

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
        raise TypeError(f"custom_objects: wants a dict {{name: class or function}}, got {custom_objects!r}")
    before = _scope.set({**(_scope.get() or {}), **custom_objects})
    try:
        yield
    finally:
        _scope.reset(before)


def get_registered_object(name: str, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The class or function of the user's that a name stands for, or None.

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
    """Inside, classes and functions of the user's that configurations name are kept; returns them by name.

    So a configuration can be made an object again in the same process without a word from the user; even a lambda.

    Examples
    --------
    >>> import nbnet as nb
    >>> from nbnet.registry import custom_object_scope, kept_objects
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


# ---- objects ----


def find(name: str, known: Mapping[str, T]) -> T | None:
    """What a name stands for: ``"MeanSquaredError"``, ``"mean_squared_error"`` and ``"MSE"`` are alike."""
    return known.get(name) or known.get(snake_case(name)) or known.get(name.lower())


def lookup(identifier: Any, known: Mapping[str, type[T]], kind: Any, argument: str, functions: bool = False) -> T:
    """An object of a kind.

    Parameters
    ----------
    identifier
        The object itself, its class, a name (``"adam"``, ``"Adam"``), or ``{"class_name": ..., "config": {...}}``.
    known
        Classes by name.
    argument
        What errors call the identifier.
    functions
        Whether a name may stand for a function of the user's, which is returned as it is.

    Raises
    ------
    ValueError, TypeError
        If it stands for no such object, or the configuration does not fit.
    """
    if isinstance(identifier, kind):
        return cast(T, identifier)
    if isinstance(identifier, type) and issubclass(identifier, kind):
        return cast(T, identifier())
    name = identifier.get("class_name") if isinstance(identifier, Mapping) else identifier
    if name == "function" and isinstance(identifier, Mapping):
        identifier = name = identifier.get("config")
    if not isinstance(name, str):
        raise TypeError(f"{argument}: wants a name or a {kind.__name__}, got {identifier!r}")
    own = get_registered_object(name)
    if functions and own is not None and not isinstance(own, type):
        return cast(T, own)
    found = own or find(name, known)
    if found is None:
        raise ValueError(
            f"{argument}: {name!r} is not known; known are {', '.join(sorted(known))}, and what custom_objects name"
        )
    if not isinstance(found, type) or not issubclass(found, kind):
        raise TypeError(f"{argument}: {name!r} stands for {found!r}, which is no {kind.__name__}")
    config = identifier.get("config") if isinstance(identifier, Mapping) else None
    return cast(T, make(found, config, argument))


def make(cls: Any, config: Any, argument: str) -> Any:
    """An object from its class and configuration.

    Raises
    ------
    TypeError
        If the configuration is no dict, or has other arguments than the class.
    """
    if config is None:
        return cls()
    if not isinstance(config, Mapping) or not all(isinstance(key, str) for key in config):
        raise TypeError(f"{argument}: the config of {cls.__name__} wants to be a dict, got {config!r}")
    return cls.from_config(dict(config))


def serialize(thing: Any, known: Mapping[str, Any]) -> dict[str, Any]:
    """The class and configuration of an object, as plain as JSON is.

    Parameters
    ----------
    known
        Classes of its kind, by name.

    Raises
    ------
    ValueError
        If a class of the user's has the name of one of nbnet's.
    """
    name = get_registered_name(type(thing))
    kept = _kept.get()
    if kept is not None and find(name, known) is not type(thing):
        name = f"{name}:{len(kept)}"
        kept[name] = type(thing)
    elif find(name, known) not in (None, type(thing)):
        raise ValueError(
            f"{name}: a class of your own has the name of one of nbnet's; rename it, or decorate it with "
            "nbnet.saving.register_keras_serializable()"
        )
    return {"class_name": name, "config": thing.get_config()}


def function_name(function: Any, argument: str) -> str:
    """The name by which :func:`named_function` finds a function again.

    Raises
    ------
    ValueError
        If it has none, as a lambda.
    """
    kept = _kept.get()
    if kept is not None:
        name = f"{get_registered_name(function)}:{len(kept)}"
        kept[name] = function
        return name
    name = get_registered_name(function)
    if not name.rpartition(">")[2].isidentifier():
        raise ValueError(f"{argument}: {name} has no name to find it by again; define it with def")
    return name


def named_function(name: Any, argument: str) -> Any:
    """The function of the user's that a name stands for; a function stands for itself.

    Raises
    ------
    ValueError
        If the name is not known.
    """
    found = get_registered_object(name) if isinstance(name, str) else name
    if not callable(found) or isinstance(found, type):
        raise ValueError(f"{argument}: {name!r} is not known; pass it as custom_objects={{{name!r}: function}}")
    return found
