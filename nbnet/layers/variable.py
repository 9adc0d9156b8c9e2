"""Weights: those that a layer has, and the names that scripts for Keras have for weights, symbols and scopes."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Any, ClassVar, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from nbnet import constraints, initializers, regularizers
from nbnet.base import loading_budget
from nbnet.base.array_memory import plain_array
from nbnet.base.registry import unique_name
from nbnet.base.tree import Kinds
from nbnet.config import standardize_dtype
from nbnet.engine.graph.parameter import Parameter
from nbnet.engine.graph.symbolic import Symbol
from nbnet.layers.arguments import OPTIONS, ConstraintLike, InitializerLike, RegularizerLike, call_context

L = TypeVar("L", bound="HasWeights")


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
    >>> _ = scale.assign_add(1.0)
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


def flatten_layers(layer: L) -> list[L]:
    """A layer and all layers inside it, each once."""
    found: dict[int, L] = {}
    pending = [layer]
    while pending:
        current = pending.pop()
        if id(current) not in found:
            found[id(current)] = current
            pending.extend(reversed(current.layers))
    return list(found.values())


_weights_in = Kinds(Parameter)


class HasWeights:
    """The part of a layer that holds its weights, and finds those of the layers inside it."""

    name: str
    dtype: np.dtype[Any]
    built: bool
    _building: bool
    _trainable: bool
    _weights: list[Parameter]

    @property
    def layers(self) -> list[Any]:
        """Layers inside this one."""
        raise NotImplementedError

    def add_weight(
        self,
        shape: Sequence[int] = (),
        initializer: InitializerLike = "glorot_uniform",
        dtype: Any = None,
        trainable: bool = True,
        *,
        regularizer: RegularizerLike = None,
        constraint: ConstraintLike = None,
        name: str = "weight",
    ) -> Parameter:
        """Create a parameter that belongs to this layer.

        Parameters
        ----------
        shape
            Of the parameter.
        initializer
            Name, initializer or function of a shape and a dtype: its first values.
        dtype
            None or the layer's.
        trainable
            If False, optimizers leave it as it is.
        regularizer
            Name, regularizer or function: penalty on it, which is added to the loss.
        constraint
            Name, constraint or function that is applied to it after each update.
        name
            The layer's name is put before it.

        Raises
        ------
        ValueError
            If the dtype is not the layer's, or a name is not known.
        """
        if dtype is not None and standardize_dtype(dtype) != self.dtype:
            raise ValueError(f"dtype: {self.name} computes in {self.dtype}, got {dtype!r}")
        if isinstance(shape, str):
            raise ValueError(f"shape: expected integers, got {shape!r}; a name is the keyword argument name=")
        if self.built and call_context.training is not None and not self._building:
            raise ValueError(f"add_weight: {self.name} is built, and call creates no weights; create {name!r} in build")
        sizes = tuple(shape)
        value = loading_budget.weight(sizes, self.dtype, f"{self.name}/{name}")
        if value is None:
            value = initializers.get("glorot_uniform" if initializer is None else initializer)(sizes, self.dtype)
        parameter = Parameter(
            value,
            trainable=trainable,
            name=f"{self.name}/{name}",
            dtype=self.dtype,
            regularizer=regularizers.get(regularizer),
            constraint=constraints.get(constraint),
        )
        parameter.requires_grad = trainable and self._trainable
        self._weights.append(parameter)
        return parameter

    add_variable = add_weight

    def _add_named_weight(self, name: str, shape: Sequence[int]) -> Parameter:
        """Create the weight of a name with the options that ``weight_options`` returned."""
        initializer, regularizer, constraint = (getattr(self, f"{name}_{option}") for option in OPTIONS)
        return self.add_weight(shape, initializer, regularizer=regularizer, constraint=constraint, name=name)

    @property
    def trainable(self) -> bool:
        """If False, optimizers leave the weights of this layer, and of those inside it, as they are."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        for layer in flatten_layers(self):
            layer._trainable = bool(value)
            for parameter in layer.own_weights:
                parameter.requires_grad = parameter.trainable and layer._trainable

    @property
    def own_weights(self) -> list[Parameter]:
        """The parameters that the layer itself has: those that :meth:`add_weight` created, then others that are its
        attributes, or in lists, tuples and dicts that are."""
        found = {id(w): w for w in self._weights}
        for weight in _weights_in.among(vars(self).values()):
            if id(weight) not in found:
                found[id(weight)] = weight
                weight.requires_grad = weight.requires_grad and self._trainable
        return list(found.values())

    @property
    def listed_weights(self) -> list[Parameter]:
        """The parameters that Keras lists as the layer's own, those that were created as trainable first."""
        return sorted(self.own_weights, key=lambda w: not w.trainable)

    @property
    def weights(self) -> list[Parameter]:
        """All parameters: the layer's own, then those of layers inside; of each layer, as in Keras, those that were
        created as trainable come first."""
        return list({id(w): w for layer in flatten_layers(self) for w in layer.listed_weights}.values())

    @property
    def trainable_weights(self) -> list[Parameter]:
        """The parameters that optimizers change."""
        return [w for w in self.weights if w.requires_grad]

    @property
    def non_trainable_weights(self) -> list[Parameter]:
        """The parameters that optimizers leave as they are."""
        return [w for w in self.weights if not w.requires_grad]

    trainable_variables = trainable_weights
    non_trainable_variables = non_trainable_weights
    variables = weights

    def count_params(self) -> int:
        """Number of values in all parameters."""
        return sum(w.size for w in self.weights)

    def get_weights(self) -> list[NDArray[Any]]:
        """Copies of all parameters, in Keras's order and layout: for a Dense, kernel (in, units), then bias
        (units,)."""
        return [w.numpy() for w in self.weights]

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Overwrite all parameters with arrays of the shapes that :meth:`get_weights` returns."""
        own, arrays = self.weights, [plain_array(w, f"weights[{k}]") for k, w in enumerate(weights)]
        if len(arrays) != len(own):
            raise ValueError(f"weights: {self.name} has {len(own)} arrays, got {len(arrays)}")
        for parameter, array in zip(own, arrays, strict=True):
            if array.shape != parameter.shape:
                raise ValueError(f"weights: {parameter.name} has shape {parameter.shape}, got {array.shape}")
            if array.dtype.kind not in "fiub":
                raise TypeError(f"weights: expected real numbers for {parameter.name}, got {array.dtype}")
        for parameter, array in zip(own, arrays, strict=True):
            parameter.overwrite(array)
