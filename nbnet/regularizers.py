"""Penalties on weights or activations: Keras's regularizers, with its names, arguments and formulas."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, is_dataclass
from typing import Any, Self

import numpy as np

from nbnet import registry
from nbnet.core.graph import Tensor
from nbnet.core.tape import tensor
from nbnet.ops.abs import abs as absolute
from nbnet.ops.l1_l2 import l1_l2 as penalty
from nbnet.ops.matmul import matmul
from nbnet.ops.maximum import maximum
from nbnet.ops.multiply import multiply
from nbnet.ops.sqrt import sqrt
from nbnet.ops.sum import sum
from nbnet.ops.transpose import transpose
from nbnet.ranges import FROM_ZERO

__all__ = [
    "L1",
    "L1L2",
    "L2",
    "OrthogonalRegularizer",
    "Regularizer",
    "deserialize",
    "get",
    "l1",
    "l1_l2",
    "l2",
    "orthogonal_regularizer",
    "serialize",
]

#: As Keras's ``epsilon()``: vectors shorter than this are not brought to length 1.
EPSILON = 1e-7


class Regularizer(ABC):
    """Base of all regularizers: one of your own needs ``__call__``, written with ops, and ``get_config``.

    A function of a tensor serves as well, wherever a regularizer is wanted.

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

    def get_config(self) -> dict[str, Any]:
        """The arguments it was made with.

        Examples
        --------
        >>> from nbnet.regularizers import L1L2
        >>> L1L2(l1=0.5).get_config()
        {'l1': 0.5, 'l2': 0.0}
        """
        return asdict(self) if is_dataclass(self) else {}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """The regularizer that :meth:`get_config` describes.

        Examples
        --------
        >>> from nbnet.regularizers import L2
        >>> L2.from_config({"l2": 0.5})
        L2(l2=0.5)
        """
        return cls(**config)


@dataclass(frozen=True)
class L1(Regularizer):
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

    def __post_init__(self) -> None:
        object.__setattr__(self, "l1", FROM_ZERO.check(0.01 if self.l1 is None else self.l1, "l1"))

    def __call__(self, x: Any) -> Tensor:
        return penalty(tensor(x), self.l1, 0.0)


@dataclass(frozen=True)
class L2(Regularizer):
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

    def __post_init__(self) -> None:
        object.__setattr__(self, "l2", FROM_ZERO.check(0.01 if self.l2 is None else self.l2, "l2"))

    def __call__(self, x: Any) -> Tensor:
        return penalty(tensor(x), 0.0, self.l2)


@dataclass(frozen=True)
class L1L2(Regularizer):
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

    def __post_init__(self) -> None:
        object.__setattr__(self, "l1", FROM_ZERO.check(0.0 if self.l1 is None else self.l1, "l1"))
        object.__setattr__(self, "l2", FROM_ZERO.check(0.0 if self.l2 is None else self.l2, "l2"))

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
        if self.mode not in ("rows", "columns"):
            raise ValueError(f"mode: wants 'rows' or 'columns', got {self.mode!r}")

    def __call__(self, x: Any) -> Tensor:
        x = tensor(x)
        if x.ndim != 2:
            raise ValueError(f"OrthogonalRegularizer wants a matrix, got shape {x.shape}")
        rows = x if self.mode == "rows" else transpose(x)
        n = rows.shape[0]
        if n < 2:
            raise ValueError(f"OrthogonalRegularizer wants two {self.mode} at least, got shape {x.shape}")
        lengths = sqrt(maximum(sum(multiply(rows, rows), axis=1, keepdims=True), EPSILON**2))
        unit = rows / lengths
        others = (1 - np.eye(n, dtype=x.dtype)) * x.dtype.type(self.factor / (n * (n - 1)))
        return sum(multiply(absolute(matmul(unit, transpose(unit))), others))


l1, l2, l1_l2, orthogonal_regularizer = L1, L2, L1L2, OrthogonalRegularizer

_known: dict[str, type[Regularizer]] = {
    "l1": L1,
    "l2": L2,
    "l1_l2": L1L2,
    "l1l2": L1L2,
    "orthogonal_regularizer": OrthogonalRegularizer,
}


def get(identifier: Any, name: str = "regularizer") -> Callable[[Any], Tensor] | None:
    """The regularizer that ``identifier`` stands for.

    Parameters
    ----------
    identifier : None, str, dict, Regularizer, class or callable
        A name as ``"l2"`` or ``"L2"``; a dict with ``class_name`` and perhaps ``config``; a function of a tensor, which
        is returned as it is, and so is None.
    name : str
        The argument that messages speak of, such as ``"kernel_regularizer"``.

    Raises
    ------
    ValueError, TypeError
        If it stands for none.

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
    """What :func:`get` makes the regularizer from; the name of a function that is no Regularizer.

    Examples
    --------
    >>> from nbnet import regularizers
    >>> regularizers.serialize(regularizers.L2(0.5))
    {'class_name': 'L2', 'config': {'l2': 0.5}}
    """
    if isinstance(regularizer, Regularizer):
        return registry.serialize(regularizer, _known)
    return None if regularizer is None else registry.function_name(regularizer, "regularizer")


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Callable[[Any], Tensor] | None:
    """The regularizer that :func:`serialize` described.

    Parameters
    ----------
    custom_objects
        Classes or functions of your own, by name.

    Examples
    --------
    >>> from nbnet import regularizers
    >>> regularizers.deserialize("l1")
    L1(l1=0.01)
    """
    with registry.custom_object_scope(custom_objects):
        return get(config)
