"""Arguments of constructors, recorded for classes of the user's that have no ``get_config`` of their own."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, NamedTuple, Self
from weakref import WeakKeyDictionary

import numpy as np

_PACKAGE = __name__.partition(".")[0]
#: Arguments that base classes describe, and that constructors pass on in ``**kwargs``.
_PASSED_ON = frozenset(("name", "trainable", "dtype", "learning_rate"))
#: For each class, the signature of its constructor if its arguments are to be recorded, else None.
_signatures: WeakKeyDictionary[type, inspect.Signature | None] = WeakKeyDictionary()


class RecordsArguments:
    """Base of the classes whose objects a configuration describes.

    If a subclass defines a constructor but no ``get_config``, the arguments of each object are recorded, and
    :func:`constructor_config` returns them. Nothing is recorded for nbnet's own classes.
    """

    #: Names of arguments that are no part of the record: the class describes them in another way. Positional arguments
    #: that have no names are these, too.
    _not_recorded: ClassVar[frozenset[str]] = frozenset()
    #: The arguments by name; an exception if they cannot be described.
    _constructor_arguments: Mapping[str, Any] | NotImplementedError

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        made = super().__new__(cls)
        signature = _signature(cls)
        if signature is not None:
            # Not an attribute that is set: the class may be a frozen dataclass, or watch its attributes.
            recorded, left_out = _recorded(cls, signature, args, kwargs)
            vars(made).update(_constructor_arguments=recorded, _left_out=left_out)
        return made


def constructor_config(thing: RecordsArguments, declared: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments that make an object again.

    Parameters
    ----------
    thing
        The object.
    declared
        Those arguments that its base class of nbnet's describes, as they are now.

    Returns
    -------
    dict
        ``declared``, unless the user's class has a constructor of its own: then the arguments that were passed to
        it, with the current values of those that are declared, too.

    Raises
    ------
    NotImplementedError
        If an argument was neither a number, string, boolean or None, nor a list, tuple or dict of them.

    Examples
    --------
    >>> from nbnet.base.constructor import RecordsArguments, constructor_config
    >>> class Gain(RecordsArguments):
    ...     __module__ = "docs"
    ...
    ...     def __init__(self, factor=2.0, **kwargs):
    ...         self.name = kwargs.get("name", "gain")
    ...
    ...     def get_config(self):
    ...         return constructor_config(self, {"name": self.name})
    >>> class Own(Gain):
    ...     __module__ = "docs"
    ...
    ...     def __init__(self, offset, **kwargs):
    ...         super().__init__(3.0, **kwargs)
    >>> Own(5.0).get_config()
    {'offset': 5.0, 'name': 'gain'}
    """
    signature = _signature(type(thing))
    if signature is None:
        return declared
    recorded = vars(thing).get("_constructor_arguments")
    if recorded is None:
        return declared
    if isinstance(recorded, NotImplementedError):
        raise recorded
    parameters = signature.parameters
    open_ended = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    current = {
        name: value
        for name, value in declared.items()
        if name in parameters or name in recorded or (open_ended and name in _PASSED_ON)
    }
    for name, value in recorded.items():
        if isinstance(value, _Undescribed) and name not in current:
            raise _undescribed(type(thing), f"was made with {name} of type {value.kind}")
    return {**recorded, **current}


def has_own_constructor(thing: RecordsArguments) -> bool:
    """Return True if the recorded arguments alone make an object again: it was made by a constructor of the user's, and
    without arguments that are no part of the record."""
    recorded = vars(thing).get("_constructor_arguments")
    return recorded is not None and not vars(thing).get("_left_out")


