"""Constraints on weights after each update: Keras's constraints, with its names, arguments and formulas."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from operator import index
from typing import Any

import numpy as np

from nbnet import ops
from nbnet.base import registry
from nbnet.base.registry import Configurable
from nbnet.base.uninterrupted import apart
from nbnet.base.validation import FRACTION, FROM_ZERO
from nbnet.engine.graph.parameter import Parameter
from nbnet.engine.graph.tape import Trace
from nbnet.engine.graph.tensor import Call, Tensor, recorder, run_call, tensor, topological
from nbnet.engine.kernels.abi import attribute, doublevec, kernel, vec


class Constraint(Configurable):
    """Base of all constraints.

    A subclass defines ``__call__(w)`` with functions of ``nbnet.ops``, as in Keras, or returns from :meth:`call` the
    call of a kernel that changes a parameter. A function of a tensor is accepted wherever a constraint is.

    Examples
    --------
    >>> import nbnet as nb
    >>> class AtMostOne(nb.constraints.Constraint):
    ...     def __call__(self, w):
    ...         return nb.ops.minimum(w, 1.0)
    >>> layer = nb.layers.Dense(1, kernel_initializer="ones", kernel_constraint=AtMostOne())
    >>> layer.build_for((None, 2))
    >>> nb.optimizers.SGD(1.0).apply([[[-2.0], [0.5]]], [layer.kernel])
    >>> layer.kernel.numpy()
    array([[1. ],
           [0.5]], dtype=float32)

    With a kernel:

    >>> from nbnet.engine.kernels.abi import vec
    >>> from nbnet.engine.graph.tensor import Call
    >>> @nb.kernel
    ... def cut(mem, ins, step):
    ...     w = vec(mem, ins, 0)
    ...     for i in range(w.size):
    ...         w[i] = min(w[i], 1.0)
    >>> class AtMostOne(nb.constraints.Constraint):
    ...     def call(self, parameter):
    ...         return Call(cut, (parameter,), (0,), 1, 0, (), "at_most_one", parameter.dtype)
    >>> AtMostOne()([0.5, 2.0])
    array([0.5, 1. ], dtype=float32)
    """

    def call(self, parameter: Parameter) -> Call:
        """The kernel call that applies the constraint to a parameter in place; its scratch memory is a tensor without
        data.

        Raises
        ------
        ValueError
            If the parameter's shape does not fit.
        """
        raise NotImplementedError(f"{type(self).__name__} defines neither __call__(w) nor call(parameter)")

    def __call__(self, w: Any) -> Any:
        """Apply the constraint to an array; returns a new array, or, in a program, a tensor.

        Parameters
        ----------
        w
            Tensor or array.

        Raises
        ------
        TypeError
            In a program, if the class has only a kernel.
        """
        active = recorder()
        if active is not None and active.deferred:
            return self._traced(w)
        parameter = Parameter(tensor(w).numpy())
        if type(self).call is Constraint.call:  # The base allows everything.
            return parameter.numpy()
        run_call(self.call(parameter), 0)
        return parameter.numpy()

    def _traced(self, w: Tensor) -> Tensor:
        """The constraint as a part of another one, with ops."""
        if type(self).call is Constraint.call:
            return w
        raise TypeError(
            f"constraint: {type(self).__name__} changes weights in place, and cannot be a part of another one; "
            "write that only with functions of nbnet.ops"
        )


@kernel(extents="y[n] w[n]")
def assign(mem: Any, ins: Any, step: Any) -> None:
    """``w = y``."""
    y, w = vec(mem, ins, 0), vec(mem, ins, 1)
    for i in range(w.size):
        w[i] = y[i]


def calls(constraint: Callable[[Any], Any], parameter: Parameter) -> list[Call]:
    """The kernel calls that apply a constraint to a parameter in a program.

    Parameters
    ----------
    constraint
        A :class:`Constraint`, or a function of a tensor written with ops.

    Raises
    ------
    TypeError, ValueError
        If the parameter's shape does not fit, or the function does not return a tensor of that shape.

    Examples
    --------
    >>> import nbnet as nb
    >>> w = nb.Parameter([-1.0, 2.0])
    >>> [call.kernel.name for call in nb.constraints.calls(nb.ops.abs, w)]
    ['abs_forward', 'assign']
    """
    if isinstance(constraint, Constraint) and type(constraint).__call__ is Constraint.__call__:
        return [] if type(constraint).call is Constraint.call else [constraint.call(parameter)]
    with Trace(parameter.dtype):
        y = constraint(parameter)
    name, of = getattr(constraint, "__name__", type(constraint).__name__), parameter.name or "the parameter"
    if not isinstance(y, Tensor) or (y.data is not None and y is not parameter):
        raise TypeError(f"constraint: expected {name} to return a tensor that nbnet.ops computed from {of}, got {y!r}")
    if y.shape != parameter.shape or y.dtype != parameter.dtype:
        raise ValueError(
            f"constraint: {of} has shape {parameter.shape} and dtype {parameter.dtype}, {name} returned shape "
            f"{y.shape} and dtype {y.dtype}"
        )
    if y is parameter:
        return []
    last = Call(assign, (y, parameter), (1,), 0, 0, (), "constraint", parameter.dtype)
    return [*(node.call() for node in topological([y])), last]


@kernel(extents="w[n]")
def cut_negative(mem: Any, ins: Any, step: Any) -> None:
    """``w = max(w, 0)``, in place."""
    w = vec(mem, ins, 0)
    for i in range(w.size):
        w[i] = 0.0 if w[i] < 0.0 else w[i]


@dataclass(frozen=True)
class NonNeg(Constraint):
    """Negative weights become 0.

    Examples
    --------
    >>> from nbnet.constraints import NonNeg
    >>> NonNeg()([-1.0, 2.0])
    array([0., 2.], dtype=float32)
    """

    def call(self, parameter: Parameter) -> Call:
        return Call(cut_negative, (parameter,), (0,), 1, 0, (), "constraint", parameter.dtype)

    def _traced(self, w: Tensor) -> Tensor:
        return ops.relu(w)


#: Keras's ``epsilon()``: added to norms before division.
EPSILON = 1e-7


@kernel(
    extents="w[outer*n*inner] numbers:f8[4] norms[norms]; n inner outer",
    within=lambda sizes: sizes["norms"] >= sizes["inner"],
)
def bound_norms(mem: Any, ins: Any, step: Any) -> None:
    """``w *= (rate clip(norm, low, high) + (1 - rate) norm) / (norm + epsilon)``, in place.

    w is read as (outer, n, inner), norms are over n; the attributes are n, inner and outer.
    """
    w, numbers, norms = vec(mem, ins, 0), doublevec(mem, ins, 1), vec(mem, ins, 2)
    real, n, inner = w.dtype.type, attribute(ins, 0), attribute(ins, 1)
    low, high, rate, epsilon = real(numbers[0]), real(numbers[1]), real(numbers[2]), real(numbers[3])
    for o in range(attribute(ins, 2)):
        block = w[o * n * inner : (o + 1) * n * inner]
        if inner == 1:
            total = 0.0
            for i in range(block.size):
                total += block[i] * block[i]
            norms[0] = total
        else:
            for j in range(norms.size):
                norms[j] = 0.0
            for k in range(n):
                row = block[k * inner : (k + 1) * inner]
                for j in range(row.size):
                    norms[j] += row[j] * row[j]
        for j in range(norms.size):
            norm = np.sqrt(norms[j])
            target = low if norm < low else norm
            target = high if target > high else target
            norms[j] = (norm + rate * (target - norm)) / (norm + epsilon)
        if inner == 1:
            factor = norms[0]
            for i in range(block.size):
                block[i] *= factor
        else:
            for k in range(n):
                row = block[k * inner : (k + 1) * inner]
                for j in range(row.size):
                    row[j] *= norms[j]


class NormConstraint(Constraint):
    """Base of the constraints on norms."""

    # Each subclass declares it as its last field, where Keras has it.
    axis: int | Sequence[int]

    def __post_init__(self) -> None:
        axes = [index(k) for k in self._axes()]
        object.__setattr__(self, "axis", axes if isinstance(self.axis, Sequence) else axes[0])

    def _axes(self) -> Sequence[int]:
        return self.axis if isinstance(self.axis, Sequence) else (self.axis,)

    @abstractmethod
    def _bounds(self) -> tuple[float, float, float]:
        """The smallest and largest norm, and the rate."""

    def call(self, parameter: Parameter) -> Call:
        first, last = self._span(parameter)
        n, inner = prod(parameter.shape[first : last + 1]), prod(parameter.shape[last + 1 :])
        numbers = np.array([*self._bounds(), EPSILON])
        operands = (parameter, Tensor((4,), np.float64, numbers), Tensor((inner,), parameter.dtype, name="norms"))
        attributes = (n, inner, prod(parameter.shape[:first]))
        return Call(bound_norms, operands, (0, 2), 1, 0, attributes, "constraint", parameter.dtype)

    def _traced(self, w: Tensor) -> Tensor:
        first, last = self._span(w)
        low, high, rate = self._bounds()
        norms = ops.sqrt(ops.sum(w * w, axis=tuple(range(first, last + 1)), keepdims=True))
        target = ops.minimum(ops.maximum(norms, low), high)
        return w * ((norms + (target - norms) * rate) / (norms + EPSILON))

    def _span(self, parameter: Tensor) -> tuple[int, int]:
        """The first and last of the neighbouring axes that norms are over."""
        given, name, ndim = self._axes(), type(self).__name__, parameter.ndim
        if any(not -ndim <= k < ndim for k in given):
            raise ValueError(f"{name}: axis {self.axis} is out of range for a weight of shape {parameter.shape}")
        axes = sorted({k % ndim for k in given})
        if axes != list(range(axes[0], axes[0] + len(given))):
            raise ValueError(f"axis: {name} expected neighbouring axes, each once, got {self.axis}")
        return axes[0], axes[-1]


@dataclass(frozen=True)
class MaxNorm(NormConstraint):
    """Shortens vectors longer than ``max_value`` to that length.

    Parameters
    ----------
    max_value : float
        From 0.
    axis : int or sequence of int
        Axes that a vector lies along: 0 for the weights into each unit of a Dense kernel (inputs, units), ``[0, 1, 2]``
        for each filter of a Conv2D kernel.

    References
    ----------
    N. Srivastava, G. Hinton, A. Krizhevsky, I. Sutskever, R. Salakhutdinov: Dropout: a simple way to prevent neural
    networks from overfitting. JMLR 15 (2014), section 5.1.

    Examples
    --------
    >>> from nbnet.constraints import MaxNorm
    >>> MaxNorm(1.0)([[3.0, 0.3], [4.0, 0.4]]).round(4)
    array([[0.6, 0.3],
           [0.8, 0.4]], dtype=float32)
    """

    max_value: float = 2
    axis: int | Sequence[int] = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        FROM_ZERO.check(self.max_value, "max_value")

    def _bounds(self) -> tuple[float, float, float]:
        return 0.0, self.max_value, 1.0


@dataclass(frozen=True)
class MinMaxNorm(NormConstraint):
    """Brings the lengths of vectors to the range from ``min_value`` to ``max_value``.

    Parameters
    ----------
    min_value, max_value : float
        From 0, in this order.
    rate : float
        In [0, 1]: share of the correction that one update makes.
    axis : int or sequence of int
        See :class:`MaxNorm`.

    Examples
    --------
    >>> from nbnet.constraints import MinMaxNorm
    >>> MinMaxNorm(1.0, 2.0)([[3.0, 0.3], [4.0, 0.4]]).round(4)
    array([[1.2, 0.6],
           [1.6, 0.8]], dtype=float32)
    """

    min_value: float = 0.0
    max_value: float = 1.0
    rate: float = 1.0
    axis: int | Sequence[int] = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        FROM_ZERO.check(self.min_value, "min_value")
        FROM_ZERO.check(self.max_value, "max_value")
        FRACTION.check(self.rate, "rate")
        if self.min_value > self.max_value:
            raise ValueError(f"min_value: expected a number up to max_value {self.max_value}, got {self.min_value}")

    def _bounds(self) -> tuple[float, float, float]:
        return self.min_value, self.max_value, self.rate


@dataclass(frozen=True)
class UnitNorm(NormConstraint):
    """Brings vectors to length 1.

    Parameters
    ----------
    axis : int or sequence of int
        See :class:`MaxNorm`.

    Examples
    --------
    >>> from nbnet.constraints import UnitNorm
    >>> UnitNorm()([[3.0, 0.3], [4.0, 0.4]]).round(4)
    array([[0.6, 0.6],
           [0.8, 0.8]], dtype=float32)
    """

    axis: int | Sequence[int] = 0

    def _bounds(self) -> tuple[float, float, float]:
        return 1.0, 1.0, 1.0


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


@apart
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
