"""Constructor arguments of layers: their types, and their plain form in configurations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nbnet import activations, constraints, dropout_schedules, initializers, regularizers
from nbnet.activations import ActivationLike
from nbnet.constraints import ConstraintLike
from nbnet.engine.graph.tensor import Tensor
from nbnet.initializers import InitializerLike
from nbnet.regularizers import RegularizerLike

__all__ = [
    "OPTIONS", "ActivationLike", "ConstraintLike", "InitializerLike", "RegularizerLike", "plain", "weight_arguments",
    "weight_options",
]  # fmt: skip

#: Options of a weight, and the order in which configurations name them.
OPTIONS = ("initializer", "regularizer", "constraint")
#: How arguments that are objects or functions become plain data, by the last word of their names.
_SERIALIZERS: dict[str, Callable[[Any], Any]] = {
    "activation": activations.serialize,
    "initializer": initializers.serialize,
    "regularizer": regularizers.serialize,
    "constraint": constraints.serialize,
    "rate": dropout_schedules.serialize,
}


def plain(name: str, value: Any) -> Any:
    """An argument as JSON can hold it."""
    if callable(value):
        return _SERIALIZERS[name.rpartition("_")[2]](value)
    return list(value) if isinstance(value, tuple) else value


def weight_arguments(*weights: str) -> tuple[str, ...]:
    """Names of the arguments of weights: ``kernel_initializer``, ``bias_initializer``, ``kernel_regularizer``, ..."""
    return tuple(f"{weight}_{option}" for option in OPTIONS for weight in weights)


def weight_options(
    name: str, initializer: InitializerLike, regularizer: RegularizerLike, constraint: ConstraintLike
) -> tuple[Callable[..., Any] | None, Callable[[Any], Tensor] | None, Callable[[Any], Any] | None]:
    """The initializer, regularizer and constraint of a weight such as ``"kernel"``, from a constructor's arguments."""
    return (
        initializers.get(initializer, f"{name}_initializer"),
        regularizers.get(regularizer, f"{name}_regularizer"),
        constraints.get(constraint, f"{name}_constraint"),
    )
