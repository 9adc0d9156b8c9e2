"""Constructor arguments of layers: their types, and their plain form in configurations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from nbnet import activations, constraints, dropout_schedules, initializers, regularizers
from nbnet.activations import ActivationLike
from nbnet.base.validation import check_int
from nbnet.constraints import ConstraintLike
from nbnet.engine.graph.tensor import Tensor
from nbnet.initializers import InitializerLike
from nbnet.regularizers import RegularizerLike

__all__ = [
    "OPTIONS", "ActivationLike", "ConstraintLike", "InitializerLike", "RegularizerLike", "as_axes", "plain", "refuse",
    "weight_arguments", "weight_options",
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
    if isinstance(value, tuple):
        return [plain(name, part) for part in value]
    return value


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


def refuse(instead: str, **arguments: Any) -> None:
    """Raise ValueError for the first argument of Keras's that nbnet does not offer and that is neither None nor False.

    Examples
    --------
    >>> from nbnet.layers.arguments import refuse
    >>> refuse("train all weights", lora_rank=None)
    >>> refuse("train all weights", lora_rank=4)
    Traceback (most recent call last):
        ...
    ValueError: lora_rank: nbnet does not offer it, expected None, got 4; train all weights
    """
    for name, value in arguments.items():
        if value is not None and value is not False:
            raise ValueError(f"{name}: nbnet does not offer it, expected None, got {value!r}; {instead}")


def as_axes(axis: Any) -> int | list[int]:
    """An axis, or a sorted list of several; TypeError if it is neither.

    Examples
    --------
    >>> from nbnet.layers.arguments import as_axes
    >>> as_axes(-1), as_axes((2, 1))
    (-1, [1, 2])
    """
    several = isinstance(axis, Sequence) and not isinstance(axis, str)
    try:
        found = [check_int(k, "axis", None) for k in (axis if several else [axis])]
    except ValueError:
        raise TypeError(f"axis: expected an integer or a list of integers, got {axis!r}") from None
    return sorted(found) if several else found[0]
