"""Classes and functions of the user's, by the names files call them by.

They join nbnet's own by :func:`register_keras_serializable`, or for a while by :func:`custom_object_scope`; a
configuration never says where to import something from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

T = TypeVar("T")

_registered: dict[str, Any] = {}
_scope: ContextVar[Mapping[str, Any] | None] = ContextVar("custom_objects", default=None)
_kept: ContextVar[dict[str, Any] | None] = ContextVar("kept", default=None)


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


def get_custom_objects() -> dict[str, Any]:
    """The classes and functions of the user's that are registered, by the names files call them by; may be changed.

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
    >>> from nbnet.custom_objects import custom_object_scope, kept_objects
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
    """A name for a class or function: the one given, or inside :func:`kept_objects` one of its own."""
    kept = _kept.get()
    if kept is None:
        return name
    label = f"{name}:{len(kept)}"
    kept[label] = thing
    return label


def function_name(function: Any, argument: str) -> str:
    """The name by which :func:`named_function` finds a function again.

    Raises
    ------
    ValueError
        If it has none, as a lambda.
    """
    name = get_registered_name(function)
    if (label := keep(name, function)) != name:
        return label
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
