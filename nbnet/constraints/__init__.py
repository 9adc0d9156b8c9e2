"""Constraints on weights after each update: Keras's constraints, with its names, arguments and formulas."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from nbnet.base import registry
from nbnet.constraints.constraint import Constraint, MaxNorm, MinMaxNorm, NonNeg, UnitNorm, calls

__all__ = [
    "Constraint", "MaxNorm", "MinMaxNorm", "NonNeg", "UnitNorm", "calls", "deserialize", "get", "max_norm",
    "min_max_norm", "non_neg", "serialize", "unit_norm",
]  # fmt: skip

max_norm, min_max_norm, non_neg, unit_norm = MaxNorm, MinMaxNorm, NonNeg, UnitNorm

#: Arguments that :func:`get` accepts.
ConstraintLike = str | Mapping[str, Any] | Callable[..., Any] | None

_known: dict[str, type[Constraint]] = {
    registry.snake_case(cls.__name__): cls for cls in (MaxNorm, MinMaxNorm, NonNeg, UnitNorm)
}


def get(identifier: ConstraintLike, name: str = "constraint") -> Callable[[Any], Any] | None:
    """The constraint that ``identifier`` stands for.

    Parameters
    ----------
    identifier : None, str, dict, Constraint, class or callable
        A name such as ``"max_norm"`` or ``"MaxNorm"``; a dict with ``class_name`` and perhaps ``config``; a function
        of a tensor, written with ops, which is returned as it is; None for none.
    name : str
        Name of the argument in messages, such as ``"kernel_constraint"``.

    Raises
    ------
    ValueError, TypeError
        If no constraint has that name, or it is none of these.

    Examples
    --------
    >>> from nbnet import constraints
    >>> constraints.get("non_neg")
    NonNeg()
    """
    if identifier is None or (callable(identifier) and not isinstance(identifier, type)):
        return identifier
    constraint: Constraint = registry.lookup(identifier, _known, Constraint, name, functions=True)
    return constraint


def serialize(constraint: Callable[[Any], Any] | None) -> dict[str, Any] | str | None:
    """The class and configuration of a constraint; the name of a function that is no Constraint.

    Examples
    --------
    >>> from nbnet import constraints
    >>> constraints.serialize(constraints.UnitNorm())
    {'class_name': 'UnitNorm', 'config': {'axis': 0}}
    """
    if isinstance(constraint, Constraint):
        return registry.serialize(constraint, _known)
    return None if constraint is None else registry.function_name(constraint, "constraint")


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Callable[[Any], Any] | None:
    """The constraint that :func:`serialize` described.

    Parameters
    ----------
    custom_objects
        Classes or functions of your own, by name.

    Examples
    --------
    >>> from nbnet import constraints
    >>> constraints.deserialize({"class_name": "MaxNorm", "config": {"max_value": 3.0}})
    MaxNorm(max_value=3.0, axis=0)
    """
    with registry.custom_object_scope(custom_objects):
        return get(config)
