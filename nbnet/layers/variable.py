"""Names that scripts for Keras have for weights, symbols and scopes: ``Variable``, ``KerasTensor``, ``name_scope``."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Any, ClassVar, Self

import numpy as np

from nbnet import initializers
from nbnet.config import standardize_dtype
from nbnet.engine.graph.parameter import Parameter
from nbnet.engine.graph.symbolic import Symbol
from nbnet.layers.layer import unique_name


class StandsFor(type(Parameter)):  # type: ignore[misc]
    """Has all objects of a class's ``stands_for`` count as instances of it; subclasses count as usual.

    Examples
    --------
    >>> from nbnet.layers.variable import StandsFor
    >>> class Whole(metaclass=StandsFor):
    ...     stands_for = int
    >>> isinstance(3, Whole), isinstance(0.5, Whole)
    (True, False)
    """

    def __instancecheck__(cls, instance: Any) -> bool:
        kind = vars(cls).get("stands_for")
        return isinstance(instance, kind) if kind is not None else type.__instancecheck__(cls, instance)


class Variable(Parameter, metaclass=StandsFor):
    """A parameter that a script makes on its own; all weights of layers are instances of it, too.

    It becomes a weight of the layer whose attribute it is. Its values are float32 or float64: integers become floats.

    Parameters
    ----------
    initializer
        A number, an array, or the first values' name, initializer or function of a shape and a dtype.
    shape : sequence of int
        Needed for an initializer that is a name or function; else that of the array.
    dtype
        float32 or float64; by default that of an array or tensor, else the framework's default.
    trainable
        If False, optimizers leave it as it is.
    autocast, aggregation, synchronization, layout
        Accepted as in Keras; nothing depends on them.
    name : str, optional
        By default ``"variable"``, numbered.
    regularizer, constraint
        As in :class:`nbnet.Parameter`.

    Raises
    ------
    ValueError
        If an initializer lacks a shape, an array has another, or the dtype or the name is not accepted.
    TypeError
        If the values are no real numbers.

    Examples
    --------
    >>> import nbnet as nb
    >>> scale = nb.Variable("ones", shape=(2,), name="scale")
    >>> scale.assign_add(1.0)
    >>> scale.numpy()
    array([2., 2.], dtype=float32)
    >>> isinstance(nb.Parameter(1.0), nb.Variable)
    True
    """

    __slots__ = ()
    stands_for: ClassVar[type] = Parameter

    def __init__(
        self,
        initializer: Any,
        shape: Sequence[int] | None = None,
        dtype: Any = None,
        trainable: bool = True,
        autocast: bool = True,
        aggregation: str | None = "none",
        synchronization: str | None = "auto",
        name: str | None = None,
        layout: Any = None,
        *,
        regularizer: Any = None,
        constraint: Any = None,
    ) -> None:
        if name is not None and (not isinstance(name, str) or "/" in name):
            raise ValueError(f"name: expected a string without '/', got {name!r}")
        sizes = None if shape is None else tuple(shape)
        if isinstance(initializer, str) or callable(initializer):
            if sizes is None:
                raise ValueError(f"shape: expected integers for the initializer {initializer!r}, got None")
            known = standardize_dtype(dtype)
            values: Any = initializers.get(initializer)(sizes, dtype=known)
            dtype = known
        else:
            values = initializer
        super().__init__(
            values,
            trainable=trainable,
            name=name or unique_name("variable"),
            dtype=dtype,
            regularizer=regularizer,
            constraint=constraint,
        )
        if sizes is not None and self.shape != sizes:
            raise ValueError(f"shape: expected that of the values, {self.shape}, got {sizes}")


class KerasTensor(Symbol, metaclass=StandsFor):
    """A symbolic tensor: a shape and a dtype without values. All symbols are instances of it.

    Parameters
    ----------
    shape : sequence of int or None
        With the batch axis; None stands for an open axis.
    dtype
        Of its elements.
    sparse, ragged, record_history
        Accepted as in Keras: only ``sparse=False`` and ``ragged=False``.
    name : str, optional
        By default ``"keras_tensor"``, numbered.

    Raises
    ------
    ValueError
        If it is to be sparse or ragged.

    Examples
    --------
    >>> import nbnet as nb
    >>> isinstance(nb.Input((3,)), nb.KerasTensor)
    True
    >>> nb.layers.Dense(2).compute_output_spec(nb.KerasTensor((None, 3))).shape
    (None, 2)
    """

    stands_for: ClassVar[type] = Symbol

    def __init__(
        self,
        shape: Sequence[int | None],
        dtype: Any = "float32",
        sparse: bool = False,
        ragged: bool = False,
        record_history: bool = True,
        name: str | None = None,
    ) -> None:
        for option, value in (("sparse", sparse), ("ragged", ragged)):
            if value:
                raise ValueError(f"{option}: expected False, as tensors are dense, got {value!r}")
        super().__init__(tuple(shape), np.dtype(dtype), name or unique_name("keras_tensor"))


class name_scope:
    """A context in which Keras puts a name before those of variables; here names are those of layers, and it does
    nothing.

    Parameters
    ----------
    name : str
        Of the scope, without ``/``.
    caller, deduplicate, override_parent
        Accepted as in Keras.

    Raises
    ------
    ValueError
        If the name is no string, or has a ``/``.

    Examples
    --------
    >>> import nbnet as nb
    >>> with nb.name_scope("block") as scope:
    ...     y = nb.layers.ReLU()([-1.0, 1.0])
    >>> scope.name, y.numpy().tolist()
    ('block', [0.0, 1.0])
    """

    def __init__(
        self, name: str, caller: Any = None, deduplicate: bool = True, override_parent: str | None = None
    ) -> None:
        if not isinstance(name, str) or "/" in name:
            raise ValueError(f"name: expected a string without '/', got {name!r}")
        self.name = name
        self.caller, self.deduplicate, self.override_parent = caller, deduplicate, override_parent

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        return None
