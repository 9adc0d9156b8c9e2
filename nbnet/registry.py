"""From a name, a class or a configuration to an object, and back: one rule for layers, optimizers, losses, metrics and
initializers.

Names of this package's classes are a closed list for each kind; those of the user's are in
:mod:`nbnet.custom_objects`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeVar, cast

from nbnet.custom_objects import (
    custom_object_scope,
    function_name,
    get_registered_name,
    get_registered_object,
    keep,
    named_function,
)

__all__ = [
    "custom_object_scope",
    "find",
    "function_name",
    "get_registered_name",
    "get_registered_object",
    "lookup",
    "make",
    "named_function",
    "serialize",
    "snake_case",
]

T = TypeVar("T")


def snake_case(name: str) -> str:
    """``"MeanSquaredError"`` to ``"mean_squared_error"``, by the rule that makes Keras's names of layers.

    Examples
    --------
    >>> from nbnet.registry import snake_case
    >>> snake_case("MeanSquaredError"), snake_case("Conv2D"), snake_case("PReLU")
    ('mean_squared_error', 'conv2d', 'p_re_lu')
    """
    return re.sub(r"(?<=.)(?=[A-Z][a-z])|(?<=[a-z])(?=[A-Z])", "_", name).lower()


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
    if find(name, known) is not type(thing):
        name = keep(name, type(thing))
    if find(name, known) not in (None, type(thing)):
        raise ValueError(
            f"{name}: a class of your own has the name of one of nbnet's; rename it, or decorate it with "
            "nbnet.saving.register_keras_serializable()"
        )
    return {"class_name": name, "config": thing.get_config()}
