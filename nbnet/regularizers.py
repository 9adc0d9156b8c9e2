"""Penalties on weights or activations: Keras's regularizers, with its names, arguments and formulas."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, cast

import numpy as np

from nbnet import ops
from nbnet.base import registry
from nbnet.base.tree import flatten
from nbnet.base.uninterrupted import apart
from nbnet.base.validation import FROM_ZERO, check_choice
from nbnet.config import epsilon
from nbnet.engine.graph.parameter import Parameter
from nbnet.engine.graph.symbolic import with_values
from nbnet.engine.graph.tensor import Tensor, scope, tensor
from nbnet.ops.reduction import l1_l2 as penalty

__all__ = [
    "L1", "L1L2", "L2", "OrthogonalRegularizer", "Regularizer", "deserialize", "get", "l1", "l1_l2", "l2",
    "orthogonal_regularizer", "serialize",
]  # fmt: skip


class Regularizer(registry.Configurable, ABC):
    """Base of all regularizers: your own needs ``__call__``, written with ops, and ``get_config``.

    A function of a tensor is accepted as well wherever a regularizer is.

    Examples
    --------
    >>> import nbnet as nb
    >>> class Mean(nb.regularizers.Regularizer):
    ...     def __call__(self, x):
    ...         return nb.ops.mean(x * x)
    >>> Mean()(nb.tensor([[1.0, 3.0]])).item()
    5.0
    """

    @abstractmethod
    def __call__(self, x: Any) -> Tensor:
        """The penalty, a scalar tensor.

        Parameters
        ----------
        x
            Tensor or array.
        """


class _Penalty(Regularizer):
    """Base of dataclasses whose float fields are factors from 0; None stands for a field's default."""

    def __post_init__(self) -> None:
        for field in fields(cast(Any, self)):
            if isinstance(field.default, float):
                value = getattr(self, field.name)
                object.__setattr__(
                    self, field.name, FROM_ZERO.check(field.default if value is None else value, field.name)
                )


@dataclass(frozen=True)
class L1(_Penalty):
    """``l1 * sum(|x|)``.

    Parameters
    ----------
    l1 : float
        From 0.

    Examples
    --------
    >>> from nbnet.regularizers import L1
    >>> L1(0.5)([-3.0, 1.0]).item()
    2.0
    """

    l1: float = 0.01

    def __call__(self, x: Any) -> Tensor:
        return penalty(tensor(x), self.l1, 0.0)


@dataclass(frozen=True)
class L2(_Penalty):
    """``l2 * sum(x ** 2)``.

    Parameters
    ----------
    l2 : float
        From 0.

    Examples
    --------
    >>> from nbnet.regularizers import L2
    >>> L2(0.5)([-3.0, 1.0]).item()
    5.0
    """

    l2: float = 0.01

    def __call__(self, x: Any) -> Tensor:
        return penalty(tensor(x), 0.0, self.l2)


@dataclass(frozen=True)
class L1L2(_Penalty):
    """``l1 * sum(|x|) + l2 * sum(x ** 2)``.

    Parameters
    ----------
    l1, l2 : float
        From 0. By name, as ``"l1_l2"``, both are 0.01.

    Examples
    --------
    >>> from nbnet.regularizers import L1L2
    >>> L1L2(0.5, 1.0)([-3.0, 1.0]).item()
    12.0
    """

    l1: float = 0.0
    l2: float = 0.0

    def __call__(self, x: Any) -> Tensor:
        return penalty(tensor(x), self.l1, self.l2)


@dataclass(frozen=True)
class OrthogonalRegularizer(Regularizer):
    """``factor`` times the mean of ``|cos|`` of the angles between any two rows, or columns, of a matrix.

    Parameters
    ----------
    factor : float
        From 0.
    mode : {"rows", "columns"}

    Raises
    ------
    ValueError
        When called, if x is no matrix, or has fewer than two rows (columns).

    Examples
    --------
    >>> from nbnet.regularizers import OrthogonalRegularizer
    >>> round(OrthogonalRegularizer(1.0)([[1.0, 0.0], [3.0, 4.0]]).item(), 6)
    0.6
    """

    factor: float = 0.01
    mode: str = "rows"

    def __post_init__(self) -> None:
        object.__setattr__(self, "factor", FROM_ZERO.check(self.factor, "factor"))
        check_choice(self.mode, "mode", ["rows", "columns"])

    def __call__(self, x: Any) -> Tensor:
        x = tensor(x)
        if x.ndim != 2:
            raise ValueError(f"OrthogonalRegularizer: expected a matrix, got shape {x.shape}")
        rows = x if self.mode == "rows" else ops.transpose(x)
        n = rows.shape[0]
        if n < 2:
            raise ValueError(f"OrthogonalRegularizer: expected two {self.mode} or more, got shape {x.shape}")
        # Vectors shorter than epsilon are not normalized to length 1.
        unit = rows / ops.sqrt(ops.maximum(ops.sum(rows * rows, axis=1, keepdims=True), epsilon() ** 2))
        others = (1 - np.eye(n, dtype=x.dtype)) * x.dtype.type(self.factor / (n * (n - 1)))
        return ops.sum(ops.abs(ops.matmul(unit, ops.transpose(unit))) * others)