@functools.cache
def constructor_names(cls: type) -> frozenset[str]:
    """Return the names of the arguments that a class takes, those of its base classes included where it passes any.

    Examples
    --------
    >>> from nbnet.base.constructor import constructor_names
    >>> class Base:
    ...     def __init__(self, name): ...
    >>> class Own(Base):
    ...     def __init__(self, gain, **kwargs): ...
    >>> sorted(constructor_names(Own))
    ['gain', 'name']
    """
    names: set[str] = set()
    for base in cls.__mro__:
        constructor: Callable[..., Any] | None = vars(base).get("__init__")
        if constructor is None or base is object:
            continue
        parameters = inspect.signature(constructor).parameters
        names |= {p.name for p in list(parameters.values())[1:] if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
        if not any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
            break
    return frozenset(names)


def is_changed(thing: Any, name: str, value: Any) -> bool:
    """Return True if an attribute that stands for an argument of the constructor is there, and gets another value."""
    found, cls = vars(thing), thing.__class__
    if name not in found or found[name] is value or name == "name" or name not in constructor_names(cls):
        return False
    # Arrays and objects of the user's may compare in ways of their own.
    plain = type(value) in (int, float, bool, str, tuple, list) and type(value) is type(found[name])
    return not (plain and repr(value) == repr(found[name]))


def _signature(cls: type) -> inspect.Signature | None:
    """Return the signature of a class's constructor if it is the user's, and no ``get_config`` knows its arguments."""
    try:
        return _signatures[cls]
    except KeyError:
        constructor, config = _owner(cls, "__init__"), _owner(cls, "get_config")
        found = None
        if constructor.__module__.partition(".")[0] != _PACKAGE and constructor not in config.__mro__:
            try:
                found = inspect.signature(vars(constructor)["__init__"])
            except (TypeError, ValueError):
                found = None
        # Dataclasses are described by their fields, as they are now.
        if "__dataclass_fields__" in vars(constructor):
            found = None
        return _signatures.setdefault(cls, found)


def _owner(cls: type, name: str) -> type:
    return next((base for base in cls.__mro__ if name in vars(base)), object)


def _recorded(cls: type[RecordsArguments], signature: inspect.Signature, args: Any, kwargs: Any) -> tuple[Any, bool]:
    """Return the arguments by name, and True if there are others that are no part of the record."""
    try:
        bound = signature.bind(None, *args, **kwargs)
    except TypeError:  # which the constructor raises, too; and copies are made without arguments
        return None, False
    unnamed = any(signature.parameters[name].kind is inspect.Parameter.VAR_POSITIONAL for name in bound.arguments)
    given = {*bound.arguments, *kwargs}
    left_out = bool(cls._not_recorded) and (unnamed or bool(given & cls._not_recorded))
    bound.apply_defaults()
    found: dict[str, Any] = {}
    for name, parameter in list(signature.parameters.items())[1:]:
        value = bound.arguments[name]
        if parameter.kind is parameter.VAR_KEYWORD:
            found |= value
        elif parameter.kind is parameter.VAR_POSITIONAL and cls._not_recorded:
            continue
        elif parameter.kind is parameter.POSITIONAL_ONLY or (parameter.kind is parameter.VAR_POSITIONAL and value):
            return _undescribed(cls, "has arguments without names"), left_out
        elif parameter.kind is not parameter.VAR_POSITIONAL:
            found[name] = value
    kept = {
        name: _described(value)
        for name, value in found.items()
        if name not in cls._not_recorded and (name != "name" or value is not None)
    }
    return kept, left_out


class _Undescribed(NamedTuple):
    """Stands for an argument of this type."""

    kind: str


def _described(value: Any) -> Any:
    try:
        return _plain(value)
    except TypeError:
        return _Undescribed(type(value).__name__)


def _plain(value: Any) -> Any:
    """Return a copy of an argument made of numbers, strings, lists, tuples and dicts; else raise TypeError."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if type(value) in (list, tuple):
        return type(value)(_plain(part) for part in value)
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return {key: _plain(part) for key, part in value.items()}
    raise TypeError


def _undescribed(cls: type, reason: str) -> NotImplementedError:
    return NotImplementedError(
        f"{cls.__name__} {reason}: define get_config(self), which returns super().get_config() and the arguments of "
        "its constructor, and from_config if they are objects"
    )
