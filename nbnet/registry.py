"""From a name, a class or a configuration to an object: one rule for optimizers, losses, metrics, initializers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeVar, cast

T = TypeVar("T")


def snake_case(name: str) -> str:
    """``"MeanSquaredError"`` to ``"mean_squared_error"``.

    Examples
    --------
    >>> from nbnet.registry import snake_case
    >>> snake_case("MeanSquaredError"), snake_case("RMSprop")
    ('mean_squared_error', 'rmsprop')
    """
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def lookup(identifier: Any, known: Mapping[str, type[T]], kind: Any, argument: str) -> T:
    """An object of a kind.

    Parameters
    ----------
    identifier
        The object itself, its class, a name (``"adam"``, ``"Adam"``), or ``{"class_name": ..., "config": {...}}``.
    known
        Classes by name.
    argument
        What errors call the identifier.
    """
    if isinstance(identifier, kind):
        return cast(T, identifier)
    if isinstance(identifier, type) and issubclass(identifier, kind):
        return cast(T, identifier())
    config: Mapping[str, Any] = {}
    name = identifier
    if isinstance(identifier, Mapping):
        name, config = identifier.get("class_name"), identifier.get("config", {})
    if not isinstance(name, str):
        raise TypeError(f"{argument}: wants a name or a {kind.__name__}, got {identifier!r}")
    found = known.get(name) or known.get(snake_case(name)) or known.get(name.lower())
    if found is None:
        raise ValueError(f"{argument}: {name!r} is not known; known are {', '.join(sorted(known))}")
    return found(**config)