#: Arguments that :func:`get` accepts.
RegularizerLike = str | Mapping[str, Any] | Callable[[Any], Tensor] | type[Regularizer] | None

l1, l2, l1_l2, orthogonal_regularizer = L1, L2, L1L2, OrthogonalRegularizer

_known: dict[str, type[Regularizer]] = {"l1": L1, "l2": L2, "l1_l2": L1L2, "l1l2": L1L2}
_known["orthogonal_regularizer"] = OrthogonalRegularizer


def get(identifier: Any, name: str = "regularizer") -> Callable[[Any], Tensor] | None:
    """The regularizer that ``identifier`` stands for.

    Parameters
    ----------
    identifier : None, str, dict, Regularizer, class or callable
        A name as ``"l2"`` or ``"L2"``; a dict with ``class_name`` and perhaps ``config``; a function of a tensor, which
        is returned as it is, and so is None.
    name : str
        Name of the argument in messages, such as ``"kernel_regularizer"``.

    Raises
    ------
    ValueError, TypeError
        If it is anything else.

    Examples
    --------
    >>> from nbnet import regularizers
    >>> regularizers.get("l2")
    L2(l2=0.01)
    >>> regularizers.get({"class_name": "L1", "config": {"l1": 0.5}})
    L1(l1=0.5)
    """
    if identifier in ("l1_l2", "L1L2", "l1l2"):
        return L1L2(0.01, 0.01)
    if identifier is None or (callable(identifier) and not isinstance(identifier, type)):
        return identifier
    made: Regularizer = registry.lookup(identifier, _known, Regularizer, name, functions=True)
    return made


def serialize(regularizer: Callable[[Any], Tensor] | None) -> dict[str, Any] | str | None:
    """A configuration for :func:`get`; the name of a function that is no Regularizer.

    Examples
    --------
    >>> from nbnet import regularizers
    >>> regularizers.serialize(regularizers.L2(0.5))
    {'class_name': 'L2', 'config': {'l2': 0.5}}
    """
    if isinstance(regularizer, Regularizer):
        return registry.serialize(regularizer, _known)
    return None if regularizer is None else registry.function_name(regularizer, "regularizer")


@apart
def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Callable[[Any], Tensor] | None:
    """A regularizer from the configuration that :func:`serialize` returned.

    Parameters
    ----------
    custom_objects
        Your own classes or functions by name.

    Examples
    --------
    >>> from nbnet import regularizers
    >>> regularizers.deserialize("l1")
    L1(l1=0.01)
    """
    with registry.custom_object_scope(custom_objects):
        return get(config)


# ---- penalties on weights and outputs ----


def weight_penalties(weights: Iterable[Parameter]) -> list[Tensor]:
    """The penalty of each parameter that has a regularizer."""
    penalties = []
    for weight in weights:
        if weight.regularizer is not None:
            with scope(weight.name or "penalty"):
                penalties.append(as_scalar(weight.regularizer(weight), "regularizer"))
    return penalties


def output_penalties(regularizer: Callable[[Tensor], Tensor], outputs: Any) -> Iterator[tuple[Tensor, bool]]:
    """The penalty on each output of a layer, divided by the rows of the batch as in Keras; and True if the penalties
    of slices of a batch add up to that of the whole."""
    for y in flatten(outputs):
        if isinstance(y, Tensor):
            value = as_scalar(regularizer(y), "activity_regularizer")
            scaled = ops.multiply(value, 1.0 / max(len(y), 1)) if y.shape else value
            yield scaled, type(regularizer) in (L1, L2, L1L2)


def as_scalar(value: Any, name: str) -> Tensor:
    """The sum of a tensor that is to be added to the loss; TypeError if it is no tensor of floats."""
    value = with_values(value)
    if not isinstance(value, Tensor) or value.dtype.kind != "f":
        raise TypeError(f"{name}: expected a tensor computed with nbnet.ops, got {value!r}")
    return ops.sum(value) if value.shape else value
